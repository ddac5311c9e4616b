//! Limits of which a share is used. Once a second the counters that somebody wants to hear of are read; what requests in
//! flight hold is not spent yet. Each share is told once per window, limit and subject, after a restart too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use engine::gateway::Gateway;
use engine::limits::now;
use engine::state::{Configuration, LiveKey};
use ir::civil::rfc3339;
use policy::limit::bind::resolved;
use policy::limit::book::{CounterId, Who};
use policy::limit::counter::{Counter, Spent};
use policy::limit::rule::{Limit, Span};
use policy::limit::{Meter, Now};
use policy::notify::{BUDGET_ALERT, BUDGET_EXCEEDED, USAGE_THRESHOLD};
use serde_json::{Value, json};
use settle::events::source::{Asked, Source};
use settle::events::{Audience, Happened};
use store::StoreError;

use crate::admin::limits::{amount, meter, scope_of, target_text, window};

mod credits;
pub(crate) mod subject;

/// How often counters are read, in milliseconds.
const EVERY_MS: u64 = 1_000;

/// What the subjects of this source begin with.
const SUBJECT: &str = "limit\n";

/// Reads the counters.
pub(super) struct Limits {
    gateway: Arc<Gateway>,
    looked_ms: u64,
    /// Environments that were looked at before: what was refused before somebody wanted to hear of it is old.
    watched: BTreeSet<Arc<str>>,
    /// What was raised: its window, and when.
    raised: Option<HashMap<String, (u64, u64)>>,
    /// What is to be remembered once it is written down.
    fresh: Vec<(String, Option<(u64, u64)>)>,
    /// Counters that refused somebody, and under which amount, until that is written down.
    refused: HashMap<u64, u64>,
}

/// A counter and what is known about it.
struct Seen<'a> {
    id: &'a CounterId,
    key: Option<&'a LiveKey>,
    spent: Spent,
    refused: Option<u64>,
    /// Who a user, an address or a bucket is, if anybody has said so.
    name: Option<Box<str>>,
    now: Now,
}

impl Limits {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self {
            gateway,
            looked_ms: 0,
            watched: BTreeSet::new(),
            raised: None,
            fresh: Vec::new(),
            refused: HashMap::new(),
        }
    }
}

impl Source for Limits {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        self.fresh.clear();
        let Some(spool) = asked.spool.filter(|_| asked.now_ms >= self.looked_ms.saturating_add(EVERY_MS)) else {
            return Ok(());
        };
        self.looked_ms = asked.now_ms;
        if self.raised.is_none() {
            let raised = spool.raised()?.into_iter().filter(|(subject, ..)| subject.starts_with(SUBJECT));
            self.raised = Some(raised.map(|(subject, period, at_ms)| (subject, (period, at_ms))).collect());
        }
        let (state, now) = (self.gateway.state(), now(&self.gateway.clock));
        let wanted = |id: &CounterId| id.meter != Meter::Concurrency && asked.audiences.contains_key(&id.environment);
        for (id, counter) in self.gateway.book.which(&wanted) {
            let Some(configuration) = state.environment(&id.environment) else { continue };
            let Some(audience) = asked.audiences.get(&id.environment) else { continue };
            let key = match &id.who {
                Who::Key(Some(key)) => state.keys.by_id(*key).map(|key| &**key),
                _ => None,
            };
            let refused = self.refusal(&id, &counter);
            let mut seen = Seen { id: &id, key, spent: counter.spent(now), refused, name: None, now };
            if id.meter == Meter::Credits {
                let environment = &configuration.snapshot.environment;
                if environment.billing.enabled {
                    self.look_at_credits(&seen, &environment.low_credits, audience, asked);
                }
                continue;
            }
            let limits = limits_of(configuration, key, &id);
            if matches!(id.who, Who::Party(_)) && !limits.is_empty() {
                seen.name = self.gateway.book.name(&id);
            }
            for limit in limits {
                self.look(&seen, &limit, audience, asked);
            }
        }
        self.watched = asked.audiences.keys().map(Arc::clone).collect();
        Ok(())
    }

    fn written(&mut self) {
        let Some(raised) = &mut self.raised else { return };
        for (subject, what) in self.fresh.drain(..) {
            match what {
                Some(what) => _ = raised.insert(subject, what),
                None => _ = raised.remove(&subject),
            }
        }
        self.refused.clear();
    }
}

impl Limits {
    /// Returns the amount under which a counter refused somebody, as long as nobody has heard of that.
    fn refusal(&mut self, id: &CounterId, counter: &Counter) -> Option<u64> {
        // Who begins to listen, and is refused before the counters are read again, hears of it.
        let fresh = |at_ms: u64| at_ms.saturating_add(2 * EVERY_MS) >= self.looked_ms;
        let told = |(_, at_ms): &(u64, u64)| self.watched.contains(&id.environment) || fresh(*at_ms);
        if let Some((under, _)) = counter.take_refused().filter(told) {
            self.refused.insert(counter.serial(), under);
        }
        self.refused.get(&counter.serial()).copied()
    }

    /// Raises what is reached of one limit and was not raised in this window.
    fn look(&mut self, seen: &Seen<'_>, limit: &Limit, audience: &Audience, asked: &mut Asked<'_>) {
        let rolling = match limit.rule.window {
            Span::Rolling(length) => Some(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)),
            Span::Day | Span::Month | Span::BillingPeriod | Span::Total => None,
        };
        for percent in shares(limit, audience) {
            let refused = percent == 100 && seen.refused.is_some_and(|under| limit.rule.amount <= under);
            let reached = is_reached(seen.spent.amount, limit.rule.amount, percent) || refused;
            if !reached && rolling.is_none() {
                continue;
            }
            let subject = mark(seen.id, limit, percent);
            let before = self.raised.as_ref().and_then(|raised| raised.get(&subject)).copied();
            match (reached, rolling, before) {
                // A rolling window is over when its length has passed and less is used.
                (false, Some(length), Some((_, at_ms))) if asked.now_ms >= at_ms.saturating_add(length) => {
                    asked.batch.calm.push(subject.clone());
                    self.fresh.push((subject, None));
                }
                (true, Some(_), None) => self.raise(seen, limit, percent, subject, audience, asked),
                (true, None, before) if before.is_none_or(|(period, _)| period != seen.spent.period_start_ms) => {
                    self.raise(seen, limit, percent, subject, audience, asked);
                }
                _ => {}
            }
        }
    }

    fn raise(
        &mut self,
        seen: &Seen<'_>,
        limit: &Limit,
        percent: u8,
        subject: String,
        audience: &Audience,
        asked: &mut Asked<'_>,
    ) {
        let budget = limit.rule.meter == Meter::Usd;
        let of_budgets = if percent == 100 { BUDGET_EXCEEDED } else { BUDGET_ALERT };
        let kinds = [Some(USAGE_THRESHOLD), budget.then_some(of_budgets)];
        let before = asked.batch.events.len();
        for kind in kinds.into_iter().flatten() {
            let happened = happened(seen, limit, percent, kind, asked.now_ms);
            asked.batch.events.extend(happened.addressed(audience));
        }
        // Who wants to hear of it tomorrow, hears of it then.
        if asked.batch.events.len() > before {
            let period = seen.spent.period_start_ms;
            asked.batch.raised.push((subject.clone(), period));
            self.fresh.push((subject, Some((period, asked.now_ms))));
        }
    }
}

/// Returns the limits that look at a counter: the environment's, the key's, its plan's.
pub(crate) fn limits_of(configuration: &Configuration, key: Option<&LiveKey>, id: &CounterId) -> Vec<Arc<Limit>> {
    let snapshot = &configuration.snapshot;
    let name = match (&id.who, key) {
        (_, Some(key)) => Some(&*key.compiled.name),
        (Who::Key(None), None) => Some("anonymous"),
        _ => None,
    };
    let is = |limit: &&Arc<Limit>| {
        let rule = &limit.rule;
        let same = rule.enabled && rule.meter == id.meter && rule.window == id.span && rule.scope.covers(&id.who, name);
        same && (rule.target == id.target || resolved(snapshot, &rule.target).as_ref() == Some(&id.target))
    };
    let plan = key.and_then(|key| snapshot.plan_of(&key.compiled));
    let of_key = key.into_iter().flat_map(|key| &key.compiled.limits);
    let of_plan = plan.into_iter().flat_map(|plan| &plan.limits);
    snapshot.limits.iter().chain(of_key).chain(of_plan).filter(is).map(Arc::clone).collect()
}

/// Returns the shares at which somebody is told of a limit, in percent.
fn shares(limit: &Limit, audience: &Audience) -> BTreeSet<u8> {
    let mut all: BTreeSet<u8> = limit.rule.thresholds.iter().copied().collect();
    let concerned = audience.alerts.iter().filter(|alert| alert.is_about_limit(Some(&limit.name)));
    all.extend(concerned.filter_map(|alert| alert.thresholds.as_ref()).flatten());
    all
}

fn is_reached(spent: u64, amount: u64, percent: u8) -> bool {
    amount > 0 && u128::from(spent) * 100 >= u128::from(amount) * u128::from(percent)
}

/// Returns what tells this share of this limit from every other. An amount that is changed is another limit: of the new
/// one nobody has heard.
fn mark(id: &CounterId, limit: &Limit, percent: u8) -> String {
    let (environment, name, target, rule) = (&id.environment, &limit.name, target_text(&id.target), &limit.rule);
    let window = window(rule.meter, rule.window).unwrap_or_default();
    let who = match &id.who {
        Who::Environment => "environment".to_owned(),
        Who::Team(team) => format!("team:{team}"),
        Who::Key(key) => format!("key:{}", key.map_or_else(String::new, |key| key.to_string())),
        Who::Party(party) => format!("{}:{}", subject::kind(party.kind), party.hex()),
        Who::Crowd(kind, crowd) => format!("{}:crowd {crowd}", subject::kind(*kind)),
    };
    format!(
        "{SUBJECT}{environment}\n{name}\n{who}\n{}\n{window}\n{target}\n{}\n{percent}",
        meter(rule.meter),
        rule.amount
    )
}

fn happened(seen: &Seen<'_>, limit: &Limit, percent: u8, kind: &'static str, now_ms: u64) -> Happened {
    let (rule, spent) = (&limit.rule, &seen.spent);
    let key = seen.key.map(|key| &key.compiled);
    let subject = subject::of(seen.id, &rule.scope, key.map(|key| &*key.name), seen.name.as_deref());
    let resets_at = spent.resets_ms.map(|ms| rfc3339(seen.now.unix_ms.saturating_add(ms)));
    let data = json!({
        "environment": &*seen.id.environment,
        "limit": &*limit.name,
        "scope": scope_of(&rule.scope).0,
        "subject": subject,
        "meter": meter(rule.meter),
        "window": window(rule.meter, rule.window),
        "target": target_text(&seen.id.target),
        "amount": amount(rule.meter, rule.amount),
        "used": amount(rule.meter, spent.amount),
        "used_pct": percent_of(spent.amount, rule.amount),
        "threshold": percent,
        "refused": percent == 100 && !is_reached(spent.amount, rule.amount, 100),
        "resets_at": resets_at,
    });
    let team = match (&seen.id.who, key) {
        (Who::Team(team), _) => Some(team.as_ref().to_owned()),
        (_, key) => key.and_then(|key| key.team.as_deref()).map(str::to_owned),
    };
    let data = if let Value::Object(data) = data { data } else { serde_json::Map::new() };
    Happened {
        limit: Some(Arc::clone(&limit.name)),
        threshold: Some((percent, rule.thresholds.contains(&percent))),
        budget: rule.meter == Meter::Usd,
        key: matches!(seen.id.who, Who::Key(_)).then(|| key.map_or("anonymous", |key| &key.name).to_owned()),
        team,
        ..Happened::new(Arc::clone(&seen.id.environment), kind, now_ms, data)
    }
}

/// Returns a share in percent with one decimal, rounded down so that 100 is all of it.
pub(crate) fn percent_of(spent: u64, amount: u64) -> Option<f64> {
    let per_mille = (u128::from(spent) * 1_000).checked_div(u128::from(amount))?;
    u32::try_from(per_mille).ok().map(|tenths| f64::from(tenths) / 10.0)
}

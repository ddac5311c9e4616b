//! What counters have to be told after a restart: which sums of the request log they want, and what they make of them.
//!
//! Pure: whoever reads the log asks for [`Wanted::cuts`] and hands over what it finds. Users and addresses are not in the
//! log; their counts begin anew.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ir::id::ResourceId;

use super::bind::resolved;
use super::book::{Book, CounterId, Who};
use super::rule::{Rule, Scope, Span, Target};
use super::{Amounts, Meter, Now, Window};
use crate::snapshot::{CompiledKey, Snapshot};

/// Into how many pieces a rolling window is cut at least, where the log is not that fine.
const PIECES: u64 = 63;

/// The widths in which the log has sums that are made already, in milliseconds.
const WIDTHS: [u64; 4] = [86_400_000, 3_600_000, 900_000, 60_000];

/// A window that is shorter is read record by record: slots are counted exactly.
const SHORT_MS: u64 = 600_000;

/// The sums that the counters of one environment want over one time.
#[derive(Debug)]
pub struct Wanted {
    /// The environment.
    pub environment: Arc<str>,
    /// The pieces of time, Unix milliseconds, each from its first to before its last, in order.
    pub cuts: Vec<(u64, u64)>,
    span: Span,
    whose: BTreeMap<(Meter, Target), Whose>,
}

/// What somebody used at one target, within one piece of time.
#[derive(Clone, Copy, Debug)]
pub struct Used<'a> {
    /// The number of the piece.
    pub cut: usize,
    /// The key; `None` for `anonymous`.
    pub key: Option<ResourceId>,
    /// The key's team.
    pub team: Option<&'a str>,
    /// The provider that answered.
    pub provider: Option<&'a str>,
    /// The slug of the model that answered.
    pub model: Option<&'a str>,
    /// How many requests counted.
    pub requests: u64,
    /// What they used.
    pub amounts: Amounts,
}

/// Whose counters are wanted.
#[derive(Debug, Default)]
struct Whose {
    environment: bool,
    teams: Which<Arc<str>>,
    keys: Which<Option<ResourceId>>,
}

#[derive(Debug)]
enum Which<T> {
    All,
    Those(HashSet<T>),
}

impl<T> Default for Which<T> {
    fn default() -> Self {
        Self::Those(HashSet::new())
    }
}

impl<T: Eq + std::hash::Hash> Which<T> {
    fn add(&mut self, one: T) {
        if let Self::Those(those) = self {
            those.insert(one);
        }
    }

    fn has(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::Those(those) => those.contains(one),
        }
    }
}

/// Returns what the limits of an environment and of its keys want to know.
pub fn wanted<'a>(snapshot: &Snapshot, keys: impl Iterator<Item = &'a CompiledKey>, now: Now) -> Vec<Wanted> {
    let mut whose: BTreeMap<Span, BTreeMap<(Meter, Target), Whose>> = BTreeMap::new();
    let mut want = |rule: &Rule, key: Option<&CompiledKey>| {
        let Some(target) = resolved(snapshot, &rule.target).filter(|_| rule.enabled) else { return };
        if rule.meter == Meter::Concurrency {
            return;
        }
        let whose = whose.entry(rule.window).or_default().entry((rule.meter, target)).or_default();
        match (&rule.scope, key) {
            (Scope::Environment, _) => whose.environment = true,
            (Scope::Team(None), _) => whose.teams = Which::All,
            (Scope::Team(Some(team)), _) => whose.teams.add(Arc::clone(team)),
            (Scope::Key(None), None) => whose.keys = Which::All,
            (Scope::Key(_), Some(key)) => whose.keys.add(key.id),
            // Which key has the name is seen when the keys come by.
            (Scope::Key(Some(_)), None) | (Scope::User(_) | Scope::Ip(_), _) => {}
        }
    };
    snapshot.limits.iter().for_each(|limit| want(&limit.rule, None));
    let named = |rule: &Rule, key: &CompiledKey| matches!(&rule.scope, Scope::Key(Some(name)) if *name == key.name);
    for key in keys {
        let plan = key.plan.as_deref().and_then(|plan| snapshot.plans.get(plan));
        let of_plan = plan.into_iter().flat_map(|plan| &plan.limits);
        key.limits.iter().chain(of_plan).for_each(|limit| want(&limit.rule, Some(key)));
        let of_environment = snapshot.limits.iter().filter(|limit| named(&limit.rule, key));
        of_environment.for_each(|limit| want(&limit.rule, Some(key)));
    }
    let of_span = |(span, whose)| {
        let cuts = cuts(&snapshot.environment.zone.window(span), now);
        Wanted { environment: Arc::clone(&snapshot.environment.name), cuts, span, whose }
    };
    whose.into_iter().map(of_span).collect()
}

/// Cuts the time that a window looks at.
fn cuts(window: &Window, now: Now) -> Vec<(u64, u64)> {
    let end = now.unix_ms.saturating_add(1);
    match window {
        Window::Total => vec![(0, end)],
        Window::Calendar(calendar) => vec![(calendar.period(now.unix_ms).start_ms, end)],
        Window::Rolling(length) => {
            let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            // The slots of a short window begin where the monotonic clock says.
            let (width, into) = if length <= SHORT_MS {
                let width = length.div_ceil(PIECES).max(1);
                (width, now.monotonic_ms % width)
            } else {
                let width = WIDTHS.into_iter().find(|width| *width <= length / PIECES).unwrap_or(60_000);
                (width, now.unix_ms % width)
            };
            let mut cuts = Vec::new();
            let (mut from, mut to) = (now.unix_ms.saturating_sub(into), end);
            let first = now.unix_ms.saturating_sub(length);
            while to > first && to > 0 {
                cuts.push((from.max(first), to));
                (from, to) = (from.saturating_sub(width), from);
            }
            cuts.reverse();
            cuts
        }
    }
}

impl Wanted {
    /// Counts what was used. Within a piece of time it is counted as if it had been used last: a window forgets it later
    /// rather than too early.
    pub fn feed(&self, used: &Used<'_>, snapshot: &Snapshot, book: &Book, now: Now) {
        let Some((_, to)) = self.cuts.get(used.cut) else { return };
        let ago_ms = now.unix_ms.saturating_sub(to.saturating_sub(1));
        for ((meter, target), whose) in &self.whose {
            let concerned = match target {
                Target::All => true,
                Target::Provider(name) => used.provider == Some(&**name),
                Target::Model(slug) => used.model.is_some_and(|model| model.eq_ignore_ascii_case(slug)),
            };
            let amount = if *meter == Meter::Requests { used.requests } else { used.amounts.of(*meter) };
            if !concerned || amount == 0 {
                continue;
            }
            let team = used.team.map(Arc::<str>::from).filter(|team| whose.teams.has(team));
            let who = [
                whose.environment.then_some(Who::Environment),
                team.map(Who::Team),
                whose.keys.has(&used.key).then_some(Who::Key(used.key)),
            ];
            for who in who.into_iter().flatten() {
                let environment = Arc::clone(&self.environment);
                let id = CounterId { environment, who, meter: *meter, span: self.span, target: target.clone() };
                book.counter(id, &snapshot.environment.zone, now).restore(amount, ago_ms, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;

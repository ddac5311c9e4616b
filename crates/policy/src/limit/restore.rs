//! What counters have to be told after a restart: which sums of the request log they want, and what they make of them.
//!
//! Pure: whoever reads the log asks for [`Wanted::cuts`] and hands over what it finds. Users, addresses and buckets, tries that
//! failed and what was held where nobody knows what was used are not in its sums: they are handed over one by one
//! ([`Wanted::feed_beside`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ir::id::ResourceId;
use ir::settlement::{Party, PartyKind};

use super::bind::resolved;
use super::book::{Book, CounterId, Who};
use super::rule::{Rule, Scope, Span, Target};
use super::{Amounts, Meter, Now, Window, party};
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

/// What a request left beside the sums.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What the sums hold of it; the number of the piece is not looked at.
    pub used: Used<'a>,
    /// When it was admitted, Unix milliseconds.
    pub at_ms: u64,
    /// What counts more than the sums hold: it was held, and nobody knows what was used.
    pub more: Amounts,
    /// The provider and the model of every try that failed.
    pub tries: &'a [(String, String)],
    /// Whose use it was beside key and team.
    pub parties: &'a [Party],
}

/// Whose counters are wanted.
#[derive(Debug, Default)]
struct Whose {
    environment: bool,
    teams: Which<Arc<str>>,
    keys: Which<Option<ResourceId>>,
    users: Which<Party>,
    addresses: Which<Party>,
    buckets: Which<Party>,
}

impl Whose {
    fn has_party(&self, party: &Party) -> bool {
        match party.kind {
            PartyKind::User => self.users.has(party),
            PartyKind::Address => self.addresses.has(party),
            PartyKind::Bucket => self.buckets.has(party),
        }
    }

    /// Adds everybody, or the one that is named.
    fn add_party(which: &mut Which<Party>, named: Option<Party>) {
        match named {
            Some(party) => which.add(party),
            None => *which = Which::All,
        }
    }
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
            (Scope::Key(Some(_)), None) => {}
            (Scope::User(name), _) => Whose::add_party(&mut whose.users, name.as_deref().map(party::user)),
            (Scope::Bucket(name), _) => Whose::add_party(&mut whose.buckets, name.as_deref().map(party::bucket)),
            (Scope::Ip(name), _) => {
                let address = name.as_deref().and_then(|name| name.parse::<std::net::IpAddr>().ok());
                Whose::add_party(&mut whose.addresses, address.map(|ip| party::address(ip.to_canonical())));
            }
        }
    };
    snapshot.limits.iter().for_each(|limit| want(&limit.rule, None));
    let named = |rule: &Rule, key: &CompiledKey| matches!(&rule.scope, Scope::Key(Some(name)) if *name == key.name);
    for key in keys {
        let of_plan = snapshot.plan_of(key).into_iter().flat_map(|plan| &plan.limits);
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
        let Some(ago_ms) = self.ago_ms(used.cut, now) else { return };
        for ((meter, target), whose) in &self.whose {
            let amount = if *meter == Meter::Requests { used.requests } else { used.amounts.of(*meter) };
            if amount > 0 && concerns(target, used.provider, used.model) {
                self.count((*meter, target), whose.known(used), amount, ago_ms, (snapshot, book, now));
            }
        }
    }

    /// Counts what a request left beside the sums.
    pub fn feed_beside(&self, beside: &Beside<'_>, snapshot: &Snapshot, book: &Book, now: Now) {
        let Beside { used, more, .. } = beside;
        let piece = self.cuts.partition_point(|(_, to)| *to <= beside.at_ms);
        let inside = self.cuts.first().is_some_and(|(from, _)| beside.at_ms >= *from);
        let Some(ago_ms) = self.ago_ms(piece, now).filter(|_| inside) else { return };
        let all = Amounts {
            input_tokens: used.amounts.input_tokens.saturating_add(more.input_tokens),
            output_tokens: used.amounts.output_tokens.saturating_add(more.output_tokens),
            nanos: used.amounts.nanos.saturating_add(more.nanos),
            charge: 0,
        };
        let of = |meter: Meter, requests: u64, amounts: &Amounts| {
            if meter == Meter::Requests { requests } else { amounts.of(meter) }
        };
        for ((meter, target), whose) in &self.whose {
            let parties: Vec<Who> =
                beside.parties.iter().filter(|party| whose.has_party(party)).map(|party| Who::Party(*party)).collect();
            let (mut of_known, mut of_parties) = (0_u64, 0_u64);
            if concerns(target, used.provider, used.model) {
                of_known = of(*meter, 0, more);
                of_parties = of(*meter, used.requests, &all);
            }
            if *meter == Meter::Requests && *target != Target::All {
                let tried =
                    beside.tries.iter().filter(|(provider, model)| concerns(target, Some(provider), Some(model)));
                let tries = u64::try_from(tried.count()).unwrap_or(u64::MAX);
                (of_known, of_parties) = (of_known.saturating_add(tries), of_parties.saturating_add(tries));
            }
            let within = (snapshot, book, now);
            self.count((*meter, target), whose.known(used), of_known, ago_ms, within);
            self.count((*meter, target), parties, of_parties, ago_ms, within);
        }
    }

    /// Returns how long ago the last instant of a piece of time was.
    fn ago_ms(&self, cut: usize, now: Now) -> Option<u64> {
        self.cuts.get(cut).map(|(_, to)| now.unix_ms.saturating_sub(to.saturating_sub(1)))
    }

    fn count(
        &self,
        (meter, target): (Meter, &Target),
        whose: Vec<Who>,
        amount: u64,
        ago_ms: u64,
        (snapshot, book, now): (&Snapshot, &Book, Now),
    ) {
        if amount == 0 {
            return;
        }
        for who in whose {
            let environment = Arc::clone(&self.environment);
            let id = CounterId { environment, who, meter, span: self.span, target: target.clone() };
            book.counter(id, &snapshot.environment.zone, now).restore(amount, ago_ms, now);
        }
    }
}

impl Whose {
    /// Returns those that somebody's use counts for, parties aside.
    fn known(&self, used: &Used<'_>) -> Vec<Who> {
        let team = used.team.map(Arc::<str>::from).filter(|team| self.teams.has(team));
        let who = [
            self.environment.then_some(Who::Environment),
            team.map(Who::Team),
            self.keys.has(&used.key).then_some(Who::Key(used.key)),
        ];
        who.into_iter().flatten().collect()
    }
}

fn concerns(target: &Target, provider: Option<&str>, model: Option<&str>) -> bool {
    match target {
        Target::All => true,
        Target::Provider(name) => provider == Some(&**name),
        Target::Model(slug) => model.is_some_and(|model| model.eq_ignore_ascii_case(slug)),
    }
}

#[cfg(test)]
mod tests;

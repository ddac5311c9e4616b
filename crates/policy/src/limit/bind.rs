//! Which limits bind whom: from limits as people wrote them to counters.

use std::net::IpAddr;
use std::sync::Arc;

use ir::settlement::Party;

use super::book::{Book, CounterId, Who};
use super::party::Called;
use super::reservation::{Binding, Bound};
use super::rule::{Limit, Rule, Scope, Target};
use super::{Meter, Now};
use crate::snapshot::{CompiledKey, Model, Snapshot};

/// The most bytes of a user's name that tell users apart.
const MAX_USER_BYTES: usize = 256;

/// A limit on what goes to one target, and the target.
#[derive(Clone, Debug)]
pub struct Targeted {
    target: Target,
    bound: Bound,
}

/// The limits that bind the requests of a key, or one request of it.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Requests and places in flight, whatever they go to.
    pub gate: Binding,
    /// Tokens and money, whatever they go to.
    pub spend: Binding,
    /// What binds at one target alone.
    pub targeted: Vec<Targeted>,
    /// The users, addresses and buckets among those whose use is counted.
    pub parties: Vec<Party>,
    /// Those of users, peers and buckets, which every request finds anew.
    personal: Vec<Arc<Limit>>,
}

/// Who asks, beside the key.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The user, as the request names them.
    pub user: Option<&'a str>,
    /// The TCP peer; `None` when nobody in particular is meant.
    pub peer: Option<IpAddr>,
    /// The bucket, as the request names it.
    pub bucket: Option<&'a str>,
}

impl Bindings {
    /// Returns what binds a key; `None` when nothing does.
    pub fn of_key(snapshot: &Snapshot, key: &CompiledKey, book: &Book, now: Now) -> Option<Self> {
        let plan = snapshot.plan_name(key).map(|name| snapshot.plans.get(name).map(|plan| &plan.limits));
        let billed = snapshot.environment.billing.enabled;
        if snapshot.limits.is_empty() && key.limits.is_empty() && plan.is_none() && !billed {
            return None;
        }
        let of_plan: &[Arc<Limit>] = plan.flatten().map_or(&[], |limits| &**limits);
        // A key whose plan is gone is not a key without limits.
        let gone = matches!(plan, Some(None)).then(|| nothing(snapshot, key));
        let (mut found, mut personal) = (Vec::new(), Vec::new());
        let all = snapshot.limits.iter().chain(key.limits.iter()).chain(of_plan).chain(&gone);
        for limit in all.filter(|limit| limit.rule.enabled) {
            match who(&limit.rule.scope, key) {
                Binds::Nobody => {}
                Binds::Somebody => personal.push(Arc::clone(limit)),
                Binds::This(who) => found.extend(bound(snapshot, key, limit, (who, None), book, now)),
            }
        }
        found.extend(billed.then(|| (Target::All, book.credits_bound(&key.environment))));
        let bindings = Self { personal, ..Self::sorted(found) };
        (!bindings.is_empty()).then_some(bindings)
    }

    /// Returns whether some limits are of users, peers or buckets: then every request has bindings of its own.
    pub fn is_personal(&self) -> bool {
        !self.personal.is_empty()
    }

    /// Returns what binds one request of a key, that of users, peers and buckets included.
    #[must_use]
    pub fn of_request(&self, snapshot: &Snapshot, key: &CompiledKey, asker: Asker<'_>, book: &Book, now: Now) -> Self {
        let (mut found, mut parties) = (self.all(), Vec::new());
        for limit in &self.personal {
            if let Some(called) = asker.is(&limit.rule.scope) {
                let party = called.party();
                found.extend(bound(snapshot, key, limit, (Who::Party(party), Some(called)), book, now));
                if !parties.contains(&party) {
                    parties.push(party);
                }
            }
        }
        Self { parties, ..Self::sorted(found) }
    }

    /// Returns what binds at one target.
    pub fn at(&self, model: &Model, provider: &str) -> Binding {
        let concerns = |target: &Target| match target {
            Target::All => false,
            Target::Provider(name) => **name == *provider,
            Target::Model(slug) => model.slug.eq_ignore_ascii_case(slug),
        };
        if self.targeted.is_empty() {
            return Binding::default();
        }
        Binding::new(self.targeted.iter().filter(|one| concerns(&one.target)).map(|one| one.bound.clone()).collect())
    }

    /// Returns whether the length of an answer counts for any limit.
    pub fn minds_output(&self) -> bool {
        let targeted = self.targeted.iter().map(|one| &one.bound);
        self.spend.bounds().iter().chain(targeted).any(|bound| bound.counter.meter().minds_output())
    }

    /// Returns every limit that binds, with the target that it is about.
    pub fn all(&self) -> Vec<(Target, Bound)> {
        let whatever = self.gate.bounds().iter().chain(self.spend.bounds()).map(|bound| (Target::All, bound.clone()));
        whatever.chain(self.targeted.iter().map(|one| (one.target.clone(), one.bound.clone()))).collect()
    }

    fn is_empty(&self) -> bool {
        self.personal.is_empty() && self.all().is_empty()
    }

    fn sorted(found: Vec<(Target, Bound)>) -> Self {
        let (whatever, targeted): (Vec<_>, Vec<_>) = found.into_iter().partition(|(target, _)| *target == Target::All);
        let at_once = |bound: &Bound| matches!(bound.counter.meter(), Meter::Requests | Meter::Concurrency);
        let (gate, spend): (Vec<_>, Vec<_>) =
            whatever.into_iter().map(|(_, bound)| bound).partition(|bound| at_once(bound));
        let targeted = targeted.into_iter().map(|(target, bound)| Targeted { target, bound }).collect();
        Self { gate: Binding::new(gate), spend: Binding::new(spend), targeted, ..Self::default() }
    }
}

impl<'a> Asker<'a> {
    /// Returns whose use counts under a scope of users, peers or buckets, when it is this asker.
    fn is(&self, scope: &Scope) -> Option<Called<'a>> {
        match scope {
            Scope::User(named) => {
                let user = self.user.filter(|user| !user.is_empty())?;
                let user = user.get(..user.floor_char_boundary(MAX_USER_BYTES)).unwrap_or_default();
                named.as_ref().is_none_or(|name| **name == *user).then_some(Called::User(user))
            }
            Scope::Ip(named) => {
                let peer = self.peer?.to_canonical();
                let is = |name: &Arc<str>| name.parse().is_ok_and(|name: IpAddr| name.to_canonical() == peer);
                match named {
                    Some(name) => is(name).then_some(Called::Address(peer)),
                    None => Some(Called::Network(peer)),
                }
            }
            Scope::Bucket(named) => {
                let bucket = self.bucket.filter(|bucket| !bucket.is_empty())?;
                named.as_ref().is_none_or(|name| **name == *bucket).then_some(Called::Bucket(bucket))
            }
            Scope::Environment | Scope::Team(_) | Scope::Key(_) => None,
        }
    }
}

/// Whom a scope binds among the requests of a key.
enum Binds {
    Nobody,
    This(Who),
    Somebody,
}

fn who(scope: &Scope, key: &CompiledKey) -> Binds {
    match scope {
        Scope::Environment => Binds::This(Who::Environment),
        Scope::Team(named) => match &key.team {
            Some(team) if named.as_ref().is_none_or(|name| name == team) => Binds::This(Who::Team(Arc::clone(team))),
            _ => Binds::Nobody,
        },
        Scope::Key(named) if named.as_ref().is_none_or(|name| *name == key.name) => Binds::This(Who::Key(key.id)),
        Scope::Key(_) => Binds::Nobody,
        Scope::User(_) | Scope::Ip(_) | Scope::Bucket(_) => Binds::Somebody,
    }
}

/// Returns a limit's counter, with the target that it is about; `None` when nothing can go to that target.
fn bound(
    snapshot: &Snapshot,
    key: &CompiledKey,
    limit: &Arc<Limit>,
    (who, called): (Who, Option<Called<'_>>),
    book: &Book,
    now: Now,
) -> Option<(Target, Bound)> {
    let &Rule { meter, window: span, amount, .. } = &limit.rule;
    let target = resolved(snapshot, &limit.rule.target)?;
    let id = CounterId { environment: Arc::clone(&key.environment), who, meter, span, target: target.clone() };
    let counter = book.counter_of(id, called, &snapshot.environment.zone, now);
    Some((target, Bound { counter, amount, limit: Arc::clone(limit) }))
}

/// Returns a target under the name that everybody knows it by.
pub fn resolved(snapshot: &Snapshot, target: &Target) -> Option<Target> {
    match target {
        Target::All => Some(Target::All),
        Target::Provider(name) => {
            let index = snapshot.provider_named(name)?;
            snapshot.provider(index).map(|provider| Target::Provider(Arc::clone(&provider.name)))
        }
        Target::Model(name) => {
            let index = snapshot.resolve(name).first()?;
            snapshot.model(*index).map(|model| Target::Model(model.slug.to_lowercase().into()))
        }
    }
}

/// The limit of a key whose own cannot be known.
fn nothing(snapshot: &Snapshot, key: &CompiledKey) -> Arc<Limit> {
    let name = format!("plan {}, which is gone", snapshot.plan_name(key).unwrap_or_default()).into();
    let scope = Scope::Key(Some(Arc::clone(&key.name)));
    Arc::new(Limit { name, rule: Rule { scope, ..Rule::default() } })
}

#[cfg(test)]
mod tests;

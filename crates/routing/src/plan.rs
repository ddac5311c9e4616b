//! The plan: which targets are tried, in which order, and why.
//!
//! Precedence: the key's active route; `x-llm-provider`; the environment's default route, unless the key has one that is
//! not active; the request's `model` (a policy, a slug, an alias or `provider/slug`); then, without one, every provider's
//! default model in the configured order. The key's rights filter always. Where several providers serve the model that was
//! asked for, and where a policy chooses the model, the live state decides the order.

pub mod choice;
mod names;
mod route;
mod share;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ir::failure::{Code, Failure, Fault};
use policy::clock::Monotonic;
use policy::condition::Facts;
use policy::snapshot::route::Weights;
use policy::snapshot::{CompiledKey, FallbackOn, ModelIndex, Snapshot};

use self::names::Named;
use crate::affinity::Warm;
use crate::exclusion::Exclusion;
use crate::goal::Goal;
use crate::quality::PromptFacts;
use crate::rank::{Candidate, Ranked, Terms, Tier, presume, rank};
use crate::rights::Rights;
use crate::signal::{Kind, Reading, Signals};

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// Its `model`, if any.
    pub model: Option<&'a str>,
    /// Its `x-llm-provider`, if any: a provider's name or kind.
    pub provider: Option<&'a str>,
    /// What a model must be able to do, in the words of the catalogue; looked at where a policy chooses.
    pub needs: &'a [&'static str],
    /// Roughly how many tokens it has.
    pub input_tokens: u64,
    /// The most tokens that the answer may have, where somebody said.
    pub max_tokens: Option<u64>,
    /// What the conditions of a route may know of it, where one binds the key.
    pub facts: Option<&'a Facts<'a>>,
}

impl<'a> Wish<'a> {
    /// Returns the policy that the request leaves the choice to, if it names one.
    pub fn goal(&self) -> Option<Goal> {
        self.model.filter(|_| self.provider.is_none()).and_then(Goal::named)
    }

    /// Returns the model that the request names. To leave the choice open is to name none.
    fn named(&self) -> Option<&'a str> {
        self.model.filter(|model| Goal::named(model).is_none())
    }

    pub(crate) fn facts(&self) -> PromptFacts {
        let needs = |capability| self.needs.contains(&capability);
        PromptFacts { input_tokens: self.input_tokens, tools: needs("tools"), images: needs("vision") }
    }
}

/// What the plan knows of the present.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// Returns the live state of a target; `None` when it was never asked.
    pub signals: &'a dyn Fn(ModelIndex) -> Option<&'a Signals>,
    /// Now.
    pub now: Monotonic,
    /// What chance follows from: the same seed gives the same plan.
    pub seed: u64,
    /// What is waited for.
    pub kind: Kind,
    /// Where the beginning of the prompt is cached, if anywhere.
    pub warm: Option<Warm>,
    /// Returns the number of the request among those that share targets, by the slot of the level.
    pub turn: &'a dyn Fn(usize) -> u64,
    /// Told of every rule that could not be held against the request: the route, the rule's place from 0, and why.
    pub failed: &'a dyn Fn(&Arc<str>, usize, &str),
}

impl Live<'_> {
    /// Whether the beginning of the prompt is cached at a target.
    pub(crate) fn is_warm(&self, index: ModelIndex) -> bool {
        self.warm.is_some_and(|warm| warm.model == index)
    }

    /// Returns what callers think of a target.
    pub(crate) fn liking(&self, index: ModelIndex) -> (f64, u32) {
        (self.signals)(index).map_or((1.0, 0), |signals| signals.liking(self.now))
    }

    /// Returns what is believed of a target.
    pub(crate) fn read(&self, index: ModelIndex) -> Reading {
        (self.signals)(index).map_or_else(|| Reading::unknown(self.kind), |signals| signals.read(self.kind, self.now))
    }
}

/// Why a target is in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request names the model.
    RequestedModel,
    /// The request names the provider.
    RequestedProvider,
    /// The provider ignores the client's model.
    ForcedDefault,
    /// The request leaves the choice to us.
    Default,
    /// Another provider serves the same model.
    SameModel,
    /// The primary model's fallback policy.
    Fallback,
    /// The next configured provider, with its default model.
    NextProvider,
    /// The policy's first choice.
    Policy(Goal),
    /// Its next one.
    NextBest(Goal),
    /// The only target of a route.
    Target,
    /// A target of a chain, by its priority.
    Priority(u32),
    /// It is its turn in a split.
    Split,
    /// The caller always gets it.
    Sticky,
    /// Another target of the split.
    NextInSplit,
}

impl Reason {
    /// Returns it in words.
    pub fn words(&self) -> Cow<'static, str> {
        let words = match self {
            Self::RequestedModel => "requested model",
            Self::RequestedProvider => "requested provider",
            Self::ForcedDefault => "provider's forced default model",
            Self::Default => "default model",
            Self::SameModel => "same model at another provider",
            Self::Fallback => "fallback policy",
            Self::NextProvider => "next configured provider",
            Self::Policy(goal) => return format!("policy {goal}").into(),
            Self::NextBest(goal) => return format!("policy {goal}, next best").into(),
            Self::Target => "target",
            Self::Priority(priority) => return format!("priority {priority}").into(),
            Self::Split => "split",
            Self::Sticky => "split, sticky",
            Self::NextInSplit => "split, next",
        };
        words.into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

/// One target to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The model, which names its provider.
    pub model: ModelIndex,
    /// Why it is tried.
    pub reason: Reason,
    /// Whose credential it is asked with.
    pub credential: Credential,
}

impl Planned {
    /// Returns a target that is asked with the usual credential.
    pub fn new(model: ModelIndex, reason: Reason) -> Self {
        Self { model, reason, credential: Credential::Usual }
    }
}

/// Whose credential a target is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credential {
    /// The caller's own where there is one, else the operator's.
    #[default]
    Usual,
    /// The operator's.
    Platform,
    /// One of the caller's own, by its place in the snapshot.
    Own(usize),
}

/// One target that was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// The model.
    pub model: ModelIndex,
    /// Why it was left out.
    pub why: Exclusion,
}

/// What a target was ranked by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The model.
    pub model: ModelIndex,
    /// Whether it may be asked now.
    pub tier: Tier,
    /// The terms.
    pub terms: Terms,
    /// How likely a request of now finds it first among those that it was ranked with.
    pub chance: f64,
}

/// The targets to try, in order. There is at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is tried.
    pub attempts: Vec<Planned>,
    /// What was left out, and why.
    pub excluded: Vec<Excluded>,
    /// What the ranked ones were ranked by, the best first; empty where the order is the configured one.
    pub scores: Vec<Score>,
    /// The policy that chose, when the caller left the choice open.
    pub policy: Option<&'static str>,
    /// What it weighed.
    pub weights: Option<Weights>,
    /// The failures that lead to the next target.
    pub on: FallbackOn,
    /// The route that decided, or was asked.
    pub route: Option<Box<Routed>>,
}

/// What a route had to say about a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// The route.
    pub route: Arc<str>,
    /// What of it decided.
    pub by: By,
    /// The rules that could not be held against the request, by their places from 0, and why.
    pub failed: Vec<(usize, String)>,
    /// The targets that cannot be asked at all, and why.
    pub broken: Vec<(Box<str>, &'static str)>,
}

/// What of a route decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It treats all requests alike.
    Always,
    /// A rule, by its place from 0.
    Rule(usize),
    /// What it does when no rule applies.
    Otherwise,
    /// Nothing: the request goes where it says itself.
    Nothing,
}

impl fmt::Display for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.route)?;
        for (at, why) in &self.failed {
            write!(f, ", rule {} failed: {why}", at + 1)?;
        }
        match self.by {
            By::Always => Ok(()),
            By::Rule(at) => write!(f, ", rule {}", at + 1),
            By::Otherwise => f.write_str(", otherwise"),
            By::Nothing => f.write_str(", no rule"),
        }
    }
}

impl Plan {
    /// Says why a target is tried.
    pub fn reason(&self, planned: &Planned) -> Cow<'static, str> {
        match &self.route {
            None => planned.reason.words(),
            Some(routed) => format!("{routed}: {}", planned.reason).into(),
        }
    }
}

/// Plans a request. The same arguments give the same plan.
///
/// # Errors
/// 400 `unknown_model` for a model or provider that does not exist, 403 when every target is one that the key may not
/// use or that is switched off, 503 when nothing is configured, nothing can serve the request, or a route leaves no target.
pub fn plan(snapshot: &Snapshot, key: &CompiledKey, wish: Wish<'_>, live: &Live<'_>) -> Result<Plan, Failure> {
    match snapshot.routes.route_of(&key.name, wish.provider.is_some()) {
        Some(route) => route::follow(snapshot, key, &wish, route, live),
        None => requested(snapshot, key, &wish, live),
    }
}

/// Plans a request as it says itself.
fn requested(snapshot: &Snapshot, key: &CompiledKey, wish: &Wish<'_>, live: &Live<'_>) -> Result<Plan, Failure> {
    if let Some(goal) = wish.goal() {
        return choice::choose(snapshot, key, wish, &choice::Settings::of(goal, snapshot), live);
    }
    let named = wish.named();
    let policy = (wish.provider.is_none() && named.is_none()).then_some(Goal::Auto.name());
    let mut found = match (wish.provider, named) {
        (Some(name), model) => names::provider_first(snapshot, name, model)?,
        (None, Some(model)) => names::model_first(snapshot, model)?,
        (None, None) => Named { list: names::defaults(snapshot, None), family: 1, on: FallbackOn::default() },
    };
    let excluded = leave_out(snapshot, key, &mut found);
    if found.list.is_empty() {
        return Err(nothing_left(snapshot, &excluded));
    }
    let scores = balance(&mut found, live);
    Ok(Plan { attempts: found.list, excluded, scores, policy, weights: None, on: found.on, route: None })
}

/// Takes out what the key may not use, and what is there twice.
fn leave_out(snapshot: &Snapshot, key: &CompiledKey, found: &mut Named) -> Vec<Excluded> {
    let rights = Rights::of(snapshot, key);
    let (mut excluded, mut kept) = (Vec::new(), Vec::with_capacity(found.list.len()));
    let mut family = 0;
    for (at, planned) in found.list.iter().enumerate() {
        let twice = kept.iter().any(|other: &Planned| other.model == planned.model)
            || excluded.iter().any(|other: &Excluded| other.model == planned.model);
        match rights.exclusion(planned.model) {
            _ if twice => {}
            Some(why) => excluded.push(Excluded { model: planned.model, why }),
            None => {
                kept.push(*planned);
                family += usize::from(at < found.family);
            }
        }
    }
    (found.list, found.family) = (kept, family);
    excluded
}

/// Orders the providers of one model by their live state. What nothing is known of keeps its place.
fn balance(found: &mut Named, live: &Live<'_>) -> Vec<Score> {
    let alike =
        |family: &&mut [Planned]| family.len() > 1 && family.iter().all(|one| one.reason != Reason::ForcedDefault);
    let Some(family) = found.list.get_mut(..found.family).filter(alike) else { return Vec::new() };
    balance_family(family, live)
}

/// Orders the providers of one model by their live state. The reasons stay where they are.
fn balance_family(family: &mut [Planned], live: &Live<'_>) -> Vec<Score> {
    let candidate = |planned: &Planned| Candidate {
        reading: live.read(planned.model),
        nanos: None,
        quality: None,
        output_tokens: 0,
        family: 0,
        warm: live.is_warm(planned.model),
    };
    let mut candidates: Vec<Candidate> = family.iter().map(candidate).collect();
    presume(&mut candidates);
    let mut ranked = Vec::with_capacity(candidates.len());
    rank(&candidates, &Goal::Fastest.weights(), live.seed, &mut ranked);
    let order: Vec<ModelIndex> = ranked.iter().filter_map(|one| Some(family.get(one.at)?.model)).collect();
    let reasons: Vec<Reason> = family.iter().map(|planned| planned.reason).collect();
    for ((planned, model), reason) in family.iter_mut().zip(&order).zip(reasons) {
        *planned = Planned { model: *model, reason, ..*planned };
    }
    scores(&ranked, &order)
}

/// Returns what each was ranked by. `order` are their models.
fn scores(ranked: &[Ranked], order: &[ModelIndex]) -> Vec<Score> {
    let score = |(one, model): (&Ranked, &ModelIndex)| Score {
        model: *model,
        tier: one.tier,
        terms: one.terms,
        chance: one.chance,
    };
    ranked.iter().zip(order).map(score).collect()
}

fn nothing_left(snapshot: &Snapshot, excluded: &[Excluded]) -> Failure {
    let Some(first) = excluded.first() else {
        let message = "no provider is configured that could serve this request";
        return Failure::new(Code::UpstreamUnavailable, Fault::Operator, message);
    };
    let name = snapshot.model(first.model).map_or("", |model| &*model.slug);
    let message = match first.why {
        Exclusion::Disabled => format!("the model `{name}` is disabled"),
        Exclusion::ProviderNotAllowed => format!("this key may not use the provider of `{name}`"),
        _ => format!("this key may not use the model `{name}`"),
    };
    Failure::new(first.why.code(), Fault::Caller, message).with_param("model")
}

#[cfg(test)]
mod tests;

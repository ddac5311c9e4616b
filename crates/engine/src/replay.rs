//! Where requests of the past would go under another configuration: both plans are made by the function that plans
//! requests, at the same moment and with the same live state, so that what differs is the configuration. Nobody is asked.
//!
//! What a request asked for is known as far as its record says it: the model, whether it was a stream, what it used, its
//! key and when it was. Which capabilities it needs, its headers, its user and its session are not: where a plan looks at
//! those, that is [said](Unknown).

mod unknown;

use std::sync::Arc;

use ir::failure::Failure;
use ir::id::RequestId;
use ir::money::{NanoUsd, ServiceTier};
use ir::usage::Usage;
use policy::clock::Monotonic;
use policy::condition::Facts;
use policy::snapshot::{CompiledKey, Model, ModelIndex, Snapshot};
use routing::plan::{Live, Wish};
use routing::signal::{Kind, Signals};

pub use self::unknown::Unknown;
use crate::gateway::Gateway;
use crate::stage::plan::seed;
use crate::state::Configuration;

/// A request of the past.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Its id.
    pub id: RequestId,
    /// The key it acted as.
    pub key: &'a CompiledKey,
    /// The same as the draft has it.
    pub draft_key: &'a CompiledKey,
    /// Its `model`; empty when it named none.
    pub model: &'a str,
    /// Its `x-llm-provider`, if any.
    pub provider: Option<&'a str>,
    /// The surface that was called.
    pub surface: &'a str,
    /// Its number among those that are replayed: targets that share requests take turns by it.
    pub turn: u64,
    /// Whether its answer was asked for as a stream.
    pub stream: bool,
    /// What it used.
    pub usage: Usage,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The model.
    pub model: Arc<str>,
    /// Its provider.
    pub provider: Arc<str>,
    /// Why.
    pub reason: String,
    /// What the recorded usage costs there; `None` where the price is unknown.
    pub cost: Option<NanoUsd>,
    /// The expected seconds to the first content, or to a whole answer; `None` for a target that was never asked.
    pub seconds: Option<f64>,
    /// The model's quality, 0 to 100, where it is known.
    pub quality: Option<u32>,
}

/// Where a request goes, or what the caller would be told instead, and what was looked at on the way and is not known.
pub type Planned = (Result<Way, Failure>, Vec<Unknown>);

/// Two configurations side by side.
pub struct Replay<'a> {
    current: &'a Configuration,
    draft: &'a Snapshot,
    /// For each model of the draft the same one of the current configuration, whose live state it has.
    same: Vec<Option<ModelIndex>>,
    now: Monotonic,
}

impl<'a> Replay<'a> {
    /// Puts a draft beside the configuration that is in effect.
    pub fn new(gateway: &Gateway, current: &'a Configuration, draft: &'a Snapshot) -> Self {
        let same = |model: &Model| {
            let provider = draft.provider(model.provider)?;
            let alike = |other: &Model| {
                let place = current.snapshot.provider(other.provider);
                other.slug == model.slug && place.is_some_and(|place| place.name == provider.name)
            };
            current.snapshot.models.iter().position(alike).map(ModelIndex)
        };
        Self { current, draft, same: draft.models.iter().map(same).collect(), now: gateway.clock.now() }
    }

    /// Returns where a request would go now, and where it would go with the draft.
    pub fn of(&self, past: &Past<'_>) -> (Planned, Planned) {
        let known = |index: ModelIndex| self.current.known(index);
        let of_draft = |index: ModelIndex| self.current.known(self.same.get(index.0).copied().flatten()?);
        let draft = Past { key: past.draft_key, ..*past };
        (self.way(&self.current.snapshot, &known, past), self.way(self.draft, &of_draft, &draft))
    }

    fn way<'b>(
        &self,
        snapshot: &Snapshot,
        signals: &'b dyn Fn(ModelIndex) -> Option<&'b Signals>,
        past: &Past<'_>,
    ) -> Planned {
        let input_tokens = past.usage.input_tokens();
        let facts = Facts {
            model: past.model,
            provider: past.provider.unwrap_or_default(),
            surface: past.surface,
            stream: past.stream,
            input_tokens,
            key: Some(past.key),
            time: snapshot.environment.zone.civil(past.id.unix_ms()),
            ..Facts::default()
        };
        let wish = Wish {
            model: Some(past.model).filter(|model| !model.is_empty()),
            provider: past.provider,
            needs: &[],
            input_tokens,
            max_tokens: None,
            facts: Some(&facts),
        };
        let kind = if past.stream { Kind::Stream } else { Kind::Whole };
        let failed = |_: &Arc<str>, _: usize, _: &str| {};
        let (known, turn) = (|index| signals(index), |_| past.turn);
        let (now, seed) = (self.now, seed(past.id));
        let live = Live { signals: &known, now, seed, kind, warm: None, turn: &turn, failed: &failed };
        let looked = |by, chose| unknown::unknown(snapshot, past.key, past.provider.is_some(), (by, chose));
        let plan = match routing::plan::plan(snapshot, past.key, wish, &live) {
            Ok(plan) => plan,
            Err(failure) => return (Err(failure), looked(None, wish.goal().is_some())),
        };
        let looked = looked(plan.route.as_ref().map(|routed| routed.by), plan.weights.is_some());
        let held = |index: ModelIndex| signals(index).is_some_and(|signals| signals.held(self.now).is_some());
        let asked = plan.attempts.iter().find(|one| !held(one.model)).or_else(|| plan.attempts.first());
        let way = asked.and_then(|one| {
            let model = snapshot.model(one.model)?;
            Some(Way {
                model: Arc::clone(&model.slug),
                provider: Arc::clone(&snapshot.provider(model.provider)?.name),
                reason: plan.reason(one).into_owned(),
                cost: model.prices.as_ref().and_then(|prices| prices.call_cost(&past.usage, ServiceTier::Standard)),
                seconds: signals(one.model).map(|signals| signals.read(kind, self.now).wait_for_s),
                quality: model.quality,
            })
        });
        let nobody = || Failure::new(ir::failure::Code::UpstreamUnavailable, ir::failure::Fault::Operator, "no target");
        (way.ok_or_else(nobody), looked)
    }
}

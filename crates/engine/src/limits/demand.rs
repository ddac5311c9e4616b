//! What a request may use at most, with each model: what is reserved before it is sent.
//!
//! Tokens are estimated, for they are a rate; money is bounded, for it is a cap: by every byte of the input being a token
//! of its dearest kind, and by the most output that the provider is told.

use dialect::lane::asked::Asked;
use dialect::lane::weight::Weight;
use ir::money::{PicoUsd, Prices};
use ir::usage::{Usage, estimate_tokens};
use policy::limit::reservation::{Binding, Bound};
use policy::limit::{Amounts, Meter};
use policy::snapshot::Model;

/// Output tokens that are assumed where neither the request nor the model bounds them.
const UNBOUNDED_OUTPUT_TOKENS: u64 = 16_384;

/// Output tokens that are reserved ahead of a stream that nobody has bounded.
pub const STEP_TOKENS: u64 = 1_024;

/// No answer is worth asking for that may have fewer tokens than this.
const LEAST_TOKENS: u64 = 64;

/// How much of what is left one unbounded answer may reserve: others want some too.
const SHARE: u64 = 4;

/// What a request asks for, as far as it costs something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    weight: Weight,
    /// The most output tokens of each choice; `None` when nobody says.
    max_tokens: Option<u64>,
    choices: u64,
    stream: bool,
}

impl Demand {
    /// Measures a request. Only where something binds it is looked at closely.
    pub fn of(request: &Asked, binds: bool) -> Self {
        let bytes = request.body_bytes();
        let roughly = || Weight { estimate: estimate_tokens(bytes), bound: bytes, audio: false };
        Self {
            weight: if binds { request.weight() } else { roughly() },
            max_tokens: request.max_tokens(),
            choices: request.choices().max(1),
            stream: request.stream(),
        }
    }

    /// Whether nobody has said how long the answer may be.
    pub fn is_open(&self) -> bool {
        self.max_tokens.is_none()
    }

    /// Whether what it may use is reserved step by step.
    pub fn is_stepwise(&self) -> bool {
        self.is_open() && self.stream
    }

    /// Returns the input tokens that are likely.
    pub fn likely_input(&self) -> u64 {
        self.weight.estimate
    }

    /// Returns the same request with so many output tokens at most.
    #[must_use]
    pub fn capped(self, max_tokens: u64) -> Self {
        Self { max_tokens: Some(max_tokens), ..self }
    }

    /// Returns the output tokens of all choices that a model may write.
    pub fn output(&self, model: &Model) -> u64 {
        let each = self.max_tokens.or(model.max_output_tokens).unwrap_or_else(|| assumed(model));
        each.saturating_mul(self.choices)
    }

    /// Returns the bound that every provider must be told, because neither the request nor its model has one.
    pub fn missing_bound(&self, models: &[&Model]) -> Option<u64> {
        let missing = models.iter().filter(|model| self.max_tokens.or(model.max_output_tokens).is_none());
        missing.map(|model| assumed(model)).min().filter(|_| !self.is_stepwise())
    }

    /// Returns the output tokens that are reserved before anything is sent.
    pub fn first_output(&self, model: &Model) -> u64 {
        let all = self.output(model);
        if self.is_stepwise() { all.min(STEP_TOKENS.saturating_mul(self.choices)) } else { all }
    }

    /// Returns what it uses at most with a model when the output has so many tokens.
    pub fn amounts(&self, model: &Model, output_tokens: u64) -> Amounts {
        self.amounts_at(model.prices.as_ref(), model.context_window, output_tokens)
    }

    /// The same at given prices.
    pub fn amounts_at(&self, prices: Option<&Prices>, context_window: Option<u64>, output_tokens: u64) -> Amounts {
        // No provider reads more than its model's window.
        let within = |tokens: u64| context_window.map_or(tokens, |window| tokens.min(window));
        let nanos = prices.map_or(0, |prices| {
            let usage = Usage { input: within(self.weight.bound), output: output_tokens, ..Usage::default() };
            self.dearest(prices).cost(&usage).0
        });
        Amounts { input_tokens: within(self.weight.estimate), output_tokens, nanos }
    }

    /// Returns prices at which every token is of the dearest kind that it can be.
    fn dearest(&self, prices: &Prices) -> Prices {
        let sound = |price: PicoUsd| if self.weight.audio { price } else { PicoUsd(0) };
        let input = prices.input.max(prices.cached_input).max(prices.cache_write).max(sound(prices.audio_input));
        Prices { input, output: prices.output.max(sound(prices.audio_output)), ..Prices::default() }
    }

    /// Returns how many output tokens each choice may have, so that what is left covers it at every model; `None` when
    /// that is not worth asking. Read without locks: whoever reserves it may still be refused.
    pub fn affordable(&self, models: &[&Model], left: &dyn Fn(&Bound) -> u64, spend: &Binding) -> Option<u64> {
        let mut most = u64::MAX;
        for model in models {
            let input = self.amounts(model, 0);
            most = most.min(self.output(model));
            for bound in spend.bounds() {
                let left = left(bound).checked_sub(input.of(bound.counter.meter()))?;
                most = most.min(match bound.counter.meter() {
                    Meter::Tokens | Meter::OutputTokens => left,
                    Meter::Usd => self.tokens_for(left, model),
                    Meter::InputTokens | Meter::Requests | Meter::Concurrency => u64::MAX,
                });
            }
        }
        // A share of it, unless that is too little to be worth anything.
        let each = most / self.choices;
        let each = (each / SHARE).max(each.min(STEP_TOKENS));
        (each >= LEAST_TOKENS).then_some(each)
    }

    /// Returns how many output tokens so many nano-dollars pay for.
    fn tokens_for(&self, nanos: u64, model: &Model) -> u64 {
        let price = model.prices.as_ref().map_or(0, |prices| self.dearest(prices).output.0);
        // The cost is rounded to the nearest: one nano-dollar stays unspent.
        let pico = u128::from(nanos.saturating_sub(1)) * 1_000;
        pico.checked_div(u128::from(price)).map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

/// Returns the output tokens that are assumed of a model that is not known to have a bound. Half of its window is left
/// for the input: providers refuse what does not fit together.
fn assumed(model: &Model) -> u64 {
    model.context_window.map_or(UNBOUNDED_OUTPUT_TOKENS, |window| UNBOUNDED_OUTPUT_TOKENS.min((window / 2).max(1)))
}

#[cfg(test)]
mod tests;

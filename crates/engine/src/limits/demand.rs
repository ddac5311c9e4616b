//! What a request may use at most, with each model: what is reserved before it is sent.
//!
//! Tokens are estimated, for they are a rate; money is bounded, for it is a cap: by every byte of the input being a token
//! of its dearest kind, and by the most output that the provider is told.

use dialect::lane::LEAST_OUTPUT;
use dialect::lane::asked::Asked;
use dialect::lane::weight::{ADDED_TOKENS, ROUNDS, Weight};
use ir::money::{Bucket, Charge, Margin, NanoUsd, PicoUsd, Prices, Rates, ServiceTier};
use ir::usage::most::Most;
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

/// Searches that are assumed of an answer whose provider may search.
const SEARCHES: u64 = 10;

/// What may lie behind a request that was not looked at closely: pictures, files, searches.
const UNSEEN_TOKENS: u64 = 4_000_000;

/// More output than any model writes, where nobody says how much it may be.
const LONGEST_OUTPUT: u64 = 1 << 20;

/// How much of what is left one unbounded answer may reserve: others want some too.
const SHARE: u64 = 4;

/// What a request asks for, as far as it costs something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    weight: Weight,
    /// Whether it was looked at closely.
    weighed: bool,
    /// The most output tokens of each choice; `None` when nobody says.
    max_tokens: Option<u64>,
    choices: u64,
    stream: bool,
    tier: ServiceTier,
    /// What is charged on top of the cost, where usage is charged.
    margin: Margin,
    /// Whether it is not charged at all.
    free: bool,
}

impl Demand {
    /// Measures a request. Only where something binds it is looked at closely.
    pub fn of(request: &Asked, binds: bool) -> Self {
        let bytes = request.body_bytes();
        let roughly = || Weight { estimate: estimate_tokens(bytes), bound: bytes, ..Weight::default() };
        Self {
            weight: if binds { request.weight() } else { roughly() },
            weighed: binds,
            max_tokens: request.max_tokens(),
            choices: request.choices().max(1),
            stream: request.stream(),
            tier: request.service_tier().map_or(ServiceTier::Standard, ServiceTier::of_name),
            margin: Margin::default(),
            free: false,
        }
    }

    /// Returns the same request, charged with a margin.
    #[must_use]
    pub fn charged(self, margin: Margin) -> Self {
        Self { margin, ..self }
    }

    /// Returns the same request, charged with nothing: the caller pays the provider.
    #[must_use]
    pub fn free(self) -> Self {
        Self { free: true, ..self }
    }

    /// Whether nobody has said how long the answer may be.
    pub fn is_open(&self) -> bool {
        self.max_tokens.is_none()
    }

    /// Whether what it may use is reserved step by step.
    pub fn is_stepwise(&self) -> bool {
        self.is_open() && self.stream
    }

    /// Returns the service tier that is asked for.
    pub fn tier(&self) -> ServiceTier {
        self.tier
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

    /// Whether it asks for so few output tokens that a provider may be asked for more.
    pub fn is_least(&self) -> bool {
        self.asks_for_less(LEAST_OUTPUT)
    }

    /// Whether it asks for fewer output tokens than this.
    pub fn asks_for_less(&self, tokens: u64) -> bool {
        self.max_tokens.is_some_and(|most| most < tokens)
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

    /// Returns the most that a provider's report of it can be believed to say.
    pub fn most(&self, model: &Model) -> Most {
        let (input, added) = match self.weighed {
            true => (self.most_input(model.context_window), ADDED_TOKENS),
            false => (self.weight.bound, UNSEEN_TOKENS),
        };
        let each = self.max_tokens.or(model.max_output_tokens).or(model.context_window).unwrap_or(LONGEST_OUTPUT);
        let rounds = if self.weight.searches || !self.weighed { ROUNDS } else { 1 };
        Most { input, added, output: each.saturating_mul(self.choices.max(1)).saturating_mul(rounds) }
    }

    /// Returns what as much as can be believed costs at most.
    pub fn most_cost(&self, prices: &Prices, most: Most, output_tokens: u64) -> u64 {
        self.bounded_cost(prices, most.input.saturating_add(most.added), output_tokens)
    }

    /// Returns the most input tokens. No provider reads more than its model's window, but tools of its own make it read
    /// several times.
    fn most_input(&self, context_window: Option<u64>) -> u64 {
        let window = context_window.filter(|_| !self.weight.searches).unwrap_or(u64::MAX);
        self.weight.bound.min(window)
    }

    fn bounded_cost(&self, prices: &Prices, input: u64, output: u64) -> u64 {
        let searches = if self.weight.searches { SEARCHES.saturating_mul(self.choices.max(1)) } else { 0 };
        let usage = Usage { input, output, searches, requests: 1, ..Usage::default() };
        self.dearest(prices, input).cost(&usage).map_or(u64::MAX, |cost| cost.0)
    }

    /// Returns what it uses at most with a model when the output has so many tokens.
    pub fn amounts(&self, model: &Model, output_tokens: u64) -> Amounts {
        self.amounts_at(model.prices.as_deref(), model.context_window, output_tokens)
    }

    /// The same at given prices.
    pub fn amounts_at(&self, prices: Option<&Prices>, context_window: Option<u64>, output_tokens: u64) -> Amounts {
        let input = self.most_input(context_window);
        let nanos = prices.map_or(0, |prices| self.bounded_cost(prices, input, output_tokens));
        let charge = if self.free { 0 } else { Charge::of(NanoUsd(nanos), self.margin).total().0 };
        Amounts { input_tokens: self.weight.estimate.min(input), output_tokens, nanos, charge }
    }

    /// Returns rates at which every token is of the dearest kind that it can be, in the dearest row of the list that may
    /// apply: for no more input than this, served as was asked for or as usual.
    fn dearest(&self, prices: &Prices, most_input: u64) -> Rates {
        let Weight { audio, images, caches, .. } = self.weight;
        let mut dearest = Rates::plain(PicoUsd(0), PicoUsd(0));
        let tiers = [self.tier, ServiceTier::Standard];
        let may_apply = |threshold: u64| threshold == 0 || threshold < most_input;
        let rows = prices.rows().iter().filter(|row| tiers.contains(&row.service_tier));
        for row in rows.filter(|row| may_apply(row.above_input_tokens)) {
            for (bucket, price) in row.rates.iter() {
                let place = match bucket {
                    Bucket::Input | Bucket::CachedInput => Bucket::Input,
                    Bucket::CacheWrite | Bucket::CacheWrite1h if caches => Bucket::Input,
                    Bucket::AudioInput if audio => Bucket::Input,
                    Bucket::ImageInput if images => Bucket::Input,
                    Bucket::Output | Bucket::Reasoning | Bucket::ImageOutput => Bucket::Output,
                    Bucket::AudioOutput if audio => Bucket::Output,
                    Bucket::Search | Bucket::Request => bucket,
                    _ => continue,
                };
                dearest.set(place, dearest.get(place).max(Some(price)));
            }
        }
        // What has no price is not charged for, as far as anybody knows.
        dearest.set(Bucket::Search, dearest.get(Bucket::Search).or(Some(PicoUsd(0))));
        dearest.set(Bucket::Request, dearest.get(Bucket::Request).or(Some(PicoUsd(0))));
        dearest
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
                    Meter::Credits => self.tokens_for(self.margin.within(NanoUsd(left)).0, model),
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
        let price = model.prices.as_ref().and_then(|prices| self.dearest(prices, u64::MAX).get(Bucket::Output));
        let price = price.map_or(0, |price| price.0);
        // The cost is rounded to the nearest: one nano-dollar stays unspent.
        let pico = u128::from(nanos.saturating_sub(1)) * 1_000;
        pico.checked_div(u128::from(price)).map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

/// Whether the cost of an answer of a model can be said.
pub(crate) fn is_priced(model: &Model) -> bool {
    let base = model.prices.as_ref().map(|prices| prices.base()).unwrap_or_default();
    base.get(Bucket::Input).is_some() && base.get(Bucket::Output).is_some()
}

/// Returns the output tokens that are assumed of a model that is not known to have a bound. Half of its window is left
/// for the input: providers refuse what does not fit together.
fn assumed(model: &Model) -> u64 {
    model.context_window.map_or(UNBOUNDED_OUTPUT_TOKENS, |window| UNBOUNDED_OUTPUT_TOKENS.min((window / 2).max(1)))
}

#[cfg(test)]
mod tests;

//! What is reserved is never less than what is used.

use bytes::Bytes;
use dialect::lane::Surface;
use proptest::prelude::*;

use super::*;

fn request(more: &str) -> Asked {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    Asked::decode(Surface::OpenaiChat, Bytes::from(body)).unwrap()
}

fn model(max_output_tokens: Option<u64>, input: u64, output: u64) -> Model {
    Model {
        slug: "m".into(),
        provider: policy::snapshot::ProviderIndex(0),
        upstream_name: "m".into(),
        responses_only: false,
        prices: Some(Prices { input: PicoUsd(input), output: PicoUsd(output), ..Prices::default() }),
        context_window: None,
        max_output_tokens,
        capabilities: Vec::new(),
        quality: None,
        created: 0,
        enabled: true,
    }
}

#[test]
fn the_output_is_what_the_request_or_else_the_model_says() {
    let check = |more: &str, max: Option<u64>, first: u64, all: u64| {
        let (demand, model) = (Demand::of(&request(more), true), model(max, 1, 1));
        assert_eq!((demand.first_output(&model), demand.output(&model)), (first, all), "{more}");
    };
    check("", None, UNBOUNDED_OUTPUT_TOKENS, UNBOUNDED_OUTPUT_TOKENS);
    check("", Some(700), 700, 700);
    check(r#","max_tokens":50,"n":3"#, Some(700), 150, 150);
    check(r#","stream":true"#, None, STEP_TOKENS, UNBOUNDED_OUTPUT_TOKENS);
    check(r#","stream":true,"n":2"#, Some(700), 1_400, 1_400);
    check(r#","stream":true,"max_tokens":5000"#, None, 5_000, 5_000);
}

#[test]
fn a_window_bounds_the_input_and_sound_has_its_price() {
    let small = Model { context_window: Some(10), ..model(Some(5), 1_000_000, 2_000_000) };
    let amounts = Demand::of(&request(""), true).amounts(&small, 5);
    assert_eq!(amounts, Amounts { input_tokens: 10, output_tokens: 5, nanos: 20_000 });
    let prices = Prices { audio_output: PicoUsd(9_000_000), ..small.prices.unwrap() };
    let loud = Model { prices: Some(prices), ..small };
    assert_eq!(Demand::of(&request(r#","modalities":["audio"]"#), true).amounts(&loud, 5).nanos, 55_000);
    assert_eq!(Demand::of(&request(""), true).amounts(&loud, 5).nanos, 20_000);
}

proptest! {
    /// Whatever part of the input is cached, written to a cache or plain, and however short the answer turns out.
    #[test]
    fn a_bound_is_never_less_than_the_cost(
        text in ".{0,200}",
        parts in (0u64..4, 0u64..4, 0u64..4),
        prices in (0u64..20_000_000, 0u64..20_000_000, 0u64..20_000_000, 0u64..90_000_000),
        max in 0u64..5_000,
        share in 0.0..1.0f64,
    ) {
        let content = serde_json::Value::from(text.as_str());
        let body = format!(r#"{{"model":"m","max_tokens":{max},"messages":[{{"role":"user","content":{content}}}]}}"#);
        let asked = Asked::decode(Surface::OpenaiChat, Bytes::from(body.clone())).unwrap();
        let (input, cached_input, cache_write, output) =
            (PicoUsd(prices.0), PicoUsd(prices.1), PicoUsd(prices.2), PicoUsd(prices.3));
        let prices = Prices { input, cached_input, cache_write, output, ..Prices::default() };
        let model = Model { prices: Some(prices), ..model(None, 0, 0) };
        let demand = Demand::of(&asked, true);
        // As many tokens as there are bytes: more there are none.
        let (tokens, sum) = (body.len() as u64, (parts.0 + parts.1 + parts.2).max(1));
        let usage = Usage {
            input: tokens * parts.0 / sum,
            cached_input: tokens * parts.1 / sum,
            cache_write: tokens * parts.2 / sum,
            output: (max as f64 * share) as u64,
            ..Usage::default()
        };
        prop_assert!(demand.amounts(&model, demand.output(&model)).nanos >= prices.cost(&usage).0);
    }

    /// What is said to be affordable can be reserved.
    #[test]
    fn what_is_affordable_is(left in 0u64..2_000_000_000, price in 0u64..90_000_000, n in 1u64..5) {
        use std::sync::Arc;
        use policy::limit::counter::Counter;
        use policy::limit::{Now, Window};
        use policy::limit::reservation::Reservation;
        let (model, demand) = (model(None, 1_000_000, price), Demand::of(&request(&format!(r#","n":{n}"#)), true));
        let counter = Arc::new(Counter::new(Meter::Usd, &Window::Total));
        let spend = Binding::new(vec![Bound { counter, amount: left, limit: Arc::default() }]);
        match demand.affordable(&[&model], &|_| left, &spend) {
            Some(each) => {
                prop_assert!((LEAST_TOKENS..=UNBOUNDED_OUTPUT_TOKENS).contains(&each));
                let capped = demand.capped(each);
                let amounts = capped.amounts(&model, capped.output(&model));
                prop_assert!(Reservation::take(&spend, &amounts, Now::default()).is_ok(), "{amounts:?} of {left}");
            }
            None => {
                let least = demand.capped(LEAST_TOKENS);
                let needed = least.amounts(&model, least.output(&model)).nanos;
                prop_assert!(left <= needed + 1, "{left} would pay for {needed}");
            }
        }
    }
}

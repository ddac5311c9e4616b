//! What is reserved is never less than what is used.

use std::sync::Arc;

use bytes::Bytes;
use dialect::lane::Surface;
use ir::money::PriceRow;
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
        mode: catalog::model::Mode::Chat,
        prices: Some(Arc::new(Prices::flat(Rates::plain(PicoUsd(input), PicoUsd(output))))),
        context_window: None,
        max_output_tokens,
        capabilities: Vec::new(),
        capabilities_known: false,
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
    assert_eq!(amounts, Amounts { input_tokens: 10, output_tokens: 5, nanos: 20_000, charge: 20_000 });
    let rates = Rates::plain(PicoUsd(1_000_000), PicoUsd(2_000_000)).with(Bucket::AudioOutput, PicoUsd(9_000_000));
    let loud = Model { prices: Some(Arc::new(Prices::flat(rates))), ..small };
    assert_eq!(Demand::of(&request(r#","modalities":["audio"]"#), true).amounts(&loud, 5).nanos, 55_000);
    assert_eq!(Demand::of(&request(""), true).amounts(&loud, 5).nanos, 20_000);
}

proptest! {
    /// Whatever part of the input is cached, written to a cache or plain, and however short the answer turns out.
    #[test]
    fn a_bound_is_never_less_than_the_cost(
        text in ".{0,200}",
        parts in (0u64..4, 0u64..4, 0u64..4),
        prices in proptest::collection::vec((0u64..20_000_000, 0u64..90_000_000, 0usize..3, 0u64..100), 1..5),
        max in 0u64..5_000,
        priority: bool,
        share in 0.0..1.0f64,
    ) {
        let content = serde_json::Value::from(text.as_str());
        let tier = if priority { "priority" } else { "default" };
        let body = format!(r#"{{"model":"m","service_tier":"{tier}","max_tokens":{max},"messages":[{{"role":"user","content":{content}}}]}}"#);
        let asked = Asked::decode(Surface::OpenaiChat, Bytes::from(body.clone())).unwrap();
        let row = |(input, output, tier, above): (u64, u64, usize, u64)| PriceRow {
            service_tier: [ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Priority][tier],
            above_input_tokens: above,
            rates: Rates::plain(PicoUsd(input), PicoUsd(output)).with(Bucket::CachedInput, PicoUsd(input / 2)),
        };
        let mut rows: Vec<PriceRow> = prices.into_iter().map(row).collect();
        rows.push(row((3, 3, 0, 0)));
        let prices = Prices::new(&rows);
        let model = Model { prices: Some(Arc::new(prices.clone())), ..model(None, 0, 0) };
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
        for tier in [demand.tier(), ServiceTier::Standard] {
            let cost = prices.cost(&usage, tier).unwrap().0;
            prop_assert!(demand.amounts(&model, demand.output(&model)).nanos >= cost, "{tier:?}");
        }
    }

    /// What is said to be affordable can be reserved.
    #[test]
    fn what_is_affordable_is(left in 0u64..2_000_000_000, price in 0u64..90_000_000, n in 1u64..5) {
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

//! Rounding, rows, fallbacks and unknown prices.

use super::*;

fn pico(price: u64) -> PicoUsd {
    PicoUsd(price)
}

fn row(tier: ServiceTier, above: u64, rates: Rates) -> PriceRow {
    PriceRow { service_tier: tier, above_input_tokens: above, rates }
}

#[test]
fn rounds_once_half_up() {
    let prices = Prices::flat(Rates::plain(pico(1), pico(1)));
    let cost = |input, output| prices.cost(&Usage { input, output, ..Usage::default() }, ServiceTier::Standard);
    assert_eq!(cost(249, 250), Some(NanoUsd(0)));
    assert_eq!(cost(250, 250), Some(NanoUsd(1)));
    assert_eq!(cost(1_499, 0), Some(NanoUsd(1)));
}

#[test]
fn saturates_instead_of_wrapping() {
    let mut rates = Rates::default();
    for bucket in Bucket::ALL {
        rates.set(bucket, Some(pico(u64::MAX)));
    }
    let usage = Usage { input: u64::MAX, output: u64::MAX, audio_ms: u64::MAX, images: u64::MAX, ..Usage::default() };
    assert_eq!(Prices::flat(rates).cost(&usage, ServiceTier::Standard), Some(NanoUsd(u64::MAX)));
}

#[test]
fn every_bucket_has_its_price() {
    let mut rates = Rates::default();
    for (place, bucket) in Bucket::ALL.into_iter().enumerate() {
        rates.set(bucket, Some(pico(1_000 << place)));
    }
    let all = Usage {
        input: 1,
        cached_input: 1,
        cache_write: 1,
        cache_write_1h: 1,
        output: 1,
        reasoning: 1,
        audio_input: 1,
        audio_output: 1,
        image_input: 1,
        image_output: 1,
        images: 1,
        audio_ms: 1_000,
        characters: 1,
        searches: 1,
        requests: 1,
    };
    let prices = Prices::flat(rates);
    assert_eq!(prices.cost(&all, ServiceTier::Standard), Some(NanoUsd((1 << 15) - 1)));
    let alone = |usage: Usage| prices.cost(&usage, ServiceTier::Standard).map(|cost| cost.0.trailing_zeros());
    assert_eq!(alone(Usage { cache_write_1h: 1, ..Usage::default() }), Some(3));
    assert_eq!(alone(Usage { image_output: 1, ..Usage::default() }), Some(9));
    assert_eq!(alone(Usage { audio_ms: 1_000, ..Usage::default() }), Some(11));
    assert_eq!(alone(Usage { requests: 1, ..Usage::default() }), Some(14));
}

#[test]
fn a_call_has_its_price_once() {
    let plain = Rates::plain(pico(1_000_000), pico(2_000_000));
    let usage = Usage { input: 3, output: 4, ..Usage::default() };
    let flex = row(ServiceTier::Flex, 0, Rates::plain(pico(1_000), pico(1_000)));
    let cost = |rows: &[PriceRow], tier, usage: &Usage| Prices::new(rows).call_cost(usage, tier).map(|cost| cost.0);
    let base = row(ServiceTier::Standard, 0, plain);
    assert_eq!(cost(&[base], ServiceTier::Standard, &usage), Some(11_000), "without a price of calls");
    let base = row(ServiceTier::Standard, 0, plain.with(Bucket::Request, pico(5_000_000_000)));
    assert_eq!(cost(&[base], ServiceTier::Standard, &usage), Some(5_011_000));
    assert_eq!(cost(&[base, flex], ServiceTier::Flex, &usage), Some(5_000_007), "a row that leaves it out");
    assert_eq!(cost(&[base], ServiceTier::Standard, &Usage { requests: 2, ..usage }), Some(10_011_000), "reported");
    assert_eq!(cost(&[base], ServiceTier::Standard, &Usage::default()), Some(5_000_000));
}

#[test]
fn an_unknown_price_makes_the_cost_unknown() {
    let embedding = Prices::flat(Rates::default().with(Bucket::Input, pico(20_000)));
    let cost = |usage: Usage| embedding.cost(&usage, ServiceTier::Standard);
    assert_eq!(cost(Usage { input: 1_000, ..Usage::default() }), Some(NanoUsd(20_000)));
    assert_eq!(cost(Usage { cached_input: 1_000, ..Usage::default() }), Some(NanoUsd(20_000)), "plain input");
    assert_eq!(cost(Usage { output: 1, ..Usage::default() }), None);
    assert_eq!(cost(Usage { audio_ms: 1, ..Usage::default() }), None);
    assert_eq!(cost(Usage::default()), Some(NanoUsd(0)));
    assert_eq!(Prices::default().cost(&Usage { input: 1, ..Usage::default() }, ServiceTier::Standard), None);
}

#[test]
fn buckets_fall_back() {
    let prices = Prices::flat(Rates::plain(pico(1_000), pico(2_000)).with(Bucket::CacheWrite, pico(3_000)));
    let base = prices.base();
    for (bucket, expect) in [
        (Bucket::CachedInput, Some(1_000)),
        (Bucket::CacheWrite1h, Some(3_000)),
        (Bucket::Reasoning, Some(2_000)),
        (Bucket::ImageInput, Some(1_000)),
        (Bucket::AudioOutput, Some(2_000)),
        (Bucket::Search, None),
    ] {
        assert_eq!(base.get(bucket).map(|price| price.0), expect, "{bucket:?}");
    }
}

#[test]
fn the_row_above_a_threshold_prices_the_whole_request() {
    let long = Rates::plain(pico(2_000), pico(3_000));
    let prices = Prices::new(&[
        row(ServiceTier::Standard, 200_000, long),
        row(ServiceTier::Standard, 0, Rates::plain(pico(1_000), pico(2_000)).with(Bucket::CachedInput, pico(100))),
        row(ServiceTier::Standard, 500_000, Rates::plain(pico(4_000), pico(5_000))),
    ]);
    let cost = |usage: Usage| prices.cost(&usage, ServiceTier::Standard).map(|cost| cost.0);
    assert_eq!(cost(Usage { input: 200_000, output: 1, ..Usage::default() }), Some(200_002));
    assert_eq!(cost(Usage { input: 200_001, output: 1, ..Usage::default() }), Some(400_005));
    assert_eq!(cost(Usage { input: 500_000, ..Usage::default() }), Some(1_000_000));
    assert_eq!(cost(Usage { input: 500_001, ..Usage::default() }), Some(2_000_004));
    // What was cached counts, and keeps the first row's price where the other row has none.
    assert_eq!(cost(Usage { input: 1, cached_input: 200_000, ..Usage::default() }), Some(2 + 20_000));
}

#[test]
fn service_tiers_have_rows_of_their_own() {
    let prices = Prices::new(&[
        row(ServiceTier::Standard, 0, Rates::plain(pico(1_000), pico(2_000))),
        row(ServiceTier::Standard, 100, Rates::plain(pico(2_000), pico(4_000))),
        row(ServiceTier::Flex, 0, Rates::plain(pico(500), pico(1_000))),
        row(ServiceTier::Priority, 0, Rates::plain(pico(3_000), pico(6_000))),
        row(ServiceTier::Priority, 100, Rates::plain(pico(9_000), pico(9_000))),
    ]);
    let cost = |input, tier| prices.cost(&Usage { input, ..Usage::default() }, tier).map(|cost| cost.0);
    assert_eq!(cost(100, ServiceTier::Flex), Some(50));
    assert_eq!(cost(200, ServiceTier::Flex), Some(100), "a tier without long rows has one price");
    assert_eq!(cost(100, ServiceTier::Priority), Some(300));
    assert_eq!(cost(101, ServiceTier::Priority), Some(909));
    assert_eq!(cost(101, ServiceTier::Batch), Some(202), "no list of its own: the usual one");
    assert_eq!(ServiceTier::of_name("flex"), ServiceTier::Flex);
    assert_eq!(ServiceTier::of_name("default"), ServiceTier::Standard);
}

#[test]
fn rates_are_decimal_strings() {
    let rates = Rates::plain(pico(150_000), pico(600_000)).with(Bucket::Image, pico(40_000_000_000));
    let text = serde_json::to_string(&rates).unwrap();
    assert_eq!(text, r#"{"input":"0.15","output":"0.6","image":"0.04"}"#);
    assert_eq!(serde_json::from_str::<Rates>(&text).unwrap(), rates);
    assert!(serde_json::from_str::<Rates>(r#"{"inpt":"1"}"#).is_err());
    assert!(serde_json::from_str::<Rates>(r#"{"input":"-1"}"#).is_err());
    let row = row(ServiceTier::Flex, 272_000, Rates::default().with(Bucket::Search, pico(10_000_000_000)));
    let text = serde_json::to_string(&row).unwrap();
    assert_eq!(text, r#"{"service_tier":"flex","above_input_tokens":272000,"rates":{"search":"0.01"}}"#);
    assert_eq!(serde_json::from_str::<PriceRow>(&text).unwrap(), row);
}

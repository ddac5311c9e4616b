//! What is asked for, and where it goes.

use super::*;

use std::sync::OnceLock;

use policy::load::load_text;
use proptest::prelude::*;

const CONFIG: &str = r#"
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
default_model = "small"

[providers.two]
kind = "openai-compatible"
base_url = "http://127.0.0.1:2/v1"
default_model = "big"

[[models]]
slug = "small"
provider = "one"

[[models]]
slug = "small"
provider = "two"

[[models]]
slug = "big"
provider = "two"

[[models]]
slug = "off"
provider = "two"
enabled = false

[[fallbacks]]
model = "small"
fallbacks = ["big"]
on = ["429"]
"#;

fn snapshot(text: &str) -> Snapshot {
    load_text("crossway.toml", text, &|_| None, false).unwrap().snapshot
}

fn key(models: &[&str], providers: &[&str]) -> CompiledKey {
    let boxed = |list: &[&str]| list.iter().map(|name| (*name).into()).collect();
    CompiledKey {
        name: "k".into(),
        environment: "default".into(),
        providers: boxed(providers),
        models: boxed(models),
        ..CompiledKey::default()
    }
}

/// Plans where nothing is known of any target.
fn planned_now(snapshot: &Snapshot, key: &CompiledKey, wish: Wish<'_>) -> Result<Plan, Failure> {
    let (signals, turn) = (&|_| None, &|_| 0);
    plan(
        snapshot,
        key,
        wish,
        &Live { signals, now: Monotonic(1), seed: 1, kind: Kind::Whole, warm: None, turn, failed: &|_, _, _| {} },
    )
}

/// Returns `model@provider (reason)` for each attempt, or the code of the refusal.
fn planned(config: &str, key: &CompiledKey, model: Option<&str>, provider: Option<&str>) -> Vec<String> {
    let snapshot = snapshot(config);
    match planned_now(&snapshot, key, Wish { model, provider, ..Wish::default() }) {
        Err(failure) => vec![failure.code.name().to_owned()],
        Ok(plan) => plan
            .attempts
            .iter()
            .map(|planned| {
                let model = snapshot.model(planned.model).unwrap();
                let provider = &snapshot.provider(model.provider).unwrap().name;
                format!("{}@{provider} ({})", model.slug, planned.reason)
            })
            .collect(),
    }
}

fn check(model: Option<&str>, provider: Option<&str>, expect: &[&str]) {
    assert_eq!(planned(CONFIG, &key(&[], &[]), model, provider), expect, "{model:?} {provider:?}");
}

#[test]
fn a_model_goes_to_all_that_serve_it_then_to_its_fallbacks() {
    check(
        Some("small"),
        None,
        &["small@one (requested model)", "small@two (same model at another provider)", "big@two (fallback policy)"],
    );
    check(Some("two/small"), None, &["small@two (requested model)", "big@two (fallback policy)"]);
    check(Some("BIG "), None, &["big@two (requested model)"]);
}

#[test]
fn without_a_model_every_default_is_tried_in_order() {
    let expect = ["small@one (default model)", "big@two (next configured provider)"];
    check(None, None, &expect);
    check(
        Some("auto"),
        None,
        &["small@one (policy auto)", "small@two (policy auto, next best)", "big@two (policy auto, next best)"],
    );
}

#[test]
fn a_named_provider_comes_first_and_the_others_after_it() {
    let then_one = "small@one (next configured provider)";
    check(None, Some("two"), &["big@two (requested provider)", then_one]);
    check(Some("small"), Some("two"), &["small@two (requested provider)", then_one]);
    // A foreign model gives way to the provider's default.
    check(Some("gpt-unheard-of"), Some("TWO"), &["big@two (requested provider)", then_one]);
    check(None, Some("nobody"), &["invalid_request"]);
}

#[test]
fn unknown_and_switched_off_models_are_refused() {
    check(Some("nothing"), None, &["unknown_model"]);
    check(Some("off"), None, &["model_disabled"]);
}

#[test]
fn a_key_reaches_only_what_it_may_use() {
    let limited = key(&["big"], &[]);
    assert_eq!(planned(CONFIG, &limited, Some("small"), None), ["big@two (fallback policy)"]);
    assert_eq!(planned(CONFIG, &limited, Some("small"), Some("one")), ["big@two (next configured provider)"]);
    let none = key(&["other"], &[]);
    for model in ["small", "one/small", " SMALL", "auto"] {
        assert_eq!(planned(CONFIG, &none, Some(model), None), ["model_not_allowed"], "{model}");
    }
    let elsewhere = key(&[], &["one"]);
    assert_eq!(planned(CONFIG, &elsewhere, Some("big"), None), ["provider_not_allowed"]);
    assert_eq!(planned(CONFIG, &elsewhere, Some("small"), None), ["small@one (requested model)"]);
}

#[test]
fn a_list_of_models_means_what_its_names_mean_now() {
    let config = CONFIG.replacen("provider = \"two\"\n", "provider = \"two\"\naliases = [\"tiny\"]\n", 1);
    let check = |listed: &str, expect: &[&str]| {
        let found = planned(&config, &key(&["gone", listed], &[]), Some("small"), None);
        let found: Vec<&str> = found.iter().map(|target| target.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(found, expect, "{listed}");
    };
    check("small", &["small@one", "small@two"]);
    check(" SMALL ", &["small@one", "small@two"]);
    check("two/small", &["small@two"]);
    check("Two/Small", &["small@two"]);
    check("tiny", &["small@two"]);
    check("two/tiny", &["small@two"]);
    check("big", &["big@two"]);
    check("smal", &["model_not_allowed"]);
    check("two", &["model_not_allowed"]);
    check("*", &["model_not_allowed"]);
    check("", &["model_not_allowed"]);
    // An alias that moves takes the right with it.
    let moved = CONFIG.replace("slug = \"big\"\n", "slug = \"big\"\naliases = [\"tiny\"]\n");
    assert_eq!(planned(&moved, &key(&["tiny"], &[]), Some("small"), None), ["big@two (fallback policy)"]);
}

#[test]
fn a_provider_may_ignore_the_clients_model() {
    let forced = CONFIG.replace("default_model = \"big\"", "default_model = \"big\"\nforce_default_model = true");
    let all = key(&[], &[]);
    let first = |model, provider| planned(&forced, &all, Some(model), provider)[0].clone();
    assert_eq!(first("small", Some("two")), "big@two (requested provider)");
    assert_eq!(first("anything", None), "big@two (provider's forced default model)");
    assert_eq!(first("small", None), "small@one (requested model)");
}

#[test]
fn the_fallback_policy_says_on_which_failures() {
    let snapshot = snapshot(CONFIG);
    let plan = planned_now(&snapshot, &key(&[], &[]), Wish { model: Some("small"), ..Wish::default() }).unwrap();
    assert!(plan.on.rate_limited && !plan.on.connect);
}

const MANY: &str = r#"
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"

[providers.two]
kind = "openai-compatible"
base_url = "http://127.0.0.1:2/v1"

[[models]]
slug = "good"
provider = "one"
quality = 90
input_price = 10
output_price = 30
capabilities = ["vision", "tools"]
context_window = 100000

[[models]]
slug = "good"
provider = "two"
quality = 90
input_price = 10
output_price = 30
capabilities = ["vision", "tools"]
context_window = 100000

[[models]]
slug = "fair"
provider = "two"
quality = 60
input_price = 0.5
output_price = 1.5
capabilities = ["tools"]
context_window = 8000

[[models]]
slug = "poor"
provider = "one"
quality = 20
input_price = 0.1
output_price = 0.1
capabilities = ["json_schema"]

[[models]]
slug = "unpriced"
provider = "one"

[[models]]
slug = "off"
provider = "one"
enabled = false
quality = 99
input_price = 0.01
output_price = 0.01
"#;

/// Plans with the live state of some targets, by `slug@provider`.
fn planned_with(wish: Wish<'_>, known: &[(&str, Signals)], seed: u64) -> (&'static Snapshot, Result<Plan, Failure>) {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    let snapshot = SNAPSHOT.get_or_init(|| snapshot(MANY));
    let signals = |index: ModelIndex| {
        let name = name(snapshot, index);
        known.iter().find(|(known, _)| *known == name).map(|(_, signals)| signals)
    };
    let (now, kind) = (Monotonic(100_000_000_000), Kind::Stream);
    let live = Live { signals: &signals, now, seed, kind, warm: None, turn: &|_| 0, failed: &|_, _, _| {} };
    let plan = plan(snapshot, &key(&[], &[]), wish, &live);
    (snapshot, plan)
}

fn name(snapshot: &Snapshot, index: ModelIndex) -> String {
    let model = snapshot.model(index).unwrap();
    format!("{}@{}", model.slug, snapshot.provider(model.provider).unwrap().name)
}

fn tried(wish: Wish<'_>, known: &[(&str, Signals)]) -> Vec<String> {
    let (snapshot, plan) = planned_with(wish, known, 1);
    plan.unwrap().attempts.iter().map(|planned| name(snapshot, planned.model)).collect()
}

/// Returns `target: reason` for everything that is left out.
fn left_out(wish: Wish<'_>) -> Vec<String> {
    let (snapshot, plan) = planned_with(wish, &[], 1);
    plan.unwrap().excluded.iter().map(|one| format!("{}: {}", name(snapshot, one.model), one.why)).collect()
}

/// A target that answered 20 times, each time after so many milliseconds, up to the instant of the plan.
fn known(ms: u64) -> Signals {
    let signals = Signals::default();
    for turn in 0..20 {
        let began = Monotonic(90_000_000_000 + turn * 100_000_000);
        let flight = signals.begin_anyway(Kind::Stream, began);
        signals.answered(flight, Monotonic(began.0 + ms * 1_000_000));
    }
    signals
}

fn failing() -> Signals {
    let signals = Signals::default();
    for turn in 0..2 {
        let began = Monotonic(99_000_000_000 + turn * 100_000_000);
        let flight = signals.begin_anyway(Kind::Stream, began);
        signals.failed(flight, began, crate::signal::Trouble::Server, None);
    }
    signals
}

fn of(model: &str) -> Wish<'_> {
    Wish { model: Some(model), input_tokens: 1000, ..Wish::default() }
}

#[test]
fn policies_choose_by_price_quality_and_time() {
    assert_eq!(tried(of("cheapest"), &[]), ["poor@one", "fair@two", "good@one", "good@two"]);
    assert_eq!(tried(of("Best"), &[]), ["good@one", "good@two", "fair@two", "poor@one"]);
    let fast = [("fair@two", known(50)), ("good@one", known(700)), ("poor@one", known(300))];
    assert_eq!(tried(of("fastest"), &fast)[..2], ["fair@two", "poor@one"]);
    // As good at a twentieth of the price is better than a little better.
    assert_eq!(tried(of("auto"), &[])[0], "fair@two");
}

#[test]
fn what_cannot_serve_the_request_is_left_out_with_the_reason() {
    assert_eq!(left_out(of("cheapest")), ["off@one: disabled", "unpriced@one: its price is unknown"]);
    assert_eq!(left_out(of("auto")), ["off@one: disabled", "unpriced@one: its quality is unknown"]);
    let vision = Wish { needs: &["vision"], ..of("best") };
    assert_eq!(
        left_out(vision)[..2],
        ["fair@two: not known to have the capability `vision`", "poor@one: not known to have the capability `vision`",]
    );
    assert_eq!(tried(vision, &[]), ["good@one", "good@two"]);
    let long = Wish { input_tokens: 50_000, ..of("cheapest") };
    assert_eq!(left_out(long)[0], "fair@two: the prompt does not fit into 8000 tokens");
}

#[test]
fn where_nothing_can_serve_the_request_the_reasons_are_told() {
    let snapshot = snapshot(&MANY.replace("[[models]]\nslug = \"unpriced\"\nprovider = \"one\"\n", ""));
    let wish = Wish { needs: &["audio"], ..of("best") };
    let failure = planned_now(&snapshot, &key(&[], &[]), wish).unwrap_err();
    assert_eq!((failure.code, failure.status), (Code::UpstreamUnavailable, 503));
    assert!(failure.message.contains("`fair`: not known to have the capability `audio`"), "{}", failure.message);
    let stranger = planned_now(&snapshot, &key(&["other"], &[]), wish).unwrap_err();
    assert_eq!(stranger.code, Code::ModelNotAllowed, "rights come first");
}

#[test]
fn the_providers_of_a_model_share_its_load() {
    let both = |one, two| tried(of("good"), &[("good@one", one), ("good@two", two)]);
    assert_eq!(both(known(900), known(100)), ["good@two", "good@one"]);
    assert_eq!(both(known(100), known(900)), ["good@one", "good@two"]);
    assert_eq!(both(failing(), known(900)), ["good@two", "good@one"]);
    assert_eq!(tried(of("one/good"), &[("good@one", failing())]), ["good@one"], "who names a provider gets it");
    // As fast as each other: who has less to do goes first.
    let busy = known(100);
    let flights: Vec<_> = (0..3).map(|_| busy.begin_anyway(Kind::Stream, Monotonic(99_990_000_000))).collect();
    let (snapshot, plan) = planned_with(of("good"), &[("good@one", busy), ("good@two", known(100))], 1);
    assert_eq!(name(snapshot, plan.unwrap().attempts[0].model), "good@two");
    assert_eq!(flights.len(), 3);
}

#[test]
fn the_first_of_them_is_what_was_asked_for() {
    let (_, plan) = planned_with(of("good"), &[("good@one", failing())], 1);
    let plan = plan.unwrap();
    let reasons: Vec<Reason> = plan.attempts.iter().map(|planned| planned.reason).collect();
    assert_eq!(reasons, [Reason::RequestedModel, Reason::SameModel]);
    let tiers: Vec<Tier> = plan.scores.iter().map(|score| score.tier).collect();
    assert_eq!(tiers, [Tier::Ready, Tier::Benched]);
}

proptest! {
    /// The same arguments give the same plan, and whatever a policy may choose from is planned or left out with a reason.
    #[test]
    fn everything_is_planned_or_left_out(
        goal in prop::sample::select(&Goal::ALL[..]), seed: u64, input_tokens in 0..300_000_u64,
        needs in prop::sample::subsequence(vec!["vision", "tools", "json_schema", "audio"], 0..=3),
        times in prop::collection::vec(prop::option::of(1..5_000_u64), 3),
    ) {
        let names = ["good@one", "good@two", "poor@one"];
        let state = || -> Vec<(&str, Signals)> {
            let known_of = |(name, ms): (&&'static str, &Option<u64>)| ms.map(|ms| (*name, known(ms)));
            names.iter().zip(&times).filter_map(known_of).collect()
        };
        let wish = Wish { model: Some(goal.name()), needs: &needs, input_tokens, ..Wish::default() };
        let (snapshot, one) = planned_with(wish, &state(), seed);
        let (_, other) = planned_with(wish, &state(), seed);
        match (one, other) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(&one, &other);
                let mut all: Vec<usize> = one.attempts.iter().map(|planned| planned.model.0).collect();
                all.extend(one.excluded.iter().map(|excluded| excluded.model.0));
                all.sort_unstable();
                prop_assert_eq!(all, (0..snapshot.models.len()).collect::<Vec<_>>());
                prop_assert!(!one.attempts.is_empty());
            }
            (one, other) => prop_assert_eq!(one.unwrap_err().message, other.unwrap_err().message),
        }
    }
}

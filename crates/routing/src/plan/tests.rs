//! What is asked for, and where it goes.

use super::*;

use policy::load::load_text;

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

/// Returns `model@provider (reason)` for each attempt, or the code of the refusal.
fn planned(config: &str, key: &CompiledKey, model: Option<&str>, provider: Option<&str>) -> Vec<String> {
    let snapshot = snapshot(config);
    match plan(&snapshot, key, Wish { model, provider }) {
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
    check(Some("auto"), None, &expect);
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
    check(Some("cheapest"), None, &["unknown_model"]);
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
    let plan = plan(&snapshot, &key(&[], &[]), Wish { model: Some("small"), provider: None }).unwrap();
    assert!(plan.on.rate_limited && !plan.on.connect);
}

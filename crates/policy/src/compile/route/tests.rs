//! Routes that are good, and every way in which one is not.

use proptest::prelude::*;

use crate::load::load_text;
use crate::problem::{Problem, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::route::{Binding, Pick, Sticky, Strategy as Routing, Via};

const MODELS: &str = r#"
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[providers.two]
kind = "openai-compatible"
base_url = "http://127.0.0.1:2/v1"
[providers.gone]
kind = "openai-compatible"
base_url = "http://127.0.0.1:3/v1"
enabled = false
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
[[models]]
slug = "lost"
provider = "gone"
"#;

fn load(routes: &str) -> Result<(Snapshot, Vec<Problem>), Vec<Problem>> {
    let loaded = load_text("crossway.toml", &format!("{MODELS}{routes}"), &|_| None, false)?;
    Ok((loaded.snapshot, loaded.warnings))
}

fn faults(routes: &str) -> Vec<String> {
    let problems = load(routes).map(|(_, warnings)| warnings).unwrap_or_else(|problems| problems);
    let told = |problem: &Problem| {
        let stale = if problem.stale { "stale " } else { "" };
        format!("{stale}{}: {}", problem.path, problem.message)
    };
    problems.iter().filter(|problem| problem.severity == Severity::Error || problem.stale).map(told).collect()
}

/// A route of the key `k` with this strategy.
fn with(strategy: &str) -> String {
    format!("[routes.r]\nkey = \"k\"\nstrategy = {strategy}\n")
}

fn strategy(text: &str) -> Routing {
    load(&with(text)).unwrap().0.routes.all[0].strategy.clone()
}

/// The name of a target, its weight and how many models it means.
type Target = (String, u32, usize);

fn levels(text: &str) -> (Vec<Vec<Target>>, bool, Option<Sticky>) {
    let Routing::Always(Pick::Targets { levels, split, sticky }) = strategy(text) else { panic!("{text}") };
    let told = levels
        .iter()
        .map(|level| level.targets.iter().map(|one| (one.name.to_string(), one.weight, one.models.len())).collect());
    (told.collect(), split, sticky)
}

#[test]
fn chains_are_sorted_by_priority_and_equals_share() {
    let chain = "{ fallback = { targets = [ { model = 'big', priority = 1 }, { model = 'small', weight = 3 }, \
                 { model = 'two/small', weight = 1, credential = 'platform' } ] } }";
    let own = |name: &str, weight: u32, models: usize| (name.to_owned(), weight * 10_000, models);
    let (found, split, _) = levels(chain);
    let once = vec![own("big", 1, 1)];
    assert_eq!((found, split), (vec![vec![own("small", 3, 2), own("two/small", 1, 1)], once], false));
}

#[test]
fn a_split_is_one_level_whose_turns_are_known() {
    let (found, split, sticky) = levels(
        "{ split = { targets = [ { model = 'big', weight = 0.7 }, { model = 'small', provider = 'one', weight = 0.3 } ], \
         sticky = 'user' } }",
    );
    assert_eq!(found, vec![vec![("big".to_owned(), 7_000, 1), ("small".to_owned(), 3_000, 1)]]);
    assert!(split);
    assert_eq!(sticky, Some(Sticky::User));
}

#[test]
fn a_key_has_its_route_and_the_others_the_default() {
    let routes = "[routes.a]\nkey = 'k'\nactive = false\nstrategy = { auto = {} }\n\
                  [routes.b]\nkey = 'l'\nstrategy = { auto = { policy = 'best' } }\n\
                  [routes.c]\ndefault = true\nstrategy = { auto = {} }\n";
    let routes = load(routes).unwrap().0.routes;
    let found = |key: &str| match routes.binding(key) {
        Binding::Key(route) => format!("key {}", route.name),
        Binding::Bypassed => "bypassed".to_owned(),
        Binding::Default(route) => format!("default {}", route.name),
        Binding::Free => "free".to_owned(),
    };
    assert_eq!(["k", "l", "m"].map(found), ["bypassed", "key b", "default c"]);
    assert!(routes.route_of("l", true).is_some(), "a key's route goes before x-llm-provider");
    assert!(routes.route_of("m", true).is_none(), "the default does not");
}

#[test]
fn own_credentials_are_named_and_there() {
    let chain =
        |name: &str| with(&format!("{{ fallback = {{ targets = [ {{ model = 'big', credential = '{name}' }} ] }} }}"));
    assert_eq!(
        faults(&chain("mine")),
        ["routes.r.strategy.fallback.targets[0].credential: no own credential has this name"]
    );
    let found = load(&chain("platform")).unwrap().0.routes.all[0].strategy.clone();
    let Routing::Always(Pick::Targets { levels, .. }) = found else { panic!() };
    assert_eq!(levels[0].targets[0].credential, Via::Platform);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let check = |strategy: &str, expect: &[&str]| assert_eq!(faults(&with(strategy)), expect, "{strategy}");
    let targets = "routes.r.strategy.fallback.targets";
    check("{}", &["routes.r.strategy: empty"]);
    check("{ fallback = {} }", &[&format!("{targets}: empty: name at least one target")]);
    check("{ split = { targets = [] } }", &["routes.r.strategy.split.targets: empty: name at least one target"]);
    check("{ fallback = { targets = [ {} ] } }", &[&format!("{targets}[0].model: missing")]);
    check(
        "{ fallback = { targets = [ { model = 'smal' } ] } }",
        &[&format!("{targets}[0].model: no provider serves this model")],
    );
    check(
        "{ fallback = { targets = [ { model = 'auto' } ] } }",
        &[&format!("{targets}[0].model: a policy is no target")],
    );
    check(
        "{ fallback = { targets = [ { model = 'big', provider = 'one' } ] } }",
        &[&format!("{targets}[0].provider: this provider does not serve this model")],
    );
    check(
        "{ fallback = { targets = [ { model = 'big', provider = 'three' } ] } }",
        &[&format!("{targets}[0].provider: no configured provider has this name")],
    );
    check(
        "{ fallback = { targets = [ { model = 'big' }, { model = 'two/big' } ] } }",
        &[&format!("{targets}[1]: the same target twice")],
    );
    check(
        "{ fallback = { targets = [ { model = 'big' } ] }, auto = {} }",
        &["routes.r.strategy.auto: a strategy is one thing: there is `fallback` already"],
    );
    check(
        "{ split = { targets = [ { model = 'big', priority = 1 } ] } }",
        &["routes.r.strategy.split.targets[0].priority: a split has no priorities"],
    );
    check(
        "{ split = { targets = [ { model = 'big' } ], sticky = 'ip' } }",
        &["routes.r.strategy.split.sticky: must be one of user, session, key"],
    );
    check("{ rules = [] }", &["routes.r.strategy.rules: empty: write at least one rule"]);
    check("{ rules = [ { when = 'stream' } ] }", &["routes.r.strategy.rules[0].then: missing"]);
    check("{ rules = [ { then = 'big' } ] }", &["routes.r.strategy.rules[0].when: missing"]);
    check(
        "{ rules = [ { when = 'steam', then = 'bug' } ] }",
        &[
            "routes.r.strategy.rules[0].when: column 1: unknown variable `steam`",
            "routes.r.strategy.rules[0].then: no provider serves this model",
        ],
    );
    check(
        "{ rules = [ { when = 'stream', then = { rules = [] } } ] }",
        &["routes.r.strategy.rules[0].then.rules: rules do not lead to rules"],
    );
    check("{ auto = {}, otherwise = 'big' }", &["routes.r.strategy.otherwise: it belongs to rules"]);
    check(
        "{ auto = { policy = 'bset' } }",
        &["routes.r.strategy.auto.policy: must be one of auto, cheapest, fastest, best"],
    );
    check("{ auto = { quality_bar = 101 } }", &["routes.r.strategy.auto.quality_bar: must be from 0 to 100"]);
    check("{ auto = { weights = { cost = 0 } } }", &["routes.r.strategy.auto.weights: all weights are zero"]);
    check(
        "{ auto = { weights = { cost = -1 } } }",
        &["routes.r.strategy.auto.weights.cost: not a weight: a number from 0 to 1000000"],
    );
    check(
        "{ auto = { candidates = ['bigg'] } }",
        &["routes.r.strategy.auto.candidates[0]: no provider serves this model"],
    );
}

#[test]
fn whose_requests_it_routes_is_one_thing() {
    let auto = "strategy = { auto = {} }\n";
    let check = |routes: &str, expect: &[&str]| assert_eq!(faults(routes), expect, "{routes}");
    check(&format!("[routes.r]\n{auto}"), &["routes.r.key: whose requests it routes is missing"]);
    check(
        &format!("[routes.r]\nkey = 'k'\ndefault = true\n{auto}"),
        &["routes.r.default: either for a key or the default: leave one of them out"],
    );
    check(
        &format!("[routes.r]\nkey = 'k'\n{auto}[routes.s]\nkey = 'k'\n{auto}"),
        &["routes.s.key: the key has a route already: r"],
    );
    check(
        &format!("[routes.r]\ndefault = true\n{auto}[routes.s]\ndefault = true\n{auto}"),
        &["routes.s.default: there is a default route already: r"],
    );
    check("[routes.r]\nkey = 'k'\n", &["routes.r.strategy: missing"]);
}

#[test]
fn weights_are_shares() {
    let check = |weight: &str, expect: &str| {
        let split = format!("{{ split = {{ targets = [ {{ model = 'big', weight = {weight} }} ] }} }}");
        assert_eq!(faults(&with(&split)), [format!("routes.r.strategy.split.targets[0].weight: {expect}")], "{weight}");
    };
    let number = "not a weight: a number such as 70 or 0.7, with at most 4 decimals";
    check("0", "0 gets nothing: leave the target out");
    check("0.0", "0 gets nothing: leave the target out");
    check("-1", "negative: a weight is a share, such as 70 or 0.7");
    check("-0.5", "negative: a weight is a share, such as 70 or 0.7");
    check("nan", number);
    check("inf", number);
    check("\"many\"", number);
    check("0.00001", number);
    check("10001", "too large: at most 10000");
    check("99999999999999999999999999.0", "too large: at most 10000");
    let fine = "{ split = { targets = [ { model = 'big', weight = 9999.9999 }, { model = 'small' } ] } }";
    assert_eq!(
        faults(&with(fine)),
        [
            "routes.r.strategy.split.targets: the weights are too fine: they come out even after 100009999 requests, not \
          10000"
        ]
    );
}

#[test]
fn what_is_switched_off_may_stay_but_not_be_written() {
    let check = |strategy: &str, expect: &str| assert_eq!(faults(&with(strategy)), [expect], "{strategy}");
    let targets = "stale routes.r.strategy.fallback.targets";
    check("{ fallback = { targets = [ { model = 'off' } ] } }", &format!("{targets}[0].model: this model is disabled"));
    check(
        "{ fallback = { targets = [ { model = 'lost' } ] } }",
        &format!("{targets}[0].model: only disabled providers serve this model"),
    );
    check(
        "{ fallback = { targets = [ { model = 'small', provider = 'gone' } ] } }",
        &format!("{targets}[0].provider: this provider is disabled"),
    );
    check(
        "{ rules = [ { when = 'stream', then = 'off' } ] }",
        "stale routes.r.strategy.rules[0].then: this model is disabled",
    );
}

#[test]
fn policies_have_settings() {
    let settings = "[environment]\nquality_bar = 60\n[environment.policies.auto]\nweights = { cost = 1, quality = 0.5 }\n\
                    [environment.policies.best]\nquality_bar = 80\n";
    let policies = load(settings).unwrap().0.environment.policies;
    let weights = policies[0].weights.unwrap();
    assert_eq!((weights.cost, weights.quality, weights.latency, weights.availability), (1.0, 0.5, 0.0, 0.0));
    assert_eq!(policies.map(|policy| policy.quality_bar), [None, Some(60), None, Some(80)]);
    assert_eq!(
        faults("[environment]\nquality_bar = 101\n[environment.policies.auto]\nweights = { cost = nan }\n"),
        [
            "environment.quality_bar: must be from 0 to 100",
            "environment.policies.auto.weights.cost: not a weight: a number from 0 to 1000000"
        ]
    );
}

#[test]
fn the_example_of_the_page_compiles() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/resources/route.md");
    let text = std::fs::read_to_string(page).unwrap();
    let example = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let resources = crate::load::resources::parse("example.yaml", example, &|_| None);
    let mut specs = crate::spec::Specs::default();
    resources.documents.iter().for_each(|document| document.add_to(&mut specs));
    let (vendors, catalogue) = (catalog::load::Vendors::builtin(), catalog::model::Catalogue::default());
    let compiled = crate::compile::compile(&specs, &vendors, &catalogue).unwrap();
    let routes = &compiled.snapshot.routes;
    assert_eq!(
        ["support", "trial", "everybody", "x"].map(|name| routes.state_of(name)),
        ["active", "inactive", "active", "unknown"]
    );
}

proptest! {
    /// No text of a weight is taken for one that it is not.
    #[test]
    fn no_weight_does_harm(text in prop_oneof!["-?[0-9]{0,12}\\.?[0-9]{0,8}", "\\PC{0,12}", "[+-]?(nan|inf|1e[0-9]{1,3})"]) {
        let quoted = toml_text(&text);
        let split = format!("{{ split = {{ targets = [ {{ model = 'big', weight = {quoted} }}, {{ model = 'small' }} ] }} }}");
        match load(&with(&split)) {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok((snapshot, _)) => {
                let written: f64 = text.trim().parse().unwrap();
                let Routing::Always(Pick::Targets { levels, .. }) = &snapshot.routes.all[0].strategy else { panic!() };
                let level = &levels[0];
                prop_assert!((f64::from(level.targets[0].weight) / 10_000.0 - written).abs() < 1e-9);
                prop_assert!(!level.schedule.is_empty());
            }
        }
    }
}

fn toml_text(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

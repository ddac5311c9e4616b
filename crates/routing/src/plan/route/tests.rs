//! What each strategy comes to, who is bound by which route, and what is said about it.

use std::cell::Cell;

use policy::clock::Monotonic;
use policy::condition::Facts;
use policy::load::load_text;
use policy::snapshot::{CompiledKey, Snapshot};

use crate::plan::{Live, Plan, Wish, plan};
use crate::signal::Kind;

const MODELS: &str = r#"
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
input_price = 1
output_price = 1
quality = 50
[[models]]
slug = "small"
provider = "two"
input_price = 2
output_price = 2
quality = 50
[[models]]
slug = "big"
provider = "two"
input_price = 10
output_price = 10
quality = 90
[[models]]
slug = "spare"
provider = "two"
quality = 70
[[models]]
slug = "off"
provider = "two"
enabled = false
[[fallbacks]]
model = "small"
fallbacks = ["spare"]
on = ["429"]
"#;

fn snapshot(routes: &str) -> Snapshot {
    load_text("crossway.toml", &format!("{MODELS}{routes}"), &|_| None, false).unwrap().snapshot
}

fn key(name: &str) -> CompiledKey {
    CompiledKey { name: name.into(), environment: "default".into(), ..CompiledKey::default() }
}

/// Plans with the given turn, and returns what failed on the way.
fn planned(snapshot: &Snapshot, key: &CompiledKey, wish: Wish<'_>, turn: u64, seed: u64) -> Result<Plan, String> {
    let live = Live {
        signals: &|_| None,
        now: Monotonic(1),
        seed,
        kind: Kind::Whole,
        warm: None,
        turn: &|_| turn,
        failed: &|_, _, _| {},
    };
    plan(snapshot, key, wish, &live).map_err(|failure| format!("{} {}", failure.code.name(), failure.message))
}

/// Returns `model@provider` for each attempt.
fn targets(snapshot: &Snapshot, plan: &Plan) -> Vec<String> {
    let name = |index| {
        let model = snapshot.model(index).unwrap();
        format!("{}@{}", model.slug, snapshot.provider(model.provider).unwrap().name)
    };
    plan.attempts.iter().map(|planned| name(planned.model)).collect()
}

fn check(routes: &str, wish: Wish<'_>, expect: &[&str]) {
    let snapshot = snapshot(routes);
    let plan = planned(&snapshot, &key("k"), wish, 0, 1).unwrap();
    let told: Vec<String> = targets(&snapshot, &plan)
        .into_iter()
        .zip(&plan.attempts)
        .map(|(target, planned)| format!("{target} ({})", plan.reason(planned)))
        .collect();
    assert_eq!(told, expect, "{routes}");
}

fn of_key(strategy: &str) -> String {
    format!("[routes.r]\nkey = 'k'\nstrategy = {strategy}\n")
}

fn wish(model: &str) -> Wish<'_> {
    Wish { model: Some(model), ..Wish::default() }
}

#[test]
fn a_chain_is_tried_by_priority_and_then_the_fallbacks_of_its_first() {
    let chain = of_key(
        "{ fallback = { targets = [ { model = 'big', priority = 1 }, { model = 'small', provider = 'one' } ] } }",
    );
    check(
        &chain,
        wish("off"),
        &["small@one (route r: priority 0)", "big@two (route r: priority 1)", "spare@two (route r: fallback policy)"],
    );
    let snapshot = snapshot(&chain);
    let plan = planned(&snapshot, &key("k"), Wish::default(), 0, 1).unwrap();
    assert!(plan.on.rate_limited && !plan.on.server_error, "the failures of the first's policy");
    let own = self::snapshot(&chain.replace("key = 'k'", "key = 'k'\non = ['5xx']"));
    let plan = planned(&own, &key("k"), Wish::default(), 0, 1).unwrap();
    assert!(!plan.on.rate_limited && plan.on.server_error, "the route's own failures");
}

#[test]
fn one_model_goes_to_all_that_serve_it() {
    let chain = of_key("{ fallback = { targets = [ { model = 'small' } ] } }");
    check(
        &chain,
        wish("big"),
        &[
            "small@one (route r: target)",
            "small@two (route r: same model at another provider)",
            "spare@two (route r: fallback policy)",
        ],
    );
}

#[test]
fn precedence() {
    let both = "[routes.mine]\nkey = 'k'\nactive = true\nstrategy = { fallback = { targets = [ { model = 'big' } ] } }\n\
                [routes.all]\ndefault = true\nstrategy = { fallback = { targets = [ { model = 'spare' } ] } }\n";
    let first = |routes: &str, name: &str, wish: Wish<'_>| {
        let snapshot = snapshot(routes);
        let plan = planned(&snapshot, &key(name), wish, 0, 1).unwrap();
        targets(&snapshot, &plan)[0].clone()
    };
    let named = Wish { provider: Some("one"), ..wish("small") };
    assert_eq!(first(both, "k", wish("small")), "big@two", "the key's route");
    assert_eq!(first(both, "k", named), "big@two", "goes before x-llm-provider");
    assert_eq!(first(both, "l", named), "small@one", "which goes before the default route");
    assert_eq!(first(both, "l", wish("small")), "spare@two", "which goes before the model");
    assert_eq!(first(both, "l", wish("auto")), "spare@two", "and before a policy");
    let inactive = both.replace("active = true", "active = false");
    assert_eq!(first(&inactive, "k", wish("small")), "small@one", "a route that is not active bypasses the default");
    assert_eq!(first(&inactive, "l", wish("small")), "spare@two");
    let off = both.replace("default = true", "default = true\nactive = false");
    assert_eq!(first(&off, "l", wish("small")), "small@one");
}

#[test]
fn the_keys_rights_filter_always() {
    let chain = of_key("{ fallback = { targets = [ { model = 'big' }, { model = 'spare', priority = 1 } ] } }");
    let snapshot = snapshot(&chain);
    let only = |model: &str| CompiledKey { models: vec![model.into()], ..key("k") };
    let plan = planned(&snapshot, &only("spare"), Wish::default(), 0, 1).unwrap();
    assert_eq!(targets(&snapshot, &plan), ["spare@two"]);
    assert_eq!(plan.excluded.len(), 1);
    let refused = planned(&snapshot, &only("small"), wish("small"), 0, 1).unwrap_err();
    assert_eq!(
        refused,
        "upstream_unavailable the route `r` leaves no target for this request: `big` at two: not among the key's \
         models; `spare` at two: not among the key's models"
    );
}

#[test]
fn what_is_switched_off_is_skipped_with_its_reason() {
    let chain = of_key("{ fallback = { targets = [ { model = 'off' }, { model = 'big', priority = 1 } ] } }");
    let snapshot = snapshot(&chain);
    let plan = planned(&snapshot, &key("k"), Wish::default(), 0, 1).unwrap();
    assert_eq!(targets(&snapshot, &plan), ["big@two"]);
    let why: Vec<String> = plan.excluded.iter().map(|one| one.why.to_string()).collect();
    assert_eq!(why, ["disabled"]);
}

#[test]
fn a_split_is_exact_after_any_number_of_requests() {
    let split =
        of_key("{ split = { targets = [ { model = 'big', weight = 70 }, { model = 'small', weight = 30 } ] } }");
    let snapshot = snapshot(&split);
    let mut big = 0_i64;
    for turn in 0..10_000 {
        let plan = planned(&snapshot, &key("k"), Wish::default(), turn, turn).unwrap();
        big += i64::from(targets(&snapshot, &plan)[0] == "big@two");
        let exact = 7 * (i64::try_from(turn).unwrap() + 1);
        assert!((10 * big - exact).abs() < 10, "{big} of {turn}");
    }
    check(
        &split,
        wish("x"),
        &[
            "big@two (route r: split)",
            "small@one (route r: split, next)",
            "small@two (route r: same model at another provider)",
        ],
    );
}

#[test]
fn a_caller_stays_where_it_is() {
    let split =
        "{ split = { sticky = 'user', targets = [ { model = 'big' }, { model = 'small' }, { model = 'spare' } ] } }";
    let snapshot = snapshot(&of_key(split));
    let at = |user: &str, turn: u64| {
        let facts = Facts { user, ..Facts::default() };
        let plan = planned(&snapshot, &key("k"), Wish { facts: Some(&facts), ..Wish::default() }, turn, turn).unwrap();
        (targets(&snapshot, &plan)[0].clone(), plan.reason(&plan.attempts[0]))
    };
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..50 {
        let user = format!("user-{user}");
        let first = at(&user, 0);
        assert_eq!(first.1, "route r: split, sticky");
        assert!((1..5).all(|turn| at(&user, turn) == first), "{user}");
        seen.insert(first.0);
    }
    assert_eq!(seen.len(), 3);
    let unknown: Vec<String> = (0..3).map(|turn| at("", turn).0).collect();
    assert_eq!(unknown, ["big@two", "small@one", "spare@two"], "who says nothing is shared by turns");
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rules = of_key(
        "{ rules = [ { when = \"headers['x-tier'] == 'gold'\", then = 'big' }, { when = 'stream', then = 'cheapest' }, \
         { when = \"model == 'x'\", then = { split = { targets = [ { model = 'small' }, { model = 'spare' } ] } } } ] }",
    );
    let snapshot = snapshot(&rules);
    let gold = [("x-tier".into(), "gold".into())];
    let silver = [("x-tier".into(), "silver".into())];
    let told = |facts: &Facts<'_>, model: &str| {
        let plan = planned(&snapshot, &key("k"), Wish { facts: Some(facts), ..wish(model) }, 0, 1);
        plan.map(|plan| format!("{}, {}", targets(&snapshot, &plan)[0], plan.reason(&plan.attempts[0])))
    };
    let facts = |headers| Facts { headers, ..Facts::default() };
    assert_eq!(told(&facts(&gold), "spare"), Ok("big@two, route r, rule 1: target".to_owned()));
    let stream = Facts { stream: true, ..facts(&silver) };
    assert_eq!(told(&stream, "spare"), Ok("small@one, route r, rule 2: policy cheapest".to_owned()));
    let named = Facts { model: "x", ..facts(&silver) };
    assert_eq!(told(&named, "x"), Ok("small@one, route r, rule 3: split".to_owned()));
    assert_eq!(told(&facts(&silver), "spare"), Ok("spare@two, route r, no rule: requested model".to_owned()));
    let failed = "route r, rule 1 failed: there is no `x-tier`, no rule";
    assert_eq!(told(&facts(&[]), "spare"), Ok(format!("spare@two, {failed}: requested model")));
    assert!(told(&facts(&[]), "nothing").unwrap_err().ends_with(&format!("({failed})")));
}

#[test]
fn a_rule_that_fails_is_told_of() {
    let snapshot =
        snapshot(&of_key("{ rules = [ { when = 'labels.a == \"b\"', then = 'big' } ], otherwise = 'spare' }"));
    let count = Cell::new(0);
    let failed = |route: &std::sync::Arc<str>, rule: usize, why: &str| {
        assert_eq!((&**route, rule, why), ("r", 0, "there is no `a`"));
        count.set(count.get() + 1);
    };
    let (facts, signals) = (Facts::default(), &|_| None);
    let live =
        Live { signals, now: Monotonic(1), seed: 1, kind: Kind::Whole, warm: None, turn: &|_| 0, failed: &failed };
    let wish = Wish { facts: Some(&facts), ..Wish::default() };
    let plan = plan(&snapshot, &key("k"), wish, &live).unwrap();
    assert_eq!((targets(&snapshot, &plan)[0].as_str(), count.get()), ("spare@two", 1));
    assert_eq!(plan.reason(&plan.attempts[0]), "route r, rule 1 failed: there is no `a`, otherwise: target");
}

#[test]
fn a_route_may_leave_it_to_a_policy_with_settings_of_its_own() {
    check(
        &of_key("{ auto = { policy = 'best' } }"),
        wish("small"),
        &[
            "big@two (route r: policy best)",
            "spare@two (route r: policy best, next best)",
            "small@one (route r: policy best, next best)",
            "small@two (route r: policy best, next best)",
        ],
    );
    check(
        &of_key("{ auto = { policy = 'best', candidates = ['spare', 'small'] } }"),
        wish("big"),
        &[
            "spare@two (route r: policy best)",
            "small@one (route r: policy best, next best)",
            "small@two (route r: policy best, next best)",
        ],
    );
    check(
        &of_key("{ auto = { policy = 'cheapest', quality_bar = 60 } }"),
        wish("small"),
        &["big@two (route r: policy cheapest)"],
    );
    check(
        &of_key("{ auto = { weights = { cost = 1 }, candidates = ['big', 'small'] } }"),
        wish("big"),
        &[
            "small@one (route r: policy auto)",
            "small@two (route r: policy auto, next best)",
            "big@two (route r: policy auto, next best)",
        ],
    );
}

#[test]
fn an_environment_has_settings_for_its_policies() {
    let settings = "[environment]\nquality_bar = 60\n[environment.policies.auto]\nweights = { cost = 1 }\n";
    check(settings, wish("cheapest"), &["big@two (policy cheapest)"]);
    check(
        settings,
        wish("auto"),
        &[
            "small@one (policy auto)",
            "small@two (policy auto, next best)",
            "big@two (policy auto, next best)",
            "spare@two (policy auto, next best)",
        ],
    );
    let snapshot = snapshot("[environment]\nquality_bar = 95\n");
    let refused = planned(&snapshot, &key("k"), wish("cheapest"), 0, 1).unwrap_err();
    assert!(refused.contains("`big`: its quality is below 95"), "{refused}");
}

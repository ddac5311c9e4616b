//! Whom limits bind, and that what was used outlives every change of a limit.

use std::time::Duration;

use super::*;
use crate::limit::Amounts;
use crate::limit::reservation::Reservation;
use crate::limit::rule::Span;
use crate::load::load_text;

const NOW: Now = Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_000 };

const PROVIDERS: &str = "[providers.one]\nkind = \"openai-compatible\"\nbase_url = \"http://one.test/v1\"\n\
    [providers.two]\nkind = \"openai-compatible\"\nbase_url = \"http://two.test/v1\"\n\
    [[models]]\nslug = \"M\"\nprovider = \"one\"\naliases = [\"alias\"]\n[[models]]\nslug = \"M\"\nprovider = \"two\"\n";

fn snapshot(toml: &str) -> Snapshot {
    let loaded = load_text("c", &format!("{toml}\n{PROVIDERS}"), &|_| None, false);
    loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot
}

fn key(team: Option<&str>) -> CompiledKey {
    CompiledKey {
        name: "app".into(),
        environment: "default".into(),
        team: team.map(Into::into),
        ..CompiledKey::default()
    }
}

fn limit(amount: u64, scope: Scope) -> Arc<Limit> {
    let window = Span::Rolling(Duration::from_secs(60));
    let rule = Rule { meter: Meter::Requests, window, amount, scope, target: Target::All, ..Rule::default() };
    Arc::new(Limit { name: "own".into(), rule })
}

fn amounts(binding: &Binding) -> Vec<u64> {
    let mut amounts: Vec<u64> = binding.bounds().iter().map(|bound| bound.amount).collect();
    amounts.sort_unstable();
    amounts
}

fn rule(scope: &str, amount: u64) -> String {
    format!("[[limits]]\nmeter = \"requests\"\nwindow = \"60s\"\namount = {amount}\nscope = \"{scope}\"\n")
}

#[test]
fn nothing_binds_where_nothing_is_written() {
    let book = Book::default();
    assert!(Bindings::of_key(&snapshot(""), &key(Some("t")), &book, NOW).is_none());
    let elsewhere = snapshot(&[rule("team:other", 1), rule("key:other", 1)].concat());
    assert!(Bindings::of_key(&elsewhere, &key(Some("t")), &book, NOW).is_none());
    let off = snapshot(&format!("{}enabled = false", rule("environment", 1)));
    assert!(Bindings::of_key(&off, &key(None), &book, NOW).is_none());
    assert!(book.is_empty());
}

#[test]
fn scopes_bind_whom_they_name() {
    let all = [("environment", 1), ("team", 2), ("team:t", 3), ("key", 4), ("key:app", 5), ("team:u", 6), ("key:x", 7)];
    let toml: String = all.iter().map(|(scope, amount)| rule(scope, *amount)).collect();
    let book = Book::default();
    let check = |key: &CompiledKey, expect: &[u64]| {
        assert_eq!(amounts(&Bindings::of_key(&snapshot(&toml), key, &book, NOW).unwrap().gate), expect);
    };
    // Of two that look at one counter, the stricter binds.
    check(&key(Some("t")), &[1, 2, 4]);
    check(&key(None), &[1, 4]);
    check(&CompiledKey { name: "x".into(), ..key(Some("u")) }, &[1, 2, 4]);
    let own = CompiledKey { limits: vec![limit(3, Scope::Key(Some("app".into())))], ..key(None) };
    check(&own, &[1, 3]);
}

#[test]
fn a_plan_binds_each_of_its_keys_and_a_plan_that_is_gone_lets_nothing_through() {
    let toml = "[plans.free]\nlimits = [{ meter = \"requests\", window = \"60s\", amount = 60 },\n\
                { meter = \"tokens\", window = \"month\", amount = 2_000_000 }, { meter = \"concurrency\", amount = 2 }]";
    let book = Book::default();
    let with = |plan: &str| CompiledKey { plan: Some(plan.into()), ..key(None) };
    let found = Bindings::of_key(&snapshot(toml), &with("free"), &book, NOW).unwrap();
    assert_eq!((amounts(&found.gate), amounts(&found.spend)), (vec![2, 60], vec![2_000_000]));
    let gone = Bindings::of_key(&snapshot(toml), &with("pro"), &book, NOW).unwrap();
    assert!(Reservation::take(&gone.gate, &Amounts::default(), NOW).is_err());
}

#[test]
fn users_and_peers_are_counted_each() {
    let toml = [rule("user", 5), rule("user:ann", 3), rule("ip", 7), rule("ip:10.0.0.1", 2)].concat();
    let (snapshot, key, book) = (snapshot(&toml), key(None), Book::default());
    let of_key = Bindings::of_key(&snapshot, &key, &book, NOW).unwrap();
    assert!(of_key.is_personal() && of_key.gate.bounds().is_empty());
    let check = |user: Option<&str>, peer: &str, expect: &[u64]| {
        let asker = Asker { user, peer: peer.parse().ok(), bucket: None };
        let found = of_key.of_request(&snapshot, &key, asker, &book, NOW);
        assert_eq!(amounts(&found.gate), expect, "{user:?} {peer}");
        found.gate
    };
    check(None, "10.0.0.9", &[7]);
    check(Some(""), "10.0.0.9", &[7]);
    check(Some("bob"), "::ffff:10.0.0.9", &[5, 7]);
    check(Some("ann"), "10.0.0.9", &[3, 7]);
    check(None, "10.0.0.1", &[2]);
    let serials = |gate: &Binding| gate.bounds().iter().map(|bound| bound.counter.serial()).collect::<Vec<_>>();
    let (one, near) = (check(None, "2001:db8:1:2::1", &[7]), check(None, "2001:db8:1:2:ffff::9", &[7]));
    assert_eq!(serials(&one), serials(&near), "a peer has its network of 64 bits whole");
    assert_ne!(serials(&one), serials(&check(None, "2001:db8:1:3::1", &[7])));
    let long = "x".repeat(10_000);
    assert_eq!(serials(&check(Some(&long), "10.0.0.9", &[5, 7])), serials(&check(Some(&long), "10.0.0.9", &[5, 7])));
}

#[test]
fn buckets_are_shared_by_name_whichever_key_asks() {
    let toml = [rule("bucket", 5), rule("bucket:my_api", 3)].concat();
    let (snapshot, book) = (snapshot(&toml), Book::default());
    let check = |key: &CompiledKey, bucket: Option<&str>, expect: &[u64]| {
        let of_key = Bindings::of_key(&snapshot, key, &book, NOW).unwrap();
        let asker = Asker { user: None, peer: "10.0.0.1".parse().ok(), bucket };
        let found = of_key.of_request(&snapshot, key, asker, &book, NOW);
        assert_eq!(amounts(&found.gate), expect, "{bucket:?}");
        assert_eq!(found.parties.len(), expect.len(), "{:?}", found.parties);
        found.gate
    };
    let other = CompiledKey { name: "other".into(), id: Some(ir::id::ResourceId([7; 16])), ..key(None) };
    check(&key(None), None, &[]);
    check(&key(None), Some(""), &[]);
    check(&key(None), Some("openai"), &[5]);
    let (one, two) = (check(&key(None), Some("my_api"), &[3]), check(&other, Some("my_api"), &[3]));
    assert_eq!(one.bounds()[0].counter.serial(), two.bounds()[0].counter.serial());
}

#[test]
fn targets_bind_where_they_are_asked() {
    let on = |target: &str, amount| format!("{}target = \"{target}\"\n", rule("key", amount));
    let toml = [on("provider:one", 1), on("model:alias", 2), on("provider:openai-compatible", 3)].concat();
    let (snapshot, book) = (snapshot(&toml), Book::default());
    let found = Bindings::of_key(&snapshot, &key(None), &book, NOW).unwrap();
    assert!(found.gate.bounds().is_empty() && !found.is_personal());
    let at = |index: usize| {
        let model = &snapshot.models[index];
        amounts(&found.at(model, &snapshot.provider(model.provider).unwrap().name))
    };
    // A kind means its first provider: one counter, of which the stricter limit binds.
    assert_eq!((at(0), at(1)), (vec![1, 2], vec![2]));
}

#[test]
fn what_was_used_outlives_a_change() {
    let book = Book::default();
    let take = |toml: &str, key: &CompiledKey| {
        let found = Bindings::of_key(&snapshot(toml), key, &book, NOW).unwrap();
        let taken = Reservation::take(&found.gate, &Amounts::default(), NOW);
        taken.map(|taken| taken.settle(&Amounts::default())).is_ok()
    };
    let id = Some(ir::id::ResourceId([7; 16]));
    let app = CompiledKey { id, ..key(None) };
    assert!(take(&rule("key", 2), &app) && take(&rule("key:app", 2), &app));
    assert!(!take(&rule("key", 2), &app), "however it is written, it is the key's");
    let renamed = CompiledKey { name: "renamed".into(), ..app.clone() };
    assert!(!take(&rule("key", 2), &renamed), "and however the key is called");
    assert!(take(&rule("key", 3), &app), "a higher amount is in effect at once");
    assert!(!take(&rule("key", 1), &app));
    let plan = "[plans.free]\nlimits = [{ meter = \"requests\", window = \"60s\", amount = 3 }]";
    assert!(!take(plan, &CompiledKey { plan: Some("free".into()), ..app }), "a plan finds what was used without it");
}

//! States and the steps between them.

use super::*;

use policy::load::load_text;
use policy::snapshot::KeyStatus;
use proptest::prelude::*;

fn id(number: u8) -> ResourceId {
    ResourceId([number; 16])
}

/// Hashes that share a shard, and, every fourth, all the bytes that are hashed.
fn hash(number: u8) -> SecretHash {
    let mut hash = [number / 4; 32];
    (hash[0], hash[31]) = (number % 2, number);
    hash
}

fn key(number: u8, environment: &str) -> CompiledKey {
    CompiledKey { id: Some(id(number)), environment: environment.into(), ..CompiledKey::default() }
}

fn change(key: CompiledKey, secrets: &[u8]) -> Change {
    Change::Key { key, secrets: secrets.iter().map(|number| (hash(*number), None)).collect() }
}

fn environment(name: &str) -> Change {
    let mut snapshot = load_text("crossway.toml", "", &|_| None, false).unwrap().snapshot;
    snapshot.environment.name = name.into();
    Change::Environment(Arc::new(Configuration::new(snapshot, "test")))
}

fn live(state: &State, secret: u8) -> Arc<LiveKey> {
    Arc::clone(&state.keys.get(&hash(secret)).unwrap().key)
}

#[test]
fn all_secrets_of_a_key_lead_to_it() {
    let state = State::default().with([change(key(1, "default"), &[1, 2]), change(key(2, "default"), &[3])]);
    assert!(Arc::ptr_eq(&live(&state, 1), &live(&state, 2)));
    assert!(!Arc::ptr_eq(&live(&state, 1), &live(&state, 3)));
    assert!(Arc::ptr_eq(&live(&state, 1), state.keys.by_id(id(1)).unwrap()));
    assert!(state.keys.get(&hash(4)).is_none());
    assert_eq!(state.keys.len(), 2);
}

#[test]
fn a_secret_that_is_not_listed_any_more_is_gone_and_cuts_nobody() {
    let before = State::default().with([change(key(1, "default"), &[1, 2])]);
    let acting = live(&before, 1);
    let after = before.with([change(key(1, "default"), &[2, 3])]);
    assert!(after.keys.get(&hash(1)).is_none());
    assert!(Arc::ptr_eq(&live(&after, 2), &live(&after, 3)));
    assert!(!acting.revoked.is_cancelled());
    assert!(before.keys.get(&hash(1)).is_some(), "the state before stays as it was");
    let _ = after.with([Change::KeyGone(id(1))]);
    assert!(acting.revoked.is_cancelled(), "both share one token");
}

#[test]
fn a_grace_time_is_part_of_the_secret() {
    let until = |until| Change::Key { key: key(1, "default"), secrets: vec![(hash(1), until), (hash(2), None)] };
    let state = State::default().with([until(None)]);
    let state = state.with([until(Some(7))]);
    assert_eq!(state.keys.get(&hash(1)).unwrap().until_unix_ms, Some(7));
    assert_eq!(state.keys.get(&hash(2)).unwrap().until_unix_ms, None);
}

#[test]
fn what_ends_wakes_its_requests() {
    let begin = || State::default().with([environment("a"), environment("b"), change(key(1, "a"), &[1])]);
    let check = |step: Change, cut: bool| {
        let state = begin();
        let acting = live(&state, 1);
        let _ = state.with([step]);
        assert_eq!(acting.revoked.is_cancelled(), cut);
    };
    check(change(CompiledKey { status: KeyStatus::Revoked, ..key(1, "a") }, &[1]), true);
    check(change(CompiledKey { status: KeyStatus::Disabled, ..key(1, "a") }, &[1]), false);
    check(change(key(1, "b"), &[1]), false);
    check(change(key(1, "a"), &[]), false);
    check(Change::KeyGone(id(1)), true);
    check(Change::KeyGone(id(2)), false);
    check(Change::EnvironmentGone("a".into()), true);
    check(Change::EnvironmentGone("b".into()), false);
    check(environment("a"), false);
}

#[test]
fn a_key_that_is_back_is_not_cut_any_more() {
    let state = State::default().with([environment("a"), change(key(1, "a"), &[1])]);
    let gone = state.with([Change::EnvironmentGone("a".into())]);
    assert!(gone.environment("a").is_none());
    let back = gone.with([environment("a")]);
    assert!(!live(&back, 1).revoked.is_cancelled());
    let revoked = back.with([change(CompiledKey { status: KeyStatus::Revoked, ..key(1, "a") }, &[1])]);
    assert!(live(&revoked, 1).revoked.is_cancelled());
    let cut = revoked.with([Change::EnvironmentGone("a".into())]);
    assert!(live(&cut, 1).revoked.is_cancelled(), "a revoked key stays revoked");
    assert!(!live(&cut.with([change(key(1, "a"), &[1])]), 1).revoked.is_cancelled());
}

#[test]
fn what_is_told_again_changes_nothing() {
    let state = State::default().with([environment("default"), change(key(1, "default"), &[1, 2])]);
    let again = state.with([change(key(1, "default"), &[1, 2])]);
    assert!(Arc::ptr_eq(&live(&state, 1), &live(&again, 1)));
    let name = state.environments.keys().next().unwrap();
    assert!(Arc::ptr_eq(name, &live(&state, 1).compiled.environment), "the environment's name is shared");
}

#[test]
fn a_secret_that_is_named_twice_hides_no_other_that_is_gone() {
    let state = State::default().with([change(key(1, "a"), &[1, 2])]).with([change(key(1, "a"), &[1, 1])]);
    assert!(state.keys.get(&hash(2)).is_none());
}

#[test]
fn a_secret_follows_the_key_that_was_given_it_last() {
    let state = State::default().with([change(key(1, "a"), &[1]), change(key(2, "a"), &[1])]);
    let state = state.with([Change::KeyGone(id(1))]);
    assert_eq!(live(&state, 1).compiled.id, Some(id(2)));
}

#[test]
fn a_whole_set_of_keys_becomes_the_changes_to_it() {
    let state = State::default().with([change(key(1, "a"), &[1]), change(key(2, "a"), &[2])]);
    let acting = live(&state, 1);
    let state = state.with(state.changes_to(vec![(key(2, "a"), vec![(hash(2), None)]), (key(3, "a"), vec![])]));
    assert!(acting.revoked.is_cancelled());
    let mut ids: Vec<ResourceId> = state.keys.ids().collect();
    ids.sort();
    assert_eq!(ids, [id(2), id(3)]);
}

/// A configuration of providers p and q, which serve `m`, and what stands before their models.
fn serving(before: &str, q_secret: &str) -> Change {
    let provider = |name: &str, secret: &str| {
        format!(
            "[providers.{name}]\nkind = \"openai-compatible\"\nbase_url = \"http://{name}.example/v1\"\napi_key = \"{secret}\"\n"
        )
    };
    let model = |slug: &str, provider: &str| format!("[[models]]\nslug = \"{slug}\"\nprovider = \"{provider}\"\n");
    let (p, q) = (provider("p", "secret-of-p"), provider("q", q_secret));
    let first = if before.is_empty() { String::new() } else { model(before, "p") };
    let text = format!("{p}{q}{first}{}{}", model("m", "p"), model("m", "q"));
    let snapshot = load_text("crossway.toml", &text, &|_| None, false).unwrap().snapshot;
    Change::Environment(Arc::new(Configuration::new(snapshot, "test")))
}

#[test]
fn a_change_of_the_configuration_keeps_where_conversations_are_cached() {
    use policy::clock::Monotonic;
    use routing::affinity::Prefix;
    let now = Monotonic(1_000_000_000);
    let prefix = |of: &str| Prefix::of(b"", of.repeat(1_000).as_bytes()).unwrap();
    let state = State::default().with([serving("", "one")]);
    let configuration = state.environment("default").unwrap();
    for (model, of) in [(0, "at p "), (1, "at q ")] {
        configuration.signals(ModelIndex(model)).unwrap();
        configuration.warmth.note(&prefix(of), ModelIndex(model), now);
    }
    let check = |change: Change, p: Option<usize>, q: Option<usize>| {
        let next = state.with([change]);
        let next = next.environment("default").unwrap();
        let found = |of| next.warmth.find(&prefix(of), now).map(|warm| warm.model.0);
        assert_eq!((found("at p "), found("at q ")), (p, q));
        Arc::ptr_eq(&next.warmth, &configuration.warmth)
    };
    assert!(check(serving("", "one"), Some(0), Some(1)), "requests under way go on adding to it");
    assert!(!check(serving("new", "one"), Some(1), Some(2)));
    assert!(!check(serving("", "two"), Some(0), None), "another account has another cache");
    assert!(!check(environment("default"), None, None));
}

/// One step of a random walk: the number of a key, and its secrets or its end.
fn step() -> impl Strategy<Value = (u8, Option<Vec<u8>>)> {
    (0..6u8, prop::option::weighted(0.8, prop::collection::vec(0..40u8, 0..4)))
}

proptest! {
    /// However keys and secrets come and go, a secret leads to the key that holds it, and to none that does not.
    #[test]
    fn secrets_lead_to_whoever_holds_them(steps in prop::collection::vec(step(), 0..60)) {
        let mut state = State::default();
        let mut holders: BTreeMap<u8, u8> = BTreeMap::new();
        let mut keys = std::collections::BTreeSet::new();
        for (number, secrets) in steps {
            holders.retain(|_, holder| *holder != number);
            let Some(secrets) = secrets else {
                keys.remove(&number);
                state = state.with([Change::KeyGone(id(number))]);
                continue;
            };
            keys.insert(number);
            holders.extend(secrets.iter().map(|secret| (*secret, number)));
            state = state.with([change(key(number, "a"), &secrets)]);
        }
        prop_assert_eq!(state.keys.len(), keys.len());
        for secret in 0..40 {
            let found = state.keys.get(&hash(secret)).map(|slot| slot.key.compiled.id);
            prop_assert_eq!(found, holders.get(&secret).map(|number| Some(id(*number))));
        }
    }
}

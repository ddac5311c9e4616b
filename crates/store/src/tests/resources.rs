//! The control database: documents, secrets of keys, references, changes, the audit log, and the file of version 1.

use rusqlite::Connection;

use super::*;
use crate::resources::row::{
    AuditQuery, AuditRow, Changed, Changes, KeyQuery, KeyState, Labels, Reference, Row, SecretRow, SeenBy,
};
use crate::resources::sqlite::Connected;
use crate::resources::{ResourceReader, ResourceStore};

fn store() -> (Directory, SqliteResources) {
    let dir = Directory::new();
    let store = SqliteResources::open(&dir).unwrap();
    (dir, store)
}

fn row(kind: &str, environment: &str, name: &str) -> Row {
    Row {
        kind: kind.to_owned(),
        environment: environment.to_owned(),
        id: ResourceId::new(NOW_MS),
        name: name.to_owned(),
        version: 1,
        schema: 1,
        spec: "{}".to_owned(),
        created_at_ms: NOW_MS,
        updated_at_ms: NOW_MS,
        revoked_at_ms: None,
        labels: Labels::default(),
    }
}

fn secret(number: u8) -> SecretRow {
    SecretRow { hash: [number; 32], prefix: format!("sk-cw-{number:04}"), created_at_ms: NOW_MS, until_ms: None }
}

fn put(store: &mut SqliteResources, row: &Row, secrets: &[SecretRow]) {
    let mut transaction = store.begin().unwrap();
    transaction.insert(row).unwrap();
    transaction.put_secrets(row.id, secrets).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn what_is_not_committed_did_not_happen() {
    let (dir, mut store) = store();
    let document = row("providers", "default", "openai");
    store.begin().unwrap().insert(&document).unwrap();
    assert_eq!(store.by_id(document.id).unwrap(), None);
    put(&mut store, &document, &[]);
    drop(store);
    let store = SqliteResources::open(&dir).unwrap();
    assert_eq!(store.by_name("providers", "default", "openai").unwrap(), Some(document.clone()));
    assert_eq!(store.by_name("providers", "other", "openai").unwrap(), None);
    assert_eq!(store.by_name("models", "default", "openai").unwrap(), None);
    assert_eq!(store.all_but_keys().unwrap(), [document]);
}

#[test]
fn names_are_unique_in_kind_and_environment() {
    let (_dir, mut store) = store();
    put(&mut store, &row("providers", "default", "a"), &[]);
    put(&mut store, &row("providers", "other", "a"), &[]);
    put(&mut store, &row("models", "default", "a"), &[]);
    let mut transaction = store.begin().unwrap();
    let taken = transaction.insert(&row("providers", "default", "a")).unwrap_err();
    assert!(matches!(taken, StoreError::NameTaken { .. }), "{taken}");
}

#[test]
fn changes_are_told_once_and_in_order() {
    let (_dir, mut store) = store();
    let start = store.sequence().unwrap();
    let (one, two) = (row("providers", "default", "a"), row("keys", "default", "k"));
    put(&mut store, &one, &[]);
    put(&mut store, &two, &[]);
    let mut transaction = store.begin().unwrap();
    transaction.update(&one).unwrap();
    transaction.delete(&two).unwrap();
    let last = transaction.commit().unwrap();
    assert_eq!(last, start + 4);
    let Changes::Those(changed) = store.changes_after(start).unwrap() else { panic!("few") };
    let name = |row: &Row| Changed { environment: row.environment.clone(), kind: row.kind.clone(), id: row.id };
    assert_eq!(changed, [name(&two), name(&one)]);
    assert_eq!(store.changes_after(last).unwrap(), Changes::Those(Vec::new()));
}

#[test]
fn who_is_far_behind_reads_everything() {
    let (_dir, mut store) = store();
    let start = store.sequence().unwrap();
    let document = row("providers", "default", "a");
    put(&mut store, &document, &[]);
    for _ in 0..6 {
        let mut transaction = store.begin().unwrap();
        for _ in 0..2_000 {
            transaction.update(&document).unwrap();
        }
        transaction.commit().unwrap();
    }
    assert_eq!(store.changes_after(start).unwrap(), Changes::Everything);
    let last = store.sequence().unwrap();
    assert_eq!(store.changes_after(last - 3_000).unwrap(), Changes::Everything);
    assert!(matches!(store.changes_after(last - 10).unwrap(), Changes::Those(changed) if changed.len() == 1));
    // A database that was put back from a backup is behind what is known.
    assert_eq!(store.changes_after(last + 1).unwrap(), Changes::Everything);
}

#[test]
fn references_go_with_their_document() {
    let (_dir, mut store) = store();
    let document = row("models", "default", "m");
    let reference = Reference { kind: "providers", name: "a".into(), field: "provider".into() };
    put(&mut store, &document, &[]);
    let mut transaction = store.begin().unwrap();
    transaction.refer("default", document.id, std::slice::from_ref(&reference)).unwrap();
    transaction.commit().unwrap();
    let by = |store: &SqliteResources, environment: &str| -> Vec<String> {
        store.referrers(environment, "providers", "a", 10).unwrap().into_iter().map(|found| found.name).collect()
    };
    assert_eq!(by(&store, "default"), ["m"]);
    assert!(by(&store, "other").is_empty());
    let mut transaction = store.begin().unwrap();
    transaction.delete(&document).unwrap();
    transaction.commit().unwrap();
    assert!(by(&store, "default").is_empty());
}

#[test]
fn keys_are_filtered_and_paged() {
    let (_dir, mut store) = store();
    let with = |name: &str, change: &dyn Fn(&mut Row)| {
        let mut key = row("keys", "default", name);
        change(&mut key);
        key
    };
    let keys = [
        with("Alpha", &|key| key.labels.team = Some("red".into())),
        with("beta", &|key| key.labels.owner = "ann".into()),
        with("gamma", &|key| key.labels.enabled = false),
        with("delta", &|key| key.labels.expires_at_ms = Some(NOW_MS)),
        with("epsilon", &|key| key.revoked_at_ms = Some(5)),
    ];
    for (number, key) in (0..).zip(&keys) {
        put(&mut store, key, &[secret(number), secret(number + 100)]);
    }
    let check = |change: &dyn Fn(&mut KeyQuery), expect: &[&str]| {
        let mut query = KeyQuery { now_ms: NOW_MS, limit: 10, ..KeyQuery::default() };
        change(&mut query);
        let mut found: Vec<String> = store.keys(&query).unwrap().into_iter().map(|(row, _)| row.name).collect();
        found.sort();
        assert_eq!(found, expect, "{query:?}");
    };
    check(&|_| {}, &["Alpha", "beta", "delta", "epsilon", "gamma"]);
    check(&|query| query.environment = Some("other".into()), &[]);
    check(&|query| query.team = Some("red".into()), &["Alpha"]);
    check(&|query| query.owner = Some("ann".into()), &["beta"]);
    check(&|query| query.state = Some(KeyState::Active), &["Alpha", "beta"]);
    check(&|query| query.state = Some(KeyState::Disabled), &["gamma"]);
    check(&|query| query.state = Some(KeyState::Expired), &["delta"]);
    check(&|query| query.state = Some(KeyState::Revoked), &["epsilon"]);
    check(&|query| query.text = Some("ALP".into()), &["Alpha"]);
    check(&|query| query.text = Some("sk-cw-0103".into()), &["delta"]);
    check(&|query| query.text = Some("%".into()), &[]);
    let seen = |owner: &str, teams: &[&str]| {
        Some(SeenBy { owner: owner.into(), teams: teams.iter().map(|team| (*team).to_owned()).collect() })
    };
    check(&|query| query.seen_by = seen("", &[]), &[]);
    check(&|query| query.seen_by = seen("ann", &["red", "blue"]), &["Alpha", "beta"]);
    check(&|query| (query.seen_by, query.team) = (seen("ann", &[]), Some("red".into())), &[]);
    for (row, _) in store.keys(&KeyQuery { limit: 10, ..KeyQuery::default() }).unwrap() {
        let state = KeyState::of(&row, NOW_MS);
        check(&|query| (query.state, query.text) = (Some(state), Some(row.name.clone())), &[&row.name]);
    }
}

#[test]
fn every_key_comes_with_its_own_secrets() {
    let (_dir, mut store) = store();
    let mut expected = Vec::new();
    for number in 0..20_u8 {
        let key = row("keys", "default", &format!("key {number}"));
        let secrets: Vec<SecretRow> = (0..number % 3).map(|other| secret(number * 3 + other)).collect();
        put(&mut store, &key, &secrets);
        expected.push((key, secrets));
    }
    expected.sort_by_key(|(key, _)| key.id);
    let mut found = Vec::new();
    store.each_key(&mut |row, secrets| found.push((row, secrets))).unwrap();
    assert_eq!(found, expected);
    let (first, secrets) = expected.iter().find(|(_, secrets)| secrets.len() == 2).unwrap();
    assert_eq!(store.secrets_of(first.id).unwrap(), *secrets);
    assert_eq!(store.keys_by_prefix("default", &secrets[0].prefix).unwrap(), [first.id]);
    assert!(store.keys_by_prefix("other", &secrets[0].prefix).unwrap().is_empty());
}

#[test]
fn the_audit_log_is_filtered_and_paged() {
    let (_dir, mut store) = store();
    let mut transaction = store.begin().unwrap();
    for number in 0..10 {
        let (action, actor) = (if number % 2 == 0 { "create" } else { "delete" }, format!("actor {}", number % 3));
        let entry = AuditRow { at_ms: number, action: action.into(), actor, ..AuditRow::default() };
        transaction.log(&entry).unwrap();
    }
    transaction.commit().unwrap();
    let check = |query: AuditQuery, expect: &[u64]| {
        let found = store.audit(&query).unwrap();
        assert_eq!(found.iter().map(|row| row.at_ms).collect::<Vec<_>>(), expect, "{query:?}");
    };
    let all = AuditQuery { limit: 100, ..AuditQuery::default() };
    check(AuditQuery { limit: 3, ..all.clone() }, &[9, 8, 7]);
    check(AuditQuery { limit: 3, before: Some(8), ..all.clone() }, &[6, 5, 4]);
    check(AuditQuery { action: Some("create".into()), from_ms: Some(4), to_ms: Some(8), ..all.clone() }, &[6, 4]);
    check(AuditQuery { actor: Some("actor 0".into()), ..all.clone() }, &[9, 6, 3, 0]);
    check(AuditQuery { name: Some("other".into()), ..all }, &[]);
}

#[test]
fn a_file_of_version_one_keeps_its_keys() {
    let dir = Directory::new();
    let old = Connection::open(dir.join("control.db")).unwrap();
    old.execute_batch(include_str!("../../migrations/control/0001_resources.sql")).unwrap();
    let spec = r#"{"team":"red","providers":["OpenAI"],"models":["GPT-4.1"],"labels":{},"cost_tags":[],
        "expires_at":"2027-01-31T00:00:00.000Z","enabled":false,"log_content":null,"description":"d","owner":"ann",
        "allowed_networks":[],"surfaces":[]}"#;
    let insert =
        "INSERT INTO resources VALUES ('api_key', 'default', ?1, ?2, 'ann', 3, 1, ?3, 5, 6, ?4, 'sk-cw-0000', ?5)";
    let ids = [ResourceId::new(1), ResourceId::new(2)];
    old.execute(insert, (ids[0].0, "one", spec, [1_u8; 32], None::<i64>)).unwrap();
    old.execute(insert, (ids[1].0, "two", r#"{"expires_at":7}"#, [2_u8; 32], Some(9))).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let store = SqliteResources::open(&dir).unwrap();
    let one = store.by_name("keys", "default", "one").unwrap().unwrap();
    let expected = Labels {
        team: Some("red".into()),
        owner: "ann".into(),
        enabled: false,
        expires_at_ms: Some(1_801_353_600_000),
    };
    assert_eq!((one.id, one.version, one.created_at_ms, one.updated_at_ms), (ids[0], 3, 5, 6));
    assert_eq!((one.labels, one.spec.as_str(), one.revoked_at_ms), (expected, spec, None));
    let two = store.by_name("keys", "default", "two").unwrap().unwrap();
    assert_eq!((two.revoked_at_ms, two.labels.enabled, two.labels.expires_at_ms), (Some(9), true, Some(7_000)));
    let secrets = store.secrets_of(ids[0]).unwrap();
    assert_eq!((secrets.len(), secrets[0].hash, secrets[0].until_ms), (1, [1; 32], None));
    for (kind, name) in [("teams", "red"), ("providers", "openai"), ("models", "gpt-4-1")] {
        let found = store.referrers("default", kind, name, 5).unwrap();
        assert_eq!(found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["one"], "{kind}");
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let (dir, mut store) = store();
    let document = row("providers", "default", "a");
    put(&mut store, &document, &[]);
    let pages: i64 = store.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.connection().pragma_update(None, "max_page_count", pages).unwrap();
    let mut transaction = store.begin().unwrap();
    let large = Row { spec: "x".repeat(1 << 20), ..row("providers", "default", "b") };
    let error = transaction.insert(&large).unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error}");
    drop(transaction);
    assert_eq!(store.all_but_keys().unwrap(), std::slice::from_ref(&document));
    drop(store);
    assert_eq!(SqliteResources::open(&dir).unwrap().all_but_keys().unwrap(), [document]);
}

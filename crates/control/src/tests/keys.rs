//! Keys: secrets, rotation, who sees what.

use std::time::Duration;

use super::*;
use crate::plane::KeyTotal;
use crate::plane::apply::Document;
use policy::snapshot::KeyStatus;

fn hash(rig: &Rig, created: &Created) -> [u8; 32] {
    rig.plane.key_hash(created.secret.as_ref().unwrap().expose())
}

fn state(resource: &Resource) -> &str {
    resource.status.get("state").and_then(Value::as_str).unwrap()
}

fn rotate(rig: &Rig, name: &str, grace_s: u64) -> Result<Created, Refusal> {
    rig.plane.rotate_key(&operator(), "default", name, Duration::from_secs(grace_s), Expect::Any)
}

fn revoke(rig: &Rig, name: &str) -> Resource {
    rig.plane.revoke_key(&operator(), "default", name, Expect::Any).unwrap()
}

#[test]
fn a_key_is_created_with_a_secret_that_is_shown_once() {
    let rig = Rig::new();
    let created =
        rig.create("keys", "ci", json!({"models": ["Demo-1"], "expires_at": "2099-01-01T00:00:00Z"})).unwrap();
    let secret = created.secret.as_ref().unwrap().expose().to_owned();
    assert!(secret.starts_with("sk-cw-") && secret.len() == 70);
    let (key, secrets) = rig.heard.key(created.resource.id).unwrap();
    assert_eq!(secrets, [(hash(&rig, &created), None)]);
    assert_eq!((key.status, &*key.name, &*key.environment), (KeyStatus::Active, "ci", "default"));
    assert_eq!(state(&created.resource), "active");
    assert_eq!(created.resource.status.get("prefix"), Some(&json!(secret[..10])));
    assert!(!format!("{created:?}").contains(&secret));
    assert!(!serde_json::to_string(&rig.get("keys", "ci")).unwrap().contains(&secret));
    assert!(matches!(rig.create("keys", "ci", json!({})), Err(Refusal::NameTaken(_))));
    let again = rig.again("[providers.demo]\n").unwrap();
    assert_eq!(again.heard.key(created.resource.id), rig.heard.key(created.resource.id));
}

#[test]
fn every_fault_of_a_key_is_reported() {
    let rig = Rig::new();
    let spec = json!({"models": ["nothing"], "providers": ["nobody"], "team": "none", "colour": 1, "enabled": "yes"});
    let found = lines(&rig.create("keys", "ci", spec).unwrap_err());
    let expected = [
        "default/keys/ci spec.colour: unknown field",
        "default/keys/ci spec.enabled: expected true or false, found a string",
        "default/keys/ci spec.team: there is no team of this name",
        "default/keys/ci spec.providers[0]: no configured provider has this name or kind",
        "default/keys/ci spec.models[0]: no provider serves this model",
    ];
    assert_eq!(found, expected);
    assert!(rig.names("keys").is_empty() && rig.heard.keys.lock().unwrap().is_empty());
}

#[test]
fn rotation_leaves_time() {
    let rig = Rig::new();
    let first = rig.create("keys", "ci", json!({})).unwrap();
    let second = rotate(&rig, "ci", 60).unwrap();
    let (_, secrets) = rig.heard.key(first.resource.id).unwrap();
    assert_eq!(secrets, [(hash(&rig, &second), None), (hash(&rig, &first), Some(NOW_MS + 60_000))]);
    assert_eq!(second.resource.version, 2);
    // A shorter grace shortens the earlier one, a longer one does not lengthen it.
    rig.hands.set_unix_ms(NOW_MS + 1_000);
    let third = rotate(&rig, "ci", 600).unwrap();
    let (_, secrets) = rig.heard.key(first.resource.id).unwrap();
    let untils: Vec<Option<u64>> = secrets.iter().map(|(_, until)| *until).collect();
    assert_eq!(untils, [None, Some(NOW_MS + 601_000), Some(NOW_MS + 60_000)]);
    assert_eq!(secrets[0].0, hash(&rig, &third));
    let last = rotate(&rig, "ci", 0).unwrap();
    assert_eq!(rig.heard.key(first.resource.id).unwrap().1, [(hash(&rig, &last), None)]);
    for _ in 0..9 {
        rotate(&rig, "ci", 60).unwrap();
    }
    assert!(matches!(rotate(&rig, "ci", 60), Err(Refusal::Conflict(_))));
    let too_long = rig.plane.rotate_key(&operator(), "default", "ci", Duration::from_secs(400 * 86_400), Expect::Any);
    assert!(matches!(too_long, Err(Refusal::BadParameter { .. })));
}

#[test]
fn revocation_is_final() {
    let rig = Rig::new();
    let created = rig.create("keys", "ci", json!({})).unwrap();
    let revoked = revoke(&rig, "ci");
    assert_eq!((state(&revoked), revoked.version), ("revoked", 2));
    let (key, secrets) = rig.heard.key(created.resource.id).unwrap();
    assert_eq!((key.status, secrets.len()), (KeyStatus::Revoked, 1));
    assert_eq!(revoke(&rig, "ci"), revoked);
    assert!(matches!(rotate(&rig, "ci", 0), Err(Refusal::Conflict(_))));
    rig.put("keys", "ci", json!({"enabled": true})).unwrap();
    assert_eq!(rig.heard.key(created.resource.id).unwrap().0.status, KeyStatus::Revoked);
    assert!(matches!(rig.create("keys", "ci", json!({})), Err(Refusal::NameTaken(_))));
    rig.delete("keys", "ci").unwrap();
    assert_eq!(rig.heard.key(created.resource.id), None);
}

#[test]
fn the_state_of_a_key_follows_its_spec_and_the_time() {
    let rig = Rig::new();
    rig.create("keys", "ci", json!({"expires_at": NOW_MS / 1_000 + 10})).unwrap();
    assert_eq!(state(&rig.get("keys", "ci")), "active");
    assert_eq!(state(&rig.patch("keys", "ci", json!({"enabled": false})).unwrap()), "disabled");
    rig.hands.set_unix_ms(NOW_MS + 10_000);
    assert_eq!(state(&rig.get("keys", "ci")), "expired");
    rig.patch("keys", "ci", json!({"enabled": null, "expires_at": null})).unwrap();
    let key = rig.get("keys", "ci");
    assert_eq!((state(&key), Value::Object(key.spec.clone())), ("active", json!({})));
}

#[test]
fn a_team_that_goes_leaves_its_keys() {
    let rig = Rig::new();
    rig.create("teams", "red", json!({})).unwrap();
    rig.create("teams", "blue", json!({})).unwrap();
    let one = rig.create("keys", "one", json!({"team": "red", "owner": "ann"})).unwrap().resource;
    let two = rig.create("keys", "two", json!({"team": "blue"})).unwrap().resource;
    rig.delete("teams", "red").unwrap();
    assert_eq!(Value::Object(rig.get("keys", "one").spec), json!({"owner": "ann"}));
    assert_eq!((rig.heard.key(one.id).unwrap().0.team, rig.get("keys", "one").version), (None, 2));
    assert_eq!(rig.heard.key(two.id).unwrap().0.team.as_deref(), Some("blue"));
    assert_eq!(rig.heard.key(one.id).unwrap().1.len(), 1);
}

#[test]
fn keys_are_found_by_name_id_and_prefix() {
    let rig = Rig::new();
    let created = rig.create("keys", "ci", json!({})).unwrap();
    let prefix = created.secret.as_ref().unwrap().expose()[..10].to_owned();
    assert_eq!(rig.get("keys", &created.resource.id.to_string()).name, "ci");
    assert_eq!(rig.plane.key_by_prefix(&operator(), "default", &prefix).unwrap().name, "ci");
    assert!(matches!(rig.plane.key_by_prefix(&operator(), "default", "sk-cw-none"), Err(Refusal::NotFound(_))));
    rig.create_in("", "environments", "other", json!({})).unwrap();
    let elsewhere = rig.plane.get(&operator(), "other", "keys", &created.resource.id.to_string());
    assert!(matches!(elsewhere, Err(Refusal::NotFound(_))));
}

#[test]
fn developers_see_their_own_keys() {
    let rig = Rig::new();
    rig.create("teams", "red", json!({})).unwrap();
    rig.create("keys", "theirs", json!({"owner": "bob", "team": "red"})).unwrap();
    rig.create("keys", "nobodys", json!({})).unwrap();
    let ann = developer("ann", Role::Developer, &["red"]);
    let create = |actor: &Actor, name: &str, spec| {
        rig.plane.create(actor, "default", "keys", Draft { name: Some(name.into()), spec: object(spec) })
    };
    let own = create(&ann, "own", json!({"owner": "bob", "team": "red"})).unwrap().resource;
    assert_eq!(own.spec.get("owner"), Some(&json!("ann")));
    assert!(matches!(create(&ann, "x", json!({"team": "blue"})), Err(Refusal::Forbidden(_))));
    let list = |actor: &Actor| {
        let page = rig.plane.list(actor, "default", "keys", &ListQuery::default()).unwrap();
        let mut names: Vec<String> = page.data.into_iter().map(|key| key.name).collect();
        names.sort();
        names
    };
    assert_eq!(list(&ann), ["own"]);
    assert_eq!(list(&developer("carl", Role::TeamAdmin, &["red"])), ["own", "theirs"]);
    assert_eq!(list(&developer("", Role::Developer, &[])), [""; 0]);
    assert_eq!(list(&developer("v", Role::Viewer, &[])), ["nobodys", "own", "theirs"]);
    for name in ["theirs", "nobodys"] {
        let id = rig.get("keys", name).id.to_string();
        for name in [name, &id] {
            let calls = [
                rig.plane.get(&ann, "default", "keys", name).map(|_| ()),
                rig.plane.replace(&ann, "default", "keys", name, Spec::new(), Expect::Any).map(|_| ()),
                rig.plane.merge(&ann, "default", "keys", name, Spec::new(), Expect::Any).map(|_| ()),
                rig.plane.delete(&ann, "default", "keys", name, Expect::Any),
                rig.plane.revoke_key(&ann, "default", name, Expect::Any).map(|_| ()),
                rig.plane.rotate_key(&ann, "default", name, Duration::ZERO, Expect::Any).map(|_| ()),
            ];
            for call in calls {
                assert!(matches!(call, Err(Refusal::NotFound(_))), "{call:?}");
            }
        }
    }
    let put =
        rig.plane.replace(&ann, "default", "keys", "own", object(json!({"owner": "bob", "team": "red"})), Expect::Any);
    assert_eq!(Value::Object(put.unwrap().spec), json!({"owner": "ann", "team": "red"}));
    let admin = developer("carl", Role::TeamAdmin, &["red"]);
    let put = object(json!({"owner": "bob", "team": "red", "description": "d"}));
    let put = rig.plane.replace(&admin, "default", "keys", "theirs", put, Expect::Any).unwrap();
    assert_eq!(put.spec.get("owner"), Some(&json!("bob")));
    for role in [Role::Viewer, Role::Auditor] {
        let refused = create(&developer("v", role, &[]), "x", json!({}));
        assert!(matches!(refused, Err(Refusal::Forbidden(_))));
    }
    assert!(matches!(rig.plane.export(&ann, "default"), Err(Refusal::Forbidden(_))));
    assert!(matches!(rig.plane.apply(&ann, Vec::new(), true), Err(Refusal::Forbidden(_))));
}

/// AUTHZ-01: every field that limits a key, and every role that may change keys.
#[test]
fn who_may_not_limit_keys_only_makes_them_weaker() {
    let rig = Rig::new();
    rig.create("teams", "red", json!({})).unwrap();
    rig.create("teams", "blue", json!({})).unwrap();
    rig.create("plans", "free", json!({"limits": [{"meter": "requests", "window": "60s", "amount": 6}]})).unwrap();
    rig.create("plans", "pro", json!({})).unwrap();
    let limit = |amount: Value| json!([{"meter": "usd", "window": "month", "amount": amount}]);
    let spec = json!({
        "owner": "ann", "team": "red", "plan": "free", "limits": limit(json!("25.50")), "expires_at": "2030-01-01T00:00:00Z",
        "models": ["demo-1"], "providers": ["demo"], "allowed_networks": ["10.0.0.0/8", "192.0.2.1"],
        "surfaces": ["openai.chat"], "log_content": "full",
    });
    let more = json!({"meter": "requests", "window": "1h", "amount": 5});
    // The field, what it is to say, whether a developer may say it.
    let off = json!([{"meter": "usd", "window": "month", "amount": "25.50", "enabled": false}]);
    let cases = [
        ("limits", limit(json!("25.51")), false),
        ("limits", json!([]), false),
        ("limits", Value::Null, false),
        ("limits", off, false),
        ("limits", json!([{"meter": "usd", "window": "day", "amount": "25.50"}]), false),
        ("limits", json!([{"meter": "usd", "window": "month", "amount": "1", "target": "provider:demo"}]), false),
        ("limits", json!([more]), false),
        ("limits", limit(json!(25)), true),
        ("limits", json!([more, limit(json!("25.5"))[0]]), true),
        ("plan", json!("pro"), false),
        ("plan", Value::Null, false),
        ("plan", json!("free"), true),
        ("team", Value::Null, false),
        ("team", json!("blue"), false),
        ("expires_at", json!("2030-01-01T00:00:01Z"), false),
        ("expires_at", Value::Null, false),
        ("expires_at", json!("2029-01-01T00:00:00Z"), true),
        ("models", json!([]), false),
        ("models", json!(["demo-1", "demo/demo-1"]), false),
        ("models", json!(["DEMO-1"]), true),
        ("providers", Value::Null, false),
        ("allowed_networks", json!(["10.0.0.0/8", "0.0.0.0/0"]), false),
        ("allowed_networks", json!(["192.0.2.1"]), true),
        ("surfaces", json!(["openai.chat", "anthropic.messages"]), false),
        ("log_content", json!("off"), false),
        ("enabled", json!(false), true),
        ("description", json!("mine"), true),
        ("labels", json!({"a": "b"}), true),
    ];
    let actors = [
        (developer("ann", Role::Developer, &["red", "blue"]), false),
        (developer("carl", Role::TeamAdmin, &["red", "blue"]), true),
        (operator(), true),
    ];
    for (number, (actor, manages)) in actors.iter().enumerate() {
        for (index, (field, value, weaker)) in cases.iter().enumerate() {
            let name = format!("k{number}-{index}");
            let made = rig.create("keys", &name, spec.clone()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            let patch = object(json!({ *field: value }));
            let patched = rig.plane.merge(actor, "default", "keys", &name, patch, Expect::Any);
            let mut whole = made.resource.spec.clone();
            whole.insert((*field).to_owned(), value.clone());
            let put = rig.plane.replace(actor, "default", "keys", &name, whole, Expect::Any);
            for (verb, done) in [("PATCH", patched), ("PUT", put)] {
                let what = format!("{} {verb} {field} {value}", actor.role.name());
                match done {
                    // Who manages no longer the team of a key does not manage it.
                    Ok(_) => assert!(*weaker || *manages, "{what}"),
                    Err(Refusal::Forbidden(said)) => {
                        assert!(!weaker && said.contains(*field), "{what}: {said}");
                        assert!(!manages || *field == "team", "{what}: {said}");
                    }
                    Err(other) => panic!("{what}: {other:?}"),
                }
            }
        }
    }
    let ann = &actors[0].0;
    let create = |name: &str, spec| {
        rig.plane.create(ann, "default", "keys", Draft { name: Some(name.into()), spec: object(spec) }).map(|_| ())
    };
    assert!(matches!(create("a", json!({"plan": "pro"})), Err(Refusal::Forbidden(said)) if said.contains("plan")));
    create("b", json!({"limits": [more], "expires_at": "2030-01-01T00:00:00Z"})).unwrap();
    let again = |spec| rig.plane.merge(ann, "default", "keys", "b", object(spec), Expect::Any);
    again(json!({"enabled": false})).unwrap();
    assert!(matches!(again(json!({"enabled": true})), Err(Refusal::Forbidden(_))));
    let revived = rig.plane.merge(&operator(), "default", "keys", "b", object(json!({"enabled": true})), Expect::Any);
    assert!(revived.is_ok());
}

#[test]
fn a_limit_is_not_called_effective() {
    let rig = Rig::new();
    let spec = json!({"meter": "requests", "window": "60s", "amount": 6});
    let Err(Refusal::Invalid(problems)) = rig.create("limits", "effective", spec.clone()) else { panic!() };
    assert!(problems[0].message.contains("reserved"), "{problems:?}");
    rig.create("limits", "effective-2", spec.clone()).unwrap();
    let document = Document {
        kind: "limits".into(),
        environment: "default".into(),
        name: Some("effective".into()),
        spec: object(spec),
    };
    let Err(Refusal::Invalid(problems)) = rig.plane.apply(&operator(), vec![document], false) else { panic!() };
    assert!(problems[0].message.contains("reserved"), "{problems:?}");
}

#[test]
fn a_damaged_key_is_switched_off() {
    let rig = Rig::new();
    let key = rig.create("keys", "ci", json!({"models": ["demo-1"]})).unwrap().resource;
    for spec in ["not json", "{\"models\": 5}", "{\"from_a_newer_version\": true}"] {
        let mut store = SqliteResources::open(&rig.path).unwrap();
        let mut transaction = store.begin().unwrap();
        let mut row = transaction.by_id(key.id).unwrap().unwrap();
        row.spec = spec.into();
        transaction.update(&row).unwrap();
        transaction.commit().unwrap();
        rig.plane.refresh().unwrap();
        assert_eq!(rig.heard.key(key.id).unwrap().0.status, KeyStatus::Disabled, "{spec}");
    }
}

#[test]
fn totals_are_part_of_the_status() {
    let mut rig = Rig::new();
    rig.plane.key_totals = Some(Box::new(|ids| {
        let total = KeyTotal { requests: 7, spend: ir::money::NanoUsd(1_500_000), ..KeyTotal::default() };
        ids.iter().map(|id| (*id, total)).collect()
    }));
    let key = rig.create("keys", "ci", json!({})).unwrap().resource;
    assert_eq!(key.status.get("requests"), Some(&json!(7)));
    assert_eq!(key.status.get("spend_usd"), Some(&json!(0.0015)));
    assert_eq!(key.status.get("last_used_at"), Some(&Value::Null));
}

#[test]
fn a_page_of_keys_goes_on_where_it_ended() {
    let rig = Rig::new();
    for number in 0..7 {
        rig.create("keys", &format!("k{number}"), json!({"owner": if number % 2 == 0 { "ann" } else { "bob" }}))
            .unwrap();
    }
    let filters = BTreeMap::from([("owner".to_owned(), "ann".to_owned())]);
    let mut query = ListQuery { limit: Some(3), filters, ..ListQuery::default() };
    let first = rig.plane.list(&operator(), "default", "keys", &query).unwrap();
    assert_eq!((first.data.len(), first.next_cursor.is_some()), (3, true));
    query.cursor = first.next_cursor;
    let second = rig.plane.list(&operator(), "default", "keys", &query).unwrap();
    assert_eq!((second.data.len(), second.next_cursor), (1, None));
    query.filters = BTreeMap::from([("status".to_owned(), "lost".to_owned())]);
    let refused = rig.plane.list(&operator(), "default", "keys", &query).unwrap_err();
    assert_eq!(refused.to_string(), "not a status: there are active, disabled, expired, revoked");
}

#[test]
fn a_key_that_another_process_deletes_is_gone_however_much_changed() {
    let rig = Rig::new();
    let kept = rig.create("keys", "kept", json!({})).unwrap().resource.id;
    let gone = rig.create("keys", "gone", json!({})).unwrap().resource.id;
    let other = rig.again("[providers.demo]\n").unwrap();
    assert!(other.heard.key(gone).is_some());
    let mut store = SqliteResources::open(&rig.path).unwrap();
    let mut transaction = store.begin().unwrap();
    let row = transaction.by_id(kept).unwrap().unwrap();
    for _ in 0..3_000 {
        transaction.update(&row).unwrap();
    }
    transaction.commit().unwrap();
    rig.delete("keys", "gone").unwrap();
    other.plane.refresh().unwrap();
    assert!(other.heard.key(gone).is_none() && other.heard.key(kept).is_some());
}

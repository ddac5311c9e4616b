//! Documents in sets: apply, export, and the audit log.

use proptest::prelude::*;

use super::*;
use crate::plane::apply::{Action, Document};
use crate::plane::audit::{Act, AuditQuery};

fn document(kind: &str, name: &str, spec: Value) -> Document {
    Document { kind: kind.into(), environment: "default".into(), name: Some(name.into()), spec: object(spec) }
}

fn apply(rig: &Rig, documents: Vec<Document>) -> Result<Vec<(Action, String)>, Refusal> {
    let applied = rig.plane.apply(&operator(), documents, false)?;
    Ok(applied.into_iter().map(|applied| (applied.action, format!("{}/{}", applied.kind, applied.name))).collect())
}

#[test]
fn documents_name_their_kind_as_files_do() {
    let rig = Rig::new();
    let documents = vec![document("team", "one", json!({})), document("teams", "one", json!({}))];
    assert_eq!(lines(&apply(&rig, documents).unwrap_err()), ["default/teams/one name: another document has this name"]);
    let made =
        apply(&rig, vec![document("team", "one", json!({})), document("provider", "p", json!({"kind": "demo"}))]);
    let made: Vec<String> = made.unwrap().into_iter().map(|(_, place)| place).collect();
    assert_eq!(made, ["teams/one", "providers/p"]);
}

#[test]
fn a_name_cannot_look_like_another_one() {
    let rig = Rig::new();
    for name in ["\u{202e}live", "a\u{2066}b", "a\u{2028}b", "a\u{200f}", "\u{1b}[31mred"] {
        let refused = lines(&apply(&rig, vec![document("teams", name, json!({}))]).unwrap_err());
        assert!(refused[0].contains("name: a name h"), "{name:?}: {refused:?}");
    }
    for name in ["\u{200b}", "\u{3164}", "prod\u{200b}", "prod\u{200d}", "pr\u{ad}od", "\u{200d}é", "\u{2800}"] {
        let refused = lines(&apply(&rig, vec![document("teams", name, json!({}))]).unwrap_err());
        assert!(refused[0].contains("no characters that nobody sees"), "{name:?}: {refused:?}");
    }
    for name in [".", ".."] {
        let refused = lines(&apply(&rig, vec![document("teams", name, json!({}))]).unwrap_err());
        assert!(refused[0].contains("are no names: in the path of a URL"), "{name:?}: {refused:?}");
    }
    assert!(apply(&rig, vec![document("teams", "équipe 日本 🎉 👩‍👩‍👧❤️ می\u{200c}خواهم", json!({}))]).is_ok());
}

#[test]
fn a_document_without_an_environment_belongs_to_the_default_one() {
    let rig = Rig::new();
    let nowhere = |kind: &str, name: &str, spec| Document { environment: String::new(), ..document(kind, name, spec) };
    let refused = lines(&apply(&rig, vec![nowhere("team", "t", json!({"x": 1}))]).unwrap_err());
    assert_eq!(refused, ["default/teams/t spec.x: unknown field"]);
    let made =
        rig.plane.apply(&operator(), vec![nowhere("team", "t", json!({})), nowhere("key", "k", json!({}))], false);
    let places: Vec<_> = made.unwrap().into_iter().map(|one| (one.environment, one.name)).collect();
    assert_eq!(places, [("default".to_owned(), "t".to_owned()), ("default".to_owned(), "k".to_owned())]);
    let team = rig.plane.get(&operator(), "default", "teams", "t").unwrap();
    assert_eq!((team.environment.as_str(), team.name.as_str()), ("default", "t"));
    assert!(rig.plane.get(&operator(), "default", "keys", "k").is_ok());
    let staged = Document { environment: "staging".to_owned(), ..document("team", "t", json!({})) };
    let both = vec![nowhere("environment", "staging", json!({})), staged];
    assert!(apply(&rig, both).is_ok(), "a kind may be written in the singular");
}

#[test]
fn documents_come_in_any_order() {
    let rig = Rig::new();
    let documents = vec![
        document("keys", "ci", json!({"team": "red", "models": ["mine"]})),
        document("fallbacks", "gpt-4o", json!({"fallbacks": ["mine"]})),
        document("models", "mine", json!({"provider": "main"})),
        document("providers", "main", json!({"kind": "openai", "api_key": "one"})),
        document("teams", "red", json!({})),
        document("environments", "default", json!({"meta_key": "m"})),
    ];
    let first = rig.plane.apply(&operator(), documents.clone(), true).unwrap();
    assert_eq!(first.len(), 6);
    assert_eq!(rig.names("providers"), ["demo"]);
    let applied = rig.plane.apply(&operator(), documents.clone(), false).unwrap();
    let actions: Vec<Action> = applied.iter().map(|applied| applied.action).collect();
    assert_eq!(actions, [[Action::Create; 5].as_slice(), &[Action::Update]].concat());
    let secret = applied[0].secret.as_ref().unwrap();
    let id = rig.get("keys", "ci").id;
    assert_eq!(rig.heard.key(id).unwrap().1, [(rig.plane.key_hash(secret.expose()), None)]);
    assert!(rig.heard.serves("default", "mine"));
    assert!(apply(&rig, documents).unwrap().iter().all(|(action, _)| *action == Action::Unchanged));
}

#[test]
fn a_difference_says_what() {
    let rig = Rig::new();
    rig.create("providers", "main", json!({"kind": "openai", "api_key": "one", "timeout_ms": 5})).unwrap();
    let change = |spec| {
        let applied = rig.plane.apply(&operator(), vec![document("providers", "main", spec)], true).unwrap().remove(0);
        (applied.action, serde_json::to_value(applied.diff).unwrap())
    };
    assert_eq!(change(json!({"kind": "openai", "timeout_ms": 5})), (Action::Unchanged, json!([])));
    assert_eq!(change(json!({"kind": "openai", "timeout_ms": 5, "api_key": "one"})), (Action::Unchanged, json!([])));
    let secret = json!([{"path": "spec", "before": null, "after": null}]);
    assert_eq!(change(json!({"kind": "openai", "timeout_ms": 5, "api_key": "two"})), (Action::Update, secret));
    let field = json!([{"path": "spec.timeout_ms", "before": 5, "after": null}]);
    assert_eq!(change(json!({"kind": "openai"})), (Action::Update, field));
}

#[test]
fn every_fault_of_every_document_is_reported() {
    let rig = Rig::new();
    let mut documents = vec![document("providers", "good", json!({"kind": "demo"}))];
    for number in 0..100 {
        documents.push(document("providers", &format!("p{number}"), json!({"kind": "opnai", "timeout_ms": "5s"})));
        documents.push(document("models", &format!("m{number}"), json!({"provider": "nobody"})));
    }
    let refusal = apply(&rig, documents).unwrap_err();
    let found = lines(&refusal);
    assert_eq!(found.len(), 300, "{found:#?}");
    for number in 0..100 {
        for fault in [
            format!("default/providers/p{number} spec.kind: unknown vendor"),
            format!(
                "default/providers/p{number} spec.timeout_ms: expected a whole number that is not negative, found a string"
            ),
            format!("default/models/m{number} spec.provider: no provider of this name is configured"),
        ] {
            assert!(found.contains(&fault), "{fault}");
        }
    }
    assert_eq!(rig.names("providers"), ["demo"]);
}

#[test]
fn faults_of_every_sort_come_together() {
    let rig = Rig::new();
    let mut elsewhere = document("teams", "t", json!({}));
    elsewhere.environment = "nowhere".into();
    let mut nameless = document("teams", "", json!({}));
    nameless.name = None;
    let documents = vec![
        document("provders", "x", json!({})),
        elsewhere,
        nameless,
        document("teams", "twice", json!({})),
        document("teams", "twice", json!({"description": "other"})),
        document("providers", "demo", json!({"kind": "openai"})),
        document("guardrails", "g", json!({"max_length": -1})),
        document("keys", "k", json!({"team": "none"})),
    ];
    let found = lines(&apply(&rig, documents).unwrap_err());
    assert_eq!(
        found,
        [
            "document 1 kind: there is no such kind",
            "nowhere/teams/t environment: there is no such environment",
            "default/teams/ name: missing",
            "default/teams/twice name: another document has this name",
            "default/providers/demo : it comes from crossway.toml:1: change it there",
            "default/guardrails/g spec.max_length: expected a whole number that is not negative, found a negative number",
            "default/keys/k spec.team: there is no team of this name",
        ]
    );
}

#[test]
fn a_new_environment_comes_with_what_is_in_it() {
    let rig = Rig::new();
    let mut provider = document("providers", "p", json!({"kind": "openai", "api_key": "k"}));
    let mut environment = document("environments", "staging", json!({}));
    (provider.environment, environment.environment) = ("staging".into(), "staging".into());
    apply(&rig, vec![provider, environment]).unwrap();
    assert!(rig.heard.serves("staging", "gpt-4o"));
}

#[test]
fn every_write_is_in_the_audit_log() {
    let rig = Rig::new();
    let actor = Actor { ip: Some([10, 0, 0, 1].into()), request_id: "req_1".into(), ..operator() };
    let draft = Draft { name: Some("p".into()), spec: object(json!({"kind": "openai", "api_key": "one"})) };
    let id = rig.plane.create(&actor, "default", "providers", draft).unwrap().resource.id;
    rig.patch("providers", "p", json!({"timeout_ms": 5})).unwrap();
    rig.create("keys", "k", json!({})).unwrap();
    rig.plane.revoke_key(&operator(), "default", "k", Expect::Any).unwrap();
    let _ = rig.create("providers", "q", json!({"kind": 5})).unwrap_err();
    rig.delete("providers", "p").unwrap();
    let act = Act { action: "sign_in", name: "ann", after: Some(json!({"from": "console"})), ..Act::default() };
    rig.plane.record(&operator(), &act).unwrap();
    let page = rig.plane.audit(&operator(), &AuditQuery::default()).unwrap();
    let told: Vec<String> =
        page.data.iter().map(|entry| format!("{} {}/{}", entry.action, entry.kind, entry.name)).collect();
    let expected = [
        "sign_in /ann",
        "delete providers/p",
        "revoke keys/k",
        "create keys/k",
        "merge providers/p",
        "create providers/p",
    ];
    assert_eq!(told, expected);
    let first = page.data.last().unwrap();
    assert_eq!(
        (first.actor.as_str(), first.role.as_str(), first.ip.as_deref()),
        ("op@example.com", "operator", Some("10.0.0.1"))
    );
    assert_eq!((first.request_id.as_str(), first.resource_id.clone()), ("req_1", Some(id.to_string())));
    assert_eq!((first.before.clone(), first.after.clone()), (None, Some(json!({"kind": "openai"}))));
    let merged = &page.data[4];
    assert_eq!(merged.after, Some(json!({"kind": "openai", "timeout_ms": 5})));
    let query = AuditQuery { kind: Some("providers".into()), limit: Some(2), ..AuditQuery::default() };
    let page = rig.plane.audit(&operator(), &query).unwrap();
    assert_eq!(page.data.len(), 2);
    let query = AuditQuery { cursor: page.next_cursor, ..query };
    let rest = rig.plane.audit(&operator(), &query).unwrap();
    assert_eq!((rest.data.len(), rest.next_cursor), (1, None));
    assert!(matches!(rig.plane.audit(&developer("d", Role::Developer, &[]), &query), Err(Refusal::Forbidden(_))));
    // An act is no change: nobody reads anything again.
    let before = rig.heard.times();
    rig.plane.refresh().unwrap();
    assert_eq!(rig.heard.times(), before);
}

#[derive(Clone, Debug)]
struct World {
    providers: Vec<(String, bool, u8)>,
    models: Vec<(String, u8)>,
    teams: Vec<String>,
    keys: Vec<(String, bool)>,
}

fn world() -> impl Strategy<Value = World> {
    let names = |prefix: &'static str| {
        proptest::collection::btree_set("[a-z0-9]{1,6}", 1..5)
            .prop_map(move |set| set.into_iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>())
    };
    (names("p"), names("m"), names("t"), names("k"), any::<u64>()).prop_map(|(providers, models, teams, keys, bits)| {
        let bit = |at: usize| bits >> (at % 64) & 1 == 1;
        let small = |at: usize| (bits >> (at % 60) & 7) as u8;
        World {
            providers: providers.into_iter().enumerate().map(|(at, name)| (name, bit(at), small(at))).collect(),
            models: models.into_iter().enumerate().map(|(at, name)| (name, small(at + 7))).collect(),
            teams,
            keys: keys.into_iter().enumerate().map(|(at, name)| (name, bit(at + 20))).collect(),
        }
    })
}

fn documents(world: &World) -> Vec<Document> {
    let mut documents = Vec::new();
    for (name, listed, number) in &world.providers {
        let spec = if *listed {
            json!({"kind": "openai", "credentials": [{"value": "a"}, {"value": "b", "weight": number + 1}]})
        } else {
            json!({"kind": "openai", "api_key": "a", "headers": {"x-a": "1"}, "timeout_ms": u64::from(*number) + 1})
        };
        documents.push(document("providers", name, spec));
    }
    for (name, number) in &world.models {
        let provider = &world.providers[usize::from(*number) % world.providers.len()].0;
        documents.push(document(
            "models",
            name,
            json!({"provider": provider, "input_price": 0.5, "output_price": number}),
        ));
    }
    documents.extend(world.teams.iter().map(|name| document("teams", name, json!({"members": ["ann@example.com"]}))));
    for (name, with) in &world.keys {
        let spec = if *with { json!({"team": world.teams[0], "models": [world.models[0].0]}) } else { json!({}) };
        documents.push(document("keys", name, spec));
    }
    documents
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_says_what_is_there(world in world(), turn in 0..50_usize) {
        let rig = Rig::new();
        let mut written = documents(&world);
        let turn = turn % written.len();
        written.rotate_left(turn);
        prop_assert!(apply(&rig, written).unwrap().iter().all(|(action, _)| *action == Action::Create));
        let mut exported = rig.plane.export(&operator(), "default").unwrap();
        let again = exported.clone();
        exported.reverse();
        let times = rig.heard.times();
        let applied = apply(&rig, exported).unwrap();
        prop_assert!(applied.iter().all(|(action, _)| *action == Action::Unchanged), "{applied:?}");
        prop_assert_eq!(rig.heard.times(), times);
        prop_assert_eq!(rig.plane.export(&operator(), "default").unwrap(), again);
    }

    #[test]
    fn all_or_nothing(world in world(), fault in 0..50_usize) {
        let rig = Rig::new();
        let before = rig.plane.export(&operator(), "default").unwrap();
        let mut written = documents(&world);
        let fault = fault % (written.len() + 1);
        written.insert(fault, document("providers", "faulty", json!({"kind": "openai", "api_key": ""})));
        let refusal = apply(&rig, written).unwrap_err();
        prop_assert_eq!(lines(&refusal), ["default/providers/faulty spec.api_key: empty"]);
        prop_assert_eq!(rig.plane.export(&operator(), "default").unwrap(), before);
    }
}

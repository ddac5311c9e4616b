//! What the configuration file holds.

use super::*;
use crate::resource::ManagedBy;
use policy::spec::Specs;

fn specs(text: &str) -> (Specs, bool) {
    let written = read_text("crossway.toml", text, &|_| None, false).unwrap();
    (written.specs, written.stand_in)
}

const FILE: &str = "[environment]\nmeta_key = \"m\"\n[providers.main]\nkind = \"openai\"\napi_key = \"sk-canary\"\n\
    headers = { x-a = \"canary\" }\n[[models]]\nslug = \"mine\"\nprovider = \"main\"\ninput_price = 0.15\n\
    output_price = 2\nenabled = false\n[guardrails.g]\nbanned_phrases = [\"x\"]\n";

#[test]
fn what_the_file_holds_is_read_and_not_changed() {
    let rig = Rig::with_file(FILE);
    let main = rig.get("providers", "main");
    assert_eq!((main.managed_by, main.version), (ManagedBy::File, 1));
    assert_eq!(Value::Object(main.spec.clone()), json!({"kind": "openai", "headers": {"x-a": null}}));
    assert_eq!(main.status.get("source"), Some(&json!("crossway.toml:3")));
    let model = json!({"slug": "mine", "provider": "main", "input_price": 0.15, "output_price": 2, "enabled": false});
    assert_eq!(Value::Object(rig.get("models", "mine").spec), model);
    assert_eq!(rig.get("providers", &main.id.to_string()).name, "main");
    assert_eq!(rig.again(FILE).unwrap().get("providers", "main").id, main.id);
    assert!(!serde_json::to_string(&main).unwrap().contains("canary"));
    let refusal = rig.put("providers", "main", json!({})).unwrap_err();
    assert_eq!(refusal.to_string(), "provider main comes from crossway.toml:3: change it there");
    assert!(matches!(rig.delete("models", "mine"), Err(Refusal::ReadOnly { .. })));
    assert!(matches!(rig.patch("guardrails", "g", json!({})), Err(Refusal::ReadOnly { .. })));
    let settings = rig.plane.merge(&operator(), "", "environments", "default", Spec::new(), Expect::Any);
    assert!(matches!(settings, Err(Refusal::ReadOnly { .. })));
    let taken = rig.create("providers", "main", json!({"kind": "demo"})).unwrap_err();
    assert_eq!(taken.to_string(), "the name `main` is taken by another provider, which comes from crossway.toml:3");
    assert_eq!(rig.plane.export(&operator(), "default").unwrap().len(), 1);
}

#[test]
fn the_file_may_use_what_is_stored_and_is_used_by_it() {
    let rig = Rig::with_file("[providers.main]\nkind = \"openai\"\napi_key = \"k\"\n");
    rig.create("models", "", json!({"slug": "mine", "provider": "main"})).unwrap();
    rig.provider("stored");
    let (specs, stand_in) = specs(
        "[providers.main]\nkind = \"openai\"\napi_key = \"k\"\n[[models]]\nslug = \"other\"\nprovider = \"stored\"\n",
    );
    rig.plane.reload(specs, stand_in).unwrap();
    let refusal = rig.delete("providers", "stored").unwrap_err();
    assert_eq!(refusal.to_string(), "provider stored is used by model other (crossway.toml:4)");
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let rig = Rig::with_file("[providers.main]\nkind = \"openai\"\napi_key = \"k\"\n");
    rig.create("models", "", json!({"slug": "mine", "provider": "main"})).unwrap();
    let (without, stand_in) = specs("[providers.other]\nkind = \"openai\"\napi_key = \"k\"\ntimeout_ms = 0\n");
    let times = rig.heard.times();
    let refusal = rig.plane.reload(without, stand_in).unwrap_err();
    let found = lines(&refusal);
    assert!(
        found.contains(&"default/models/mine spec.provider: no provider of this name is configured".into()),
        "{found:?}"
    );
    assert!(found.iter().any(|line| line.starts_with("crossway.toml providers.other.timeout_ms")), "{found:?}");
    assert_eq!((rig.heard.times(), rig.names("providers")), (times, vec!["main".to_owned()]));
    let (more, stand_in) = specs(
        "[providers.main]\nkind = \"openai\"\napi_key = \"k\"\ntimeout_ms = 7\n[providers.more]\nkind = \"demo\"\n",
    );
    rig.plane.reload(more, stand_in).unwrap();
    assert!(rig.heard.serves("default", "more/demo-1"));
    assert_eq!(rig.get("providers", "main").version, 2);
}

#[test]
fn the_file_wins_when_it_comes_later() {
    let rig = Rig::new();
    rig.provider("main");
    let (specs, stand_in) = specs("[providers.demo]\n[providers.main]\nkind = \"anthropic\"\napi_key = \"k\"\n");
    rig.plane.reload(specs, stand_in).unwrap();
    let main = rig.get("providers", "main");
    assert_eq!((main.managed_by, main.spec.get("kind")), (ManagedBy::File, Some(&json!("anthropic"))));
    assert_eq!(rig.names("providers").iter().filter(|name| *name == "main").count(), 1);
    let warning = main.status.pointer("/warnings/0/message").and_then(Value::as_str).unwrap();
    assert_eq!(warning, "the configuration file has a resource of this name, which is used instead");
    let (specs, stand_in) = self::specs("[providers.demo]\n");
    rig.plane.reload(specs, stand_in).unwrap();
    assert_eq!(rig.get("providers", "main").managed_by, ManagedBy::Api);
}

#[test]
fn the_demo_stands_in_until_there_is_a_provider() {
    let rig = Rig::with_file("");
    assert!(rig.plane.demo_stands_in());
    assert_eq!(rig.names("providers"), ["demo"]);
    rig.provider("main");
    assert!(!rig.plane.demo_stands_in());
    assert_eq!(rig.names("providers"), ["main"]);
    assert!(!rig.heard.serves("default", "demo/demo-1"));
    rig.delete("providers", "main").unwrap();
    assert_eq!(rig.names("providers"), ["demo"]);
    rig.create("providers", "demo", json!({"kind": "demo", "timeout_ms": 9})).unwrap();
    assert_eq!(rig.get("providers", "demo").managed_by, ManagedBy::Api);
}

#[test]
fn a_stored_resource_that_became_faulty_does_not_stop_a_start() {
    let file = "[providers.demo]\n[providers.main]\nkind = \"openai\"\napi_key = \"k\"\n";
    let rig = Rig::with_file(file);
    rig.create("models", "", json!({"slug": "mine", "provider": "main"})).unwrap();
    rig.create("fallbacks", "", json!({"model": "mine", "fallbacks": ["gpt-4o"]})).unwrap();
    rig.provider("stored");
    let other = rig.again("[providers.demo]\n").unwrap();
    assert!(other.heard.serves("default", "stored/gpt-4o"));
    assert!(!other.heard.serves("default", "mine"));
    let status = other.get("models", "mine").status;
    assert_eq!(status.pointer("/problems/0/path"), Some(&json!("spec.provider")));
    // Old faults keep nobody from writing, and are repaired by writing.
    other.create("teams", "t", json!({})).unwrap();
    other.put("models", "mine", json!({"slug": "mine", "provider": "stored"})).unwrap();
    assert!(other.heard.serves("default", "mine"));
    assert!(
        other.plane.problems("default").iter().all(|problem| problem.severity == policy::problem::Severity::Warning)
    );
}

#[test]
fn an_environment_is_not_served_without_its_guards() {
    let rig = Rig::new();
    rig.create("guardrails", "g", json!({"banned_phrases": ["x"]})).unwrap();
    let mut store = SqliteResources::open(&rig.path).unwrap();
    let mut transaction = store.begin().unwrap();
    let mut row = transaction.by_name("guardrails", "default", "g").unwrap().unwrap();
    row.spec = "{\"banned_phrases\": 5}".into();
    row.version += 1;
    transaction.update(&row).unwrap();
    transaction.commit().unwrap();
    rig.plane.refresh().unwrap();
    let guarded = |rig: &Rig| {
        rig.heard
            .environments
            .lock()
            .unwrap()
            .get("default")
            .map(|found| found.environment.bound.guards.replies.is_some())
    };
    assert_eq!(guarded(&rig), Some(true));
    let other = rig.again("[providers.demo]\n").unwrap();
    assert_eq!(guarded(&other), None);
    other.put("guardrails", "g", json!({"banned_phrases": ["y"]})).unwrap();
    assert_eq!(guarded(&other), Some(true));
}

#[test]
fn a_faulty_file_stops_a_start() {
    let rig = Rig::new();
    rig.provider("stored");
    let refusal = rig.again("[[models]]\nslug = \"m\"\nprovider = \"nobody\"\n[providers.demo]\n").err().unwrap();
    assert_eq!(lines(&refusal), ["crossway.toml models[0].provider: no provider of this name is configured"]);
    rig.again("[[models]]\nslug = \"m\"\nprovider = \"stored\"\n").unwrap();
}

#[test]
fn an_environment_that_nobody_has_stored_anything_of_is_not_hidden() {
    let rig = Rig::with_file("[environment]\nquality_bar = 20\n[providers.demo]\n");
    let warnings = |rig: &Rig| rig.plane.problems("default").len();
    assert_eq!(warnings(&rig), 0);
    let before = Rig::new();
    before
        .plane
        .merge(&operator(), "", "environments", "default", object(json!({"quality_bar": 5})), Expect::Any)
        .unwrap();
    let (specs, stand_in) = specs("[environment]\nquality_bar = 20\n[providers.demo]\n");
    before.plane.reload(specs, stand_in).unwrap();
    assert_eq!(warnings(&before), 1, "what was stored is not used");
}

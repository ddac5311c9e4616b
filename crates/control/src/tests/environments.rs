//! Environments: settings, and what belongs to them.

use super::*;

fn environment(rig: &Rig, name: &str) -> Result<Resource, Refusal> {
    rig.plane.get(&operator(), "", "environments", name)
}

fn delete(rig: &Rig, name: &str) -> Result<(), Refusal> {
    rig.plane.delete(&operator(), "", "environments", name, Expect::Any)
}

#[test]
fn the_default_always_exists() {
    let rig = Rig::new();
    let default = environment(&rig, "default").unwrap();
    assert_eq!((default.environment.as_str(), default.version), ("default", 1));
    assert_eq!(default.status.get("in_effect"), Some(&json!(true)));
    assert!(matches!(delete(&rig, "default"), Err(Refusal::Conflict(_))));
    let settings = object(json!({"meta_key": "gateway", "aliases": ["prod"]}));
    let put = rig.plane.replace(&operator(), "", "environments", "default", settings, Expect::Any).unwrap();
    assert_eq!(put.version, 2);
    let environments = rig.heard.environments.lock().unwrap();
    assert_eq!(&*environments.get("default").unwrap().environment.meta_key, "gateway");
}

#[test]
fn an_environment_lives_and_goes() {
    let rig = Rig::new();
    rig.create_in("", "environments", "staging", json!({"meta_key": "s"})).unwrap();
    assert_eq!(rig.plane.environments(), ["default", "staging"]);
    rig.create_in("staging", "providers", "a", json!({"kind": "openai", "api_key": "k"})).unwrap();
    rig.create_in("staging", "keys", "k", json!({"models": ["gpt-4o"]})).unwrap();
    rig.create_in("staging", "keys", "l", json!({})).unwrap();
    assert!(rig.heard.serves("staging", "gpt-4o") && !rig.heard.serves("default", "gpt-4o"));
    assert_eq!(rig.names("keys"), [""; 0]);
    let refusal = delete(&rig, "staging").unwrap_err();
    assert_eq!(refusal.to_string(), "environment staging is used by 2 keys, 1 provider");
    for key in ["k", "l"] {
        rig.plane.delete(&operator(), "staging", "keys", key, Expect::Any).unwrap();
    }
    rig.plane.delete(&operator(), "staging", "providers", "a", Expect::Any).unwrap();
    delete(&rig, "staging").unwrap();
    assert!(rig.heard.environments.lock().unwrap().get("staging").is_none());
    assert!(matches!(environment(&rig, "staging"), Err(Refusal::NotFound(_))));
    let other = rig.again("[providers.demo]\n").unwrap();
    assert_eq!(other.plane.environments(), ["default"]);
}

#[test]
fn names_of_environments_are_strict() {
    let rig = Rig::new();
    for name in ["Prod", "a b", "-a", "", &"a".repeat(64)] {
        assert!(rig.create_in("", "environments", name, json!({})).is_err(), "{name:?}");
    }
    assert!(matches!(rig.create_in("", "environments", "default", json!({})), Err(Refusal::NameTaken(_))));
}

#[test]
fn the_baseline_is_a_reference() {
    let rig = Rig::new();
    rig.provider("openai");
    rig.create("models", "", json!({"slug": "mine", "provider": "openai", "input_price": 1, "output_price": 1}))
        .unwrap();
    let settings = object(json!({"baseline_model": "mine"}));
    rig.plane.merge(&operator(), "", "environments", "default", settings, Expect::Any).unwrap();
    let refusal = rig.delete("models", "mine").unwrap_err();
    assert_eq!(refusal.to_string(), "model mine is used by environment default");
    let wrong = object(json!({"baseline_model": "nothing"}));
    let refusal = rig.plane.merge(&operator(), "", "environments", "default", wrong, Expect::Any).unwrap_err();
    assert_eq!(lines(&refusal), ["environments/default spec.baseline_model: no provider serves this model"]);
}

#[test]
fn what_another_process_makes_and_removes_is_noticed() {
    let rig = Rig::new();
    let other = rig.again("[providers.demo]\n").unwrap();
    rig.create_in("", "environments", "staging", json!({})).unwrap();
    other.plane.refresh().unwrap();
    assert_eq!(other.plane.environments(), ["default", "staging"]);
    assert!(other.heard.environments.lock().unwrap().contains_key("staging"));
    delete(&rig, "staging").unwrap();
    other.plane.refresh().unwrap();
    assert!(!other.heard.environments.lock().unwrap().contains_key("staging"));
}

//! Webhooks: a secret that is made, shown once, replaced with an overlap; an address that may not be just any.

use std::time::Duration;

use super::*;
use crate::plane::apply::Document;
use crate::resource::Expect;

fn hook(rig: &Rig) -> std::sync::Arc<policy::notify::Webhook> {
    let environments = rig.heard.environments.lock().unwrap();
    std::sync::Arc::clone(&environments.get("default").unwrap().webhooks[0])
}

fn good() -> Value {
    json!({"url": "https://example.com/", "events": ["key.*"]})
}

#[test]
fn a_secret_is_made_and_shown_once() {
    let rig = Rig::new();
    let made = rig.create("webhooks", "h", good()).unwrap();
    let secret = made.secret.unwrap();
    assert!(secret.expose().starts_with("whsec_") && secret.expose().len() == 70);
    assert_eq!(hook(&rig).secret, secret);
    assert_eq!(Value::Object(made.resource.spec), good());
    rig.put("webhooks", "h", json!({"url": "https://example.com/2", "events": ["*"]})).unwrap();
    assert_eq!((&hook(&rig).secret, &*hook(&rig).url), (&secret, "https://example.com/2"));
    let refusal = rig.patch("webhooks", "h", json!({"secret": null})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/webhooks/h spec.secret: missing: deliveries could not be signed"]);
    let given = rig.patch("webhooks", "h", json!({"secret": "0123456789abcdef", "headers": {"X-A": "v"}})).unwrap();
    assert!(!given.spec.contains_key("secret") && given.spec["headers"] == json!({"X-A": null}));
    assert_eq!(hook(&rig).secret.expose(), "0123456789abcdef");
    let again = rig.again("[providers.demo]\n").unwrap();
    assert_eq!((hook(&again).secret.expose(), hook(&again).headers.len()), ("0123456789abcdef", 1));
    rig.create("webhooks", "own", json!({"url": "https://e.com/", "events": ["*"], "secret": "fedcba9876543210"}))
        .map(|made| assert!(made.secret.is_none(), "who gave it knows it"))
        .unwrap();
}

#[test]
fn a_secret_is_replaced_with_an_overlap() {
    let rig = Rig::new();
    let old = rig.create("webhooks", "h", good()).unwrap().secret.unwrap();
    let rotate = |hours: u64| {
        let grace = Duration::from_secs(hours * 3_600);
        rig.plane.rotate_webhook(&operator(), "default", "h", grace, Expect::Any).unwrap()
    };
    let rotated = rotate(24);
    let new = rotated.secret.unwrap();
    assert_eq!((&hook(&rig).secret, rotated.resource.version), (&new, 2));
    assert_eq!(hook(&rig).previous, Some((old, (NOW_MS / 1_000 + 86_400) * 1_000)));
    assert!(rotated.resource.spec.contains_key("previous_until") && !rotated.resource.spec.contains_key("secret"));
    // What was read can be written back.
    rig.put("webhooks", "h", Value::Object(rotated.resource.spec)).unwrap();
    assert_eq!(hook(&rig).previous.as_ref().map(|(secret, _)| secret.expose().len()), Some(70));
    let last = rotate(0).secret.unwrap();
    assert_eq!((&hook(&rig).secret, &hook(&rig).previous), (&last, &None));
    let log = rig.plane.audit_after(0, 100).unwrap();
    let acts: Vec<&str> = log.iter().filter(|row| row.kind == "webhooks").map(|row| row.action.as_str()).collect();
    assert_eq!(acts, ["create", "rotate", "replace", "rotate"]);
    assert_eq!(rig.plane.audit_end().unwrap(), log.last().unwrap().seq);
    assert!(!format!("{log:?}").contains("whsec_"));
}

#[test]
fn not_every_address_may_be_told() {
    let rig = Rig::new();
    let refusal = rig.create("webhooks", "h", json!({"url": "http://10.0.0.1/", "events": ["*"]})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/webhooks/h spec.url: private"]);
    assert!(rig.names("webhooks").is_empty());
}

#[test]
fn applying_makes_a_secret_too() {
    let rig = Rig::new();
    let document = || Document {
        kind: "webhooks".into(),
        environment: "default".into(),
        name: Some("h".into()),
        spec: object(good()),
    };
    let applied = rig.plane.apply(&operator(), vec![document()], false).unwrap();
    assert_eq!(applied[0].secret, Some(hook(&rig).secret.clone()));
    let again = rig.plane.apply(&operator(), vec![document()], false).unwrap();
    assert!(again[0].secret.is_none() && again[0].diff.is_empty());
}

#[test]
fn an_alert_keeps_its_webhook() {
    let rig = Rig::new();
    rig.create("webhooks", "h", good()).unwrap();
    rig.create("alerts", "a", json!({"webhooks": ["h"]})).unwrap();
    assert_eq!(rig.delete("webhooks", "h").unwrap_err().to_string(), "webhook h is used by alert a");
    let refusal = rig.create("alerts", "b", json!({"webhooks": ["g"]})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/alerts/b spec.webhooks[0]: there is no webhook of this name"]);
    let refusal = rig.create("alerts", "b", json!({"webhooks": ["h"], "keys": ["nobody"]})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/alerts/b spec.keys[0]: there is no key of this name"]);
    rig.delete("alerts", "a").unwrap();
    rig.delete("webhooks", "h").unwrap();
}

//! Who is told of what, and once.

use policy::notify::{BUDGET_ALERT, Pattern, USAGE_THRESHOLD};
use policy::secret::Secret;

use super::*;

fn hook(name: &str, events: &str, enabled: bool) -> Arc<Webhook> {
    Arc::new(Webhook {
        name: name.into(),
        url: "https://example.com/".into(),
        events: vec![Pattern::parse(events).unwrap()],
        secret: Secret::new("0123456789abcdef"),
        previous: None,
        signature_header: "x-crossway-signature".into(),
        headers: Vec::new(),
        enabled,
    })
}

fn alert(name: &str, emails: &[&str], webhooks: &[&str]) -> Arc<Alert> {
    let emails = emails.iter().map(|email| (*email).into()).collect();
    let webhooks = webhooks.iter().map(|name| (*name).into()).collect();
    Arc::new(Alert { name: name.into(), emails, webhooks, ..Alert::default() })
}

fn happened(kind: &'static str, threshold: Option<(u8, bool)>) -> Happened {
    let data = [("environment".to_owned(), Value::from("default"))].into_iter().collect();
    Happened { threshold, budget: true, ..Happened::new("default".into(), kind, 1_795_000_000_999, data) }
}

fn check(audience: &Audience, happened: Happened, expect: &[(&str, &str)]) {
    let shown = format!("{happened:?}");
    let to = happened.addressed(audience).map(|event| event.to).unwrap_or_default();
    let found: Vec<_> = to.iter().map(|lane| (lane.name.as_str(), lane.address.as_str())).collect();
    assert_eq!(found, expect, "{shown}");
}

#[test]
fn everybody_is_told_once() {
    let audience = Audience {
        webhooks: vec![hook("a", "budget.*", true), hook("b", "key.*", true), hook("off", "*", false)],
        alerts: vec![alert("one", &["x@y", "z@y"], &["a", "b", "off"]), alert("two", &["x@y"], &["gone"])],
    };
    let both = [("a", ""), ("b", ""), ("one", "x@y"), ("one", "z@y")];
    check(&audience, happened(BUDGET_ALERT, Some((70, true))), &both);
    check(&audience, happened("key.created", None), &[("b", "")]);
    check(&audience, happened("request.completed", None), &[]);
    check(&audience, happened(USAGE_THRESHOLD, Some((70, true))), &[]);
    check(&audience, happened(BUDGET_ALERT, Some((50, false))), &[]);
}

#[test]
fn who_wants_requests_is_known_beforehand() {
    let with = |webhooks, alerts| Audience { webhooks, alerts };
    assert!(with(vec![hook("a", "*", true)], vec![]).wants("request.completed"));
    assert!(!with(vec![hook("a", "*", false)], vec![]).wants("request.completed"));
    assert!(!with(vec![], vec![alert("one", &["x@y"], &[])]).wants("request.completed"));
    let named = Alert { events: Some(vec![Pattern::parse("request.*").unwrap()]), ..Alert::default() };
    assert!(with(vec![], vec![Arc::new(named)]).wants("request.completed"));
}

#[test]
fn an_envelope_is_stable() {
    let audience = Audience { webhooks: vec![hook("a", "*", true)], alerts: Vec::new() };
    let event = happened("key.created", None).addressed(&audience).unwrap();
    let expect = format!(
        r#"{{"id":"{}","type":"key.created","created":1795000000,"data":{{"environment":"default"}}}}"#,
        event.id
    );
    assert_eq!((event.body, event.created_ms), (expect, 1_795_000_000_999));
}

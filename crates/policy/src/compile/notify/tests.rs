//! What webhooks and alerts are refused for, and what they become.

use catalog::load::Vendors;
use catalog::model::Catalogue;

use super::*;
use crate::compile::compile;
use crate::notify::THRESHOLDS;
use crate::snapshot::Snapshot;

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

fn good() -> WebhookSpec {
    WebhookSpec {
        url: Some("https://example.com/hook?x=1".to_owned()),
        events: Some(vec!["budget.*".to_owned(), "key.created".to_owned()]),
        secret: secret("whsec_0123456789abcdef"),
        ..WebhookSpec::default()
    }
}

fn specs(webhook: WebhookSpec, alert: AlertSpec) -> Specs {
    let webhook = Entry { name: "hook".to_owned(), spec: webhook, origin: Origin::new("f", "webhooks.hook") };
    let alert = Entry { name: "ops".to_owned(), spec: alert, origin: Origin::new("f", "alerts.ops") };
    Specs { webhooks: vec![webhook], alerts: vec![alert], ..Specs::default() }
}

fn compiled(webhook: WebhookSpec, alert: AlertSpec) -> Result<Snapshot, String> {
    match compile(&specs(webhook, alert), &Vendors::builtin(), &Catalogue::builtin()) {
        Ok(compiled) => Ok(compiled.snapshot),
        Err(problems) => Err(problems.iter().map(|problem| format!("{problem}\n")).collect()),
    }
}

fn told() -> AlertSpec {
    AlertSpec { emails: vec!["ops@example.com".to_owned()], ..AlertSpec::default() }
}

#[test]
fn what_is_good_is_compiled() {
    let spec = WebhookSpec {
        previous_secret: secret("whsec_before_0123456789"),
        previous_until: Some(crate::spec::timestamp::Timestamp(1_800_000_000)),
        signature_header: Some("X-ComputeBoard-Signature".to_owned()),
        headers: [("Authorization".to_owned(), Secret::new("Bearer x"))].into(),
        ..good()
    };
    let alert = AlertSpec { webhooks: vec!["hook".to_owned()], thresholds: Some(vec![100, 50, 50]), ..told() };
    let snapshot = compiled(spec, alert).unwrap();
    let hook = &snapshot.webhooks[0];
    assert!(hook.wants("budget.alert") && hook.wants("key.created") && !hook.wants("key.revoked") && hook.enabled);
    assert_eq!((&*hook.signature_header, hook.headers.len()), ("X-ComputeBoard-Signature", 1));
    assert_eq!(hook.previous.as_ref().unwrap().1, 1_800_000_000_000);
    assert_eq!(snapshot.alerts[0].thresholds, Some(vec![50, 100]));
    assert!(!format!("{hook:?}").contains("whsec"));
    let off = AlertSpec { enabled: Some(false), ..told() };
    assert!(compiled(good(), off).unwrap().alerts.is_empty());
}

#[test]
fn faults_of_webhooks_are_named() {
    let check = |spec: WebhookSpec, expect: &str| {
        let found = compiled(spec, told()).unwrap_err();
        assert!(found.contains(expect), "{expect}: {found}");
        assert!(!found.contains("canary"), "{found}");
    };
    let url = |url: &str| WebhookSpec { url: Some(url.to_owned()), ..good() };
    check(WebhookSpec { url: None, ..good() }, "webhooks.hook.url: missing");
    check(url("example.com/canary"), "url: not a URL");
    check(url("ftp://example.com/"), "url: not an http or https URL");
    check(url("https://canary@example.com/"), "url: a URL may not hold credentials");
    check(url("https://example.com/#x"), "url: a fragment is not sent");
    check(url(&format!("https://example.com/{}", "x".repeat(2_050))), "url: longer");
    check(WebhookSpec { events: None, ..good() }, "events: missing");
    check(WebhookSpec { events: Some(vec![]), ..good() }, "events: missing");
    check(WebhookSpec { events: Some(vec!["key.create".into()]), ..good() }, "events[0]: no event has this type");
    check(WebhookSpec { secret: secret("canary"), ..good() }, "secret: not a signing secret");
    check(WebhookSpec { secret: secret("canary canary canary"), ..good() }, "secret: not a signing secret");
    check(WebhookSpec { previous_secret: secret(""), ..good() }, "previous_secret: not a signing secret");
    for wrong in ["Host", "X-Crossway-Timestamp", "a b", "content-type"] {
        check(WebhookSpec { signature_header: Some(wrong.to_owned()), ..good() }, "signature_header: ");
    }
    let header =
        |name: &str, value: &str| WebhookSpec { headers: [(name.into(), Secret::new(value))].into(), ..good() };
    check(header("Host", "canary"), "headers.Host: this header belongs to the gateway");
    check(header("X-Crossway-Signature", "canary"), "headers.X-Crossway-Signature: ");
    check(header("X-A", "canary\r\nX-B: c"), "headers.X-A: it holds a line break");
}

#[test]
fn faults_of_alerts_are_named() {
    let check = |spec: AlertSpec, expect: &str| {
        let found = compiled(good(), spec).unwrap_err();
        assert!(found.contains(expect), "{expect}: {found}");
    };
    check(AlertSpec::default(), "alerts.ops.emails: nobody is told");
    check(AlertSpec { webhooks: vec!["hok".into()], ..told() }, "webhooks[0]: there is no webhook of this name (did");
    check(AlertSpec { thresholds: Some(vec![0]), ..told() }, "thresholds[0]: not a share");
    check(AlertSpec { thresholds: Some(vec![101]), ..told() }, "thresholds[0]: not a share");
    check(AlertSpec { limits: Some(vec![]), ..told() }, "limits: an empty list");
    check(AlertSpec { events: Some(vec!["x".into()]), ..told() }, "events[0]: no event has this type");
    check(
        AlertSpec { emails: vec!["ops@example.com\r\nBcc: x@y".into()], ..told() },
        "emails[0]: not an email address",
    );
}

#[test]
fn addresses_are_plain() {
    for good in ["a@b", "ops@example.com", "o'hara+x@mail.example.com", " a@b.c "] {
        assert!(is_address(good), "{good}");
    }
    for wrong in
        ["", "@", "a@", "@b", "a b@c", "a@b,c@d", "<a@b>", "a@b\nc", "a@b\r\nBcc: c@d", "a@-b", "a@b..c", "ü@b"]
    {
        assert!(!is_address(wrong), "{wrong:?}");
    }
}

#[test]
fn limits_tell_of_themselves() {
    let check = |toml: &str, expect: Result<&[u8], &str>| {
        let text = format!("[[limits]]\n{toml}\n");
        let found = crate::load::load_text("c", &text, &|_| None, true);
        match (found, expect) {
            (Ok(loaded), Ok(expect)) => assert_eq!(&*loaded.snapshot.limits[0].rule.thresholds, expect, "{toml}"),
            (Err(problems), Err(expect)) => {
                assert!(problems.iter().any(|problem| problem.to_string().contains(expect)), "{toml}: {problems:?}");
            }
            (found, _) => panic!("{toml}: {found:?}"),
        }
    };
    check("meter = \"usd\"\nwindow = \"month\"\namount = 5", Ok(&THRESHOLDS));
    check("meter = \"usd\"\nwindow = \"60s\"\namount = 5", Ok(&THRESHOLDS));
    check("meter = \"tokens\"\nwindow = \"day\"\namount = 5", Ok(&THRESHOLDS));
    check("meter = \"requests\"\nwindow = \"60s\"\namount = 5", Ok(&[]));
    check("meter = \"requests\"\nwindow = \"60s\"\namount = 5\nalerts = { thresholds = [90, 50] }", Ok(&[50, 90]));
    check("meter = \"usd\"\nwindow = \"day\"\namount = 5\nalerts = { thresholds = [] }", Ok(&[]));
    check("meter = \"concurrency\"\namount = 5", Ok(&[]));
    check("meter = \"concurrency\"\namount = 5\nalerts = { thresholds = [50] }", Err("alerts.thresholds: places"));
    check(
        "meter = \"usd\"\nwindow = \"day\"\namount = 5\nalerts = { thresholds = [0] }",
        Err("thresholds[0]: not a share"),
    );
    check("meter = \"usd\"\nwindow = \"day\"\namount = 5\nalerts = { tresholds = [9] }", Err("alerts"));
}

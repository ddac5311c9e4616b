//! Secrets in specs: written, kept, used, and never shown.

use super::*;
use crate::plane::apply::Document;
use crate::plane::audit::AuditQuery;
use crate::plane::provider::ProviderOf;

/// Returns the credentials that requests would use, and the values of the headers.
fn used(rig: &Rig, provider: &str) -> Vec<String> {
    let environments = rig.heard.environments.lock().unwrap();
    let snapshot = environments.get("default").unwrap();
    let found = snapshot.providers.iter().find(|found| *found.name == *provider).unwrap();
    let credentials = found.credentials.iter().map(|credential| credential.value.expose().to_owned());
    credentials.chain(found.headers.iter().map(|(name, value)| format!("{}={value}", name.as_str()))).collect()
}

#[test]
fn a_put_keeps_what_it_does_not_say() {
    let rig = Rig::new();
    let spec = json!({
        "kind": "openai", "headers": {"x-a": "1", "x-b": "2"},
        "credentials": [{"value": "one"}, {"name": "backup", "value": "two", "weight": 3}],
    });
    let made = rig.create("providers", "p", spec).unwrap().resource;
    let shown = json!({
        "kind": "openai", "headers": {"x-a": null, "x-b": null},
        "credentials": [{"name": "1"}, {"name": "backup", "weight": 3}],
    });
    assert_eq!(Value::Object(made.spec.clone()), shown);
    assert_eq!(used(&rig, "p"), ["one", "two", "x-a=1", "x-b=2"]);
    // What was read can be written back.
    rig.put("providers", "p", shown).unwrap();
    assert_eq!(used(&rig, "p"), ["one", "two", "x-a=1", "x-b=2"]);
    let next = json!({
        "kind": "openai", "headers": {"x-b": null, "x-c": "3"},
        "credentials": [{"name": "backup"}, {"name": "new", "value": "three"}],
    });
    rig.put("providers", "p", next).unwrap();
    assert_eq!(used(&rig, "p"), ["two", "three", "x-b=2", "x-c=3"]);
    let again = rig.again("[providers.demo]\n").unwrap();
    assert_eq!(used(&again, "p"), ["two", "three", "x-b=2", "x-c=3"]);
}

/// Variables are read where `crossway apply` runs: what comes here unread would be a credential that nobody takes.
#[test]
fn a_variable_is_no_credential() {
    let rig = Rig::new();
    let why = "`${…}` stands for a variable where `crossway apply` reads a file; here the value itself is wanted";
    let spec = |value: &str| json!({"kind": "openai", "api_key": value, "headers": {"x-a": value}});
    let refusal = rig.create("providers", "p", spec("${OPENAI_KEY}")).unwrap_err();
    assert_eq!(
        lines(&refusal),
        [format!("default/providers/p spec.api_key: {why}"), format!("default/providers/p spec.headers.x-a: {why}")]
    );
    rig.create("providers", "p", spec("p${a}ss")).unwrap();
    rig.put("providers", "p", spec("${OPENAI_KEY}")).unwrap_err();
    assert_eq!(used(&rig, "p"), ["p${a}ss", "x-a=p${a}ss"]);
}

#[test]
fn a_name_without_a_stored_value_is_missing_one() {
    let rig = Rig::new();
    rig.create("providers", "p", json!({"kind": "openai", "credentials": [{"value": "one"}]})).unwrap();
    let spec = json!({"kind": "openai", "credentials": [{"name": "1"}, {"name": "other"}], "headers": {"x-a": null}});
    let refusal = rig.put("providers", "p", spec).unwrap_err();
    assert_eq!(
        lines(&refusal),
        [
            "default/providers/p spec.headers.x-a: missing: nothing is stored for it",
            "default/providers/p spec.credentials[1].value: missing",
        ]
    );
    let twice = json!({"kind": "openai", "credentials": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]});
    let refusal = rig.put("providers", "p", twice).unwrap_err();
    assert_eq!(
        lines(&refusal),
        ["default/providers/p spec.credentials[1].name: another credential of the provider has this name"]
    );
}

#[test]
fn a_single_credential_stays_until_it_is_taken_away() {
    let rig = Rig::new();
    rig.create("providers", "p", json!({"kind": "openai-compatible", "base_url": "http://x", "api_key": "one"}))
        .unwrap();
    rig.put("providers", "p", json!({"kind": "openai-compatible", "base_url": "http://y"})).unwrap();
    assert_eq!(used(&rig, "p"), ["one"]);
    rig.patch("providers", "p", json!({"timeout_ms": 5})).unwrap();
    assert_eq!(used(&rig, "p"), ["one"]);
    rig.patch("providers", "p", json!({"api_key": "two"})).unwrap();
    assert_eq!(used(&rig, "p"), ["two"]);
    rig.patch("providers", "p", json!({"credentials": [{"value": "three"}]})).unwrap();
    assert_eq!(used(&rig, "p"), ["three"]);
    rig.put("providers", "p", json!({"kind": "openai-compatible", "base_url": "http://y", "api_key": "four"})).unwrap();
    rig.patch("providers", "p", json!({"api_key": null})).unwrap();
    assert_eq!(used(&rig, "p"), [""; 0]);
    assert_eq!(rig.get("providers", "p").status.get("secrets"), Some(&json!([])));
}

#[test]
fn a_patch_clears_headers_with_null() {
    let rig = Rig::new();
    rig.create("providers", "p", json!({"kind": "demo", "headers": {"x-a": "1", "x-b": "2"}})).unwrap();
    rig.patch("providers", "p", json!({"headers": {"x-a": null, "x-c": "3"}})).unwrap();
    assert_eq!(used(&rig, "p"), ["x-b=2", "x-c=3"]);
}

#[test]
fn sealed_text_that_somebody_writes_is_a_secret_like_any_other() {
    let rig = Rig::new();
    let text = "sealed:v1:AAAA";
    rig.create("providers", "p", json!({"kind": "openai", "api_key": text})).unwrap();
    assert_eq!(used(&rig, "p"), [text]);
}

#[test]
fn a_secret_cannot_be_moved_in_the_database() {
    let rig = Rig::new();
    rig.create("providers", "p", json!({"kind": "openai", "api_key": "one"})).unwrap();
    rig.create("providers", "q", json!({"kind": "openai", "api_key": "two"})).unwrap();
    let mut store = SqliteResources::open(&rig.path).unwrap();
    let mut transaction = store.begin().unwrap();
    let mut p = transaction.by_name("providers", "default", "p").unwrap().unwrap();
    p.spec = transaction.by_name("providers", "default", "q").unwrap().unwrap().spec;
    p.version += 1;
    transaction.update(&p).unwrap();
    transaction.commit().unwrap();
    rig.plane.refresh().unwrap();
    // What was in effect stays, and the status says what is wrong.
    assert_eq!(used(&rig, "p"), ["one"]);
    let status = rig.get("providers", "p").status;
    let message = status.pointer("/problems/0/message").and_then(Value::as_str).unwrap();
    assert_eq!(message, "a stored secret cannot be opened: write it again");
    // A fault that was there before does not keep others from writing.
    rig.create("teams", "t", json!({})).unwrap();
    rig.put("providers", "p", json!({"kind": "openai", "api_key": "three"})).unwrap();
    assert_eq!(used(&rig, "p"), ["three"]);
}

#[test]
fn another_master_key_stops_the_start() {
    let rig = Rig::new();
    let other = MasterKey::load_or_create(&rig.path, Some(&"0f".repeat(32))).unwrap();
    let refused = Rig::open_with(rig.path.clone(), "", |store| Box::new(store), other).err().unwrap();
    let Refusal::Unavailable(error) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().starts_with("the master key is not the one"), "{error}");
}

#[test]
fn no_secret_is_ever_shown() {
    const CANARY: &str = "sk-canary-7f3a";
    let rig = Rig::new();
    let secret = |place: &str| format!("{CANARY}-{place}");
    let spec = json!({
        "kind": "openai", "headers": {"x-a": secret("header")},
        "credentials": [{"value": secret("a")}, {"name": "b", "value": secret("b"), "weight": 2}],
    });
    let mut seen = String::new();
    seen += &format!("{:?}", rig.create("providers", "p", spec).unwrap());
    seen +=
        &format!("{:?}", rig.create("providers", "q", json!({"kind": "openai", "api_key": secret("key")})).unwrap());
    seen += &format!("{:?}", rig.patch("providers", "q", json!({"api_key": secret("again")})).unwrap());
    let wrong = [
        json!({"kind": "openai", "api_key": [secret("list")]}),
        json!({"kind": "openai", "apikey": secret("misspelt")}),
        json!({"kind": secret("kind"), "base_url": format!("https://u:{CANARY}@x")}),
        json!({"kind": "openai", "api_key": format!("{CANARY} with a space")}),
        json!({"kind": "openai", "credentials": [secret("item")], "headers": secret("headers")}),
        json!({"kind": "openai", "credentials": [{"value": {"v": secret("deep")}, "weight": secret("weight")}]}),
        json!({"kind": "openai", "headers": {"authorization": secret("name"), "x": format!("{CANARY}\n")}}),
        json!({"kind": "openai", "timeout_ms": secret("timeout"), "enabled": secret("enabled")}),
    ];
    for spec in wrong {
        let refusal = rig.create("providers", "r", spec).unwrap_err();
        seen += &format!("{refusal:?} {refusal}");
    }
    rig.create("keys", "k", json!({})).unwrap();
    let own = json!({"provider": "p", "owner": "ada", "value": secret("own")});
    seen += &format!("{:?}", rig.create("byok", "own", own).unwrap());
    let wrong = json!({"provider": secret("provider"), "value": format!("{CANARY} with a space")});
    let refusal = rig.create("byok", "wrong", wrong).unwrap_err();
    seen += &format!("{refusal:?} {refusal}");
    let owns = rig.plane.list(&operator(), "default", "byok", &ListQuery::default()).unwrap();
    seen += &serde_json::to_string(&owns).unwrap();
    seen += &format!("{:?}", rig.plane.opened_own(&operator(), "default", "own").unwrap());
    let list = rig.plane.list(&operator(), "default", "providers", &ListQuery::default()).unwrap();
    seen += &serde_json::to_string(&list).unwrap();
    seen += &serde_json::to_string(&rig.plane.audit(&operator(), &AuditQuery::default()).unwrap()).unwrap();
    let exported = rig.plane.export(&operator(), "default").unwrap();
    seen += &serde_json::to_string(&exported).unwrap();
    let changed = Document {
        kind: "providers".into(),
        environment: "default".into(),
        name: Some("q".into()),
        spec: object(json!({"kind": "openai", "api_key": secret("applied")})),
    };
    seen += &format!("{:?}", rig.plane.apply(&operator(), vec![changed], false).unwrap());
    let opened = rig.plane.opened_provider(&operator(), "default", ProviderOf::Stored("q".into())).unwrap();
    seen += &format!("{opened:?}");
    assert!(!seen.contains(CANARY), "{seen}");
    for entry in fs::read_dir(&rig.path).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "{}", path.display());
    }
    // And yet they are there.
    assert_eq!(used(&rig, "q"), [secret("applied")]);
}

#[test]
fn a_provider_is_opened_for_a_test() {
    let rig = Rig::new();
    rig.create("providers", "p", json!({"kind": "openai", "api_key": "one", "enabled": false})).unwrap();
    let open = |which| rig.plane.opened_provider(&operator(), "default", which);
    let credential = |provider: policy::snapshot::Provider| provider.credentials[0].value.expose().to_owned();
    assert_eq!(credential(open(ProviderOf::Stored("p".into())).unwrap()), "one");
    let draft =
        |name: Option<&str>, spec| ProviderOf::Draft(Draft { name: name.map(str::to_owned), spec: object(spec) });
    let kept = open(draft(Some("p"), json!({"kind": "openai", "base_url": "https://other.example"}))).unwrap();
    assert_eq!((kept.base_url.as_str(), credential(kept.clone()).as_str()), ("https://other.example/", "one"));
    let new = open(draft(None, json!({"kind": "openai", "api_key": "two"}))).unwrap();
    assert_eq!(credential(new), "two");
    let refusal = open(draft(None, json!({"kind": "openai", "base_url": "ftp://x", "api_key": "k"}))).unwrap_err();
    assert_eq!(lines(&refusal), ["default/providers/draft spec.base_url: not an http or https URL"]);
    assert!(matches!(open(ProviderOf::Stored("x".into())), Err(Refusal::NotFound(_))));
    assert!(open(ProviderOf::Stored("demo".into())).is_ok());
    let developer = developer("d", Role::Developer, &[]);
    let which = ProviderOf::Stored("p".into());
    assert!(matches!(rig.plane.opened_provider(&developer, "default", which), Err(Refusal::Forbidden(_))));
    assert_eq!(rig.names("providers"), ["demo", "p"]);
}

//! Keys, good and faulty.

use super::*;
use crate::load::load_text;
use crate::problem::Severity;

const CONFIG: &str = r#"
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"

[[models]]
slug = "small"
provider = "one"
upstream_name = "up-small"
aliases = ["tiny"]
"#;

const NOW_MS: u64 = 1_795_000_000_000;

fn compiled(spec: KeySpec, status: KeyStatus) -> (CompiledKey, Vec<Problem>) {
    let snapshot = load_text("crossway.toml", CONFIG, &|_| None, false).unwrap().snapshot;
    let entry = Entry { name: "k".to_owned(), spec, origin: Origin::new("api", "keys.k") };
    let row = KeyIdentity { id: ResourceId([7; 16]), environment: "default".into(), status, now_unix_ms: NOW_MS };
    compile_key(&entry, row, &snapshot)
}

/// Checks what is wrong with a key.
fn check(spec: KeySpec, expect: &[&str]) -> CompiledKey {
    let (key, problems) = compiled(spec, KeyStatus::Active);
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect);
    key
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn every_field_is_carried() {
    let spec = KeySpec {
        team: Some("red".to_owned()),
        providers: list(&["one", "OpenAI-Compatible"]),
        models: list(&["small", "tiny", " one/small ", "ONE/up-small"]),
        labels: [("app".to_owned(), "shop".to_owned())].into(),
        cost_tags: list(&["cc-1", "cc-2"]),
        expires_at: Some(Timestamp(NOW_MS / 1_000 + 1)),
        log_content: Some("redacted".to_owned()),
        description: "two\nlines".to_owned(),
        owner: "a@b.c".to_owned(),
        allowed_networks: list(&["10.0.0.0/8", "::1"]),
        surfaces: list(&["openai.chat", "openai.chat"]),
        ..KeySpec::default()
    };
    let key = check(spec, &[]);
    assert_eq!((key.id, &*key.name, &*key.environment), (Some(ResourceId([7; 16])), "k", "default"));
    assert_eq!((key.status, key.expires_unix_ms), (KeyStatus::Active, Some(NOW_MS + 1_000)));
    assert_eq!(
        key.models.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["small", "tiny", "one/small", "one/up-small"]
    );
    assert_eq!((key.team.as_deref(), key.cost_tags.len(), key.labels.len()), (Some("red"), 2, 1));
    assert_eq!(key.log_content, Some(LogContent::Redacted));
    assert_eq!(key.allowed_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(key.surfaces, ["openai.chat".into()]);
}

#[test]
fn a_key_that_is_not_enabled_is_switched_off() {
    for (status, enabled, expect) in [
        (KeyStatus::Active, true, KeyStatus::Active),
        (KeyStatus::Active, false, KeyStatus::Disabled),
        (KeyStatus::Disabled, true, KeyStatus::Disabled),
        (KeyStatus::Revoked, true, KeyStatus::Revoked),
        (KeyStatus::Revoked, false, KeyStatus::Revoked),
    ] {
        assert_eq!(compiled(KeySpec { enabled, ..KeySpec::default() }, status).0.status, expect);
    }
}

#[test]
fn names_that_nothing_has_are_errors() {
    let spec = KeySpec {
        providers: list(&["onne", "one"]),
        models: list(&["smal", "auto", "two/small"]),
        ..KeySpec::default()
    };
    let expect = [
        "api: keys.k.providers[0]: no configured provider has this name or kind (did you mean one?)",
        "api: keys.k.models[0]: no provider serves this model (did you mean small?)",
        "api: keys.k.models[1]: no provider serves this model (a policy chooses among the models that the key may use: \
         list those)",
        "api: keys.k.models[2]: no provider serves this model (did you mean one/small?)",
    ];
    let key = check(spec.clone(), &expect);
    assert_eq!(key.models.len(), 3, "a name that nothing has restricts all the same");
    let entry = Entry { spec, ..Entry::default() };
    let row = KeyIdentity {
        id: ResourceId([7; 16]),
        environment: "default".into(),
        status: KeyStatus::Active,
        now_unix_ms: 0,
    };
    assert_eq!(compile_key(&entry, row, None), (CompiledKey { name: "".into(), ..key }, Vec::new()));
}

#[test]
fn networks_are_networks() {
    let spec = KeySpec {
        allowed_networks: list(&["10.1.0.0/8", "10.0.0.0/40", "x", "", "192.0.2.0/24"]),
        ..KeySpec::default()
    };
    let form = "(write an address, or one and its prefix, such as 10.0.0.0/8)";
    let key = check(
        spec,
        &[
            "api: keys.k.allowed_networks[3]: empty",
            "api: keys.k.allowed_networks[0]: bits behind the prefix are set (the network is 10.0.0.0/8)",
            "api: keys.k.allowed_networks[1]: the prefix is longer than the address (it has at most 32 bits)",
            &format!("api: keys.k.allowed_networks[2]: not a network {form}"),
            &format!("api: keys.k.allowed_networks[3]: not a network {form}"),
        ],
    );
    assert_eq!(key.allowed_networks.len(), 1);
    let nobody = compiled(KeySpec { allowed_networks: list(&["x"]), ..KeySpec::default() }, KeyStatus::Active).0;
    assert_eq!(nobody.allowed_networks, [Network::NOBODY], "a list that cannot be read lets nobody in");
}

#[test]
fn surfaces_and_words_are_known() {
    let spec = KeySpec {
        surfaces: list(&["openai.chatt", "/v1/messages"]),
        log_content: Some("ful".to_owned()),
        ..KeySpec::default()
    };
    let key = check(
        spec,
        &[
            "api: keys.k.surfaces[0]: not a surface: they are openai.chat, anthropic.messages (did you mean openai.chat?)",
            "api: keys.k.surfaces[1]: not a surface: they are openai.chat, anthropic.messages",
            "api: keys.k.log_content: must be one of off, redacted, full (did you mean full?)",
        ],
    );
    assert_eq!((key.surfaces.len(), key.log_content), (2, Some(LogContent::Off)), "nothing is given by mistake");
}

#[test]
fn texts_have_bounds() {
    let spec = KeySpec {
        team: Some(" ".to_owned()),
        description: "x".repeat(1_001),
        owner: "a\nb".to_owned(),
        labels: [("".to_owned(), "v".to_owned()), ("n".to_owned(), "x".repeat(65))].into(),
        cost_tags: list(&["a", "a", "b\u{7}", " c"]),
        ..KeySpec::default()
    };
    let label = "not a label: 1 to 64 printable characters, without a blank at either end";
    check(
        spec,
        &[
            "api: keys.k.description: too long: 1001 characters, at most 1000 are allowed",
            "api: keys.k.owner: not one line of text: it has control characters",
            "api: keys.k.team: empty (leave it out for a key without a team)",
            &format!("api: keys.k.labels: {label}"),
            &format!("api: keys.k.labels.n: {label}"),
            "api: keys.k.cost_tags[1]: the same tag twice",
            &format!("api: keys.k.cost_tags[2]: {label}"),
            &format!("api: keys.k.cost_tags[3]: {label}"),
        ],
    );
    let tags = (0..65).map(|number| number.to_string()).collect();
    check(KeySpec { cost_tags: tags, ..KeySpec::default() }, &["api: keys.k.cost_tags: too many: at most 64"]);
}

#[test]
fn an_expiry_in_the_past_is_a_warning() {
    let spec = KeySpec { expires_at: Some(Timestamp(NOW_MS / 1_000)), ..KeySpec::default() };
    let (key, problems) = compiled(spec, KeyStatus::Active);
    assert_eq!(key.expires_unix_ms, Some(NOW_MS));
    assert_eq!(problems.iter().map(|problem| problem.severity).collect::<Vec<_>>(), [Severity::Warning]);
}

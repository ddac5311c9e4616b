//! The five verbs over kinds without secrets of their own making.

use super::*;
use crate::resource::ManagedBy;

#[test]
fn a_resource_is_created_read_changed_and_deleted() {
    let rig = Rig::new();
    let made = rig.create("providers", "main", json!({"kind": "openai", "api_key": "sk-x"})).unwrap().resource;
    assert_eq!((made.version, made.managed_by, made.kind), (1, ManagedBy::Api, "providers"));
    assert_eq!(Value::Object(made.spec.clone()), json!({"kind": "openai"}));
    assert_eq!(rig.get("providers", "main"), made);
    assert_eq!(rig.get("providers", &made.id.to_string()), made);
    assert!(rig.heard.serves("default", "main/gpt-4o"));
    rig.hands.set_unix_ms(NOW_MS + 5);
    let put = rig.put("providers", "main", json!({"kind": "openai", "timeout_ms": 5000})).unwrap();
    assert_eq!((put.version, put.id, put.created_at_ms, put.updated_at_ms), (2, made.id, NOW_MS, NOW_MS + 5));
    let patched = rig.patch("providers", "main", json!({"timeout_ms": null, "idle_timeout_ms": 7})).unwrap();
    assert_eq!(Value::Object(patched.spec), json!({"kind": "openai", "idle_timeout_ms": 7}));
    rig.delete("providers", "main").unwrap();
    assert!(!rig.heard.serves("default", "main/gpt-4o"));
    let gone = rig.plane.get(&operator(), "default", "providers", "main").unwrap_err();
    assert_eq!(gone.to_string(), "there is no provider `main` in environment `default`");
}

#[test]
fn what_is_not_there_is_not_found() {
    let rig = Rig::new();
    let check = |environment: &str, kind: &str, expect: &str| {
        let refusal = rig.plane.get(&operator(), environment, kind, "x").unwrap_err();
        assert!(matches!(refusal, Refusal::NotFound(_)));
        assert_eq!(refusal.to_string(), expect);
    };
    check("default", "provders", "there is no kind of resource `provders`");
    check("default", "environments", "there is no kind of resource `environments`");
    check("", "providers", "there is no kind of resource `providers`");
    check("other", "providers", "there is no environment `other`");
    check("default", "providers", "there is no provider `x` in environment `default`");
    check("", "environments", "there is no environment `x`");
}

#[test]
fn every_fault_is_reported_with_its_path() {
    let rig = Rig::new();
    let refusal = rig
        .create("providers", "main", json!({"kind": "opnai", "base_url": 5, "timeout_ms": "10s", "colour": "red"}))
        .unwrap_err();
    assert_eq!(
        lines(&refusal),
        [
            "default/providers/main spec.base_url: expected a string, found a whole number",
            "default/providers/main spec.timeout_ms: expected a whole number that is not negative, found a string",
            "default/providers/main spec.colour: unknown field",
            "default/providers/main spec.kind: unknown vendor",
        ]
    );
    assert!(rig.names("providers") == ["demo"]);
    let refusal = rig.create("teams", "t", json!({"members": [1]})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/teams/t spec.members[0]: expected a string, found a whole number"]);
    let refusal = rig.create("providers", "", json!({})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/providers/ name: missing"]);
}

#[test]
fn names_come_from_the_spec_where_the_kind_says_so() {
    let rig = Rig::new();
    rig.provider("one");
    rig.provider("two");
    let model = |provider: &str| json!({"slug": "mine", "provider": provider, "input_price": 1, "output_price": 2});
    assert_eq!(rig.create("models", "", model("one")).unwrap().resource.name, "mine");
    assert_eq!(rig.create("models", "", model("two")).unwrap().resource.name, "two/mine");
    let taken = rig.create("models", "mine", model("two")).unwrap_err();
    assert_eq!(taken.to_string(), "the name `mine` is taken by another model");
    let named = rig.create("models", "other", json!({"provider": "one"})).unwrap().resource;
    assert_eq!(Value::Object(named.spec), json!({"provider": "one"}));
    assert!(rig.heard.serves("default", "one/other"));
    let fallback = rig.create("fallbacks", "", json!({"model": "mine", "fallbacks": ["other"]})).unwrap().resource;
    assert_eq!(fallback.name, "mine");
    rig.create("fallbacks", "other", json!({"fallbacks": ["mine"]})).unwrap();
}

#[test]
fn names_are_checked() {
    let rig = Rig::new();
    for name in ["a\nb", " a", "res_00000000000000000000000000000000", &"a".repeat(129)] {
        assert_eq!(lines(&rig.create("teams", name, json!({})).unwrap_err()).len(), 1, "{name:?}");
    }
    assert!(rig.create("providers", "Upper", json!({"kind": "demo"})).is_err());
    rig.create("teams", "Ünïcode team", json!({})).unwrap();
}

#[test]
fn a_cycle_of_fallbacks_is_allowed_and_a_model_is_not_its_own() {
    let rig = Rig::new();
    rig.provider("openai");
    rig.create("fallbacks", "", json!({"model": "gpt-4o", "fallbacks": ["gpt-4o-mini"]})).unwrap();
    rig.create("fallbacks", "", json!({"model": "gpt-4o-mini", "fallbacks": ["gpt-4o"]})).unwrap();
    let own = rig.create("fallbacks", "", json!({"model": "gpt-4.1", "fallbacks": ["gpt-4.1"]})).unwrap_err();
    assert_eq!(lines(&own), ["default/fallbacks/gpt-4.1 spec.fallbacks[0]: a model cannot be its own fallback"]);
}

#[test]
fn what_refers_to_nothing_is_refused() {
    let rig = Rig::new();
    rig.create_in("", "environments", "staging", json!({})).unwrap();
    rig.create_in("staging", "providers", "theirs", json!({"kind": "openai", "api_key": "k"})).unwrap();
    let foreign = rig.create("models", "m", json!({"provider": "theirs"})).unwrap_err();
    let message = "default/models/m spec.provider: no provider of this name is configured";
    assert_eq!(lines(&foreign), [message]);
    let dangling = rig.create("fallbacks", "", json!({"model": "demo-1", "fallbacks": ["nothing"]})).unwrap_err();
    assert!(
        lines(&dangling).contains(&"default/fallbacks/demo-1 spec.fallbacks[0]: no provider serves this model".into())
    );
    assert!(!rig.heard.serves("default", "theirs/gpt-4o") && rig.heard.serves("staging", "theirs/gpt-4o"));
}

#[test]
fn what_is_used_is_not_deleted() {
    let rig = Rig::new();
    rig.provider("openai");
    rig.provider("spare");
    rig.create("models", "", json!({"slug": "mine", "provider": "openai", "aliases": ["Mine.Too"]})).unwrap();
    rig.create("fallbacks", "", json!({"model": "gpt-4o", "fallbacks": ["mine-too"]})).unwrap();
    rig.create("keys", "ci", json!({"providers": ["spare"], "models": ["MINE"]})).unwrap();
    let check = |kind: &str, name: &str, expect: &str| {
        let refusal = rig.delete(kind, name).unwrap_err();
        assert!(matches!(refusal, Refusal::InUse { .. }), "{refusal:?}");
        assert_eq!(refusal.to_string(), expect);
    };
    check("providers", "openai", "provider openai is used by model mine");
    check("providers", "spare", "provider spare is used by key ci");
    check("models", "mine", "model mine is used by fallback policy gpt-4o, key ci");
    rig.delete("fallbacks", "gpt-4o").unwrap();
    check("models", "mine", "model mine is used by key ci");
    rig.delete("keys", "ci").unwrap();
    rig.delete("models", "mine").unwrap();
    rig.delete("providers", "openai").unwrap();
}

#[test]
fn an_override_of_the_catalogue_goes_although_the_model_is_used() {
    let rig = Rig::new();
    rig.provider("openai");
    rig.create("models", "", json!({"slug": "gpt-4o", "provider": "openai", "input_price": 9})).unwrap();
    rig.create("keys", "ci", json!({"models": ["gpt-4o"]})).unwrap();
    rig.delete("models", "gpt-4o").unwrap();
    assert!(rig.heard.serves("default", "gpt-4o"));
}

#[test]
fn what_would_break_requests_is_refused() {
    let rig = Rig::new();
    rig.provider("openai");
    rig.create("models", "", json!({"slug": "mine", "provider": "openai", "aliases": ["old"]})).unwrap();
    rig.create("fallbacks", "", json!({"model": "gpt-4o", "fallbacks": ["old"]})).unwrap();
    let before = rig.heard.times();
    let refusal = rig.put("models", "mine", json!({"slug": "mine", "provider": "openai"})).unwrap_err();
    assert_eq!(lines(&refusal), ["default/fallbacks/gpt-4o spec.fallbacks[0]: no provider serves this model"]);
    assert_eq!(rig.heard.times(), before);
    assert_eq!(rig.get("models", "mine").version, 1);
}

#[test]
fn a_change_meant_for_another_version_is_refused() {
    let rig = Rig::new();
    rig.provider("main");
    let put = |version| {
        let spec = object(json!({"kind": "openai"}));
        rig.plane.replace(&operator(), "default", "providers", "main", spec, Expect::Version(version))
    };
    assert!(matches!(put(2), Err(Refusal::Stale { current: 1 })));
    assert_eq!(put(1).unwrap().version, 2);
    assert!(matches!(put(1), Err(Refusal::Stale { current: 2 })));
    let delete = rig.plane.delete(&operator(), "default", "providers", "main", Expect::Version(1));
    assert!(matches!(delete, Err(Refusal::Stale { current: 2 })));
}

/// Acceptance DUR-07.
#[test]
fn two_writers_at_once_lose_nothing() {
    let rig = Rig::new();
    let other = rig.again("[providers.demo]\n").unwrap();
    rig.create("teams", "t", json!({})).unwrap();
    other.plane.refresh().unwrap();
    let counted = |rig: &Rig| {
        for _ in 0..20 {
            loop {
                let now = rig.get("teams", "t");
                let count = now.spec.get("description").and_then(Value::as_str).unwrap_or("0").parse::<u32>().unwrap();
                let next = object(json!({"description": (count + 1).to_string()}));
                let expect = Expect::Version(now.version);
                match rig.plane.replace(&operator(), "default", "teams", "t", next, expect) {
                    Ok(_) => break,
                    Err(Refusal::Stale { .. }) => rig.plane.refresh().unwrap(),
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| counted(&rig));
            scope.spawn(|| counted(&other));
        }
    });
    other.plane.refresh().unwrap();
    assert_eq!(other.get("teams", "t").spec.get("description"), Some(&json!("80")));
    assert_eq!(other.get("teams", "t").version, 81);
}

#[test]
fn another_process_is_noticed() {
    let rig = Rig::new();
    let other = rig.again("[providers.demo]\n").unwrap();
    rig.provider("main");
    assert!(!other.heard.serves("default", "main/gpt-4o"));
    let before = other.heard.times();
    other.plane.refresh().unwrap();
    assert!(other.heard.serves("default", "main/gpt-4o"));
    other.plane.refresh().unwrap();
    assert_eq!(other.heard.times(), before + 1);
    // Without asking first, a write sees what is there.
    rig.create("teams", "t", json!({})).unwrap();
    assert!(matches!(other.create("teams", "t", json!({})), Err(Refusal::NameTaken(_))));
}

#[test]
fn lists_are_paged_and_filtered() {
    let rig = Rig::new();
    for name in ["a", "b", "c", "d"] {
        rig.provider(name);
    }
    let check = |filters: &[(&str, &str)], expect: &[&str]| {
        let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut query = ListQuery { limit: Some(2), filters, ..ListQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = rig.plane.list(&operator(), "default", "providers", &query).unwrap();
            assert!(page.data.len() <= 2);
            found.extend(page.data.into_iter().map(|resource| resource.name));
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, expect);
    };
    check(&[], &["a", "b", "c", "d", "demo"]);
    check(&[("q", "D")], &["d", "demo"]);
    check(&[("kind", "openai")], &["a", "b", "c", "d"]);
    check(&[("kind", "openai"), ("q", "demo")], &[]);
    let refused = |query: ListQuery| {
        let refusal = rig.plane.list(&operator(), "default", "providers", &query).unwrap_err();
        let Refusal::BadParameter { field, .. } = refusal else { panic!("{refusal:?}") };
        field
    };
    assert_eq!(refused(ListQuery { limit: Some(0), ..ListQuery::default() }), "limit");
    assert_eq!(refused(ListQuery { limit: Some(201), ..ListQuery::default() }), "limit");
    assert_eq!(refused(ListQuery { cursor: Some("x".into()), ..ListQuery::default() }), "cursor");
    let filters = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
    assert_eq!(refused(ListQuery { filters, ..ListQuery::default() }), "colour");
}

#[test]
fn only_operators_configure() {
    let rig = Rig::new();
    for role in [Role::Viewer, Role::Auditor, Role::Developer, Role::TeamAdmin] {
        let actor = developer("d", role, &["t"]);
        let draft = Draft { name: Some("t".into()), spec: Spec::new() };
        let created = rig.plane.create(&actor, "default", "teams", draft.clone());
        assert!(matches!(created, Err(Refusal::Forbidden(_))), "{role:?}");
        let deleted = rig.plane.delete(&actor, "default", "providers", "demo", Expect::Any);
        assert!(matches!(deleted, Err(Refusal::Forbidden(_))), "{role:?}");
        assert!(rig.plane.get(&actor, "default", "providers", "demo").is_ok(), "{role:?}");
    }
}

#[test]
fn warnings_are_in_the_status() {
    let rig = Rig::new();
    rig.create("guardrails", "empty", json!({})).unwrap();
    let status = rig.get("guardrails", "empty").status;
    let warnings = status.get("warnings").and_then(Value::as_array).unwrap();
    assert_eq!(warnings.len(), 1, "{status}");
    assert_eq!(status.get("problems"), Some(&json!([])));
}

#[test]
fn a_limit_keeps_whom_it_counts() {
    let rig = Rig::new();
    rig.create("teams", "red", json!({})).unwrap();
    rig.create("keys", "ci", json!({})).unwrap();
    let limit = |scope: Value| {
        let mut spec = json!({"meter": "requests", "window": "60s", "amount": 5});
        spec.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        spec
    };
    let check = |scope: Value, expect: &str| {
        let refusal = rig.create("limits", "l", limit(scope)).unwrap_err();
        assert_eq!(lines(&refusal), [expect]);
    };
    check(json!({"scope": "team:rde"}), "default/limits/l spec.scope: there is no team of this name");
    check(json!({"scope": "team", "name": "rde"}), "default/limits/l spec.scope: there is no team of this name");
    check(json!({"scope": "key:cd"}), "default/limits/l spec.scope: there is no key of this name");
    for (number, scope) in
        ["team:red", "key:ci", "key:anonymous", "team", "key", "user:red", "bucket:ci", "ip"].iter().enumerate()
    {
        rig.create("limits", &format!("l{number}"), limit(json!({"scope": scope}))).unwrap();
    }
    rig.create("limits", "named", limit(json!({"scope": "team", "name": "red"}))).unwrap();
    let refusal = rig.delete("teams", "red").unwrap_err();
    assert_eq!(refusal.to_string(), "team red is used by limit l0, limit named");
}

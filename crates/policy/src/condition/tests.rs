//! What conditions may say, what they may not, and what no text does.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::limit::zone::Zone;
use crate::snapshot::CompiledKey;

fn key() -> CompiledKey {
    let labels = BTreeMap::from([("tier".into(), "gold".into())]);
    CompiledKey { name: "app".into(), team: Some("search".into()), labels: Arc::new(labels), ..CompiledKey::default() }
}

/// Holds a condition against a request whose facts are all known.
fn held(text: &str) -> Result<bool, String> {
    let key = key();
    let headers = [
        ("x-tier".into(), " gold ".into()),
        ("authorization".into(), "Bearer sk-cw-secret".into()),
        ("x-tier".into(), "second".into()),
    ];
    let metadata = BTreeMap::from([
        ("run".to_owned(), json!("nightly")),
        ("tries".to_owned(), json!(3)),
        ("nested".to_owned(), json!({ "a": 1 })),
    ]);
    // Saturday, 21 November 2026, 16:46 in UTC.
    let time = Zone::default().civil(1_795_279_560_000);
    let facts = Facts {
        model: "gpt-4o",
        stream: true,
        input_tokens: 5_000,
        features: &["tools", "vision"],
        headers: &headers,
        metadata: &metadata,
        user: "ann",
        key: Some(&key),
        time,
        surface: "openai.chat",
        ..Facts::default()
    };
    Condition::compile(text).map_err(|fault| fault.to_string())?.holds(&facts)
}

#[test]
fn what_is_known_of_a_request_can_be_asked() {
    let check = |text: &str, expect: bool| assert_eq!(held(text), Ok(expect), "{text}");
    check("model == 'gpt-4o'", true);
    check("model.startsWith(\"gpt-\") && stream", true);
    check("model.matches('^gpt-[0-9]o$')", true);
    check("matches(model, 'claude')", false);
    check("provider == ''", true);
    check("surface == 'openai.chat'", true);
    check("input_tokens > 4000 && max_tokens == 0", true);
    check("'vision' in features", true);
    check("features.exists(f, f == 'audio')", false);
    check("size(features) == 2", true);
    check("headers['x-tier'] == 'gold'", true);
    check("'x-other' in headers", false);
    check("has(headers.authorization)", false);
    check("headers.exists(name, name.contains('auth'))", false);
    check("metadata.run == 'nightly' && metadata.tries >= 3", true);
    check("has(metadata.nested)", false);
    check("user in ['ann', 'bob']", true);
    check("key == 'app' && team == 'search' && labels.tier == 'gold'", true);
    check("time.weekday == 6 && time.hour >= 16 && time.minute == 46", true);
    check("time.year == 2026 && time.month == 11 && time.day == 21", true);
    check("[1, 2, 3].exists_one(x, x == 2)", true);
    check("['a', 'b'].all(x, size(x) == 1)", true);
    check("stream ? user == 'ann' : false", true);
    check("!stream || int('7') * 2 == 14", true);
    check("input_tokens + max_tokens + size(user) + 1 == 5004 && time.hour + 1 == 17", true);
    check("string(input_tokens) == '5000' && double(input_tokens) > 4.5", true);
    // What would fail does not matter where the other side decides.
    check("stream || headers['none'] == ''", true);
}

#[test]
fn what_cannot_be_said_is_said_without_the_request() {
    let check = |text: &str, expect: &str| assert_eq!(held(text), Err(expect.to_owned()), "{text}");
    check("headers['x-none'] == 'a'", "there is no `x-none`");
    check("metadata.none == 'a'", "there is no `none`");
    check("labels[headers['x-tier']] == ''", "there is no such key");
    check("metadata.run > 3", "`>` cannot be applied to string, int");
    check("metadata.tries.contains('a')", "`contains` cannot be applied to int, string");
    check("input_tokens / max_tokens > 1", "division by zero");
    check("labels.tier", "it is neither true nor false");
}

#[test]
fn what_is_no_condition_is_refused_with_its_place() {
    let check = |text: &str, expect: &str| {
        let found = Condition::compile(text).map(|_| String::new()).unwrap_or_else(|fault| fault.to_string());
        assert!(found.starts_with(expect), "{text}: {found}");
    };
    check("", "empty");
    check("model ==", "column ");
    check("model = 'a'", "column 7: not an expression in CEL");
    check("stream &&\n modle == 'a'", "line 2, column 2: unknown variable `modle`");
    check("model.map(x, x) == []", "macros that build lists are not supported");
    check("features.map(x, x) == []", "macros that build lists are not supported");
    check("features.filter(x, x == 'a') == []", "macros that build lists are not supported");
    check("features.all(x, features.exists(y, x == y))", "a macro within a macro is too costly");
    check("features.exists(model, model == 'a')", "column 17: `model` has another meaning");
    check("model.reverse() == 'a'", "column 7: unknown function `reverse`");
    check("time.our > 3", "column 6: `time` has no `our`");
    check("headers.xTier == ''", "column 9: names of headers are in lower case");
    check("user.name == ''", "column 6: `user` has no members");
    check("model.matches(user)", "column 7: the pattern of `matches` must be written out");
    check("model.matches('(')", "column 7: the pattern of `matches` is no regular expression");
    check("model.matches('(a{900}){900}')", "column 7: the pattern of `matches` is too costly");
    check("input_tokens + 1", "it is neither true nor false");
    check("model + user == 'a'", "column 7: only numbers are added");
    check("['a'] + features == []", "column 7: only numbers are added");
    check("'a'", "it is neither true nor false");
    check("model", "it is neither true nor false");
    check("input_tokens > 'a'", "it would fail for every request: `>` cannot be applied to int, string");
    check("{'a': 1}.a == 1", "column 1: maps cannot be written here");
    check("b'a' == b'a'", "column 1: bytes are not supported");
    check("type(model) == string", "column 1: unknown function `type`");
    check(&format!("model == '{}'", "a".repeat(MAX_BYTES)), "too long");
    check(&format!("{}stream{}", "(".repeat(200), ")".repeat(200)), "");
    check(&vec!["stream"; 200].join(" && "), "too large");
}

/// What fails for want of a fact is no mistake of the condition's.
#[test]
fn what_fails_for_some_requests_alone_is_a_condition() {
    for text in [
        "metadata.a > 1",
        "headers['x'] == 'a'",
        "has(metadata.a) && metadata.a > 1",
        "features[0] == 'tools'",
        "labels.tier == 'gold' && team == 'a'",
        "1000 / max_tokens > 3",
        "metadata.a.b == 1",
    ] {
        assert!(Condition::compile(text).is_ok(), "{text}");
    }
}

#[test]
fn only_what_is_asked_for_is_looked_at() {
    let looks = |text: &str| Condition::compile(text).unwrap().looks;
    let nothing = Looks::default();
    assert_eq!(looks("true"), nothing);
    assert_eq!(looks("model == 'a' && time.hour == 3"), Looks { any: true, ..nothing });
    assert_eq!(looks("'x' in headers && user == ''"), Looks { any: true, headers: true, user: true, ..nothing });
    assert_eq!(looks("'tools' in features"), Looks { any: true, features: true, ..nothing });
    assert_eq!(looks("metadata.a == 1"), Looks { any: true, metadata: true, ..nothing });
}

proptest! {
    /// Whatever is written, it is refused or it can be held against a request; neither panics.
    #[test]
    fn no_text_does_harm(text in "[ a-z0-9.()'\"&|=!<>+*/%?:,{}\\[\\]-]{0,60}") {
        let _ = held(&text);
    }

    #[test]
    fn pieces_of_conditions_do_no_harm(pieces in prop::collection::vec(prop::sample::select(vec![
        "model", "headers", "features", "time.hour", "metadata", "input_tokens", "'a'", "3", "-1", "1.5", "true", "null",
        " == ", " && ", " || ", " + ", " / ", " % ", " in ", " ? ", " : ", "(", ")", "[", "]", ".exists(x, ", ".all(y, ",
        "size(", "has(", ".matches('a+')", "!", "-", ".contains(", ", ", "int(", "string(", ".x", "['x']", "x", "y",
    ]), 1..14)) {
        let _ = held(&pieces.concat());
    }
}

/// What a condition costs does not grow with the request.
#[test]
fn long_texts_are_cut() {
    let long = "ä".repeat(10_000);
    let headers = [("x-long".into(), format!("{long}z").into())];
    let facts = Facts { model: &long, headers: &headers, ..Facts::default() };
    let condition = Condition::compile("size(model) == 1024 && size(headers['x-long']) == 1024").unwrap();
    assert_eq!(condition.holds(&facts), Ok(true));
    // The dearest that is let in: every header, each looked at by as much as a condition holds.
    let many: Vec<facts::Header> = (0..200).map(|at| (format!("x-{at}").into(), "a".repeat(2_000).into())).collect();
    let body = vec!["headers[n].matches('(a|b)*c')"; 40].join(" || ");
    let fault = Condition::compile(&format!("headers.exists(n, {body})")).unwrap_err();
    assert_eq!(fault.message, "too costly");
    let body = ["headers[n].matches('(a|b)*c')"; 5].join(" || ");
    let condition = Condition::compile(&format!("headers.exists(n, {body})")).unwrap();
    assert_eq!(condition.holds(&Facts { headers: &many, ..Facts::default() }), Ok(false));
}

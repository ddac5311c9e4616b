//! What a chat request is read as, what is refused, and what is sent on.

use super::*;

const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn decode(text: &str) -> Result<ChatRequest, Failure> {
    ChatRequest::decode(Bytes::copy_from_slice(text.as_bytes()))
}

fn sent(text: &str, model: &str, usage: AskUsage) -> String {
    String::from_utf8(decode(text).unwrap().encode(model, usage).concat()).unwrap()
}

fn refused(text: &str, param: Option<&str>) {
    let failure = decode(text).expect_err(text);
    assert_eq!((failure.status, failure.param.as_deref()), (400, param), "{text}");
}

#[test]
fn reads_what_routing_needs() {
    let request = decode(&format!(
        r#" {{"model":"gpt\u002d4o","stream":true,"max_tokens":50,"max_completion_tokens":20,"n":3,{MESSAGES},"service_tier":"flex","x":{{"model":1}}}} "#
    ))
    .unwrap();
    assert_eq!(request.model.as_deref(), Some("gpt-4o"));
    assert!(request.stream && !request.wants_usage());
    // Some providers heed the one, some the other.
    assert_eq!((request.max_tokens, request.choices), (Some(50), 3));
    assert_eq!(request.service_tier.as_deref(), Some("flex"));
}

#[test]
fn absent_and_null_are_the_same() {
    let request = decode(&format!(r#"{{"model":null,"stream":null,"n":null,"max_tokens":null,{MESSAGES}}}"#)).unwrap();
    assert_eq!((request.model, request.stream, request.choices, request.max_tokens), (None, false, 1, None));
}

#[test]
fn refuses_what_two_parsers_could_read_differently() {
    refused(&format!(r#"{{"model":"a","model":"b",{MESSAGES}}}"#), Some("model"));
    refused(&format!(r#"{{"mod\u0065l":"b",{MESSAGES}}}"#), Some("model"));
    refused(&format!(r#"{{"stream":true,{MESSAGES},"stream":false}}"#), Some("stream"));
    refused(&format!(r#"{{"model":"a",{MESSAGES}}}{{}}"#), None);
    refused("{\"model\":\"\u{0}", None);
    assert!(ChatRequest::decode(Bytes::from_static(b"{\"model\":\"\xff\"}")).is_err());
}

#[test]
fn refuses_wrong_types_by_name() {
    refused(&format!(r#"{{"model":7,{MESSAGES}}}"#), Some("model"));
    refused(&format!(r#"{{"stream":"yes",{MESSAGES}}}"#), Some("stream"));
    refused(&format!(r#"{{"max_tokens":-1,{MESSAGES}}}"#), Some("max_tokens"));
    refused(&format!(r#"{{"n":1.5,{MESSAGES}}}"#), Some("n"));
    refused(&format!(r#"{{"stream_options":3,{MESSAGES}}}"#), Some("stream_options"));
    refused(r#"{"model":"a"}"#, Some("messages"));
    refused(r#"{"messages":"hi"}"#, Some("messages"));
    refused(r#"{"messages":["hi"]}"#, Some("messages[0]"));
}

#[test]
fn leaves_to_the_provider_what_it_knows_better() {
    assert_eq!(decode(r#"{"max_tokens":0,"messages":[]}"#).unwrap().max_tokens, Some(0));
}

#[test]
fn refuses_what_is_not_an_object() {
    for text in ["", " ", "[]", "null", "\"x\"", "{", "{\"messages\"", "\u{feff}{}"] {
        refused(text, None);
    }
}

#[test]
fn forwards_every_other_byte() {
    let text = format!(r#"{{ "zzz" : [1,  2], "model" : "gpt-4o" , {MESSAGES}, "temperature":0.70 }}"#);
    assert_eq!(sent(&text, "gpt-4o", AskUsage::Ask), text);
    assert_eq!(sent(&text, "m\"x", AskUsage::Ask), text.replace("\"gpt-4o\"", "\"m\\\"x\""));
}

#[test]
fn names_the_model_where_none_was() {
    let text = format!("{{{MESSAGES}}}");
    assert_eq!(sent(&text, "m", AskUsage::Ask), format!(r#"{{"model":"m",{MESSAGES}}}"#));
}

#[test]
fn asks_for_usage_in_a_stream() {
    let check = |options: &str, expect: &str| {
        let text = format!(r#"{{"model":"m","stream":true,{options}{MESSAGES}}}"#);
        assert_eq!(sent(&text, "m", AskUsage::Ask), expect.replace("MESSAGES", MESSAGES), "{options}");
    };
    check("", r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,MESSAGES}"#);
    check(
        r#""stream_options":null,"#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},MESSAGES}"#,
    );
    check(
        r#""stream_options":{ },"#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},MESSAGES}"#,
    );
    check(
        r#""stream_options":{"include_usage":false},"#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},MESSAGES}"#,
    );
    check(
        r#""stream_options":{"include_obfuscation":false},"#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},MESSAGES}"#,
    );
}

#[test]
fn takes_out_what_the_provider_would_refuse() {
    let options = r#""stream_options":{"include_usage":true}"#;
    let expect = format!(r#"{{"stream":true,{MESSAGES}}}"#);
    for text in [
        format!(r#"{{{options},"stream":true,{MESSAGES}}}"#),
        format!(r#"{{"stream":true,{options},{MESSAGES}}}"#),
        format!(r#"{{"stream":true,{MESSAGES},{options}}}"#),
    ] {
        assert!(decode(&text).unwrap().wants_usage());
        let out = sent(&text, "m", AskUsage::Leave);
        assert_eq!(out.replace("\"model\":\"m\",", ""), expect, "{text}");
    }
}

#[test]
fn without_a_stream_nothing_is_asked() {
    let text = format!(r#"{{"model":"m",{MESSAGES}}}"#);
    assert_eq!(sent(&text, "m", AskUsage::Ask), text);
}

#[test]
fn many_members_are_refused() {
    let members: String = (0..2_000).map(|n| format!("\"k{n}\":1,")).collect();
    refused(&format!("{{{members}{MESSAGES}}}"), None);
}

proptest::proptest! {
    #[test]
    fn what_is_sent_is_what_came_outside_our_members(
        before in proptest::collection::vec("[a-z]{1,6}", 0..4),
        stream in proptest::bool::ANY,
        include in proptest::option::of(proptest::bool::ANY),
    ) {
        use serde_json::{Map, Value, json};
        let mut object = Map::new();
        for (at, name) in before.iter().enumerate() {
            object.insert(format!("x_{name}"), json!({"a": [at, name]}));
        }
        object.insert("model".into(), json!("asked"));
        object.insert("stream".into(), json!(stream));
        if let Some(include) = include {
            object.insert("stream_options".into(), json!({"include_usage": include}));
        }
        object.insert("messages".into(), json!([{"role": "user", "content": "hi"}]));
        let text = Value::Object(object.clone()).to_string();
        for usage in [AskUsage::Ask, AskUsage::Leave] {
            let mut got: Map<String, Value> = serde_json::from_str(&sent(&text, "theirs", usage)).unwrap();
            proptest::prop_assert_eq!(got.insert("model".into(), json!("asked")), Some(json!("theirs")));
            let mut expect = object.clone();
            if stream {
                got.remove("stream_options");
                expect.remove("stream_options");
            }
            proptest::prop_assert_eq!(got, expect);
        }
    }
}

#[test]
fn leaves_out_what_a_provider_refuses() {
    let refuses = ["store", "stream_options", "web_search_options"].map(Box::from);
    let spliced = |text: &str, refuses: &[Box<str>]| {
        let callee = Callee { model: "up", max_output_tokens: None, ask_usage: false, quirks: &[], refuses };
        let (parts, dropped) = decode(text).unwrap().spliced(&callee)?;
        Ok::<_, Failure>((String::from_utf8(parts.concat()).unwrap(), dropped))
    };
    let text = format!(r#"{{ "store": true, "model": "m" , {MESSAGES}, "stream":true, "stream_options":{{}} }}"#);
    let expect = format!(r#"{{ "model": "up" , {MESSAGES}, "stream":true }}"#);
    assert_eq!(spliced(&text, &refuses).unwrap(), (expect, vec!["store".to_owned()]));
    let expect = format!(r#"{{ "store": true, "model": "up" , {MESSAGES}, "stream":true }}"#);
    assert_eq!(spliced(&text, &[]).unwrap(), (expect, Vec::new()));
    let failure = spliced(&format!(r#"{{"model":"m",{MESSAGES},"web_search_options":{{"a":1}}}}"#), &refuses);
    assert_eq!(failure.unwrap_err().param.as_deref(), Some("web_search_options"));
}

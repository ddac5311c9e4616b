//! What a messages request is read as, what is refused, and what is sent on.

use super::*;

const REST: &str = r#""max_tokens":64,"messages":[{"role":"user","content":"hi"}]"#;

fn decode(text: &str) -> Result<MessagesRequest, Failure> {
    MessagesRequest::decode(Bytes::copy_from_slice(text.as_bytes()))
}

fn sent(text: &str, model: &str) -> String {
    String::from_utf8(decode(text).unwrap().encode(model).concat()).unwrap()
}

fn refused(text: &str, param: Option<&str>) -> String {
    let failure = decode(text).expect_err(text);
    assert_eq!((failure.status, failure.param.as_deref()), (400, param), "{text}");
    failure.message
}

#[test]
fn reads_what_routing_needs() {
    let request = decode(&format!(
        r#" {{"model":"claude\u002dx","stream":true,{REST},"service_tier":"auto","metadata":{{"model":1}}}} "#
    ))
    .unwrap();
    assert_eq!(request.model.as_deref(), Some("claude-x"));
    assert_eq!((request.stream, request.max_tokens), (true, Some(64)));
    assert_eq!(request.service_tier.as_deref(), Some("auto"));
    let request = decode(&format!(r#"{{"model":null,"stream":null,{REST}}}"#)).unwrap();
    assert_eq!((request.model, request.stream, request.service_tier), (None, false, None));
}

#[test]
fn says_what_is_missing_as_anthropic_does() {
    assert_eq!(refused(r#"{"messages":[]}"#, Some("max_tokens")), "max_tokens: Field required");
    assert_eq!(refused(r#"{"max_tokens":null,"messages":[]}"#, Some("max_tokens")), "max_tokens: Field required");
    assert_eq!(refused(r#"{"max_tokens":1}"#, Some("messages")), "messages: Field required");
}

#[test]
fn refuses_what_two_parsers_could_read_differently() {
    refused(&format!(r#"{{"model":"a","model":"b",{REST}}}"#), Some("model"));
    refused(&format!(r#"{{"mod\u0065l":"b",{REST}}}"#), Some("model"));
    refused(&format!(r#"{{"system":"a",{REST},"system":"b"}}"#), Some("system"));
    refused(&format!(r#"{{{REST},"max_tokens":9}}"#), Some("max_tokens"));
    refused(&format!(r#"{{"model":"a",{REST}}}{{}}"#), None);
    assert!(MessagesRequest::decode(Bytes::from_static(b"{\"model\":\"\xff\"}")).is_err());
}

#[test]
fn refuses_wrong_types_by_name() {
    refused(&format!(r#"{{"model":7,{REST}}}"#), Some("model"));
    refused(&format!(r#"{{"stream":"yes",{REST}}}"#), Some("stream"));
    refused(r#"{"max_tokens":"1","messages":[]}"#, Some("max_tokens"));
    refused(r#"{"max_tokens":-1,"messages":[]}"#, Some("max_tokens"));
    refused(r#"{"max_tokens":1,"messages":"hi"}"#, Some("messages"));
    refused(r#"{"max_tokens":1,"messages":["hi"]}"#, Some("messages[0]"));
    for text in ["", " ", "[]", "null", "{", "{\"messages\"", "\u{feff}{}"] {
        refused(text, None);
    }
}

#[test]
fn leaves_to_the_provider_what_it_knows_better() {
    assert_eq!(decode(r#"{"max_tokens":0,"messages":[]}"#).unwrap().max_tokens, Some(0));
}

#[test]
fn tokens_are_counted_without_a_limit() {
    let decode = |text: &'static str| MessagesRequest::decode_count(Bytes::from_static(text.as_bytes()));
    let request = decode(r#"{"messages":[],"model":"a","max_tokens":5,"stream":true}"#).unwrap();
    assert_eq!((request.stream, request.max_tokens), (false, None));
    assert_eq!(request.encode("b").concat(), br#"{"messages":[],"model":"b","max_tokens":5,"stream":true}"#);
    assert_eq!(decode(r#"{"model":"a"}"#).unwrap_err().message, "messages: Field required");
}

#[test]
fn forwards_every_other_byte() {
    let text = format!(r#"{{ "zzz" : [1,  2], "model" : "claude" , {REST}, "temperature":0.70 }}"#);
    assert_eq!(sent(&text, "claude"), text);
    assert_eq!(sent(&text, "m\"x"), text.replace("\"claude\"", "\"m\\\"x\""));
    assert_eq!(sent(&format!("{{{REST}}}"), "m"), format!(r#"{{"model":"m",{REST}}}"#));
    // What is spelled with escapes is spelled plainly.
    assert_eq!(sent(&format!(r#"{{"model":"\u006d",{REST}}}"#), "m"), format!(r#"{{"model":"m",{REST}}}"#));
}

#[test]
fn no_other_model_is_named_than_the_one_that_was_chosen() {
    let check = |body: String, expect: String, dropped: &[&str]| {
        let request = decode(&body).unwrap();
        assert_eq!(String::from_utf8(request.encode("b").concat()).unwrap(), expect);
        assert_eq!(request.dropped(), dropped, "{body}");
    };
    let fallbacks = r#""fallbacks":[{"model":"dear"}]"#;
    let expect = format!(r#"{{"model":"b",{REST}}}"#);
    check(format!(r#"{{"model":"a",{fallbacks},{REST}}}"#), expect.clone(), &["fallbacks"]);
    check(format!(r#"{{{fallbacks},"model":"a",{REST}}}"#), expect.clone(), &["fallbacks"]);
    check(format!(r#"{{{fallbacks},{REST}}}"#), expect.clone(), &["fallbacks"]);
    check(format!(r#"{{"model":"a",{REST},"fallbacks":null}}"#), expect.clone(), &[]);
    check(format!(r#"{{"model":"a",{REST}}}"#), expect, &[]);
    refused(&format!(r#"{{"model":"a","f\u0061llbacks":[],{REST}}}"#), Some("fallbacks"));
}

#[test]
fn the_body_can_be_forgotten() {
    let text = format!("{{{REST}}}");
    let mut request = decode(&text).unwrap();
    assert_eq!(request.body_bytes(), text.len() as u64);
    request.forget_body();
    assert_eq!(request.body_bytes(), 0);
}

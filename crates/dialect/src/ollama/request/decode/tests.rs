//! What a request in Ollama's dialect asks for, and what is no request.

use super::*;

fn check_wrong(body: &str, message: &str) {
    assert_eq!(decode(body).expect_err(body).message, message);
}

#[test]
fn everything_has_its_place() {
    let request = decode(
        r#"{"model":"m","think":"high","format":{"type":"object"},"logprobs":true,"top_logprobs":3,"keep_alive":"5m",
        "options":{"num_predict":9,"temperature":0.10,"stop":"x","num_ctx":8,"seed":-1},
        "tools":[{"type":"function","function":{"name":"f","parameters":{}}},{"type":"web"}],
        "messages":[{"role":"system","content":"s"},{"role":"user","content":"u","images":["/9j/AA"]},
        {"role":"assistant","content":"","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},
        {"role":"tool","content":"7","tool_name":"f"}]}"#,
    )
    .unwrap();
    assert!(request.stream);
    assert_eq!(request.reasoning.unwrap().effort, Some(Effort::High));
    assert_eq!((request.max_tokens, request.stop), (Some(9), vec!["x".to_owned()]));
    assert_eq!(request.sampling.temperature.unwrap().as_str(), "0.10");
    assert_eq!(request.sampling.seed.unwrap().as_str(), "-1");
    assert_eq!(request.logprobs, Some(Logprobs { top: Some(3) }));
    assert_eq!(request.extras.get(OURS, "keep_alive").unwrap().as_str(), "\"5m\"");
    assert_eq!(request.extras.get(OURS, "options.num_ctx").unwrap().as_str(), "8");
    assert!(matches!(&request.tools[..], [Tool::Function(function), Tool::Foreign { .. }] if function.name == "f"));

    let [system, user, assistant, tool] = &request.messages[..] else { panic!("{:?}", request.messages) };
    assert_eq!((system.role, &system.parts[..]), (Role::System, &[Part::text("s")][..]));
    assert!(
        matches!(&user.parts[1].content, Content::Image { source: Source::Base64 { media_type, .. }, .. } if media_type == "image/jpeg")
    );
    let [thought, call] = &assistant.parts[..] else { panic!("{:?}", assistant.parts) };
    assert!(matches!(&thought.content, Content::Thinking { text, .. } if text == "t"));
    assert!(matches!(&call.content, Content::ToolCall(call) if call.arguments == "{\"a\":1}" && call.id.is_empty()));
    let Content::ToolResult(result) = &tool.parts[0].content else { panic!("{:?}", tool.parts) };
    assert_eq!((result.name.as_deref(), &result.parts[..]), (Some("f"), &[Part::text("7")][..]));
}

#[test]
fn no_limit_is_not_a_limit() {
    let request = decode(r#"{"messages":[],"stream":false,"format":"","options":{"num_predict":-1}}"#).unwrap();
    assert_eq!((request.stream, request.max_tokens, request.format), (false, None, None));
    assert_eq!(request.extras.get(OURS, "options.num_predict").unwrap().as_str(), "-1");
}

#[test]
fn what_is_wrong_is_named() {
    check_wrong("[]", "`the body` must be an object");
    check_wrong(r#"{"messages":7}"#, "`messages` must be an array");
    check_wrong(
        r#"{"messages":[{"role":"critic"}]}"#,
        "`messages[0].role` must be one of \"system\", \"user\", \"assistant\" and \"tool\"",
    );
    check_wrong(
        r#"{"messages":[{"role":"user","images":[1]}]}"#,
        "`messages[0].images` must be an array of base64 texts",
    );
    check_wrong(
        r#"{"messages":[{"role":"user","tool_calls":[{}]}]}"#,
        "`messages[0].tool_calls[0].function` is missing",
    );
    check_wrong(r#"{"format":"xml"}"#, "`format` must be \"json\" or a schema");
    check_wrong(r#"{"think":"hard"}"#, "`think` must be a boolean or one of \"low\", \"medium\", \"high\" and \"max\"");
    check_wrong(r#"{"options":{"stop":[1]}}"#, "`options.stop` must be a string or an array of strings");
    check_wrong(r#"{"tools":[{"function":{}}]}"#, "`tools[0].function.name` is missing");
}

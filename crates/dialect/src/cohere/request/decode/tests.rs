//! What a request in Cohere's dialect asks for, and what is no request.

use super::*;

fn check_wrong(body: &str, message: &str) {
    assert_eq!(decode(body).expect_err(body).message, message);
}

#[test]
fn everything_has_its_place() {
    let request = decode(
        r#"{"model":"m","stream":true,"p":0.50,"k":3,"max_tokens":9,"stop_sequences":["x"],"tool_choice":"none",
        "thinking":{"type":"enabled","token_budget":7},"strict_tools":true,"safety_mode":"OFF","logprobs":true,
        "response_format":{"type":"json_object","json_schema":{"a":1}},"documents":["d"],
        "tools":[{"type":"function","function":{"name":"f","parameters":{}}}],
        "messages":[{"role":"system","content":"s"},
        {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}}]},
        {"role":"assistant","tool_plan":"t","tool_calls":[{"id":"c","type":"function","function":{"name":"f"}}]},
        {"role":"tool","tool_call_id":"c","content":[{"type":"document","document":{"id":"1","data":{"text":"d"}}},
        {"type":"document","document":{"data":{"rows":2}}}]}]}"#,
    )
    .unwrap();
    assert!(request.stream);
    assert_eq!((request.max_tokens, request.stop), (Some(9), vec!["x".to_owned()]));
    assert_eq!(request.tool_choice, Some(ToolChoice::None));
    assert_eq!(request.reasoning.unwrap().budget_tokens, Some(7));
    assert_eq!(request.sampling.top_p.unwrap().as_str(), "0.50");
    assert!(matches!(request.format, Some(Format::JsonSchema(Schema { schema: Some(_), .. }))));
    assert!(matches!(&request.tools[..], [Tool::Function(Function { strict: Some(true), .. })]));
    assert_eq!(request.extras.of(OURS).map(|(name, _)| name).collect::<Vec<_>>(), ["safety_mode", "documents"]);

    let [_, user, assistant, tool] = &request.messages[..] else { panic!("{:?}", request.messages) };
    assert!(
        matches!(&user.parts[0].content, Content::Image { source: Source::Base64 { data, .. }, .. } if data == "QQ==")
    );
    assert!(matches!(&assistant.parts[0].content, Content::Thinking { text, .. } if text == "t"));
    let Content::ToolResult(result) = &tool.parts[0].content else { panic!("{:?}", tool.parts) };
    let [known, foreign] = &result.parts[..] else { panic!("{:?}", result.parts) };
    assert!(matches!(&known.content, Content::Document(Document { source: Source::Text(text), .. }) if text == "d"));
    assert!(matches!(&foreign.content, Content::Foreign { dialect: OURS, .. }));
}

#[test]
fn what_is_wrong_is_named() {
    check_wrong("{", "the JSON text ends too early");
    check_wrong(r#"{"tool_choice":"f"}"#, "`tool_choice` must be \"REQUIRED\" or \"NONE\"");
    check_wrong(r#"{"thinking":{"type":"some"}}"#, "`thinking.type` must be \"enabled\" or \"disabled\"");
    check_wrong(r#"{"response_format":{"type":"xml"}}"#, "`response_format.type` must be \"text\" or \"json_object\"");
    check_wrong(r#"{"stop_sequences":[1]}"#, "`stop_sequences` must be an array of strings");
    check_wrong(r#"{"messages":[{"role":"tool","content":"x"}]}"#, "`messages[0].tool_call_id` is missing");
    check_wrong(r#"{"messages":[{"role":"user","content":7}]}"#, "`messages[0].content` must be an array");
    check_wrong(
        r#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
        "`messages[0].content[0].text` is missing",
    );
}

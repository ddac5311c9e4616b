//! How requests of Gemini are read: small cases, malformed ones among them.

use ir::chat::message::Source;

use super::*;

fn check_wrong(body: &str, message: &str) {
    let failure = decode(body).unwrap_err();
    assert_eq!((failure.status, failure.message.as_str()), (400, message), "{body}");
}

#[test]
fn what_is_wrong_is_named() {
    check_wrong("[]", "`the body` must be an object");
    check_wrong(r#"{"contents":{}}"#, "`contents` must be an array");
    check_wrong(r#"{"contents":[{"role":"system"}]}"#, "the role `system` is not known: it is `user` or `model`");
    check_wrong(r#"{"contents":[{"parts":[{"text":1}]}]}"#, "`contents[0].parts[0].text` must be a string");
    check_wrong(r#"{"contents":[{"parts":[{"inlineData":{}}]}]}"#, "`contents[0].parts[0].inlineData.data` is missing");
    check_wrong(
        r#"{"generationConfig":{"stopSequences":[1]}}"#,
        "`generationConfig.stopSequences` must be an array of strings",
    );
    check_wrong(r#"{"tool_config":{},"toolConfig":{}}"#, "`toolConfig` appears more than once in `the body`");
    check_wrong(r#"{"contents":"#, "the JSON text ends too early");
}

fn parts(text: &str) -> Vec<Part> {
    decode(&format!(r#"{{"contents":[{{"role":"user","parts":[{text}]}}]}}"#)).unwrap().messages.remove(0).parts
}

#[test]
fn parts_are_what_they_hold() {
    let found = parts(
        r#"{"text":"a"},{"text":"b","thought":true},{"inline_data":{"mime_type":"image/png","data":"-_A"}},
        {"fileData":{"fileUri":"gs://b/a","mimeType":"audio/mp3"}},{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x"}},
        {"functionCall":{"name":"f"}},{"executableCode":{"code":"1"},"thoughtSignature":"s"},{"thoughtSignature":"s"}"#,
    );
    let base64 = Source::Base64 { media_type: "image/png".to_owned(), data: "+/A=".to_owned() };
    assert_eq!(found[0], Part::text("a"));
    assert!(matches!(&found[1].content, Content::Thinking { text, .. } if text == "b"));
    assert_eq!(found[2], Part::new(Content::Image { source: base64, detail: None }));
    assert!(matches!(&found[3].content, Content::Audio(Source::Url(_))));
    assert!(matches!(&found[4].content, Content::Document(document) if matches!(document.source, Source::File(_))));
    assert!(matches!(&found[5].content, Content::ToolCall(call) if call.id.is_empty() && call.arguments == "{}"));
    assert!(matches!(&found[6].content, Content::Foreign { block, .. } if block.as_str().contains("\"s\"")));
    assert!(
        matches!(&found[7], Part { content: Content::Text { text, .. }, signature: Some(_), .. } if text.is_empty())
    );
}

#[test]
fn results_are_unwrapped_if_they_can_be_wrapped_again() {
    let check = |response: &str, text: Option<&str>, is_error: Option<bool>| {
        let part = parts(&format!(r#"{{"functionResponse":{{"name":"f","response":{response}}}}}"#)).remove(0);
        let Content::ToolResult(result) = part.content else { panic!("{response}") };
        let expect: Vec<Part> = text.map(Part::text).into_iter().collect();
        assert_eq!((result.parts, result.is_error), (expect, is_error), "{response}");
    };
    check("{ }", None, None);
    check(r#"{"result":"a\nb"}"#, Some("a\nb"), None);
    check(r#"{"result":"7"}"#, Some("7"), None);
    check(r#"{"result":7}"#, Some(r#"{"result":7}"#), None);
    check(r#"{"result":"{}"}"#, Some(r#"{"result":"{}"}"#), None);
    check(r#"{"result":"a","n":1}"#, Some(r#"{"result":"a","n":1}"#), None);
    check(r#"{"error":"a"}"#, Some("a"), Some(true));
    check(r#"{"error":{"a":1}}"#, Some(r#"{"error":{"a":1}}"#), Some(true));
}

#[test]
fn roles_are_what_their_parts_are() {
    let roles = |text: &str| decode(text).unwrap().messages.iter().map(|message| message.role).collect::<Vec<_>>();
    let result = r#"{"functionResponse":{"name":"f","response":{}}}"#;
    let body = format!(
        r#"{{"contents":[{{"parts":{{"text":"a"}}}},{{"role":"model"}},{{"role":"user","parts":[{result}]}},
        {{"role":"function","parts":[{result}]}},{{"role":"user","parts":[{result},{{"text":"a"}}]}}],"system_instruction":{{"role":"x"}}}}"#
    );
    assert_eq!(roles(&body), [Role::System, Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::User]);
}

#[test]
fn choices_have_common_words() {
    let choice = |config: &str| {
        let tools = r#""tools":[{"functionDeclarations":[{"name":"f"},{"name":"g"}]}]"#;
        let body = format!(r#"{{{tools},"toolConfig":{{"functionCallingConfig":{config}}}}}"#);
        let request = decode(&body).unwrap();
        let noted = request.extras.noted(Dialect::Gemini, "toolConfig.functionCallingConfig").is_some();
        (request.tool_choice.unwrap(), noted)
    };
    assert_eq!(choice(r#"{"mode":"auto"}"#), (ToolChoice::Auto, false));
    assert_eq!(choice(r#"{"mode":"VALIDATED"}"#), (ToolChoice::Auto, true));
    assert_eq!(choice(r#"{"mode":"NONE"}"#), (ToolChoice::None, false));
    assert_eq!(choice(r#"{"mode":"ANY"}"#), (ToolChoice::Required, false));
    assert_eq!(choice(r#"{"mode":"ANY","allowedFunctionNames":["g","f"]}"#), (ToolChoice::Required, true));
    let one = ToolChoice::Function("f".to_owned());
    assert_eq!(choice(r#"{"mode":"ANY","allowed_function_names":["f"]}"#), (one, false));
    for foreign in [
        r#"{"mode":"ANY","allowedFunctionNames":["f","h"]}"#,
        r#"{"mode":"AUTO","allowedFunctionNames":["f","g"]}"#,
        r#"{"mode":"AUTO","x":1}"#,
        "{}",
    ] {
        let own = ToolChoice::Foreign { dialect: Dialect::Gemini, choice: Json::parse(foreign).unwrap() };
        assert_eq!(choice(foreign), (own, false));
    }
}

#[test]
fn forms_have_common_words() {
    let config = |config: &str| decode(&format!(r#"{{"generationConfig":{config}}}"#)).unwrap();
    assert_eq!(config(r#"{"responseMimeType":"text/plain"}"#).format, Some(Format::Text));
    assert_eq!(config(r#"{"responseMimeType":"application/json"}"#).format, Some(Format::JsonObject));
    let request = config(r#"{"responseMimeType":"application/json","responseSchema":{"type":"STRING"}}"#);
    assert!(
        matches!(&request.format, Some(Format::JsonSchema(schema)) if schema.schema == Json::parse(r#"{"type":"string"}"#))
    );
    assert!(request.extras.is_empty());
    let request = config(r#"{"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING"}}"#);
    assert_eq!((request.format, request.extras.of(Dialect::Gemini).count()), (None, 2));
    let reasoning = |thinking: &str| config(&format!(r#"{{"thinkingConfig":{thinking}}}"#)).reasoning.unwrap();
    assert_eq!(reasoning(r#"{"thinkingBudget":-1}"#).enabled, Some(true));
    assert_eq!(reasoning(r#"{"thinkingBudget":0}"#).enabled, Some(false));
    assert_eq!(reasoning(r#"{"thinkingLevel":"HIGH"}"#).effort, Some(Effort::High));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in r#"\{"(contents|tools|generationConfig|toolConfig)":[\[{]{1,2}["a-zA-Z:,\[\]{}0-9]{0,40}"#) {
        let _ = decode(&text);
    }
}

//! How requests of Anthropic Messages are read: small cases, malformed ones among them.

use ir::chat::message::{Content, Source};
use ir::dialect::Dialect;

use super::*;

fn read(members: &str) -> Request {
    decode(&format!(r#"{{"model":"claude-opus-4-6","max_tokens":9,"messages":[]{members}}}"#)).unwrap()
}

fn read_blocks(blocks: &str) -> Message {
    let body = format!(r#"{{"messages":[{{"role":"user","content":{blocks}}}]}}"#);
    decode(&body).unwrap().messages.remove(0)
}

#[test]
fn what_is_malformed_is_named() {
    let check = |body: &str, param: &str, message: &str| {
        let failure = decode(body).unwrap_err();
        assert_eq!((failure.status, failure.message.as_str()), (400, message), "{body}");
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    };
    check("[]", "the body", "`the body` must be an object");
    check("{}", "messages", "`messages` is missing");
    check(
        r#"{"messages":[{"role":"tool"}]}"#,
        "messages[0].role",
        "`messages[0].role` must be `user`, `assistant` or `system`",
    );
    check(
        r#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
        "messages[0].content[0].text",
        "`messages[0].content[0].text` is missing",
    );
    check(r#"{"messages":[],"system":[{}]}"#, "system[0].type", "`system[0].type` is missing");
    check(r#"{"messages":[],"max_tokens":"9"}"#, "max_tokens", "`max_tokens` must be a whole number, 0 or more");
    check(r#"{"messages":[],"stop_sequences":[1]}"#, "stop_sequences[0]", "`stop_sequences[0]` must be a string");
    check(r#"{"messages":[],"tools":[{}]}"#, "tools[0].name", "`tools[0].name` is missing");
    check(r#"{"messages":[],"tool_choice":{"type":"tool"}}"#, "tool_choice.name", "`tool_choice.name` is missing");
    check(
        r#"{"messages":[],"output_config":{"format":{"type":"xml"}}}"#,
        "output_config.format.type",
        "`output_config.format.type` must be `json_schema`",
    );
    assert!(decode("{\"messages\":[]").is_err());
}

#[test]
fn sources_are_read_and_unknown_ones_carried() {
    let check = |block: &str, expect: Option<Source>| {
        let message = read_blocks(&format!("[{block}]"));
        let found = match &message.parts[0].content {
            Content::Image { source, .. } => Some(source.clone()),
            Content::Document(document) => Some(document.source.clone()),
            Content::Foreign { dialect: Dialect::Anthropic, block: json } => {
                assert_eq!(json.as_str(), block);
                None
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expect, "{block}");
    };
    let base64 = Source::Base64 { media_type: "image/png".to_owned(), data: "AA==".to_owned() };
    check(r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}"#, Some(base64));
    check(r#"{"type":"image","source":{"type":"url","url":"u"}}"#, Some(Source::Url("u".to_owned())));
    check(r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#, Some(Source::File("f".to_owned())));
    check(
        r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}"#,
        Some(Source::Text("d".to_owned())),
    );
    check(r#"{"type":"document","source":{"type":"content","content":[]}}"#, Some(Source::Parts(Vec::new())));
    check(r#"{"type":"document","source":{"type":"text","media_type":"text/html","data":"d"}}"#, None);
    check(r#"{"type":"image","source":{"type":"url","url":"u","more":1}}"#, None);
    check(r#"{"type":"image","source":{"type":"hologram"}}"#, None);
    check(r#"{"type":"web_search_tool_result","content":[null]}"#, None);
}

#[test]
fn calls_and_results_are_read() {
    let message = read_blocks(
        r#"[{"type":"tool_use","id":"t1","name":"f","input":{ "a":1.0 },"caller":{"type":"direct"}},
            {"type":"tool_use","id":"t2","name":"f","input":{},"caller":{"type":"code_execution_20260120"}},
            {"type":"tool_result","tool_use_id":"t1","content":"ok","is_error":false}]"#,
    );
    let [call, by_code, result] = message.parts.as_slice() else { panic!() };
    assert!(matches!(&call.content, Content::ToolCall(call) if call.arguments == r#"{ "a":1.0 }"#));
    assert_eq!(call.extras.get(DIALECT, "caller").map(Json::as_str), Some(r#"{"type":"direct"}"#));
    assert!(matches!(by_code.content, Content::Foreign { .. }));
    assert!(matches!(&result.content, Content::ToolResult(result) if result.is_error == Some(false)));
}

#[test]
fn a_citation_that_was_made_up_is_no_original() {
    let message = read_blocks(
        r#"[{"type":"text","text":"t","citations":[
            {"type":"web_search_result_location","url":"u","title":"t","cited_text":"","encrypted_index":""},
            {"type":"char_location","cited_text":"c","document_title":"d","document_index":0}]}]"#,
    );
    let Content::Text { citations, .. } = &message.parts[0].content else { panic!() };
    assert_eq!((citations[0].url.as_deref(), &citations[0].original), (Some("u"), &None));
    assert_eq!((citations[1].title.as_deref(), citations[1].original.is_some()), (Some("d"), true));
}

#[test]
fn thinking_and_effort() {
    let check = |members: &str, expect: Reasoning| {
        let reasoning = read(members).reasoning.unwrap();
        let found = Reasoning { extras: Extras::default(), ..reasoning };
        assert_eq!(found, expect, "{members}");
    };
    let on = Reasoning { enabled: Some(true), ..Reasoning::default() };
    check(r#","thinking":{"type":"adaptive"}"#, on.clone());
    check(
        r#","thinking":{"type":"enabled","budget_tokens":2000,"display":"omitted"}"#,
        Reasoning { budget_tokens: Some(2_000), visible: Some(false), ..on.clone() },
    );
    check(r#","thinking":{"type":"disabled"}"#, Reasoning { enabled: Some(false), ..Reasoning::default() });
    check(r#","output_config":{"effort":"max"}"#, Reasoning { effort: Some(Effort::Max), ..Reasoning::default() });
    check(r#","thinking":{"type":"between_tools"}"#, on);
    let strange = read(r#","output_config":{"effort":"heroic","task_budget":{}}"#);
    assert!(strange.reasoning.is_none());
    assert_eq!(strange.extras.get(DIALECT, "output_config.effort").map(Json::as_str), Some("\"heroic\""));
    assert!(strange.extras.get(DIALECT, "output_config.task_budget").is_some());
}

#[test]
fn choices_of_tools() {
    let check = |choice: &str, expect: ToolChoice, parallel: Option<bool>| {
        let request = read(&format!(r#","tool_choice":{choice}"#));
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (Some(expect), parallel), "{choice}");
    };
    check(r#"{"type":"auto","disable_parallel_tool_use":true}"#, ToolChoice::Auto, Some(false));
    check(r#"{"type":"any"}"#, ToolChoice::Required, None);
    check(r#"{"type":"none"}"#, ToolChoice::None, None);
    check(r#"{"type":"tool","name":"f"}"#, ToolChoice::Function("f".to_owned()), None);
    let later = r#"{"type":"some","of":["f"]}"#;
    check(later, ToolChoice::Foreign { dialect: DIALECT, choice: Json::parse(later).unwrap() }, None);
}

#[test]
fn nothing_is_lost() {
    let request = read(
        r#","metadata":{"user_id":"u","plan":"x"},"container":"c","inference_geo":"eu","mcp_servers":[],
           "tools":[{"name":"f","input_schema":{},"eager_input_streaming":true},{"type":"bash_20250124","name":"bash"}]"#,
    );
    let names: Vec<&str> = request.extras.of(DIALECT).map(|(name, _)| name).collect();
    assert_eq!(names, ["metadata.plan", "container", "inference_geo", "mcp_servers"]);
    assert_eq!(request.user.as_deref(), Some("u"));
    assert!(matches!(&request.tools[0], Tool::Function(f) if f.extras.get(DIALECT, "eager_input_streaming").is_some()));
    assert!(matches!(&request.tools[1], Tool::Foreign { .. }));
}

proptest::proptest! {
    #[test]
    fn never_panics(
        members in proptest::collection::vec(
            (
                "messages|system|tools|tool_choice|thinking|output_config|output_format|metadata|stop_sequences|stream",
                r#"null|true|7|-1|"x"|\[\]|\{\}|\[\{\}\]|\[7\]|\{"type":"(enabled|tool|auto|json_schema)"\}|\[\{"role":"user","content":(7|"x"|\[\{"type":"(text|image|document|tool_use|tool_result|thinking)"\}\])\}\]"#,
            ),
            0..6,
        ),
    ) {
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let _ = decode(&format!("{{{}}}", members.join(",")));
    }
}

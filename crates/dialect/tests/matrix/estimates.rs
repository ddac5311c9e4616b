//! What is estimated where nobody reports: the same answer weighs the same whole and as a stream, in every dialect, spliced
//! or translated.

use bytes::Bytes;
use dialect::lane::Surface;
use dialect::lane::reply::Reply;
use dialect::lane::stream::ReplyStream;
use dialect::translate::Label;
use ir::dialect::Dialect;

const LABEL: Label<'_> = Label { seed: "0123456789abcdef0123456789abcdef", model: "m", created: 0 };

/// What every answer says: a thought, a text, and a call of `weather({"city":"Bern"})`.
const SAID: u64 = ("Let me \"see\".".len() + "Grüße\n".len() + "weather".len() + r#"{"city":"Bern"}"#.len()) as u64;

fn whole(surface: Surface, dialect: Dialect, body: &str) -> u64 {
    let reply = Reply::decode(surface, dialect, Bytes::copy_from_slice(body.as_bytes()), "crossway", &LABEL, None);
    let reply = reply.unwrap_or_else(|error| panic!("{dialect:?}: {error:?}"));
    assert_eq!(reply.usage, None, "{dialect:?}");
    reply.content_bytes
}

fn streamed(surface: Surface, dialect: Dialect, body: &str) -> u64 {
    let mut out = Vec::new();
    let mut stream = ReplyStream::new(surface, dialect, "crossway", br#""crossway":{}"#.to_vec(), true, &LABEL);
    stream.push(Bytes::copy_from_slice(body.as_bytes()), &mut out);
    stream.end(&mut out);
    assert_eq!(stream.passed().usage, None, "{dialect:?}");
    assert!(stream.passed().finish_reason.is_some(), "{dialect:?} {:?}", stream.passed());
    stream.passed().content_bytes
}

/// Checks both forms on both surfaces. Where bytes are spliced, what is escaped in them counts as it stands there.
fn check(dialect: Dialect, body: &str, stream: &str) {
    for surface in [Surface::OpenaiChat, Surface::AnthropicMessages] {
        let (whole, streamed) = (whole(surface, dialect, body), streamed(surface, dialect, stream));
        assert_eq!(whole, streamed, "{surface:?} {dialect:?}");
        let spliced = surface.dialect() == dialect;
        let escaped = if spliced { 2 + 1 + 4 } else { 0 };
        assert_eq!(whole, SAID + escaped, "{surface:?} {dialect:?}");
    }
}

fn events(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

fn typed(data: &[&str]) -> String {
    let name = |data: &str| data.split('"').nth(3).unwrap_or_default().to_owned();
    data.iter().map(|data| format!("event: {}\ndata: {data}\n\n", name(data))).collect()
}

#[test]
fn openai_chat() {
    let body = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"Let me \"see\".","content":"Grüße\n","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]},"finish_reason":"tool_calls"}]}"#;
    let stream = events(&[
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Let me \"see\"."}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Grü"}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"ße\n"}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Bern\"}"}}]}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ]);
    check(Dialect::OpenaiChat, body, &stream);
}

#[test]
fn anthropic() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"Let me \"see\".","signature":"AAAAAAAAAAAA"},{"type":"text","text":"Grüße\n"},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Bern"}}],"stop_reason":"tool_use","stop_sequence":null}"#;
    let stream = typed(&[
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me \"see\"."}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"AAAAAAAAAAAA"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße\n"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Bern\"}"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null}}"#,
        r#"{"type":"message_stop"}"#,
    ]);
    check(Dialect::Anthropic, body, &stream);
}

#[test]
fn openai_responses() {
    let call = r#"{"type":"function_call","id":"fc_1","call_id":"call_1","name":"weather","arguments":"{\"city\":\"Bern\"}","status":"completed"}"#;
    let said = r#"{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Grüße\n","annotations":[]}]}"#;
    let thought = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Let me \"see\"."}]}"#;
    let body = format!(
        r#"{{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{thought},{said},{call}]}}"#
    );
    let stream = typed(&[
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#,
        r#"{"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}"#,
        r#"{"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"Let me \"see\"."}"#,
        &format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{thought}}}"#),
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"message","id":"msg_1","role":"assistant","status":"in_progress","content":[]}}"#,
        r#"{"type":"response.content_part.added","item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
        r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"Grüße\n"}"#,
        &format!(r#"{{"type":"response.output_item.done","output_index":1,"item":{said}}}"#),
        r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"weather","arguments":"","status":"in_progress"}}"#,
        r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"{\"city\":\"Bern\"}"}"#,
        &format!(r#"{{"type":"response.output_item.done","output_index":2,"item":{call}}}"#),
        &format!(r#"{{"type":"response.completed","response":{body}}}"#),
    ]);
    check(Dialect::OpenaiResponses, &body, &stream);
}

#[test]
fn gemini() {
    let thought = r#"{"text":"Let me \"see\".","thought":true}"#;
    let call = r#"{"functionCall":{"name":"weather","args":{"city":"Bern"}}}"#;
    let answer = |parts: &str, finish: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}},{finish}"index":0}}],"modelVersion":"m","responseId":"g1"}}"#
        )
    };
    let body = answer(&format!(r#"{thought},{{"text":"Grüße\n"}},{call}"#), r#""finishReason":"STOP","#);
    let stream = events(&[
        &answer(thought, ""),
        &answer(r#"{"text":"Grü"}"#, ""),
        &answer(r#"{"text":"ße\n"}"#, ""),
        &answer(call, r#""finishReason":"STOP","#),
    ]);
    check(Dialect::Gemini, &body, &stream);
}

#[test]
fn cohere() {
    let body = r#"{"id":"c1","finish_reason":"TOOL_CALL","message":{"role":"assistant","content":[{"type":"thinking","thinking":"Let me \"see\"."},{"type":"text","text":"Grüße\n"}],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]}}"#;
    let stream = typed(&[
        r#"{"type":"message-start","id":"c1","delta":{"message":{"role":"assistant","content":[],"tool_calls":[]}}}"#,
        r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}}"#,
        r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"Let me \"see\"."}}}}"#,
        r#"{"type":"content-end","index":0}"#,
        r#"{"type":"content-start","index":1,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
        r#"{"type":"content-delta","index":1,"delta":{"message":{"content":{"text":"Grüße\n"}}}}"#,
        r#"{"type":"content-end","index":1}"#,
        r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}}}}"#,
        r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"city\":\"Bern\"}"}}}}}"#,
        r#"{"type":"tool-call-end","index":0}"#,
        r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL"}}"#,
    ]);
    check(Dialect::Cohere, body, &stream);
}

#[test]
fn ollama() {
    let call = r#"[{"function":{"name":"weather","arguments":{"city":"Bern"}}}]"#;
    let line = |message: &str, done: &str| {
        format!(
            r#"{{"model":"m","created_at":"2026-11-21T00:00:00Z","message":{{"role":"assistant",{message}}},"done":{done}}}"#
        )
    };
    let end = r#"true,"done_reason":"stop""#;
    let body = line(&format!(r#""thinking":"Let me \"see\".","content":"Grüße\n","tool_calls":{call}"#), end);
    let stream = [
        line(r#""thinking":"Let me \"see\".","content":"""#, "false"),
        line(r#""content":"Grüße\n""#, "false"),
        line(&format!(r#""content":"","tool_calls":{call}"#), "false"),
        line(r#""content":"""#, end),
    ]
    .join("\n");
    check(Dialect::Ollama, &body, &format!("{stream}\n"));
}

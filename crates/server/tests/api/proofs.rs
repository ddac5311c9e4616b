//! What a provider signed comes back to it, though the caller's client has lost it.

use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::script::Script;

const TOOLS: &str =
    r#"[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{}}}}]"#;

fn ask(messages: &Value) -> String {
    format!(r#"{{"model":"m","reasoning_effort":"high","max_tokens":9000,"tools":{TOOLS},"messages":{messages}}}"#)
}

/// Two turns: the provider calls a tool, the caller answers with what an ordinary client keeps of the call.
async fn second_turn(kind: &'static str, first: Script) -> Value {
    let gateway = Gateway::builder()
        .provider_of("p", kind, vec![first, testkit::dialects::whole(kind, testkit::dialects::Answer::Text)])
        .start();
    let user = json!({ "role": "user", "content": "rain?" });
    let reply = gateway.chat(&ask(&json!([user]))).await;
    let calls: Vec<Value> = reply.json()["choices"][0]["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| json!({ "id": call["id"], "type": "function", "function": call["function"] }))
        .collect();
    let results = calls.iter().map(|call| json!({ "role": "tool", "tool_call_id": call["id"], "content": "yes" }));
    let mut messages = vec![user.clone(), json!({ "role": "assistant", "content": null, "tool_calls": calls })];
    messages.extend(results);
    let reply = gateway.chat(&ask(&json!(messages))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let asked = gateway.provider("p").requests().pop().unwrap().json();
    gateway.records(2).await;
    asked
}

#[tokio::test(start_paused = true)]
async fn anthropic_gets_its_thoughts_back() {
    let thinking = json!({ "type": "thinking", "thinking": "hm", "signature": "c2ln" });
    let called = json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} });
    let body = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "x", "content": [thinking, called], "stop_reason": "tool_use", "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 } });
    let asked = second_turn("anthropic", Script::json(200, &body.to_string())).await;
    assert_eq!(asked["messages"][1]["content"], json!([thinking, called]), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn gemini_gets_its_signature_back() {
    let call = json!({ "functionCall": { "name": "weather", "args": {} }, "thoughtSignature": "c2ln" });
    let body = json!({ "candidates": [{ "content": { "role": "model", "parts": [call] }, "finishReason": "STOP", "index": 0 }], "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2 }, "responseId": "g" });
    let asked = second_turn("gemini", Script::json(200, &body.to_string())).await;
    assert_eq!(asked["contents"][1]["parts"][0]["thoughtSignature"], "c2ln", "{asked}");
}

#[tokio::test(start_paused = true)]
async fn responses_gets_its_reasoning_back() {
    let reasoning = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln" });
    let call = json!({ "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}", "status": "completed" });
    let body = json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "x", "output": [reasoning, call], "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 } });
    let asked = second_turn("openai-responses", Script::json(200, &body.to_string())).await;
    assert_eq!(asked["input"][1]["encrypted_content"], "c2ln", "{asked}");
}

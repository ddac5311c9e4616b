//! The features: each as the same request without it and with it.

use serde_json::{Value, json};

/// One feature.
pub struct Feature {
    /// Its name in the table.
    pub name: &'static str,
    /// A request without it.
    pub without: Value,
    /// The same with it.
    pub with: Value,
    /// Whether it is data that the gateway fetches for providers that do not.
    pub fetched: bool,
}

const PNG: &str = "iVBORw0KGgo=";
const PDF: &str = "JVBERi0xLjQ=";

/// Adds members to the top of a request, or replaces them.
fn plus(base: &Value, members: Value) -> Value {
    let mut whole = base.clone();
    for (name, value) in members.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole
}

fn feature(name: &'static str, base: &Value, members: Value) -> Feature {
    Feature { name, without: base.clone(), with: plus(base, members), fetched: false }
}

fn fetched(mut feature: Feature) -> Feature {
    feature.fetched = true;
    feature
}

fn says(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

/// The features of chat completions.
pub fn openai() -> Vec<Feature> {
    let base = json!({ "model": "m", "messages": says("hi") });
    let tool = json!({ "type": "function", "function": { "name": "weather", "description": "d", "parameters": { "type": "object", "properties": { "city": { "type": "string" } } } } });
    let tools = plus(&base, json!({ "tools": [tool] }));
    let part =
        |part: Value| json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }, part] }] });
    let bare = plus(&base, json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }] }));
    let call = |id: &str, city: &str| json!({ "id": id, "type": "function", "function": { "name": "weather", "arguments": format!("{{\"city\":\"{city}\"}}") } });
    let result = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "rain" });
    let user = json!({ "role": "user", "content": "hi" });
    let turn = |calls: Vec<Value>, results: Vec<Value>| {
        let mut messages = vec![user.clone(), json!({ "role": "assistant", "content": null, "tool_calls": calls })];
        messages.extend(results);
        json!({ "messages": messages })
    };
    let one = plus(&tools, turn(vec![call("call_1", "Bern")], vec![result("call_1")]));
    vec![
        feature("system prompt", &base, json!({ "messages": [{ "role": "system", "content": "be brief" }, user] })),
        feature(
            "developer prompt",
            &base,
            json!({ "messages": [{ "role": "developer", "content": "be brief" }, user] }),
        ),
        feature(
            "image, inline",
            &bare,
            part(json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{PNG}") } })),
        ),
        fetched(feature(
            "image, by URL",
            &bare,
            part(json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } })),
        )),
        feature(
            "PDF, inline",
            &bare,
            part(
                json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PDF}") } }),
            ),
        ),
        feature(
            "audio, inline",
            &bare,
            part(json!({ "type": "input_audio", "input_audio": { "data": "UklGRg==", "format": "wav" } })),
        ),
        feature("tools", &base, json!({ "tools": [tool] })),
        feature("tool choice: none", &tools, json!({ "tool_choice": "none" })),
        feature("tool choice: required", &tools, json!({ "tool_choice": "required" })),
        feature(
            "tool choice: one function",
            &tools,
            json!({ "tool_choice": { "type": "function", "function": { "name": "weather" } } }),
        ),
        feature("parallel tool calls off", &tools, json!({ "parallel_tool_calls": false })),
        feature("tool call and result", &tools, turn(vec![call("call_1", "Bern")], vec![result("call_1")])),
        feature(
            "parallel calls and results",
            &one,
            turn(vec![call("call_1", "Bern"), call("call_2", "Basel")], vec![result("call_1"), result("call_2")]),
        ),
        feature(
            "strict tool",
            &tools,
            json!({ "tools": [{ "type": "function", "function": { "name": "weather", "description": "d", "strict": true, "parameters": { "type": "object", "properties": { "city": { "type": "string" } } } } }] }),
        ),
        feature("custom tool", &base, json!({ "tools": [{ "type": "custom", "custom": { "name": "shell" } }] })),
        feature("JSON mode", &base, json!({ "response_format": { "type": "json_object" } })),
        feature(
            "JSON Schema",
            &base,
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "city", "strict": true, "schema": { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"], "additionalProperties": false } } } }),
        ),
        feature("reasoning effort", &base, json!({ "reasoning_effort": "high" })),
        feature("output limit", &base, json!({ "max_completion_tokens": 77 })),
        feature("stop sequences", &base, json!({ "stop": ["END"] })),
        feature("several choices", &base, json!({ "n": 2 })),
        feature("temperature", &base, json!({ "temperature": 0.5 })),
        feature("top_p", &base, json!({ "top_p": 0.5 })),
        feature("seed", &base, json!({ "seed": 7 })),
        feature("frequency penalty", &base, json!({ "frequency_penalty": 0.5 })),
        feature("presence penalty", &base, json!({ "presence_penalty": 0.5 })),
        feature("log probabilities", &base, json!({ "logprobs": true, "top_logprobs": 2 })),
        feature("logit bias", &base, json!({ "logit_bias": { "50256": -100 } })),
        feature("service tier", &base, json!({ "service_tier": "flex" })),
        feature("user", &base, json!({ "user": "u-1" })),
        feature("metadata", &base, json!({ "metadata": { "a": "b" } })),
        feature(
            "audio answer",
            &base,
            json!({ "modalities": ["text", "audio"], "audio": { "voice": "alloy", "format": "wav" } }),
        ),
        feature("provider's web search", &base, json!({ "web_search_options": {} })),
        feature("an unknown member", &base, json!({ "zeta": { "a": 1 } })),
        feature("stream", &base, json!({ "stream": true })),
    ]
}

/// The features of messages.
pub fn anthropic() -> Vec<Feature> {
    let base = json!({ "model": "m", "max_tokens": 64, "messages": says("hi") });
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tool = json!({ "name": "weather", "description": "d", "input_schema": schema });
    let tools = plus(&base, json!({ "tools": [tool] }));
    let content = |parts: Vec<Value>| json!({ "messages": [{ "role": "user", "content": parts }] });
    let hi = json!({ "type": "text", "text": "hi" });
    let part = |part: Value| content(vec![part, hi.clone()]);
    let bare = plus(&base, content(vec![hi.clone()]));
    let user = json!({ "role": "user", "content": "hi" });
    let used = |before: Vec<Value>, result: Value| {
        let mut said = before;
        said.push(json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Bern" } }));
        json!({ "messages": [user, { "role": "assistant", "content": said }, { "role": "user", "content": [result] }] })
    };
    let rain = json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": "rain" });
    let failed = json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": "rain", "is_error": true });
    let picture = json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PNG } }] });
    let turn = plus(&tools, used(vec![], rain.clone()));
    let thinks = vec![json!({ "type": "thinking", "thinking": "hm", "signature": "c2ln" })];
    let hides = vec![json!({ "type": "redacted_thinking", "data": "ZGF0YQ==" })];
    let text = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "long" } });
    let cited = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "long" }, "citations": { "enabled": true } });
    let documented = plus(&base, part(text.clone()));
    let marked = json!({ "type": "text", "text": "hi", "cache_control": { "type": "ephemeral" } });
    vec![
        feature("system prompt", &base, json!({ "system": "be brief" })),
        feature("system prompt, blocks", &base, json!({ "system": [{ "type": "text", "text": "be brief" }] })),
        feature("cache mark", &bare, content(vec![marked])),
        feature(
            "image, inline",
            &bare,
            part(json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PNG } })),
        ),
        fetched(feature(
            "image, by URL",
            &bare,
            part(json!({ "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } })),
        )),
        feature(
            "image, from the Files API",
            &bare,
            part(json!({ "type": "image", "source": { "type": "file", "file_id": "file_1" } })),
        ),
        feature(
            "PDF, inline",
            &bare,
            part(
                json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": PDF } }),
            ),
        ),
        fetched(feature(
            "PDF, by URL",
            &bare,
            part(json!({ "type": "document", "source": { "type": "url", "url": "https://example.com/a.pdf" } })),
        )),
        feature("document, text", &bare, part(text)),
        feature("citations", &documented, part(cited)),
        feature("tools", &base, json!({ "tools": [tool] })),
        feature("tool choice: any", &tools, json!({ "tool_choice": { "type": "any" } })),
        feature("tool choice: one tool", &tools, json!({ "tool_choice": { "type": "tool", "name": "weather" } })),
        feature("tool choice: none", &tools, json!({ "tool_choice": { "type": "none" } })),
        feature(
            "parallel tool use off",
            &tools,
            json!({ "tool_choice": { "type": "auto", "disable_parallel_tool_use": true } }),
        ),
        feature("tool use and result", &tools, used(vec![], rain.clone())),
        feature("tool result: error", &turn, used(vec![], failed)),
        feature("tool result: image", &turn, used(vec![], picture)),
        feature(
            "thinking",
            &base,
            json!({ "max_tokens": 4_096, "thinking": { "type": "enabled", "budget_tokens": 2_048 } }),
        ),
        feature("thinking, replayed", &turn, used(thinks, rain.clone())),
        feature("redacted thinking, replayed", &turn, used(hides, rain)),
        feature(
            "server tool: web search",
            &base,
            json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }),
        ),
        feature(
            "JSON Schema",
            &base,
            json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } }),
        ),
        feature("effort", &base, json!({ "output_config": { "effort": "high" } })),
        feature("stop sequences", &base, json!({ "stop_sequences": ["END"] })),
        feature("temperature", &base, json!({ "temperature": 0.5 })),
        feature("top_p", &base, json!({ "top_p": 0.5 })),
        feature("top_k", &base, json!({ "top_k": 5 })),
        feature("user", &base, json!({ "metadata": { "user_id": "u-1" } })),
        feature("service tier", &base, json!({ "service_tier": "standard_only" })),
        feature(
            "MCP servers",
            &base,
            json!({ "mcp_servers": [{ "type": "url", "name": "x", "url": "https://example.com/mcp" }] }),
        ),
        feature("an unknown member", &base, json!({ "zeta": { "a": 1 } })),
        feature("stream", &base, json!({ "stream": true })),
    ]
}

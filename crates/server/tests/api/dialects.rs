//! Both surfaces over every dialect of a provider: text and tool calls, whole and as they come.

use std::fmt::Write as _;

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::dialects::{Answer, KINDS, TEXT, streamed, whole};
use testkit::gateway::Gateway;

/// What a caller got, whichever surface it used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Got {
    text: String,
    call: Option<(String, String)>,
    finish: String,
    tokens: (u64, u64),
}

fn expected(answer: Answer, openai: bool) -> Got {
    let (text, call, finish) = match answer {
        Answer::Text => (TEXT.to_owned(), None, if openai { "stop" } else { "end_turn" }),
        Answer::Call => {
            let call = ("weather".to_owned(), json!({ "city": "Bern" }).to_string());
            (String::new(), Some(call), if openai { "tool_calls" } else { "tool_use" })
        }
    };
    Got { text, call, finish: finish.to_owned(), tokens: (9, 4) }
}

fn request(openai: bool, stream: bool) -> String {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let mut body =
        json!({ "model": "m", "max_tokens": 50, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
    body["tools"] = if openai {
        json!([{ "type": "function", "function": { "name": "weather", "parameters": schema } }])
    } else {
        json!([{ "name": "weather", "input_schema": schema }])
    };
    if openai && stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    body.to_string()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn openai_whole(reply: &Value) -> Got {
    let choice = &reply["choices"][0];
    let call = &choice["message"]["tool_calls"][0]["function"];
    Got {
        text: text(&choice["message"]["content"]),
        call: call.is_object().then(|| (text(&call["name"]), text(&call["arguments"]))),
        finish: text(&choice["finish_reason"]),
        tokens: (number(&reply["usage"]["prompt_tokens"]), number(&reply["usage"]["completion_tokens"])),
    }
}

fn anthropic_whole(reply: &Value) -> Got {
    let mut got = Got { finish: text(&reply["stop_reason"]), ..Got::default() };
    for block in reply["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => got.text.push_str(block["text"].as_str().unwrap()),
            "tool_use" => got.call = Some((text(&block["name"]), block["input"].to_string())),
            other => panic!("an unexpected block: {other}"),
        }
    }
    got.tokens = (number(&reply["usage"]["input_tokens"]), number(&reply["usage"]["output_tokens"]));
    got
}

/// Returns the data of every event, and the names of the events that have one.
fn events(reply: &Reply) -> (Vec<Value>, Vec<String>) {
    let data = |line: &str| line.strip_prefix("data: ").and_then(|data| serde_json::from_str(data).ok());
    let name = |line: &str| line.strip_prefix("event: ").map(str::to_owned);
    (reply.text().lines().filter_map(data).collect(), reply.text().lines().filter_map(name).collect())
}

fn openai_stream(reply: &Reply) -> Got {
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    let mut got = Got::default();
    let (chunks, names) = events(reply);
    assert!(names.is_empty());
    assert!(chunks[0]["crossway"]["routed_to"].is_string(), "{}", chunks[0]);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let cost = |chunk: &&Value| chunk["crossway"]["cost"].is_number();
    assert_eq!(chunks.iter().filter(cost).count(), 1, "{}", reply.text());
    for chunk in &chunks {
        for name in ["id", "object", "model", "choices"] {
            assert!(!chunk[name].is_null(), "{name} is missing in {chunk}");
        }
        let choice = &chunk["choices"][0];
        got.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        let call = &choice["delta"]["tool_calls"][0];
        if call.is_object() {
            let (name, arguments) = got.call.get_or_insert_default();
            name.push_str(call["function"]["name"].as_str().unwrap_or_default());
            arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            got.finish = finish.to_owned();
        }
        if chunk["usage"].is_object() {
            got.tokens = (number(&chunk["usage"]["prompt_tokens"]), number(&chunk["usage"]["completion_tokens"]));
        }
    }
    got
}

fn anthropic_stream(reply: &Reply) -> Got {
    let (data, names) = events(reply);
    let types: Vec<String> = data.iter().map(|event| text(&event["type"])).collect();
    assert_eq!(types, names, "every event bears its type as its name");
    assert_eq!(
        (types.first().map(String::as_str), types.last().map(String::as_str)),
        (Some("message_start"), Some("message_stop"))
    );
    assert!(data[0]["message"]["crossway"]["routed_to"].is_string(), "{}", data[0]);
    let mut got = Got::default();
    for event in &data {
        match event["type"].as_str().unwrap() {
            "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                got.call = Some((text(&event["content_block"]["name"]), String::new()));
            }
            "content_block_delta" => match event["delta"]["type"].as_str().unwrap() {
                "text_delta" => got.text.push_str(event["delta"]["text"].as_str().unwrap()),
                "input_json_delta" => {
                    let (_, arguments) = got.call.as_mut().unwrap();
                    write!(arguments, "{}", event["delta"]["partial_json"].as_str().unwrap()).unwrap();
                }
                other => panic!("an unexpected delta: {other}"),
            },
            "message_delta" => {
                got.finish = text(&event["delta"]["stop_reason"]);
                let output = number(&event["usage"]["output_tokens"]);
                let input = event["usage"]["input_tokens"].as_u64();
                got.tokens = (input.unwrap_or_else(|| number(&data[0]["message"]["usage"]["input_tokens"])), output);
                assert!(event["crossway"]["cost"].is_number(), "{event}");
            }
            _ => {}
        }
    }
    got
}

async fn check(kind: &'static str, answer: Answer, openai: bool, stream: bool, size: usize) {
    let script = if stream { streamed(kind, answer, size) } else { whole(kind, answer) };
    let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
    let body = request(openai, stream);
    let reply = if openai { gateway.chat(&body).await } else { gateway.messages(&body).await };
    let case = format!("{kind}, {answer:?}, openai: {openai}, stream: {stream}, in segments of {size}");
    assert_eq!((reply.status, reply.whole), (200, true), "{case}: {}", reply.text());
    let got = match (openai, stream) {
        (true, false) => openai_whole(&reply.json()),
        (false, false) => anthropic_whole(&reply.json()),
        (true, true) => openai_stream(&reply),
        (false, true) => anthropic_stream(&reply),
    };
    assert_eq!(got, expected(answer, openai), "{case}: {}", reply.text());
    let record = gateway.one().await;
    let usage = &record.usage;
    assert_eq!((record.outcome.as_str(), usage.origin.as_str()), ("succeeded", "reported"), "{case}");
    assert_eq!((usage.input_tokens, usage.output_tokens), (9, 4), "{case}");
    assert_eq!(record.cost_usd.map(|cost| cost.0), Some(9 * 2_000 + 4 * 8_000), "{case}");
    assert_eq!(record.surface, if openai { "openai.chat" } else { "anthropic.messages" });
}

#[tokio::test(start_paused = true)]
async fn whole_answers() {
    for kind in KINDS {
        for answer in [Answer::Text, Answer::Call] {
            check(kind, answer, true, false, 1).await;
            check(kind, answer, false, false, 1).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn streams_however_they_are_cut() {
    for kind in KINDS {
        for answer in [Answer::Text, Answer::Call] {
            for size in [1, 7, 10_000] {
                check(kind, answer, true, true, size).await;
                check(kind, answer, false, true, size).await;
            }
        }
    }
}

/// What each kind of provider is asked: path and credential.
#[tokio::test(start_paused = true)]
async fn providers_are_asked_in_their_own_way() {
    let bearer = ("authorization", "Bearer sk-upstream-canary-p");
    for (kind, line, (name, value)) in [
        ("openai-responses", "POST /v1/responses HTTP/1.1", bearer),
        ("anthropic", "POST /v1/messages HTTP/1.1", ("x-api-key", "sk-upstream-canary-p")),
        ("gemini", "POST /v1beta/models/up-m:generateContent HTTP/1.1", ("x-goog-api-key", "sk-upstream-canary-p")),
        ("cohere", "POST /v2/chat HTTP/1.1", bearer),
        ("ollama", "POST /api/chat HTTP/1.1", bearer),
    ] {
        let gateway = Gateway::builder().provider_of("p", kind, vec![whole(kind, Answer::Text)]).start();
        assert_eq!(gateway.chat(&request(true, false)).await.status, 200);
        let asked = gateway.provider("p").request();
        assert_eq!(asked.head.lines().next(), Some(line));
        assert_eq!(asked.header(name), Some(value), "{kind}");
        let version = (kind == "anthropic").then_some("2023-06-01");
        assert_eq!(asked.header("anthropic-version"), version);
        gateway.one().await;
    }
    let gateway = Gateway::builder().provider_of("p", "gemini", vec![streamed("gemini", Answer::Text, 9)]).start();
    gateway.chat(&request(true, true)).await;
    let line = "POST /v1beta/models/up-m:streamGenerateContent?alt=sse HTTP/1.1";
    assert_eq!(gateway.provider("p").request().head.lines().next(), Some(line));
    gateway.one().await;
}

/// A model that OpenAI serves over Responses alone is asked there, through the same provider and credential.
#[tokio::test(start_paused = true)]
async fn a_model_of_another_interface_is_asked_there() {
    let kind = "openai-responses";
    for stream in [false, true] {
        let script = if stream { streamed(kind, Answer::Text, 50) } else { whole(kind, Answer::Text) };
        let gateway = Gateway::builder().provider_of("p", "openai", vec![script]).start();
        let reply = gateway.chat(&request(true, stream).replace("\"m\"", "\"gpt-5-pro\"")).await;
        assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
        let got = if stream { openai_stream(&reply) } else { openai_whole(&reply.json()) };
        assert_eq!(got, expected(Answer::Text, true));
        let asked = gateway.provider("p").request();
        assert_eq!(asked.head.lines().next(), Some("POST /v1/responses HTTP/1.1"));
        assert_eq!(asked.json()["model"], "gpt-5-pro");
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_leads_on_across_dialects() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    for stream in [false, true] {
        let last = if stream { streamed("gemini", Answer::Text, 50) } else { whole("gemini", Answer::Text) };
        let gateway = Gateway::builder()
            .provider_of("a", "anthropic", vec![testkit::script::Script::json(529, overloaded)])
            .provider_of("b", "gemini", vec![last])
            .start();
        let reply = gateway.messages(&request(false, stream)).await;
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("b")));
        let record = gateway.one().await;
        assert_eq!(record.attempts.len(), 2);
        assert!(record.attempts[0].error.as_deref().unwrap().contains("overloaded"), "{record:?}");
    }
}

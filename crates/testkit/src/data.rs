//! What providers say: replies, streams and errors in OpenAI's form.

/// The provider's id of every completion.
pub const UPSTREAM_ID: &str = "chatcmpl-1";

/// The usage that replies and streams report: 9 tokens in, 4 out.
pub const USAGE: &str = r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}"#;

/// Returns a buffered reply with a field that nobody knows.
pub fn completion(content: &str) -> String {
    let content = serde_json::Value::from(content);
    format!(
        r#"{{"id":"{UPSTREAM_ID}","object":"chat.completion","model":"up-m","x_unknown":[1, 2],"choices":[{{"index":0,"message":{{"role":"assistant","content":{content}}},"finish_reason":"stop"}}],"usage":{USAGE}}}"#
    )
}

/// Returns an event with data.
pub fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// Returns the chunk that only says who speaks: it is no content.
pub fn role() -> String {
    event(&chunk(r#"{"role":"assistant","content":""}"#, "null"))
}

/// Returns a chunk with content.
pub fn delta(content: &str) -> String {
    event(&chunk(&format!(r#"{{"content":{}}}"#, serde_json::Value::from(content)), "null"))
}

/// Returns the chunk with the finish reason.
pub fn finish() -> String {
    event(&chunk("{}", r#""stop""#))
}

/// Returns the chunk with the usage.
pub fn usage() -> String {
    event(&format!(
        r#"{{"id":"{UPSTREAM_ID}","object":"chat.completion.chunk","model":"up-m","choices":[],"usage":{USAGE}}}"#
    ))
}

/// The end marker.
pub const DONE: &str = "data: [DONE]\n\n";

/// Returns a whole stream: role, contents, finish, usage, end.
pub fn stream(contents: &[&str]) -> String {
    let contents: String = contents.iter().map(|content| delta(content)).collect();
    [role(), contents, finish(), usage(), DONE.to_owned()].concat()
}

/// Returns an error body.
pub fn error(message: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(r#"{{"error":{{"message":{message},"type":"some_error","param":null,"code":null}}}}"#)
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"{UPSTREAM_ID}","object":"chat.completion.chunk","model":"up-m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

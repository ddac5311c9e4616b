//! Asks a provider which models it has: the one question that needs a connection and a credential, and costs nothing.
//!
//! | dialect | request | documentation |
//! |---|---|---|
//! | OpenAI Chat, Responses | `GET {base}/models` | <https://platform.openai.com/docs/api-reference/models/list> |
//! | Anthropic | `GET {base}/models` | <https://docs.claude.com/en/api/models-list> |
//! | Gemini | `GET {base}/models` | <https://ai.google.dev/api/models#method:-models.list> |
//! | Cohere | `GET /v1/models` beside the base | <https://docs.cohere.com/reference/list-models> |
//! | Ollama | `GET {base}/api/tags` | <https://docs.ollama.com/api/tags> |

use std::time::Duration;

use ir::dialect::Dialect;
use net::connector::Connector;
use net::deadline::after;
use net::h1::Connection;
use policy::snapshot::Provider;
use serde_json::Value;
use tokio::time::timeout_at;

use crate::attempt::transport_failure;
use crate::classify::classify;
use crate::failure::{AttemptFailure, Class};
use crate::target::Target;

/// The longest that it may take, whatever the provider's own deadlines are.
const DEADLINE: Duration = Duration::from_secs(10);

/// The largest answer that is read. Lists of a thousand models with prices have 2 MB.
const MAX_BYTES: usize = 8 << 20;

/// Returns the path of the request.
pub fn path(provider: &Provider) -> String {
    let base = provider.base_url.path().trim_end_matches('/');
    match provider.vendor.dialect {
        Dialect::Cohere => format!("{}/v1/models", base.strip_suffix("/v2").unwrap_or(base)),
        Dialect::Ollama => format!("{base}/api/tags"),
        _ => format!("{base}/models"),
    }
}

/// Asks for the names of a provider's models, in its order.
///
/// # Errors
/// When no answer came, or one that is no list; what the provider said is scrubbed of credentials.
pub async fn list(
    provider: &Provider,
    connector: &dyn Connector,
    user_agent: &str,
) -> Result<Vec<String>, AttemptFailure> {
    let target = Target::new(provider, user_agent);
    let deadline = after(DEADLINE.min(target.timeouts.total));
    match timeout_at(deadline, ask(provider, &target, connector)).await {
        Ok(answer) => answer,
        Err(_) => Err(AttemptFailure::new(Class::Timeout, "no answer in time")),
    }
}

async fn ask(provider: &Provider, target: &Target, connector: &dyn Connector) -> Result<Vec<String>, AttemptFailure> {
    let unreachable = |detail: String| AttemptFailure::new(Class::Connect, detail);
    let io = match timeout_at(after(DEADLINE.min(target.timeouts.connect)), connector.connect(&target.origin)).await {
        Ok(Ok(io)) => io,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("no connection in time".to_owned())),
    };
    let mut connection = Connection::new(io);
    let fields = target.heads.next(0).map_or("", |head| head.text.expose());
    let version = match provider.vendor.dialect {
        // <https://docs.claude.com/en/api/versioning>
        Dialect::Anthropic => "anthropic-version: 2023-06-01\r\n",
        _ => "",
    };
    let head = format!("GET {} HTTP/1.1\r\n{fields}{version}connection: close\r\n\r\n", path(provider));
    let sent = connection.send(head.as_bytes(), &[]).await;
    let answer = match (connection.head().await, sent) {
        (Ok(answer), _) => answer,
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(transport_failure(&error)),
    };
    let body = connection.collect(MAX_BYTES).await.map_err(|error| transport_failure(&error))?;
    if answer.status != 200 {
        return Err(classify(target, &answer, &body));
    }
    names(&body).map(|names| names.iter().map(|name| target.scrub(name)).collect()).ok_or_else(|| AttemptFailure {
        status: Some(200),
        ..AttemptFailure::new(Class::Malformed, "what came is no list of models")
    })
}

/// Reads a list: OpenAI's and Anthropic's `data`, Gemini's, Cohere's and Ollama's `models`, or a bare list (Together).
fn names(body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let list = match &body {
        Value::Array(list) => list,
        other => other.get("data").or_else(|| other.get("models"))?.as_array()?,
    };
    let name = |model: &Value| {
        let name = model.get("id").or_else(|| model.get("name")).or_else(|| model.get("model"))?.as_str()?;
        Some(name.strip_prefix("models/").unwrap_or(name).chars().filter(|c| !c.is_control()).take(200).collect())
    };
    Some(list.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::names;

    fn check(body: &str, expect: Option<&[&str]>) {
        let expect = expect.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(body.as_bytes()), expect, "{body}");
    }

    #[test]
    fn every_dialects_list_is_read() {
        check(r#"{"object":"list","data":[{"id":"gpt-4o"},{"id":"o3"}]}"#, Some(&["gpt-4o", "o3"]));
        check(r#"{"data":[{"type":"model","id":"claude-opus-4-1"}],"has_more":false}"#, Some(&["claude-opus-4-1"]));
        check(r#"{"models":[{"name":"models/gemini-2.5-pro"}]}"#, Some(&["gemini-2.5-pro"]));
        check(r#"{"models":[{"name":"command-a","endpoints":["chat"]}]}"#, Some(&["command-a"]));
        check(r#"{"models":[{"name":"llama3:8b","model":"llama3:8b"}]}"#, Some(&["llama3:8b"]));
        check(r#"[{"id":"a","object":"model"}]"#, Some(&["a"]));
        check(r#"{"data":[]}"#, Some(&[]));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in ["", "<html>", "{}", r#"{"data":1}"#, r#"{"choices":[]}"#, "null"] {
            check(body, None);
        }
    }
}

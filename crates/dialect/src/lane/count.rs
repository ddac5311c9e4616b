//! How many tokens a request has: asked of a provider that counts, estimated where none does.

use bytes::Bytes;
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::usage::estimate_tokens;

use super::asked::{Asked, Outgoing};
use crate::json::object::{Object, Path};
use crate::translate::Callee;

/// Returns the question for a provider that counts tokens; `None` for a dialect that has no such question.
///
/// # Errors
/// 400 when the request asks for what the provider's dialect cannot express.
pub fn outgoing(asked: &mut Asked, dialect: Dialect, callee: &Callee<'_>) -> Option<Result<Outgoing, Failure>> {
    match dialect {
        // <https://docs.claude.com/en/api/messages-count-tokens>
        Dialect::Anthropic => Some(asked.outgoing(dialect, callee, &[])),
        // <https://ai.google.dev/api/tokens>: the whole request stands inside, and names its model itself.
        Dialect::Gemini => Some(asked.outgoing(dialect, callee, &[]).map(|outgoing| wrapped(outgoing, callee.model))),
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::Ollama | Dialect::Cohere => None,
    }
}

fn wrapped(outgoing: Outgoing, model: &str) -> Outgoing {
    let mut body = b"{\"generateContentRequest\":{\"model\":".to_vec();
    let name = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    // Serialising a string cannot fail.
    body.extend_from_slice(&serde_json::to_vec(&name).unwrap_or_default());
    let inner = outgoing.body.concat();
    let members = inner.strip_prefix(b"{").unwrap_or(&inner);
    if !members.starts_with(b"}") {
        body.push(b',');
    }
    body.extend_from_slice(members);
    body.push(b'}');
    Outgoing { body: vec![Bytes::from(body)], dropped: outgoing.dropped }
}

/// Reads a provider's answer; `None` when it is none.
pub fn read(dialect: Dialect, body: &str) -> Option<u64> {
    let mut object = Object::read(body, Path::default()).ok()?;
    let name = if dialect == Dialect::Gemini { "totalTokens" } else { "input_tokens" };
    object.integer(name).ok()?
}

/// Estimates the tokens of a request that nobody counts: from the bytes of its body.
pub fn estimate(asked: &Asked) -> u64 {
    estimate_tokens(asked.body_bytes()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geminis_question_holds_the_request() {
        let outgoing = Outgoing { body: vec![Bytes::from_static(b"{\"contents\":[]}")], dropped: Vec::new() };
        let body = wrapped(outgoing, "gemini-2.5-pro").body.concat();
        let expect = r#"{"generateContentRequest":{"model":"models/gemini-2.5-pro","contents":[]}}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expect);
        assert_eq!(read(Dialect::Gemini, r#"{"totalTokens":31}"#), Some(31));
        assert_eq!(read(Dialect::Anthropic, r#"{"input_tokens":14}"#), Some(14));
        assert_eq!(read(Dialect::Anthropic, "<html>"), None);
    }
}

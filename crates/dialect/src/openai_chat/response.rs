//! A buffered reply: what accounting needs is read, the meta block is put before its last brace.

pub(in crate::openai_chat) mod citations;
pub mod decode;
pub mod encode;
pub(in crate::openai_chat) mod head;
pub(in crate::openai_chat) mod parts;

use bytes::Bytes;
use ir::usage::Usage;

use super::{error, wire};
use crate::json::{JsonError, Scanner, string};
use crate::splice::apply;
use crate::splice::slot::Slot;
use crate::translate::NotAReply;

/// A complete reply, understood as far as accounting needs.
#[derive(Clone, Debug)]
pub struct ChatResponse {
    body: Bytes,
    /// Where the meta block goes.
    slot: Slot,
    /// The provider's id of the completion.
    pub id: Option<String>,
    /// The finish reason of the first choice.
    pub finish_reason: Option<String>,
    /// The reported usage; `None` when there is none that can be believed.
    pub usage: Option<Usage>,
    /// The bytes of the choices, for the estimate when there is no report.
    pub choices_bytes: u64,
}

impl ChatResponse {
    /// Reads a reply body. `meta_key` is the name of the meta block.
    ///
    /// # Errors
    /// When it is not a whole JSON object with `choices`, or when it holds an error.
    pub fn decode(body: Bytes, meta_key: &str) -> Result<Self, NotAReply> {
        let mut reply = Self {
            slot: Slot { empty: true, ..Slot::default() },
            id: None,
            finish_reason: None,
            usage: None,
            choices_bytes: 0,
            body: Bytes::new(),
        };
        let mut choices = false;
        let mut failed = None;
        let mut scanner = Scanner::new(&body, 0);
        scanner.enter_object().map_err(malformed)?;
        while let Some(name) = scanner.member_name(reply.slot.empty).map_err(malformed)? {
            reply.slot.empty = false;
            let name = body.get(name).unwrap_or_default();
            if name == b"choices" {
                choices = true;
                reply.choices(&body, &mut scanner).map_err(malformed)?;
                continue;
            }
            let range = scanner.value().map_err(malformed)?;
            let value = body.get(range.clone()).unwrap_or_default();
            match name {
                b"id" => reply.id = string(value),
                b"usage" => reply.usage = wire::usage(value),
                b"error" if value != b"null" => failed = Some(error::read_member(value)),
                name if name == meta_key.as_bytes() => reply.slot.taken = Some(range),
                _ => {}
            }
        }
        reply.slot.end = scanner.position() - 1;
        scanner.end().map_err(malformed)?;
        match (choices, failed) {
            (true, None) => {
                reply.body = body;
                Ok(reply)
            }
            (_, Some(report)) => Err(NotAReply::Error(report)),
            (false, None) => Err(NotAReply::Malformed("the answer has no choices".to_owned())),
        }
    }

    /// Reads the choices: the finish reason of the first, and how long they are.
    fn choices(&mut self, body: &[u8], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.enter_array()?;
        let start = scanner.position();
        let mut first = true;
        while scanner.element(first)? {
            if !first {
                scanner.value()?;
                continue;
            }
            first = false;
            scanner.enter_object()?;
            let mut empty = true;
            while let Some(name) = scanner.member_name(empty)? {
                empty = false;
                let value = scanner.value()?;
                if body.get(name).unwrap_or_default() == b"finish_reason" {
                    self.finish_reason = string(body.get(value).unwrap_or_default());
                }
            }
        }
        self.choices_bytes = (scanner.position() - start) as u64;
        Ok(())
    }

    /// Returns the reply with the meta block (`"key":{…}`) as its last member. Every other byte is the provider's.
    pub fn encode(self, meta: Vec<u8>) -> Vec<Bytes> {
        apply(&self.body, vec![self.slot.patch(&meta)])
    }
}

fn malformed(error: JsonError) -> NotAReply {
    NotAReply::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"}\"usage\":{}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}} "#;

    fn decode(text: &str) -> Result<ChatResponse, NotAReply> {
        ChatResponse::decode(Bytes::copy_from_slice(text.as_bytes()), "crossway")
    }

    fn encoded(text: &str, meta: &str) -> String {
        String::from_utf8(decode(text).unwrap().encode(meta.as_bytes().to_vec()).concat()).unwrap()
    }

    #[test]
    fn reads_what_accounting_needs() {
        let reply = decode(REPLY).unwrap();
        assert_eq!(reply.id.as_deref(), Some("chatcmpl-1"));
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        assert_eq!(reply.usage.map(|u| (u.input, u.output)), Some((9, 4)));
    }

    #[test]
    fn adds_one_member_and_nothing_else() {
        let meta = r#""crossway":{"a":1}"#;
        assert_eq!(encoded(REPLY, meta), REPLY.replace("}} ", &format!("}},{meta}}} ")));
        let chained = r#"{"choices":[],"crossway":{"old":true},"z":1}"#;
        assert_eq!(encoded(chained, meta), r#"{"choices":[],"crossway":{"a":1},"z":1}"#);
    }

    #[test]
    fn knows_what_is_no_reply() {
        assert!(matches!(decode(&REPLY[..60]), Err(NotAReply::Malformed(_))));
        assert!(matches!(decode("<html>"), Err(NotAReply::Malformed(_))));
        assert_eq!(decode("{}").unwrap_err(), NotAReply::Malformed("the answer has no choices".to_owned()));
        assert!(
            matches!(decode(r#"{"error":{"message":"m"}}"#), Err(NotAReply::Error(r)) if r.message.as_deref() == Some("m"))
        );
        assert!(decode(r#"{"choices":[],"error":null}"#).is_ok());
        assert!(matches!(decode(r#"{"choices":{}}"#), Err(NotAReply::Malformed(_))));
    }
}

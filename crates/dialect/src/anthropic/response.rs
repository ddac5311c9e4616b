//! A buffered reply: what accounting needs is read, the meta block is put before its last brace.

pub mod decode;
pub mod encode;

use std::ops::Range;

use bytes::Bytes;
use ir::usage::Usage;

use super::{report, said, usage};
use crate::json::{JsonError, Scanner, string};
use crate::splice::apply;
use crate::splice::slot::Slot;
use crate::translate::NotAReply;

/// A complete reply, understood as far as accounting needs.
#[derive(Clone, Debug)]
pub struct MessagesResponse {
    body: Bytes,
    /// Where the meta block goes.
    slot: Slot,
    /// Where the blocks stand.
    content: Range<usize>,
    /// The provider's id of the message.
    pub id: Option<String>,
    /// The stop reason.
    pub finish_reason: Option<String>,
    /// The reported usage; `None` when there is none that can be believed.
    pub usage: Option<Usage>,
    /// The bytes of what was said, for the estimate when there is no report; 0 when there is one.
    pub content_bytes: u64,
}

impl MessagesResponse {
    /// Reads a reply body. `meta_key` is the name of the meta block.
    ///
    /// # Errors
    /// When it is not a whole JSON object with `content`, or when it holds an error.
    pub fn decode(body: Bytes, meta_key: &str) -> Result<Self, NotAReply> {
        let mut reply = Self {
            slot: Slot { empty: true, ..Slot::default() },
            content: 0..0,
            id: None,
            finish_reason: None,
            usage: None,
            content_bytes: 0,
            body: Bytes::new(),
        };
        let (mut content, mut failed) = (false, None);
        let mut scanner = Scanner::new(&body, 0);
        scanner.enter_object().map_err(malformed)?;
        while let Some(member) = scanner.member(reply.slot.empty).map_err(malformed)? {
            reply.slot.empty = false;
            let value = body.get(member.value.clone()).unwrap_or_default();
            match body.get(member.name).unwrap_or_default() {
                b"content" if value.starts_with(b"[") => {
                    content = true;
                    reply.content = member.value;
                }
                b"id" => reply.id = string(value),
                b"stop_reason" => reply.finish_reason = string(value),
                b"usage" => reply.usage = usage::read(value).usage(),
                b"error" if value != b"null" => failed = Some(report::read(value)),
                name if name == meta_key.as_bytes() => reply.slot.taken = Some(member.value),
                _ => {}
            }
        }
        reply.slot.end = scanner.position() - 1;
        scanner.end().map_err(malformed)?;
        match (content, failed) {
            (true, None) => {
                reply.body = body;
                if reply.usage.is_none() {
                    reply.content_bytes = reply.said_bytes();
                }
                Ok(reply)
            }
            (_, Some(report)) => Err(NotAReply::Error(report)),
            (false, None) => Err(NotAReply::Malformed("the answer has no content".to_owned())),
        }
    }

    /// Returns the bytes of what was said, whether there is a report or not.
    pub fn said_bytes(&self) -> u64 {
        said::in_content(self.body.get(self.content.clone()).unwrap_or_default())
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

    const REPLY: &str = r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"}\"usage\":{}"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"cache_read_input_tokens":5,"output_tokens":4}} "#;

    fn decode(text: &str) -> Result<MessagesResponse, NotAReply> {
        MessagesResponse::decode(Bytes::copy_from_slice(text.as_bytes()), "crossway")
    }

    fn encoded(text: &str, meta: &str) -> String {
        String::from_utf8(decode(text).unwrap().encode(meta.as_bytes().to_vec()).concat()).unwrap()
    }

    #[test]
    fn reads_what_accounting_needs() {
        let reply = decode(REPLY).unwrap();
        assert_eq!((reply.id.as_deref(), reply.finish_reason.as_deref()), (Some("msg_1"), Some("end_turn")));
        assert_eq!(reply.usage.map(|u| (u.input, u.cached_input, u.output)), Some((9, 5, 4)));
        assert_eq!((reply.content_bytes, reply.said_bytes()), (0, r#"}\"usage\":{}"#.len() as u64), "it is reported");
    }

    #[test]
    fn without_a_report_what_was_said_is_measured() {
        let check = |blocks: &str, expect: u64| {
            let reply = decode(&format!(r#"{{"content":[{blocks}],"usage":null}}"#)).unwrap();
            assert_eq!((reply.usage, reply.content_bytes), (None, expect), "{blocks}");
        };
        check("", 0);
        check(r#"{"type":"text","text":"Hello","citations":null},{"type":"text","text":"!"}"#, 6);
        check(r#"{"type":"thinking","thinking":"abc","signature":"AAAAAAAA"}"#, 3);
        check(r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{}}"#, 1);
        check(r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}"#, 1 + r#"{\"a\":1}"#.len() as u64);
        check(r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result"}]}"#, 0);
        check(r#"{"type":"redacted_thinking","data":"AAAA"}"#, 0);
        check("7,null", 0);
    }

    #[test]
    fn adds_one_member_and_nothing_else() {
        let meta = r#""crossway":{"a":1}"#;
        assert_eq!(encoded(REPLY, meta), REPLY.replace("}} ", &format!("}},{meta}}} ")));
        let chained = r#"{"content":[],"crossway":{"old":true},"z":1}"#;
        assert_eq!(encoded(chained, meta), r#"{"content":[],"crossway":{"a":1},"z":1}"#);
    }

    #[test]
    fn knows_what_is_no_reply() {
        assert!(matches!(decode(&REPLY[..60]), Err(NotAReply::Malformed(_))));
        assert!(matches!(decode("<html>"), Err(NotAReply::Malformed(_))));
        for text in ["{}", r#"{"content":null}"#, r#"{"content":{}}"#] {
            assert_eq!(decode(text).unwrap_err(), NotAReply::Malformed("the answer has no content".to_owned()));
        }
        let error = decode(r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r"}"#);
        assert!(matches!(error, Err(NotAReply::Error(r)) if r.code.as_deref() == Some("overloaded_error")));
        assert!(decode(r#"{"content":[],"error":null}"#).is_ok());
    }
}

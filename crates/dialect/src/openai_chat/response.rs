//! A buffered reply: what accounting needs is read, the meta block is put before its last brace.

pub(in crate::openai_chat) mod citations;
pub mod decode;
pub mod encode;
pub(in crate::openai_chat) mod head;
pub(in crate::openai_chat) mod parts;

use bytes::Bytes;
use ir::money::ServiceTier;
use ir::report::Report;
use ir::usage::Usage;

use super::{error, finish, said, usage, wire};
use crate::guard::openai_chat::reply::Reading;
use crate::json::{JsonError, Scanner, string};
use crate::splice::slot::Slot;
use crate::splice::{Patch, apply};
use crate::translate::NotAReply;

/// A complete reply, understood as far as accounting needs.
#[derive(Clone, Debug)]
pub struct ChatResponse {
    body: Bytes,
    /// Where the meta block goes.
    slot: Slot,
    /// Finish reasons in words that not every client knows.
    patches: Vec<Patch>,
    /// The provider's id of the completion.
    pub id: Option<String>,
    /// The finish reason of the first choice, in the provider's word.
    pub finish_reason: Option<String>,
    /// The reported usage; `None` when there is none that can be believed.
    pub usage: Option<Usage>,
    /// The service tier that it was answered in.
    pub service_tier: Option<ServiceTier>,
    /// The bytes of what was said, for the estimate when there is no report; 0 when there is one.
    pub content_bytes: u64,
}

impl ChatResponse {
    /// Reads a reply body. `meta_key` is the name of the meta block.
    ///
    /// # Errors
    /// When it is not a whole JSON object with `choices`, or when it holds an error.
    pub fn decode(body: Bytes, meta_key: &str) -> Result<Self, NotAReply> {
        Self::decode_and_read(body, meta_key, None)
    }

    /// Does so, and reads for a guard what the reply says: in the same pass, as it costs no second one.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_and_read(body: Bytes, meta_key: &str, mut reading: Option<&mut Reading>) -> Result<Self, NotAReply> {
        if let Some(reading) = &mut reading {
            reading.begin(&body);
        }
        let mut reply = Self {
            slot: Slot { empty: true, ..Slot::default() },
            patches: Vec::new(),
            id: None,
            finish_reason: None,
            usage: None,
            service_tier: None,
            content_bytes: 0,
            body: Bytes::new(),
        };
        match reply.read(&body, meta_key, reading).map_err(|error| NotAReply::Malformed(error.to_string()))? {
            (_, Some(report)) => Err(NotAReply::Error(report)),
            (false, None) => Err(NotAReply::Malformed("the answer has no choices".to_owned())),
            (true, None) => {
                if reply.usage.is_none() {
                    // What this cannot read, nothing could above.
                    _ = said::in_reply(&body, &mut reply.content_bytes);
                }
                reply.body = body;
                Ok(reply)
            }
        }
    }

    /// Returns the bytes of what was said, whether there is a report or not.
    pub fn said_bytes(&self) -> u64 {
        let mut bytes = 0;
        // It was read before.
        _ = said::in_reply(&self.body, &mut bytes);
        bytes
    }

    /// Reads the members. Returns whether there are choices, and the error, if it is one.
    fn read(
        &mut self,
        body: &[u8],
        meta_key: &str,
        mut reading: Option<&mut Reading>,
    ) -> Result<(bool, Option<Report>), JsonError> {
        let (mut choices, mut failed, mut odd) = (false, None, false);
        let mut scanner = Scanner::new(body, 0);
        scanner.enter_object()?;
        while let Some(name) = scanner.member_name(self.slot.empty)? {
            self.slot.empty = false;
            let name = body.get(name).unwrap_or_default();
            match name {
                b"choices" => {
                    choices = true;
                    self.choices(body, &mut scanner, reading.as_deref_mut())?;
                }
                b"usage" => self.usage = usage::scan(body, &mut scanner)?.or(self.usage),
                b"service_tier" => {
                    self.service_tier = usage::tier(body.get(scanner.value()?).unwrap_or_default());
                }
                b"id" => self.id = string(body.get(scanner.value()?).unwrap_or_default()),
                b"error" => {
                    let value = body.get(scanner.value()?).unwrap_or_default();
                    failed = (!error::is_nothing(value)).then(|| error::read_member(value));
                }
                name if name == meta_key.as_bytes() => self.slot.taken = Some(scanner.value()?),
                _ => {
                    odd |= name.contains(&b'\\');
                    scanner.value()?;
                }
            }
        }
        self.slot.end = scanner.position() - 1;
        scanner.end()?;
        // A guard reads `choices` however the name is spelled.
        if let Some(reading) = reading.filter(|_| odd) {
            reading.read(body, "message")?;
        }
        Ok((choices, failed))
    }

    /// Reads the choices: their finish reasons.
    fn choices(
        &mut self,
        body: &[u8],
        scanner: &mut Scanner<'_>,
        mut reading: Option<&mut Reading>,
    ) -> Result<(), JsonError> {
        scanner.enter_array()?;
        let mut first = true;
        while scanner.element(first)? {
            scanner.enter_object()?;
            self.choice(body, scanner, first, reading.as_deref_mut())?;
            first = false;
        }
        Ok(())
    }

    fn choice(
        &mut self,
        body: &[u8],
        scanner: &mut Scanner<'_>,
        is_first: bool,
        reading: Option<&mut Reading>,
    ) -> Result<(), JsonError> {
        let start = scanner.position() - 1;
        let (mut empty, mut odd) = (true, None);
        let mut read = reading.map(|reading| (reading.begin_choice(), reading));
        let mut pass = |scanner: &mut Scanner<'_>, name: &[u8]| match &mut read {
            Some((choice, reading)) => reading.read_member(body, scanner, name, "message", choice),
            None => scanner.value(),
        };
        while let Some(name) = scanner.member_name(empty)? {
            empty = false;
            let name = body.get(name).unwrap_or_default();
            match name {
                b"finish_reason" => {
                    let range = pass(scanner, name)?;
                    let value = body.get(range.clone()).unwrap_or_default();
                    if is_first {
                        self.finish_reason = string(value);
                    }
                    odd = (!finish::is_known(value)).then_some((value, range));
                }
                b"usage" => self.usage = self.usage.or(usage::scan(body, scanner)?),
                _ => {
                    pass(scanner, name)?;
                }
            }
        }
        if let Some((choice, reading)) = read {
            reading.end_choice(choice);
        }
        if let Some((value, range)) = odd {
            let calls = has_calls(body.get(start..scanner.position()).unwrap_or_default());
            // A whole answer has ended, whether it says why or not.
            let unsaid = || finish::replaced(range.clone(), if calls { "tool_calls" } else { "stop" });
            self.patches.push(finish::patch(value, range.clone(), calls).unwrap_or_else(unsaid));
        }
        Ok(())
    }

    /// Returns the reply with the meta block (`"key":{…}`) as its last member. Every other byte is the provider's, but
    /// for finish reasons that not every client knows.
    pub fn encode(self, meta: Vec<u8>) -> Vec<Bytes> {
        let mut patches = self.patches;
        patches.push(self.slot.patch(&meta));
        patches.sort_by_key(|patch| patch.range.start);
        apply(&self.body, patches)
    }
}

/// Whether a choice calls tools.
fn has_calls(choice: &[u8]) -> bool {
    let choice = std::str::from_utf8(choice).ok().and_then(wire::object);
    let message = choice.and_then(|mut choice| choice.object("message").ok()?);
    message.and_then(|message| message.peek("tool_calls")).is_some_and(|calls| calls.contains('{'))
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
        assert_eq!(reply.content_bytes, 0, "it is reported");
    }

    #[test]
    fn without_a_report_what_was_said_is_measured() {
        let check = |choices: &str, expect: u64| {
            let reply = decode(&format!(r#"{{"id":"c","choices":[{choices}],"usage":null}}"#)).unwrap();
            assert_eq!((reply.usage, reply.content_bytes), (None, expect), "{choices}");
        };
        check("", 0);
        check(r#"{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}"#, 5);
        check(r#"{"message":{"content":"Hello"},"logprobs":{"content":[{"token":"Hello","logprob":-0.1}]}}"#, 5);
        check(r#"{"message":{"role":"assistant","content":null,"reasoning_content":"ab","refusal":""}}"#, 2);
        check(
            r#"{"message":{"content":"abc","annotations":[{"type":"url_citation"}]}},{"message":{"content":"de"}}"#,
            5,
        );
        let call = r#"{"id":"1","function":{"name":"f","arguments":"{}"}}"#;
        check(&format!(r#"{{"message":{{"content":"","tool_calls":[{call}]}}}}"#), 3);
        check(r#"{"message":null},{"message":"x"},{}"#, 0);
    }

    #[test]
    fn adds_one_member_and_nothing_else() {
        let meta = r#""crossway":{"a":1}"#;
        assert_eq!(encoded(REPLY, meta), REPLY.replace("}} ", &format!("}},{meta}}} ")));
        let chained = r#"{"choices":[],"crossway":{"old":true},"z":1}"#;
        assert_eq!(encoded(chained, meta), r#"{"choices":[],"crossway":{"a":1},"z":1}"#);
    }

    #[test]
    fn finish_reasons_are_words_that_clients_know() {
        let reply = |said: &str, message: &str| {
            let choice = format!(r#"{{"finish_reason":{said},"index":0,"message":{message}}}"#);
            format!(r#"{{"choices":[{choice},{{"finish_reason":"stop"}},{choice}],"id":"x"}}"#)
        };
        let check = |said: &str, message: &str, expect: &str| {
            let seen = encoded(&reply(said, message), r#""k":{}"#).replace(r#","k":{}"#, "");
            assert_eq!(seen, reply(expect, message), "{said}");
        };
        for known in [r#""stop""#, r#""length""#, r#""tool_calls""#, r#""content_filter""#, r#""function_call""#] {
            check(known, "{}", known);
        }
        check(r#""eos""#, "{}", r#""stop""#);
        check(r#""MAX_TOKENS""#, "{}", r#""length""#);
        check(r#""other""#, r#"{"tool_calls":[{}]}"#, r#""tool_calls""#);
        check(r#""other""#, r#"{"tool_calls":[]}"#, r#""stop""#);
        check("null", "{}", r#""stop""#);
        check(r#""""#, r#"{"tool_calls":[{}]}"#, r#""tool_calls""#);
        assert_eq!(decode(&reply(r#""eos""#, "{}")).unwrap().finish_reason.as_deref(), Some("eos"));
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

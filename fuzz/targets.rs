//! What is fuzzed: every decoder of bytes that come from outside. One target is one line of [`TARGETS`].
//!
//! A target takes any bytes and panics when a decoder does, or when one of its laws does not hold: any way of cutting a
//! stream gives the same answer, the events of an answer can be folded, what is written can be read again.
//!
//! The file belongs to two programs: `fuzz_targets/dialect.rs`, under libFuzzer, and the test `fuzz` of the crate
//! `dialect`, on a stable toolchain.

use bytes::Bytes;
use dialect::anthropic::{request::MessagesRequest, response::MessagesResponse, stream::MessagesStream};
use dialect::frames::Frames;
use dialect::json::object::{Object, Path};
use dialect::openai_chat::request::{AskUsage, ChatRequest};
use dialect::openai_chat::{response::ChatResponse, stream::ChatStream};
use dialect::openai_responses as responses;
use dialect::passed::Progress;
use dialect::translate::{Callee, Decode, NotAReply, Step};
use ir::chat::event::Event;
use ir::chat::fold::Fold;
use ir::dialect::Dialect;

/// One target.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The folder of `fuzz/seeds` that holds what it starts from.
    pub seeds: &'static str,
    /// What it does with bytes.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, seeds: &'static str, run: fn(&[u8])) -> Target {
    Target { name, seeds, run }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("json", "openai_chat/request", json),
    target("sse", "openai_chat/stream", |data| frames(Dialect::OpenaiChat, data)),
    target("ndjson", "ollama/stream", |data| frames(Dialect::Ollama, data)),
    target("openai_chat_splice_request", "openai_chat/request", chat_request),
    target("openai_chat_splice_reply", "openai_chat/reply", chat_reply),
    target("openai_chat_splice_stream", "openai_chat/stream", |data| {
        splice(data, || ChatStream::new("meta", member(), true))
    }),
    target("anthropic_splice_request", "anthropic/request", messages_request),
    target("anthropic_splice_reply", "anthropic/reply", messages_reply),
    target("anthropic_splice_stream", "anthropic/stream", |data| {
        splice(data, || MessagesStream::new("meta", member()))
    }),
    target("openai_responses_request", "openai_responses/request", responses_request),
    target("openai_responses_reply", "openai_responses/reply", |data| {
        text(data, |body| responses::response::decode::decode(body, SEED))
    }),
    target("openai_responses_stream", "openai_responses/stream", |data| {
        stream(Dialect::OpenaiResponses, data, || responses::stream::decode::Decoder::new(SEED))
    }),
    target("openai_responses_error", "openai_responses/reply", |data| drop(responses::error::read(data))),
];

const SEED: &str = "0123456789abcdef0123456789abcdef";

const CALLEE: Callee<'_> = Callee { model: "m", max_output_tokens: Some(4096), ask_usage: true, quirks: &[] };

/// Pieces in which a stream may come, in bytes.
const PIECES: [usize; 2] = [1, 7];

fn member() -> Vec<u8> {
    br#""meta":{"a":1}"#.to_vec()
}

/// Whether no control character stands raw in the text. In a string none may; the scanner leaves that to the parsers of
/// providers.
fn is_plain(body: &[u8]) -> bool {
    body.iter().all(|byte| *byte >= b' ')
}

/// Passes bytes that are text to a decoder.
fn text<T>(data: &[u8], decode: impl Fn(&str) -> T) {
    if let Ok(body) = std::str::from_utf8(data) {
        drop(decode(body));
    }
}

/// What is read as an object is JSON, and its members are values.
fn json(data: &[u8]) {
    text(data, |body| {
        let Ok(object) = Object::read(body, Path::default()) else { return };
        for (name, value) in object.leftovers() {
            assert!(
                !is_plain(value.as_bytes()) || serde_json::from_str::<&serde_json::value::RawValue>(value).is_ok(),
                "{name}: {value}"
            );
        }
    });
}

/// However bytes are cut, the frames are the same.
fn frames(dialect: Dialect, data: &[u8]) {
    let cut = |size: usize| {
        let (mut frames, mut found) = (Frames::new(dialect), Vec::new());
        let mut note = |frame: dialect::translate::Frame<'_>| {
            found.push((frame.event.map(str::to_owned), frame.data.to_owned()));
            Ok(Step::More)
        };
        let pushed = data.chunks(size).try_for_each(|piece| frames.push(piece, &mut note).map(drop));
        let ended = pushed.and_then(|()| frames.end(&mut note));
        (found, ended)
    };
    let whole = cut(data.len().max(1));
    for size in PIECES {
        assert_eq!(cut(size), whole, "in pieces of {size}");
    }
}

/// However a stream is cut, the events are the same, in an order that can be folded.
fn stream<D: Decode>(dialect: Dialect, data: &[u8], start: impl Fn() -> D) {
    let cut = |size: usize| {
        let (mut frames, mut decoder, mut out) = (Frames::new(dialect), start(), Vec::new());
        let mut step = Ok(Step::More);
        for piece in data.chunks(size) {
            step = frames.push(piece, |frame| decoder.frame(frame, &mut out));
            if step != Ok(Step::More) {
                break;
            }
        }
        if step == Ok(Step::More) {
            step = frames.end(|frame| decoder.frame(frame, &mut out));
        }
        if step == Ok(Step::More) {
            step = decoder.end(&mut out);
        }
        (out, step)
    };
    let whole = cut(data.len().max(1));
    for size in PIECES {
        assert_eq!(cut(size), whole, "in pieces of {size}");
    }
    can_be_folded(whole);
}

fn can_be_folded((events, outcome): (Vec<Event>, Result<Step, NotAReply>)) {
    let mut fold = Fold::default();
    for (at, event) in events.into_iter().enumerate() {
        assert_eq!(at == 0, matches!(event, Event::Started(_)), "the start comes once, first");
        fold.push(event);
    }
    let answer = fold.finish();
    if outcome == Ok(Step::Complete) {
        assert!(!answer.choices.is_empty(), "an answer that is complete has a choice");
    }
}

fn responses_request(data: &[u8]) {
    text(data, |body| {
        let Ok(request) = responses::request::decode::decode(body) else { return };
        drop(responses::request::encode::encode(&request, &CALLEE));
        let Ok(again) = responses::request::encode::encode_again(&request, &CALLEE) else { return };
        // What is lost is named; and two names are taken for paths (`text.verbosity`) wherever they stand.
        if !again.dropped.is_empty() || ["\"text.", "\"message."].iter().any(|name| body.contains(name)) {
            return;
        }
        let again = String::from_utf8(again.body).unwrap_or_default();
        assert_eq!(responses::request::decode::decode(&again).as_ref(), Ok(&request), "{again}");
    });
}

/// A body that was understood is JSON after it was patched.
fn patched(pieces: &[Bytes]) {
    let body = pieces.concat();
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(&body);
    assert!(!is_plain(&body) || read.is_ok(), "{read:?}: {}", String::from_utf8_lossy(&body));
}

fn chat_request(data: &[u8]) {
    if let Ok(request) = ChatRequest::decode(Bytes::copy_from_slice(data)) {
        patched(&request.encode("another", AskUsage::Ask));
        patched(&request.encode("another", AskUsage::Leave));
    }
}

fn chat_reply(data: &[u8]) {
    if let Ok(reply) = ChatResponse::decode(Bytes::copy_from_slice(data), "meta") {
        patched(&reply.encode(member()));
    }
}

fn messages_request(data: &[u8]) {
    drop(MessagesRequest::decode_count(Bytes::copy_from_slice(data)));
    if let Ok(request) = MessagesRequest::decode(Bytes::copy_from_slice(data)) {
        patched(&request.encode("another"));
    }
}

fn messages_reply(data: &[u8]) {
    if let Ok(reply) = MessagesResponse::decode(Bytes::copy_from_slice(data), "meta") {
        patched(&reply.encode(member()));
    }
}

/// A stream that is forwarded.
trait Splice {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress;
    fn end(&mut self, out: &mut Vec<Bytes>) -> Progress;
    fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>);
}

macro_rules! splice {
    ($($name:ident)*) => {$(
        impl Splice for $name {
            fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
                self.push(bytes, out)
            }
            fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
                self.end(out)
            }
            fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
                self.release(account, out);
            }
        }
    )*};
}

splice!(ChatStream MessagesStream);

/// However a stream is cut, the caller gets the same events; the same bytes, if no line ends with a carriage return.
fn splice<M: Splice>(data: &[u8], start: impl Fn() -> M) {
    let cut = |size: usize| {
        let (mut machine, mut out, mut progress) = (start(), Vec::new(), Progress::More);
        for piece in data.chunks(size) {
            progress = machine.push(Bytes::copy_from_slice(piece), &mut out);
            if progress != Progress::More {
                break;
            }
        }
        if progress == Progress::More {
            progress = machine.end(&mut out);
        }
        if progress == Progress::Complete {
            machine.release(&member(), &mut out);
        }
        (out.concat(), progress)
    };
    let (whole, outcome) = cut(data.len().max(1));
    for size in PIECES {
        let (found, progress) = cut(size);
        assert_eq!(progress, outcome, "in pieces of {size}");
        if data.contains(&b'\r') {
            assert_eq!(events(&found), events(&whole), "in pieces of {size}");
        } else {
            assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&whole), "in pieces of {size}");
        }
    }
}

fn events(stream: &[u8]) -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    // What cannot be understood ends the list, at the same place in both.
    let _ = Frames::new(Dialect::OpenaiChat).push(stream, |frame| {
        found.push((frame.event.map(str::to_owned), frame.data.to_owned()));
        Ok(Step::More)
    });
    found
}

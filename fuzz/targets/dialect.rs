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
use dialect::openai_chat::request::departs::departs;
use dialect::openai_chat::request::{AskUsage, ChatRequest};
use dialect::openai_chat::{response::ChatResponse, stream::ChatStream};
use dialect::passed::Progress;
use dialect::translate::{Callee, Decode, Encode, Encoded, Label, NotAReply, Step};
use dialect::{anthropic, cohere, gemini, ollama, openai_chat, openai_responses};
use ir::chat::event::Event;
use ir::chat::fold::Fold;
use ir::chat::request::Request;
use ir::chat::response::Response;
use ir::dialect::{Dialect, Quirk};
use ir::failure::Failure;

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

/// A request of a dialect is read, and written for every other.
macro_rules! request {
    ($name:literal, $seeds:literal, $dialect:ident) => {
        target($name, $seeds, |data| request(data, $dialect::request::decode::decode))
    };
}

/// A whole reply of a dialect is read, and written for every surface.
macro_rules! reply {
    ($name:literal, $seeds:literal, $dialect:ident) => {
        target($name, $seeds, |data| reply(data, $dialect::response::decode::decode))
    };
}

/// A stream of a dialect is read, and written for every surface.
macro_rules! stream {
    ($name:literal, $seeds:literal, $dialect:ident, $framing:ident) => {
        target($name, $seeds, |data| stream(Dialect::$framing, data, || $dialect::stream::decode::Decoder::new(SEED)))
    };
}

/// A body of a dialect is read as an error.
macro_rules! error {
    ($name:literal, $seeds:literal, $dialect:ident) => {
        target($name, $seeds, |data| drop($dialect::error::read(data)))
    };
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
    request!("openai_chat_request", "openai_chat/request", openai_chat),
    request!("anthropic_request", "anthropic/request", anthropic),
    request!("gemini_request", "gemini/request", gemini),
    request!("openai_responses_request", "openai_responses/request", openai_responses),
    target("openai_responses_again", "openai_responses/request", responses_again),
    reply!("openai_chat_reply", "openai_chat/reply", openai_chat),
    reply!("anthropic_reply", "anthropic/reply", anthropic),
    reply!("gemini_reply", "gemini/reply", gemini),
    reply!("openai_responses_reply", "openai_responses/reply", openai_responses),
    reply!("ollama_reply", "ollama/reply", ollama),
    reply!("cohere_reply", "cohere/reply", cohere),
    stream!("openai_chat_stream", "openai_chat/stream", openai_chat, OpenaiChat),
    stream!("anthropic_stream", "anthropic/stream", anthropic, Anthropic),
    stream!("gemini_stream", "gemini/stream", gemini, Gemini),
    stream!("openai_responses_stream", "openai_responses/stream", openai_responses, OpenaiResponses),
    stream!("ollama_stream", "ollama/stream", ollama, Ollama),
    stream!("cohere_stream", "cohere/stream", cohere, Cohere),
    error!("openai_chat_error", "openai_chat/reply", openai_chat),
    error!("anthropic_error", "anthropic/reply", anthropic),
    error!("gemini_error", "gemini/reply", gemini),
    error!("openai_responses_error", "openai_responses/reply", openai_responses),
    error!("ollama_error", "ollama/reply", ollama),
    error!("cohere_error", "cohere/reply", cohere),
];

const SEED: &str = "0123456789abcdef0123456789abcdef";

const CALLEE: Callee<'_> =
    Callee { model: "m", max_output_tokens: Some(4096), ask_usage: true, quirks: &[], refuses: &[] };

const LABEL: Label<'_> = Label { seed: SEED, model: "m", created: 7 };

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
    can_be_written(&whole.0);
    can_be_folded(whole.0);
}

/// Every surface writes the events as frames of JSON.
fn can_be_written(events: &[Event]) {
    let encoders: [(Dialect, Box<dyn Encode>); 3] = [
        (Dialect::OpenaiChat, Box::new(openai_chat::stream::encode::Encoder::new(&LABEL, true, member()))),
        (Dialect::Anthropic, Box::new(anthropic::stream::encode::Encoder::new(&LABEL, member()))),
        (Dialect::Gemini, Box::new(gemini::stream::encode::Encoder::new(&LABEL, member()))),
    ];
    for (surface, mut encoder) in encoders {
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.event(event.clone(), &mut out));
        encoder.finish(&member(), &mut out);
        let read = Frames::new(surface).push(&out, |frame| {
            assert!(frame.data == "[DONE]" || is_json(frame.data.as_bytes()), "{}: {}", surface.name(), frame.data);
            Ok(Step::More)
        });
        assert_eq!(read, Ok(Step::More), "{}", surface.name());
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

fn can_be_folded(events: Vec<Event>) {
    let mut fold = Fold::default();
    for (at, event) in events.into_iter().enumerate() {
        assert!(at == 0 || !matches!(event, Event::Started(_)), "the start comes first, if it comes");
        fold.push(event);
    }
    drop(fold.finish());
}

type EncodeRequest = fn(&Request, &Callee<'_>) -> Result<Encoded, Failure>;

fn request(data: &[u8], decode: fn(&str) -> Result<Request, Failure>) {
    const ENCODE: [EncodeRequest; 6] = [
        openai_chat::request::encode::encode,
        anthropic::request::encode::encode,
        gemini::request::encode::encode,
        openai_responses::request::encode::encode,
        ollama::request::encode::encode,
        cohere::request::encode::encode,
    ];
    text(data, |body| {
        let Ok(request) = decode(body) else { return };
        for encoded in ENCODE.iter().filter_map(|encode| encode(&request, &CALLEE).ok()) {
            assert!(is_json(&encoded.body), "{}", String::from_utf8_lossy(&encoded.body));
        }
    });
}

fn reply(data: &[u8], decode: fn(&str, &str) -> Result<Response, NotAReply>) {
    const ENCODE: [fn(&Response, &Label<'_>) -> Vec<u8>; 3] =
        [openai_chat::response::encode::encode, anthropic::response::encode::encode, gemini::response::encode::encode];
    text(data, |body| {
        let Ok(reply) = decode(body, SEED) else { return };
        for written in ENCODE.map(|encode| encode(&reply, &LABEL)) {
            assert!(is_json(&written), "{}", String::from_utf8_lossy(&written));
        }
    });
}

/// What is written in the dialect in which it came is read as the same.
fn responses_again(data: &[u8]) {
    use openai_responses::request::{decode::decode, encode::encode_again};
    text(data, |body| {
        let Ok(request) = decode(body) else { return };
        let Ok(again) = encode_again(&request, &CALLEE) else { return };
        // What is lost is named; and two names are taken for paths (`text.verbosity`) wherever they stand.
        if !again.dropped.is_empty() || ["\"text.", "\"message."].iter().any(|name| body.contains(name)) {
            return;
        }
        let again = String::from_utf8(again.body).unwrap_or_default();
        assert_eq!(decode(&again).as_ref(), Ok(&request), "{again}");
    });
}

/// A body that was understood is JSON after it was patched.
fn patched(pieces: &[Bytes]) {
    let body = pieces.concat();
    assert!(!is_plain(&body) || is_json(&body), "{}", String::from_utf8_lossy(&body));
}

fn chat_request(data: &[u8]) {
    if let Ok(request) = ChatRequest::decode(Bytes::copy_from_slice(data)) {
        patched(&request.encode("another", AskUsage::Ask));
        patched(&request.encode("another", AskUsage::Leave));
        let refuses = ["a", "store", "messages.role", "messages.content.text", "tools"].map(Box::from);
        let strict = Callee { quirks: &QUIRKS, refuses: &refuses, ..CALLEE };
        let _ = departs(request.body(), &strict);
        if let Ok((parts, _)) = request.spliced(&strict) {
            patched(&parts);
        }
    }
}

/// Every way in which a vendor may spell a request otherwise.
const QUIRKS: [Quirk; 10] = [
    Quirk::MaxTokens,
    Quirk::RandomSeed,
    Quirk::NoDeveloperRole,
    Quirk::NoNames,
    Quirk::NineCharacterToolIds,
    Quirk::DocumentUrl,
    Quirk::LowTemperature,
    Quirk::NoneOrHighEffort,
    Quirk::ReasoningParts,
    Quirk::CacheControl,
];

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

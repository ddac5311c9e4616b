//! A streamed reply on its way to the caller: bytes of the provider go in, bytes for the caller come out.

use bytes::Bytes;
use ir::chat::event::{Delta, Event, Opening};
use ir::dialect::Dialect;
use ir::report::Report;

use super::Surface;
use super::reply::finish_name;
use crate::anthropic::stream::MessagesStream;
use crate::frames::Frames;
use crate::openai_chat::stream::ChatStream;
use crate::passed::{Passed, Progress};
use crate::translate::{Decode, Encode, Label, NotAReply, Step};
use crate::{anthropic, cohere, gemini, ollama, openai_chat, openai_responses};

/// A streamed reply.
pub enum ReplyStream {
    /// OpenAI to OpenAI.
    OpenaiChat(Box<ChatStream>),
    /// Anthropic to Anthropic.
    Anthropic(Box<MessagesStream>),
    /// One to another.
    Translated(Box<Translated>),
}

impl ReplyStream {
    /// Starts a stream. `first_meta` is the meta block (`"key":{…}`) for the first event; `wants_usage` says whether
    /// the caller asked for a usage chunk.
    pub fn new(
        surface: Surface,
        dialect: Dialect,
        meta_key: &str,
        first_meta: Vec<u8>,
        wants_usage: bool,
        label: &Label<'_>,
    ) -> Self {
        match (surface, dialect) {
            (Surface::OpenaiChat, Dialect::OpenaiChat) => {
                Self::OpenaiChat(Box::new(ChatStream::new(meta_key, first_meta, wants_usage)))
            }
            (Surface::AnthropicMessages, Dialect::Anthropic) => {
                Self::Anthropic(Box::new(MessagesStream::new(meta_key, first_meta)))
            }
            _ => Self::Translated(Box::new(Translated::new(surface, dialect, first_meta, wants_usage, label))),
        }
    }

    /// Returns what has passed so far.
    pub fn passed(&self) -> &Passed {
        match self {
            Self::OpenaiChat(stream) => stream.passed(),
            Self::Anthropic(stream) => stream.passed(),
            Self::Translated(stream) => &stream.passed,
        }
    }

    /// Whether the answer itself is complete, and only usage or the end marker is awaited.
    pub fn is_finishing(&self) -> bool {
        match self {
            Self::Translated(stream) => stream.passed.finish_reason.is_some() || stream.decoder.is_finishing(),
            spliced => spliced.passed().finish_reason.is_some(),
        }
    }

    /// Takes note that nothing more is waited for, of an answer that is finishing.
    pub fn conclude(&mut self, out: &mut Vec<Bytes>) {
        if let Self::Translated(stream) = self
            && stream.passed.finish_reason.is_none()
        {
            let step = stream.decoder.end(&mut stream.events);
            stream.go_on(step, out);
        }
    }

    /// Takes bytes from the provider and appends to `out` what may go to the caller now.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        match self {
            Self::OpenaiChat(stream) => stream.push(bytes, out),
            Self::Anthropic(stream) => stream.push(bytes, out),
            Self::Translated(stream) => stream.push(&bytes, out),
        }
    }

    /// Takes note of the provider's end: the answer is complete, or it failed.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        match self {
            Self::OpenaiChat(stream) => stream.end(out),
            Self::Anthropic(stream) => stream.end(out),
            Self::Translated(stream) => stream.end(out),
        }
    }

    /// Releases the end of a complete answer, with the meta block of its account.
    pub fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
        match self {
            Self::OpenaiChat(stream) => stream.release(account, out),
            Self::Anthropic(stream) => stream.release(account, out),
            Self::Translated(stream) => {
                let mut bytes = Vec::new();
                stream.encoder.finish(account, &mut bytes);
                out.push(bytes.into());
            }
        }
    }
}

/// A stream that is decoded from one dialect and encoded in another.
pub struct Translated {
    frames: Frames,
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    /// The events of the bytes at hand; kept for its memory.
    events: Vec<Event>,
    passed: Passed,
}

impl Translated {
    fn new(surface: Surface, dialect: Dialect, first_meta: Vec<u8>, wants_usage: bool, label: &Label<'_>) -> Self {
        let seed = label.seed;
        let decoder: Box<dyn Decode> = match dialect {
            Dialect::OpenaiChat => Box::new(openai_chat::stream::decode::Decoder::new(seed)),
            Dialect::OpenaiResponses => Box::new(openai_responses::stream::decode::Decoder::new(seed)),
            Dialect::Anthropic => Box::new(anthropic::stream::decode::Decoder::new(seed)),
            Dialect::Gemini => Box::new(gemini::stream::decode::Decoder::new(seed)),
            Dialect::Ollama => Box::new(ollama::stream::decode::Decoder::new(seed)),
            Dialect::Cohere => Box::new(cohere::stream::decode::Decoder::new(seed)),
        };
        let encoder: Box<dyn Encode> = match surface {
            Surface::OpenaiChat => Box::new(openai_chat::stream::encode::Encoder::new(label, wants_usage, first_meta)),
            Surface::AnthropicMessages | Surface::AnthropicCount => {
                Box::new(anthropic::stream::encode::Encoder::new(label, first_meta))
            }
        };
        Self { frames: Frames::new(dialect), decoder, encoder, events: Vec::new(), passed: Passed::default() }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<Bytes>) -> Progress {
        let Self { frames, decoder, events, passed, .. } = self;
        let step = frames.push(bytes, |frame| {
            passed.data_events += 1;
            decoder.frame(frame, events)
        });
        self.go_on(step, out)
    }

    fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        let Self { frames, decoder, events, .. } = self;
        let mut step = frames.end(|frame| decoder.frame(frame, events));
        if step == Ok(Step::More) {
            step = decoder.end(events);
        }
        match self.go_on(step, out) {
            // Nothing more will come, and the answer was not whole.
            Progress::More => Progress::Failed(Report::default()),
            progress => progress,
        }
    }

    /// Encodes the events at hand and says what they amount to.
    fn go_on(&mut self, step: Result<Step, NotAReply>, out: &mut Vec<Bytes>) -> Progress {
        let mut bytes = Vec::new();
        for event in self.events.drain(..) {
            note(&mut self.passed, &event);
            self.encoder.event(event, &mut bytes);
        }
        if !bytes.is_empty() {
            out.push(bytes.into());
        }
        match step {
            Ok(Step::More) => Progress::More,
            Ok(Step::Complete) => Progress::Complete,
            Err(NotAReply::Error(report)) => Progress::Failed(report),
            Err(NotAReply::Malformed(detail)) => Progress::Malformed(detail),
        }
    }
}

/// Takes note of what an event says.
fn note(passed: &mut Passed, event: &Event) {
    match event {
        Event::Started(started) => {
            passed.id = Some(started.id.clone()).filter(|id| !id.is_empty());
            passed.begun = started.usage.or(passed.begun);
        }
        // A part that merely begins says nothing yet; one that carries something does.
        Event::Opened { opening, .. } => {
            passed.has_content |= matches!(opening, Opening::ToolCall { .. } | Opening::Foreign { .. });
        }
        Event::Delta { delta, .. } => {
            let length = match delta {
                Delta::Text(text) | Delta::Arguments(text) | Delta::Data(text) => text.len(),
                Delta::Signature(signature) => signature.text.len(),
                Delta::Citation(_) => 1,
                Delta::Foreign { delta, .. } => delta.as_str().len(),
            };
            passed.has_content |= length > 0;
            passed.content_bytes += length as u64;
        }
        Event::Finished { finish, .. } => {
            passed.has_content = true;
            if passed.finish_reason.is_none() {
                passed.finish_reason = Some(finish_name(finish).to_owned());
            }
        }
        Event::Usage(usage) => passed.usage = Some(*usage),
        Event::Closed { .. } | Event::Logprobs { .. } | Event::Extras(_) => {}
    }
}

//! A streamed reply on its way to the caller: bytes of the provider go in, bytes for the caller come out.

mod noted;

use bytes::Bytes;
use ir::chat::event::Event;
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use ir::guard::{Blocked, Watch};
use ir::report::Report;
use ir::usage::Usage;

use self::noted::{has_content, note};
use super::proofs::{Collector, Proofs, signs};
use super::{Surface, decoder};
use crate::anthropic::stream::MessagesStream;
use crate::frames::Frames;
use crate::guard::anthropic::stream::MessagesGate;
use crate::guard::canonical::stream::{EventGate, EventGuarding};
use crate::guard::openai_chat::stream::ChatGate;
use crate::guard::stream::{StreamGuard, StreamGuarding};
use crate::openai_chat::stream::ChatStream;
use crate::passed::{Passed, Progress};
use crate::translate::{Decode, Encode, Label, NotAReply, Step};
use crate::{anthropic, openai_chat};

/// A streamed reply.
pub enum ReplyStream {
    /// OpenAI to OpenAI.
    OpenaiChat(Box<ChatStream>),
    /// Anthropic to Anthropic.
    Anthropic(Box<MessagesStream>),
    /// One to another.
    Translated(Box<Translated>),
    /// A spliced one with a guard before it.
    Guarded(Box<Guarded>),
}

/// A spliced stream with a guard before it.
pub struct Guarded {
    guard: Box<dyn StreamGuarding>,
    inner: ReplyStream,
    /// What the guard lets through of the bytes at hand; kept for its memory.
    pieces: Vec<Bytes>,
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
            _ => {
                let from = (dialect, decoder(dialect, label.seed));
                Self::Translated(Box::new(Translated::new(surface, from, first_meta, wants_usage, label)))
            }
        }
    }

    /// Puts a guard into the stream, before its first bytes. `fresh` is the watch of a choice that nothing was seen of.
    #[must_use]
    pub fn guarded<W: Watch + Clone + Send + 'static>(mut self, fresh: W) -> Self {
        let guard: Box<dyn StreamGuarding> = match &mut self {
            Self::OpenaiChat(_) => Box::new(StreamGuard::new(ChatGate::new(fresh))),
            Self::Anthropic(_) => Box::new(StreamGuard::new(MessagesGate::new(fresh))),
            Self::Translated(stream) => {
                stream.guard = Some(Box::new(EventGate::new(fresh)));
                return self;
            }
            Self::Guarded(_) => {
                debug_assert!(false, "a stream has one guard");
                return self;
            }
        };
        Self::Guarded(Box::new(Guarded { guard, inner: self, pieces: Vec::new() }))
    }

    /// Returns what has passed so far. Where a guard holds something back, its content is counted and has not passed:
    /// `has_content` is false until something of it may go to the caller.
    pub fn passed(&self) -> &Passed {
        match self {
            Self::Guarded(stream) => stream.inner.passed(),
            Self::OpenaiChat(stream) => stream.passed(),
            Self::Anthropic(stream) => stream.passed(),
            Self::Translated(stream) => &stream.passed,
        }
    }

    /// Whether the answer itself is complete, and only usage or the end marker is awaited.
    pub fn is_finishing(&self) -> bool {
        match self {
            Self::Translated(stream) => stream.passed.finish_reason.is_some() || stream.decoder.is_finishing(),
            Self::OpenaiChat(stream) => stream.is_finishing(),
            Self::Anthropic(stream) => stream.is_finishing(),
            Self::Guarded(stream) => stream.inner.is_finishing(),
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

    /// Returns what the provider signed and the caller's client may lose, once the answer is complete.
    pub fn proofs(&mut self) -> Option<Proofs> {
        match self {
            Self::OpenaiChat(_) | Self::Anthropic(_) | Self::Guarded(_) => None,
            Self::Translated(stream) => stream.proofs.as_mut().and_then(Collector::finish),
        }
    }

    /// Takes bytes from the provider and appends to `out` what may go to the caller now.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        match self {
            Self::OpenaiChat(stream) => stream.push(bytes, out),
            Self::Anthropic(stream) => stream.push(bytes, out),
            Self::Translated(stream) => stream.push(&bytes, out),
            Self::Guarded(stream) => stream.push(bytes, out),
        }
    }

    /// Takes note of the provider's end: the answer is complete, or it failed.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        match self {
            Self::OpenaiChat(stream) => stream.end(out),
            Self::Anthropic(stream) => stream.end(out),
            Self::Translated(stream) => stream.end(out),
            Self::Guarded(stream) => stream.end(out),
        }
    }

    /// Ends an answer before its provider does: the caller is told that it has become too long. What a guard holds back
    /// of it is lost. `choices` is how many were asked for, `tokens` what is said of the output where something must be.
    pub fn cut(&mut self, choices: u64, tokens: u64, out: &mut Vec<Bytes>) -> Progress {
        match self {
            Self::OpenaiChat(stream) => stream.cut(choices, out),
            Self::Anthropic(stream) => stream.cut(tokens, out),
            Self::Translated(stream) => stream.cut(tokens, out),
            Self::Guarded(stream) => stream.inner.cut(choices, tokens, out),
        }
    }

    /// Releases the end of a complete answer, with the meta block of its account.
    pub fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
        match self {
            Self::OpenaiChat(stream) => stream.release(account, out),
            Self::Anthropic(stream) => stream.release(account, out),
            Self::Guarded(stream) => stream.inner.release(account, out),
            Self::Translated(stream) => {
                let mut bytes = Vec::new();
                stream.encoder.finish(account, &mut bytes);
                out.push(bytes.into());
            }
        }
    }
}

impl Guarded {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        let judged = self.guard.push(bytes, &mut self.pieces);
        self.go_on(judged, out)
    }

    fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        let judged = self.guard.end(&mut self.pieces);
        match self.go_on(judged, out) {
            Progress::More => self.inner.end(out),
            progress => progress,
        }
    }

    /// Passes on what the guard lets through.
    fn go_on(&mut self, judged: Progress, out: &mut Vec<Bytes>) -> Progress {
        let mut progress = Progress::More;
        for piece in self.pieces.drain(..) {
            progress = self.inner.push(piece, out);
            if progress != Progress::More {
                break;
            }
        }
        self.pieces.clear();
        // What is held or cut off was made all the same, and a provider that makes it is not silent.
        let passed = match &mut self.inner {
            ReplyStream::OpenaiChat(stream) => Some(stream.passed_mut()),
            ReplyStream::Anthropic(stream) => Some(stream.passed_mut()),
            ReplyStream::Translated(_) | ReplyStream::Guarded(_) => None,
        };
        if let Some(passed) = passed {
            passed.data_events = self.guard.data_events();
            let reported = passed.reported_bytes == passed.content_bytes;
            passed.content_bytes = passed.content_bytes.max(self.guard.text_bytes());
            if reported {
                passed.reported_bytes = passed.content_bytes;
            }
        }
        if progress == Progress::More { judged } else { progress }
    }
}

/// A stream that is decoded from one dialect and encoded in another.
pub struct Translated {
    frames: Frames,
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    /// The events of the bytes at hand; kept for its memory.
    events: Vec<Event>,
    guard: Option<Box<dyn EventGuarding>>,
    /// The events that the guard lets through; kept for its memory.
    clear: Vec<Event>,
    blocked: Option<Blocked>,
    passed: Passed,
    /// Only where the provider signs.
    proofs: Option<Collector>,
    /// The parts that are open, each with its choice.
    open: Vec<(u32, u32)>,
    /// The choices that have begun and not ended.
    running: Vec<u32>,
}

impl Translated {
    pub(super) fn new(
        surface: Surface,
        (dialect, decoder): (Dialect, Box<dyn Decode>),
        first_meta: Vec<u8>,
        wants_usage: bool,
        label: &Label<'_>,
    ) -> Self {
        let encoder: Box<dyn Encode> = match surface {
            Surface::OpenaiChat => Box::new(openai_chat::stream::encode::Encoder::new(label, wants_usage, first_meta)),
            Surface::AnthropicMessages | Surface::AnthropicCount => {
                Box::new(anthropic::stream::encode::Encoder::new(label, first_meta))
            }
        };
        Self {
            frames: Frames::new(dialect),
            decoder,
            encoder,
            events: Vec::new(),
            guard: None,
            clear: Vec::new(),
            blocked: None,
            passed: Passed::default(),
            proofs: signs(dialect).then(Collector::default),
            open: Vec::new(),
            running: Vec::new(),
        }
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

    /// Follows which parts and choices are open.
    fn follow(&mut self) {
        for event in &self.events {
            match event {
                Event::Opened { choice, part, .. } => {
                    self.open.push((*choice, *part));
                    if !self.running.contains(choice) {
                        self.running.push(*choice);
                    }
                }
                Event::Closed { choice, part } => self.open.retain(|open| *open != (*choice, *part)),
                Event::Finished { choice, .. } => self.running.retain(|running| running != choice),
                _ => {}
            }
        }
    }

    fn cut(&mut self, tokens: u64, out: &mut Vec<Bytes>) -> Progress {
        let reported = (self.passed.usage, self.passed.reported_bytes);
        let open = std::mem::take(&mut self.open);
        self.events.extend(open.into_iter().map(|(choice, part)| Event::Closed { choice, part }));
        let running = std::mem::take(&mut self.running);
        self.events.extend(running.into_iter().map(|choice| Event::Finished { choice, finish: Finish::Length }));
        let known = reported.0.or(self.passed.begun).unwrap_or_default();
        self.events.push(Event::Usage(Usage { output: known.output.max(tokens), ..known }));
        let progress = self.go_on(Ok(Step::Complete), out);
        (self.passed.usage, self.passed.reported_bytes) = reported;
        progress
    }

    /// Takes note of the events at hand and of what the guard lets through of them. The caller hears of the report that
    /// counts.
    fn judge(&mut self, complete: bool) {
        self.events.iter_mut().for_each(|event| {
            note(&mut self.passed, event);
            if let (Event::Usage(usage), Some(counts)) = (event, self.passed.usage) {
                *usage = counts;
            }
        });
        self.follow();
        let Some(guard) = &mut self.guard else {
            return std::mem::swap(&mut self.events, &mut self.clear);
        };
        for event in self.events.drain(..) {
            if self.blocked.is_none() {
                self.blocked = guard.push(event, &mut self.clear).err();
            }
        }
        if complete && self.blocked.is_none() {
            self.blocked = guard.end(&mut self.clear).err();
        }
    }

    /// Encodes the events at hand and says what they amount to.
    fn go_on(&mut self, step: Result<Step, NotAReply>, out: &mut Vec<Bytes>) -> Progress {
        self.judge(step == Ok(Step::Complete));
        let mut bytes = Vec::new();
        for event in self.clear.drain(..) {
            self.passed.has_content |= has_content(&event);
            if let Some(proofs) = &mut self.proofs {
                proofs.note(&event);
            }
            self.encoder.event(event, &mut bytes);
        }
        if !bytes.is_empty() {
            out.push(bytes.into());
        }
        if let Some(blocked) = &self.blocked {
            return Progress::Blocked(blocked.clone());
        }
        match step {
            Ok(Step::More) => Progress::More,
            Ok(Step::Complete) => Progress::Complete,
            Err(NotAReply::Error(report)) => Progress::Failed(report),
            Err(NotAReply::Malformed(detail)) => Progress::Malformed(detail),
        }
    }
}

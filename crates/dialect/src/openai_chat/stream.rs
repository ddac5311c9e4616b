//! A streamed reply, as a machine without IO: bytes go in, bytes come out, and what passed is known at the end.
//!
//! Events are forwarded as they came. Only three are touched: the first chunk gets the meta block, the finish event is
//! held until usage or the end marker is there so that the cost can go with it, and a usage chunk that the caller did
//! not ask for is left out. What follows the end marker is ignored.

mod chunk;
pub mod decode;
pub mod encode;

use bytes::Bytes;
use ir::report::Report;

use self::chunk::Chunk;
use crate::json::string;
use crate::passed::{Passed, Progress};
use crate::splice::events::{self, Event, Events, Judge, Verdict};
use crate::sse::Data;

/// One streamed reply on its way to the caller.
#[derive(Debug)]
pub struct ChatStream {
    events: Events,
    chunks: Chunks,
}

/// What is known of the chunks so far.
#[derive(Debug)]
struct Chunks {
    meta_key: Box<str>,
    /// The meta block for the first chunk, until that has passed.
    first_meta: Option<Vec<u8>>,
    wants_usage: bool,
    held: Vec<Held>,
    done: Option<Bytes>,
    passed: Passed,
}

/// An event that waits for the account.
#[derive(Debug)]
struct Held {
    event: events::Held,
    chunk: Option<Chunk>,
}

impl ChatStream {
    /// Starts a stream. `first_meta` is the member (`"key":{…}`) for the first chunk; `wants_usage` says whether the
    /// caller asked for a usage chunk.
    pub fn new(meta_key: &str, first_meta: Vec<u8>, wants_usage: bool) -> Self {
        let chunks = Chunks {
            meta_key: meta_key.into(),
            first_meta: Some(first_meta),
            wants_usage,
            held: Vec::new(),
            done: None,
            passed: Passed::default(),
        };
        Self { events: Events::default(), chunks }
    }

    /// Returns what has passed so far.
    pub fn passed(&self) -> &Passed {
        &self.chunks.passed
    }

    /// Returns what has passed so far, for a guard in front to add what it holds back.
    pub(crate) fn passed_mut(&mut self) -> &mut Passed {
        &mut self.chunks.passed
    }

    /// Whether the finish event is held, so that the answer itself is complete.
    pub fn is_finishing(&self) -> bool {
        self.chunks.passed.finish_reason.is_some()
    }

    /// Takes bytes from the provider and appends to `out` what may go to the caller now.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        self.events.push(bytes, &mut self.chunks, out)
    }

    /// Takes note of the provider's end of the stream. An event that lacks only its empty line still counts. An answer
    /// that was finished but lacks the end marker is complete.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        match self.events.end(&mut self.chunks, out) {
            Progress::More if self.is_finishing() => Progress::Complete,
            Progress::More => Progress::Failed(Report::default()),
            progress => progress,
        }
    }

    /// Hands out what was held, with the account (`"key":{…}`) in the usage chunk if the caller asked for one, else in
    /// the finish event, and the end marker.
    pub fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
        let wants_usage = self.chunks.wants_usage;
        let held = std::mem::take(&mut self.chunks.held);
        let is_usage = |held: &Held| held.chunk.as_ref().is_some_and(|chunk| chunk.has_usage && chunk.no_choices);
        let finishes = |held: &Held| held.chunk.as_ref().is_some_and(|chunk| chunk.finish_reason.is_some());
        let place = held
            .iter()
            .rposition(|held| wants_usage && held.chunk.as_ref().is_some_and(|chunk| chunk.has_usage))
            .or_else(|| held.iter().rposition(finishes));
        for (at, held) in held.iter().enumerate() {
            match &held.chunk {
                Some(chunk) if Some(at) == place => out.push(held.event.with(&chunk.slot, account)),
                _ if wants_usage || !is_usage(held) => out.push(held.event.bytes.clone()),
                _ => {}
            }
        }
        let done = self.chunks.done.take().unwrap_or(Bytes::from_static(b"data: [DONE]\n\n"));
        out.push(done);
    }
}

impl Judge for Chunks {
    fn judge(&mut self, event: Event<'_>) -> Verdict {
        if event.data == Data::None {
            return self.pass(event, None);
        }
        let text = event.text();
        self.passed.data_events += 1;
        if text.trim_ascii() == b"[DONE]" {
            self.done = Some(event.hold().bytes);
            return Verdict::End(Progress::Complete);
        }
        let Ok(mut chunk) = chunk::read(text, &self.meta_key) else {
            // Not ours to judge: a client that can read it may.
            return self.pass(event, None);
        };
        if let Some(report) = chunk.error.take() {
            return Verdict::End(Progress::Failed(report));
        }
        self.note(&mut chunk, text);
        if chunk.finish_reason.is_some() || (chunk.has_usage && chunk.no_choices) {
            // When it is the very first chunk, it gets the first meta block too; the account then replaces it.
            self.first_meta = None;
            return self.hold(event, Some(chunk));
        }
        if !self.held.is_empty() {
            if !chunk.has_content {
                return self.hold(event, Some(chunk));
            }
            // Another choice goes on after one has finished: what was held is not the end.
            return Verdict::ForwardAfter(self.held.drain(..).map(|held| held.event.bytes).collect());
        }
        match self.first_meta.take() {
            Some(meta) => Verdict::Replace(event.hold().with(&chunk.slot, &meta)),
            None => Verdict::Forward,
        }
    }
}

impl Chunks {
    /// Lets an event pass, unless something is held: then it waits its turn.
    fn pass(&mut self, event: Event<'_>, chunk: Option<Chunk>) -> Verdict {
        if self.held.is_empty() { Verdict::Forward } else { self.hold(event, chunk) }
    }

    fn hold(&mut self, event: Event<'_>, chunk: Option<Chunk>) -> Verdict {
        self.held.push(Held { event: event.hold(), chunk });
        Verdict::Withhold
    }

    /// Notes what a chunk says.
    fn note(&mut self, chunk: &mut Chunk, text: &[u8]) {
        let passed = &mut self.passed;
        if passed.id.is_none() {
            passed.id = chunk.id.take().and_then(|id| string(text.get(id).unwrap_or_default()));
        }
        passed.has_content |= chunk.has_content || chunk.finish_reason.is_some();
        passed.content_bytes += chunk.content_bytes;
        if let Some(usage) = chunk.usage {
            passed.usage = Some(usage);
        }
        if passed.finish_reason.is_none() {
            passed.finish_reason.clone_from(&chunk.finish_reason);
        }
    }
}

#[cfg(test)]
mod tests;

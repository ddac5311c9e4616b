//! A streamed reply, as a machine without IO: bytes go in, bytes come out, and what passed is known at the end.
//!
//! Events are forwarded as they came. Only these are touched: the first chunk gets the meta block; the finish event is
//! held until usage or the end marker is there so that the cost can go with it, and a reason that not every client knows
//! is said in a word that it does; a usage chunk that the caller did not ask for is left out. A stream that ends without
//! having finished (OpenAI's, with sound) is finished. What follows the end marker is ignored.

mod chunk;
mod closing;
pub mod decode;
pub mod encode;

use bytes::Bytes;
use ir::report::Report;

use self::chunk::{Choices, Chunk};
use crate::json::string;
use crate::openai_chat::{error, finish};
use crate::passed::{Passed, Progress};
use crate::splice::Patch;
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
    /// The first chunk, as the caller got it.
    first: Option<Bytes>,
    wants_usage: bool,
    has_calls: bool,
    /// The choices that have begun, and those that have ended.
    begun: Choices,
    ended: Choices,
    held: Vec<Held>,
    done: Option<Bytes>,
    passed: Passed,
}

/// An event that waits for the account.
#[derive(Debug)]
struct Held {
    event: events::Held,
    chunk: Option<Chunk>,
    /// What is changed in it anyway.
    patches: Vec<Patch>,
}

impl Held {
    fn is(&self, what: impl Fn(&Chunk) -> bool) -> bool {
        self.chunk.as_ref().is_some_and(what)
    }

    /// Returns the event as the caller gets it.
    fn into_bytes(self) -> Bytes {
        self.event.patched(self.patches)
    }

    /// Returns it with one more member in its data.
    fn with(self, member: &[u8]) -> Bytes {
        let slot = self.chunk.map(|chunk| chunk.slot);
        let patches = slot.map(|slot| merged(self.patches, slot.patch(member)));
        self.event.patched(patches.unwrap_or_default())
    }
}

fn merged(mut patches: Vec<Patch>, one: Patch) -> Vec<Patch> {
    patches.push(one);
    patches.sort_by_key(|patch| patch.range.start);
    patches
}

impl ChatStream {
    /// Starts a stream. `first_meta` is the member (`"key":{…}`) for the first chunk; `wants_usage` says whether the
    /// caller asked for a usage chunk.
    pub fn new(meta_key: &str, first_meta: Vec<u8>, wants_usage: bool) -> Self {
        let chunks = Chunks {
            meta_key: meta_key.into(),
            first_meta: Some(first_meta),
            first: None,
            wants_usage,
            has_calls: false,
            begun: Choices::default(),
            ended: Choices::default(),
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

    /// Whether every choice that has begun has ended, so that the answer itself is complete.
    pub fn is_finishing(&self) -> bool {
        let chunks = &self.chunks;
        chunks.passed.finish_reason.is_some() && chunks.begun.are_all_in(chunks.ended)
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

    /// Ends an answer before its provider does, as one that has become too long, in every choice that has not ended. Half
    /// an event is left out.
    pub fn cut(&mut self, choices: u64, out: &mut Vec<Bytes>) -> Progress {
        self.events = Events::default();
        let ended = self.chunks.ended;
        for index in (0..choices).filter(|index| !ended.has(*index)) {
            let first = self.chunks.first.as_ref().map_or(b"".as_slice(), |first| first);
            let last = closing::chunk(first, index, Some("length"), None);
            self.events.push(last, &mut self.chunks, out);
        }
        Progress::Complete
    }

    /// Hands out what was held, with the account (`"key":{…}`) in the usage chunk if the caller asked for one, else in
    /// the finish event, and the end marker.
    pub fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
        let Chunks { wants_usage, has_calls, ref first, ref passed, .. } = self.chunks;
        let mut held = std::mem::take(&mut self.chunks.held);
        held.retain(|held| wants_usage || !held.is(Chunk::is_usage));
        let place = held
            .iter()
            .rposition(|held| wants_usage && held.is(|chunk| chunk.has_usage))
            .or_else(|| held.iter().rposition(|held| held.is(|chunk| chunk.finish_reason.is_some())));
        let unfinished = passed.finish_reason.is_none();
        if unfinished || place.is_none() {
            let reason = unfinished.then_some(if has_calls { "tool_calls" } else { "stop" });
            let account = place.is_none().then_some(account);
            let first = first.as_ref().or(held.first().map(|held| &held.event.bytes));
            out.push(closing::chunk(first.map_or(b"", |first| first), 0, reason, account));
        }
        for (at, held) in held.into_iter().enumerate() {
            out.push(if Some(at) == place { held.with(account) } else { held.into_bytes() });
        }
        let done = self.chunks.done.take().unwrap_or(Bytes::from_static(b"data: [DONE]\n\n"));
        out.push(done);
    }
}

impl Judge for Chunks {
    fn judge(&mut self, event: Event<'_>) -> Verdict {
        if event.data == Data::None {
            return self.pass(event);
        }
        let text = event.text();
        // A heartbeat of some servers: nothing is said, and clients take it for broken JSON.
        if text.trim_ascii_start().is_empty() {
            return Verdict::Withhold;
        }
        self.passed.data_events += 1;
        if text.trim_ascii() == b"[DONE]" {
            // Clients look at how it begins.
            self.done = text.starts_with(b"[DONE]").then(|| event.hold().bytes);
            return Verdict::End(Progress::Complete);
        }
        let Ok(mut chunk) = chunk::read(text, &self.meta_key) else {
            if event.is_error() {
                return Verdict::End(Progress::Failed(Report::default()));
            }
            // Not ours to judge: a client that can read it may.
            return self.pass(event);
        };
        if chunk.no_choices && !chunk.has_usage && event.is_error() {
            chunk.error = chunk.error.or_else(|| Some(error::read(text)));
        }
        if let Some(report) = chunk.error.take() {
            return Verdict::End(Progress::Failed(report));
        }
        self.note(&mut chunk, text);
        let patches = self.patches(&chunk, text);
        if chunk.finish_reason.is_some() || chunk.is_usage() {
            return self.hold(event, Some(chunk), patches);
        }
        if !self.held.is_empty() && !chunk.has_content {
            return self.hold(event, Some(chunk), patches);
        }
        let mut before = self.let_go();
        let patches = match self.first_meta.take() {
            Some(meta) => merged(patches, chunk.slot.patch(&meta)),
            None if patches.is_empty() && before.is_empty() => return Verdict::Forward,
            None if patches.is_empty() => return Verdict::ForwardAfter(before),
            None => patches,
        };
        let bytes = event.hold().patched(patches);
        self.first.get_or_insert_with(|| bytes.clone());
        before.push(bytes);
        Verdict::Replace(before)
    }
}

impl Chunks {
    /// Lets an event pass, unless something is held: then it waits its turn.
    fn pass(&mut self, event: Event<'_>) -> Verdict {
        if self.held.is_empty() { Verdict::Forward } else { self.hold(event, None, Vec::new()) }
    }

    fn hold(&mut self, event: Event<'_>, chunk: Option<Chunk>, patches: Vec<Patch>) -> Verdict {
        self.held.push(Held { event: event.hold(), chunk, patches });
        Verdict::Withhold
    }

    /// Lets go what was held, for the answer goes on (another choice, sound): only what was consumed is said at the end.
    fn let_go(&mut self) -> Vec<Bytes> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let (usage, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.is(Chunk::is_usage));
        self.held = usage;
        rest.into_iter().map(Held::into_bytes).collect()
    }

    /// Returns what is changed in a chunk: finish reasons that not every client knows.
    fn patches(&self, chunk: &Chunk, text: &[u8]) -> Vec<Patch> {
        let odd = chunk.odd_reasons.iter().map(|range| {
            let nothing = || Patch { range: range.clone(), with: Bytes::from_static(b"null") };
            let value = text.get(range.clone()).unwrap_or_default();
            finish::patch(value, range.clone(), self.has_calls).unwrap_or_else(nothing)
        });
        odd.collect()
    }

    /// Notes what a chunk says.
    fn note(&mut self, chunk: &mut Chunk, text: &[u8]) {
        self.has_calls |= chunk.has_calls;
        self.begun.join(chunk.choices);
        self.ended.join(chunk.ended);
        let passed = &mut self.passed;
        if passed.id.is_none() {
            passed.id = chunk.id.take().and_then(|id| string(text.get(id).unwrap_or_default()));
        }
        passed.has_content |= chunk.has_content || chunk.finish_reason.is_some();
        passed.content_bytes += chunk.content_bytes;
        if let Some(usage) = chunk.usage {
            passed.report(usage);
        }
        passed.service_tier = chunk.service_tier.or(passed.service_tier);
        if passed.finish_reason.is_none() {
            passed.finish_reason.clone_from(&chunk.finish_reason);
        }
    }
}

#[cfg(test)]
mod tests;

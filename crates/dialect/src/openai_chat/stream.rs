//! A streamed reply, as a machine without IO: bytes go in, bytes come out, and what passed is known at the end.
//!
//! Events are forwarded as they came. Only three are touched: the first chunk gets the meta block, the finish event is
//! held until usage or the end marker is there so that the cost can go with it, and a usage chunk that the caller did
//! not ask for is left out. What follows the end marker is ignored.

mod chunk;
pub mod decode;
pub mod encode;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use ir::usage::Usage;

use self::chunk::Chunk;
use crate::json::string;
use crate::sse::{self, Data, Searched};
use ir::report::Report;

/// A larger event is not forwarded: the stream is broken off.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// What the bytes so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The answer goes on.
    More,
    /// The end marker was seen: what is held waits for [`ChatStream::release`].
    Complete,
    /// The provider broke the answer off with an error.
    Failed(Report),
    /// An event larger than [`MAX_EVENT_BYTES`].
    TooLarge,
}

/// One streamed reply on its way to the caller.
#[derive(Debug)]
pub struct ChatStream {
    meta_key: Box<str>,
    /// The meta block for the first chunk, until that has passed.
    first_meta: Option<Vec<u8>>,
    wants_usage: bool,
    /// The beginning of an event whose end has not come.
    carry: BytesMut,
    /// How far the carry was searched for that end.
    searched: Searched,
    started: bool,
    /// The last event was cut between the CR and the LF of its empty line: we have added the LF already.
    swallow_lf: bool,
    held: Vec<Held>,
    done: Option<Bytes>,
    passed: Passed,
}

/// What has passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Whether a first content was seen: from here on there is no failover.
    pub has_content: bool,
    /// The provider's id of the completion.
    pub id: Option<String>,
    /// The first finish reason.
    pub finish_reason: Option<String>,
    /// The last usage report that can be believed.
    pub usage: Option<Usage>,
    /// The bytes of content, for the estimate when there is no report.
    pub content_bytes: u64,
    /// How many events carried data.
    pub data_events: u64,
}

/// An event that waits for the account.
#[derive(Debug)]
struct Held {
    event: Bytes,
    data: Data,
    chunk: Option<Chunk>,
}

/// What to do with an event.
enum Verdict {
    Forward,
    Replace(Bytes),
    Hold(Box<Held>),
    End(Progress),
}

impl ChatStream {
    /// Starts a stream. `first_meta` is the member (`"key":{…}`) for the first chunk; `wants_usage` says whether the
    /// caller asked for a usage chunk.
    pub fn new(meta_key: &str, first_meta: Vec<u8>, wants_usage: bool) -> Self {
        Self {
            meta_key: meta_key.into(),
            first_meta: Some(first_meta),
            wants_usage,
            carry: BytesMut::new(),
            searched: Searched::default(),
            started: false,
            swallow_lf: false,
            held: Vec::new(),
            done: None,
            passed: Passed::default(),
        }
    }

    /// Returns what has passed so far.
    pub fn passed(&self) -> &Passed {
        &self.passed
    }

    /// Whether the finish event is held, so that the answer itself is complete.
    pub fn is_finishing(&self) -> bool {
        self.passed.finish_reason.is_some()
    }

    /// Takes bytes from the provider and appends to `out` what may go to the caller now.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        let mut input = bytes;
        if input.is_empty() {
            return Progress::More;
        }
        if !self.started {
            // A byte order mark means nothing and would spoil the first field's name (it is not in UTF-8 JSON either).
            self.started = true;
            if input.starts_with(b"\xef\xbb\xbf") {
                input = input.slice(3..);
            }
        }
        if std::mem::take(&mut self.swallow_lf) && input.starts_with(b"\n") {
            input = input.slice(1..);
        }
        let mut found = None;
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(&input);
            found = sse::event_end(&self.carry, &mut self.searched);
            if found.is_none() {
                return if self.carry.len() > MAX_EVENT_BYTES { Progress::TooLarge } else { Progress::More };
            }
            input = self.carry.split().freeze();
        }
        let (mut run, mut at) = (0, 0);
        while let Some(length) =
            found.take().or_else(|| sse::event_end(input.get(at..).unwrap_or_default(), &mut self.searched))
        {
            let event = at..at + length;
            let verdict = if input.get(event.clone()).is_some_and(|event| event.ends_with(b"\r\n\r")) {
                self.swallow_lf = true;
                let whole = Bytes::from([input.get(event.clone()).unwrap_or_default(), b"\n"].concat());
                match self.judge(&whole, 0..whole.len(), out) {
                    Verdict::Forward => Verdict::Replace(whole),
                    verdict => verdict,
                }
            } else {
                self.judge(&input, event.clone(), out)
            };
            if !matches!(verdict, Verdict::Forward) {
                forward(out, &input, run..at);
                run = event.end;
            }
            at = event.end;
            match verdict {
                Verdict::Forward => {}
                Verdict::Replace(with) => out.push(with),
                Verdict::Hold(held) => self.held.push(*held),
                Verdict::End(progress) => return progress,
            }
        }
        forward(out, &input, run..at);
        let rest = input.get(at..).unwrap_or_default();
        self.carry.extend_from_slice(rest);
        if rest.len() > MAX_EVENT_BYTES { Progress::TooLarge } else { Progress::More }
    }

    /// Takes note of the provider's end of the stream. An event that lacks only its empty line still counts. An answer
    /// that was finished but lacks the end marker is complete.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        if !self.carry.is_empty() {
            let progress = self.push(Bytes::from_static(b"\n\n"), out);
            if progress != Progress::More {
                return progress;
            }
        }
        if self.is_finishing() { Progress::Complete } else { Progress::Failed(Report::default()) }
    }

    /// Hands out what was held, with the account (`"key":{…}`) in the usage chunk if the caller asked for one, else in
    /// the finish event, and the end marker.
    pub fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
        let held = std::mem::take(&mut self.held);
        let is_usage = |held: &Held| held.chunk.as_ref().is_some_and(|chunk| chunk.has_usage && chunk.no_choices);
        let finishes = |held: &Held| held.chunk.as_ref().is_some_and(|chunk| chunk.finish_reason.is_some());
        let place = held
            .iter()
            .rposition(|held| self.wants_usage && held.chunk.as_ref().is_some_and(|chunk| chunk.has_usage))
            .or_else(|| held.iter().rposition(finishes));
        for (at, held) in held.iter().enumerate() {
            if Some(at) == place {
                out.push(patched(held, account));
            } else if self.wants_usage || !is_usage(held) {
                out.push(held.event.clone());
            }
        }
        let done = self.done.take().unwrap_or(Bytes::from_static(b"data: [DONE]\n\n"));
        out.push(done);
    }

    fn judge(&mut self, input: &Bytes, event: Range<usize>, out: &mut Vec<Bytes>) -> Verdict {
        let bytes = input.get(event.clone()).unwrap_or_default();
        let data = sse::data(bytes);
        let text: &[u8] = match &data {
            Data::None if self.held.is_empty() => return Verdict::Forward,
            Data::None => return hold(input, event, data, None),
            Data::Line(range) => bytes.get(range.clone()).unwrap_or_default(),
            Data::Joined(joined) => joined,
        };
        self.passed.data_events += 1;
        if text.trim_ascii() == b"[DONE]" {
            self.done = Some(input.slice(event));
            return Verdict::End(Progress::Complete);
        }
        let Ok(mut chunk) = chunk::read(text, &self.meta_key) else {
            // Not ours to judge: a client that can read it may.
            return if self.held.is_empty() { Verdict::Forward } else { hold(input, event, data, None) };
        };
        if let Some(report) = chunk.error.take() {
            return Verdict::End(Progress::Failed(report));
        }
        self.note(&mut chunk, text);
        if chunk.finish_reason.is_some() || (chunk.has_usage && chunk.no_choices) {
            return self.hold_chunk(input, event, data, chunk);
        }
        if !self.held.is_empty() {
            if !chunk.has_content {
                return hold(input, event, data, Some(chunk));
            }
            // Another choice goes on after one has finished: what was held is not the end.
            out.extend(self.held.drain(..).map(|held| held.event));
        }
        match self.first_meta.take() {
            Some(meta) => {
                let held = Held { event: input.slice(event), data, chunk: Some(chunk) };
                Verdict::Replace(patched(&held, &meta))
            }
            None => Verdict::Forward,
        }
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

    /// Holds a finish event or a usage chunk. When it is the very first chunk, it gets the first meta block too; the
    /// account then replaces it.
    fn hold_chunk(&mut self, input: &Bytes, event: Range<usize>, data: Data, chunk: Chunk) -> Verdict {
        self.first_meta = None;
        hold(input, event, data, Some(chunk))
    }
}

fn hold(input: &Bytes, event: Range<usize>, data: Data, chunk: Option<Chunk>) -> Verdict {
    Verdict::Hold(Box::new(Held { event: input.slice(event), data, chunk }))
}

fn forward(out: &mut Vec<Bytes>, input: &Bytes, run: Range<usize>) {
    if !run.is_empty() {
        out.push(input.slice(run));
    }
}

/// Returns the event with a member added to its object (or put in the place of one of the same name).
fn patched(held: &Held, member: &[u8]) -> Bytes {
    let Some(chunk) = &held.chunk else { return held.event.clone() };
    let (range, with): (Range<usize>, Vec<u8>) = match &chunk.meta {
        Some(value) => {
            let object = member.iter().position(|byte| *byte == b'{').unwrap_or(0);
            (value.clone(), member.get(object..).unwrap_or_default().to_vec())
        }
        None if chunk.empty => (chunk.end..chunk.end, member.to_vec()),
        None => (chunk.end..chunk.end, [b",", member].concat()),
    };
    let splice = |text: &[u8], range: Range<usize>| -> Vec<u8> {
        let (before, after) = (text.get(..range.start).unwrap_or_default(), text.get(range.end..).unwrap_or_default());
        [before, &with, after].concat()
    };
    match &held.data {
        Data::None => held.event.clone(),
        Data::Line(line) => splice(&held.event, line.start + range.start..line.start + range.end).into(),
        Data::Joined(joined) => {
            let mut event = Vec::with_capacity(joined.len() + with.len() + 16);
            for line in splice(joined, range).split(|byte| *byte == b'\n') {
                event.extend_from_slice(b"data: ");
                event.extend_from_slice(line);
                event.push(b'\n');
            }
            event.push(b'\n');
            event.into()
        }
    }
}

#[cfg(test)]
mod tests;

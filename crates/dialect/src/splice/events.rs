//! Bytes of a stream of server-sent events, cut into events and passed on as they came, but for the few that a judge
//! withholds or replaces.
//!
//! A machine without IO. Runs of events that pass stay one slice of the provider's bytes; only an event that arrives in
//! pieces is put together first.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::slot::Slot;
use super::{Patch, apply};
use crate::json::Scanner;
use crate::passed::Progress;
use crate::sse::{self, Data, Searched};

/// A larger event is not forwarded: the stream is broken off.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// Decides what happens to each event.
pub trait Judge {
    /// Judges one complete event.
    fn judge(&mut self, event: Event<'_>) -> Verdict;
}

/// What happens to an event.
#[derive(Debug)]
pub enum Verdict {
    /// It passes.
    Forward,
    /// These, withheld before, pass, then it does.
    ForwardAfter(Vec<Bytes>),
    /// These pass in its place.
    Replace(Vec<Bytes>),
    /// It does not pass; the judge may keep it.
    Withhold,
    /// It ends the answer and does not pass; what follows is not looked at.
    End(Progress),
}

/// One complete event on its way.
#[derive(Debug)]
pub struct Event<'a> {
    input: &'a Bytes,
    range: Range<usize>,
    /// What it carries.
    pub data: Data,
}

/// An event that was taken out of the stream.
#[derive(Clone, Debug)]
pub struct Held {
    /// The whole event, its empty line included.
    pub bytes: Bytes,
    data: Data,
}

/// Cuts bytes into events.
#[derive(Debug, Default)]
pub struct Events {
    /// The beginning of an event whose end has not come.
    carry: BytesMut,
    /// How far the carry was searched for that end.
    searched: Searched,
    started: bool,
    /// The last event was cut between the CR and the LF of its empty line: we have added the LF already.
    swallow_lf: bool,
}

impl Events {
    /// Takes bytes from the provider and appends to `out` what may go to the caller now.
    pub fn push(&mut self, bytes: Bytes, judge: &mut impl Judge, out: &mut Vec<Bytes>) -> Progress {
        let mut input = bytes;
        if input.is_empty() {
            return Progress::More;
        }
        if !self.started {
            match self.start(input) {
                Some(rest) => input = rest,
                None => return Progress::More,
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
            let end = at + length;
            let cut = end == input.len() && input.get(at..end).is_some_and(|event| event.ends_with(b"\r\n\r"));
            let (verdict, whole) = if cut {
                self.swallow_lf = true;
                let whole = Bytes::from([input.get(at..end).unwrap_or_default(), b"\n"].concat());
                (judge.judge(Event::new(&whole, 0..whole.len())), Some(whole))
            } else {
                (judge.judge(Event::new(&input, at..end)), None)
            };
            if whole.is_some() || !matches!(verdict, Verdict::Forward) {
                forward(out, &input, run..at);
                // An event that passes as it is starts the next run.
                let passes = whole.is_none() && matches!(verdict, Verdict::ForwardAfter(_));
                run = if passes { at } else { end };
            }
            at = end;
            match verdict {
                Verdict::Forward => out.extend(whole),
                Verdict::ForwardAfter(held) => out.extend(held.into_iter().chain(whole)),
                Verdict::Replace(with) => out.extend(with),
                Verdict::Withhold => {}
                Verdict::End(progress) => return progress,
            }
        }
        forward(out, &input, run..at);
        let rest = input.get(at..).unwrap_or_default();
        self.carry.extend_from_slice(rest);
        if rest.len() > MAX_EVENT_BYTES { Progress::TooLarge } else { Progress::More }
    }

    /// Leaves a byte order mark out: it means nothing and would spoil the first field's name (it is not in UTF-8 JSON
    /// either). One that is cut in two is waited for.
    fn start(&mut self, bytes: Bytes) -> Option<Bytes> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let mut first = bytes;
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(&first);
            first = self.carry.split().freeze();
        }
        if first.len() < MARK.len() && MARK.starts_with(&first) {
            self.carry.extend_from_slice(&first);
            return None;
        }
        self.started = true;
        Some(if first.starts_with(MARK) { first.slice(MARK.len()..) } else { first })
    }

    /// Takes note of the provider's end of the stream. An event that lacks only its empty line still counts; half an
    /// event is left out, because a client would stumble over its JSON before it reads what went wrong.
    pub fn end(&mut self, judge: &mut impl Judge, out: &mut Vec<Bytes>) -> Progress {
        if !self.carries_whole() {
            self.carry.clear();
            return Progress::More;
        }
        self.push(Bytes::from_static(b"\n\n"), judge, out)
    }

    /// Whether the carry is an event that lacks only its empty line: its data are an end marker or whole JSON.
    fn carries_whole(&self) -> bool {
        let event = Bytes::from([&self.carry, b"\n\n".as_slice()].concat());
        let event = Event::new(&event, 0..event.len());
        let text = event.text().trim_ascii();
        let mut scanner = Scanner::new(text, 0);
        text == b"[DONE]" || scanner.value().and_then(|_| scanner.end()).is_ok()
    }
}

impl<'a> Event<'a> {
    fn new(input: &'a Bytes, range: Range<usize>) -> Self {
        let data = sse::data(input.get(range.clone()).unwrap_or_default());
        Self { input, range, data }
    }

    /// Returns the event's bytes, its empty line included.
    pub fn bytes(&self) -> &'a [u8] {
        self.input.get(self.range.clone()).unwrap_or_default()
    }

    /// Returns the event's data; empty when it carries none.
    pub fn text(&self) -> &[u8] {
        match &self.data {
            Data::None => b"",
            Data::Line(range) => self.bytes().get(range.clone()).unwrap_or_default(),
            Data::Joined(joined) => joined,
        }
    }

    /// Whether it is called an error.
    pub fn is_error(&self) -> bool {
        sse::name(self.bytes()) == Some(b"error")
    }

    /// Takes the event out of the stream. It shares the memory of what it came with.
    pub fn hold(self) -> Held {
        Held { bytes: self.input.slice(self.range), data: self.data }
    }
}

impl Held {
    /// Returns the event with a member (`"key":{…}`) in its data. The slot is a place of that data.
    pub fn with(&self, slot: &Slot, member: &[u8]) -> Bytes {
        self.patched(vec![slot.patch(member)])
    }

    /// Returns the event with changes in its data, which must be sorted and must not overlap.
    pub fn patched(&self, mut patches: Vec<Patch>) -> Bytes {
        if patches.is_empty() {
            return self.bytes.clone();
        }
        match &self.data {
            Data::None => self.bytes.clone(),
            Data::Line(line) => {
                for Patch { range, .. } in &mut patches {
                    *range = range.start + line.start..range.end + line.start;
                }
                apply(&self.bytes, patches).concat().into()
            }
            Data::Joined(joined) => {
                let text = apply(&Bytes::copy_from_slice(joined), patches).concat();
                let mut event = Vec::with_capacity(self.bytes.len() + text.len());
                // The other fields, its name above all, go first: their order means nothing.
                let lines = self.bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
                for line in lines.filter(|line| !line.is_empty() && !line.starts_with(b"data")) {
                    event.extend_from_slice(line);
                    event.push(b'\n');
                }
                for line in text.split(|byte| *byte == b'\n') {
                    event.extend_from_slice(b"data: ");
                    event.extend_from_slice(line);
                    event.push(b'\n');
                }
                event.push(b'\n');
                event.into()
            }
        }
    }
}

fn forward(out: &mut Vec<Bytes>, input: &Bytes, run: Range<usize>) {
    if !run.is_empty() {
        out.push(input.slice(run));
    }
}

#[cfg(test)]
mod tests;

//! A streamed reply, as a machine without IO: bytes go in, bytes come out, and what passed is known at the end.
//!
//! <https://docs.claude.com/en/docs/build-with-claude/streaming>. Events are forwarded as they came. Only two are
//! touched: `message_start` gets the meta block in its message, and `message_delta` is held until `message_stop`, so
//! that the cost can go with it. What follows `message_stop` is ignored.

pub mod decode;
pub mod encode;

mod said;

use bytes::Bytes;
use ir::report::Report;

use self::said::{Kind, Said};
use super::usage::Reported;
use crate::json::string;
use crate::passed::{Passed, Progress};
use crate::splice::events::{self, Event, Events, Judge, Verdict};
use crate::splice::slot::Slot;
use crate::sse::{self, Data};

/// What ends an answer whose provider forgot to.
const MESSAGE_STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// One streamed reply on its way to the caller.
#[derive(Debug)]
pub struct MessagesStream {
    events: Events,
    message: Message,
}

/// What is known of the message so far.
#[derive(Debug)]
struct Message {
    meta_key: Box<str>,
    /// The meta block for `message_start`, until that has passed.
    first_meta: Option<Vec<u8>>,
    /// `message_delta` and what came after it.
    held: Vec<Held>,
    stop: Option<Bytes>,
    reported: Reported,
    passed: Passed,
    /// How many blocks have begun; they are numbered from 0.
    blocks: u64,
    /// Whether the last of them is open.
    open: bool,
}

/// An event that waits for the account.
#[derive(Debug)]
struct Held {
    event: events::Held,
    /// Where the account goes; `None` where it must not.
    slot: Option<Slot>,
}

impl MessagesStream {
    /// Starts a stream. `first_meta` is the member (`"key":{…}`) for the message.
    pub fn new(meta_key: &str, first_meta: Vec<u8>) -> Self {
        let message = Message {
            meta_key: meta_key.into(),
            first_meta: Some(first_meta),
            held: Vec::new(),
            stop: None,
            reported: Reported::default(),
            passed: Passed::default(),
            blocks: 0,
            open: false,
        };
        Self { events: Events::default(), message }
    }

    /// Returns what has passed so far.
    pub fn passed(&self) -> &Passed {
        &self.message.passed
    }

    /// Returns what has passed so far, for a guard in front to add what it holds back.
    pub(crate) fn passed_mut(&mut self) -> &mut Passed {
        &mut self.message.passed
    }

    /// Whether a `message_delta` with a stop reason is held, so that the answer itself is complete.
    pub fn is_finishing(&self) -> bool {
        !self.message.held.is_empty() && self.message.passed.finish_reason.is_some()
    }

    /// Takes bytes from the provider and appends to `out` what may go to the caller now.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        self.events.push(bytes, &mut self.message, out)
    }

    /// Takes note of the provider's end of the stream. An event that lacks only its empty line still counts. An answer
    /// that was finished but lacks its `message_stop` is complete.
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        match self.events.end(&mut self.message, out) {
            Progress::More if self.is_finishing() => Progress::Complete,
            Progress::More => Progress::Failed(Report::default()),
            progress => progress,
        }
    }

    /// Ends an answer before its provider does, as one that has become too long. Half an event is left out. `tokens` is
    /// what is said of the output; what was reported of it stays what it was.
    pub fn cut(&mut self, tokens: u64, out: &mut Vec<Bytes>) -> Progress {
        self.events = Events::default();
        let reported = (self.message.passed.usage, self.message.passed.reported_bytes);
        let mut end = String::new();
        if let Some(index) = self.message.blocks.checked_sub(1).filter(|_| self.message.open) {
            end = format!("event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{index}}}\n\n");
        }
        end.push_str(&format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"max_tokens\",\
             \"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{tokens}}}}}\n\n"
        ));
        self.events.push(end.into(), &mut self.message, out);
        (self.message.passed.usage, self.message.passed.reported_bytes) = reported;
        Progress::Complete
    }

    /// Hands out what was held, with the account (`"key":{…}`) in the last `message_delta`, and `message_stop`.
    pub fn release(&mut self, account: &[u8], out: &mut Vec<Bytes>) {
        let held = std::mem::take(&mut self.message.held);
        let place = held.iter().rposition(|held| held.slot.is_some());
        for (at, held) in held.into_iter().enumerate() {
            match &held.slot {
                Some(slot) if Some(at) == place => out.push(held.event.with(slot, account)),
                _ => out.push(held.event.bytes),
            }
        }
        out.push(self.message.stop.take().unwrap_or(Bytes::from_static(MESSAGE_STOP)));
    }
}

impl Judge for Message {
    fn judge(&mut self, event: Event<'_>) -> Verdict {
        if event.data == Data::None {
            return self.pass(event);
        }
        // A heartbeat of some servers: nothing is said, and clients take it for broken JSON.
        if event.text().trim_ascii_start().is_empty() && sse::name(event.bytes()).is_none() {
            return Verdict::Withhold;
        }
        self.passed.data_events += 1;
        let Ok(mut said) = said::read(&event, self.meta_key.as_bytes()) else {
            return self.judge_unreadable(event);
        };
        self.note(&mut said, event.text());
        match said.kind {
            Kind::Error => {
                let report = said.error.take().filter(|report| *report != Report::default());
                Verdict::End(Progress::Failed(report.unwrap_or_else(|| unknown(None))))
            }
            Kind::MessageStop => {
                self.stop = Some(event.hold().bytes);
                Verdict::End(Progress::Complete)
            }
            Kind::MessageDelta => self.hold(event, Some(said.slot)),
            Kind::Other => self.pass(event),
            // The message goes on: what was held is not its end.
            _ if !self.held.is_empty() => {
                Verdict::ForwardAfter(self.held.drain(..).map(|held| held.event.bytes).collect())
            }
            Kind::MessageStart => match (said.message, self.first_meta.take()) {
                (Some(slot), Some(meta)) => Verdict::Replace(vec![event.hold().with(&slot, &meta)]),
                _ => Verdict::Forward,
            },
            Kind::BlockStart | Kind::BlockDelta | Kind::BlockStop => Verdict::Forward,
        }
    }
}

impl Message {
    /// Judges data that is no JSON object: unless it is called an error, a client that can read it may.
    fn judge_unreadable(&mut self, event: Event<'_>) -> Verdict {
        if sse::name(event.bytes()) == Some(b"error") {
            return Verdict::End(Progress::Failed(unknown(Some(event.text()))));
        }
        self.pass(event)
    }

    /// Lets an event pass, unless something is held: then it waits its turn.
    fn pass(&mut self, event: Event<'_>) -> Verdict {
        if self.held.is_empty() { Verdict::Forward } else { self.hold(event, None) }
    }

    fn hold(&mut self, event: Event<'_>, slot: Option<Slot>) -> Verdict {
        self.held.push(Held { event: event.hold(), slot });
        Verdict::Withhold
    }

    /// Notes what an event says.
    fn note(&mut self, said: &mut Said, text: &[u8]) {
        let passed = &mut self.passed;
        match said.kind {
            Kind::BlockStart => (self.blocks, self.open) = (self.blocks + 1, true),
            Kind::BlockStop => self.open = false,
            _ => {}
        }
        passed.has_content |= said.has_content;
        passed.content_bytes += said.content_bytes;
        if passed.id.is_none() {
            passed.id = said.id.take().and_then(|id| string(text.get(id).unwrap_or_default()));
        }
        if let Some(reason) = said.stop_reason.take() {
            passed.finish_reason = Some(reason);
        }
        if let Some(usage) = &said.usage {
            self.reported.update(usage);
            match said.kind {
                Kind::MessageStart => passed.begun = self.reported.begun(),
                _ => {
                    usage.output.and_then(|_| self.reported.usage()).into_iter().for_each(|usage| passed.report(usage))
                }
            }
        }
    }
}

/// Returns the report of an error that does not say what it is.
fn unknown(text: Option<&[u8]>) -> Report {
    const SHOWN: usize = 500;
    let message = text.map(|text| String::from_utf8_lossy(text.get(..SHOWN).unwrap_or(text)).into_owned());
    Report { message, code: Some("error".to_owned()), param: None }
}

#[cfg(test)]
mod tests;

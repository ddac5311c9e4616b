//! A stream of events: <https://docs.claude.com/en/docs/build-with-claude/streaming>.
//!
//! Where something may have to be appended, the end of a text block waits for the next event: what is appended belongs
//! into the last block when that is a text, so that a client that reads one block reads it. A text block that begins
//! when the answer is full is left out whole: nobody may send an empty one back to the provider.

use std::ops::Range;

use bytes::Bytes;
use ir::guard::{Blocked, Interruption, Watch};

use super::said::{Kind, Said, cut_reason, is_step, read};
use crate::guard::hold::Hold;
use crate::guard::stream::{Gate, verdict};
use crate::guard::template::Template;
use crate::json::JsonError;
use crate::json::text::{lenient, quoted};
use crate::passed::Progress;
use crate::splice::Patch;
use crate::splice::events::{Event, Judge, Verdict};
use crate::sse::Data;

/// There is one answer.
const CHOICE: u32 = 0;

/// The guard of a stream of events.
#[derive(Debug)]
pub struct MessagesGate<W> {
    hold: Hold<Bytes, W>,
    /// The last block, when it is a text, by the provider's number.
    last_text: Option<u64>,
    /// The end of that text, which waits.
    closing: Option<Bytes>,
    /// The number of the next block, by the provider's count.
    blocks: u64,
    /// The blocks that were left out.
    left_out: Vec<u64>,
    data_events: u64,
    /// The event that was read, if others may be the same but for the text.
    template: Template,
    /// What it said.
    said: Said,
}

impl<W: Watch + Clone> MessagesGate<W> {
    /// Starts a stream. `fresh` is the watch of an answer that nothing was seen of.
    pub fn new(fresh: W) -> Self {
        Self {
            hold: Hold::new(fresh),
            last_text: None,
            closing: None,
            blocks: 0,
            left_out: Vec::new(),
            data_events: 0,
            template: Template::default(),
            said: Said::default(),
        }
    }

    /// Reads an event.
    fn read(&mut self, data: &[u8]) -> Result<Said, JsonError> {
        if let Some(text) = self.template.text(data) {
            return Ok(Said { text: Some(text), ..self.said.clone() });
        }
        self.template.forget();
        let said = read(data)?;
        if let (Kind::TextDelta, Some(text)) = (said.kind, &said.text) {
            self.template.learn(data, text, padding(data, text));
            self.said = said.clone();
        }
        Ok(said)
    }

    /// Takes an event in.
    fn take(&mut self, event: Event<'_>, said: &Said) -> Result<Verdict, Blocked> {
        if said.kind.is_of_block() && self.leave_out(event.text(), said)? {
            return Ok(self.release());
        }
        match said.kind {
            Kind::TextStart => self.last_text = Some(said.index),
            Kind::CallStart => self.interrupt(Interruption::ToolCall),
            Kind::OtherStart => self.interrupt(Interruption::Other),
            Kind::MessageDelta => self.finish(event.text(), said)?,
            Kind::MessageStop => self.finish(b"", said)?,
            _ => {}
        }
        let ends_text = said.kind == Kind::Stop && self.last_text == Some(said.index);
        self.close();
        if ends_text && self.hold.may_append(CHOICE) {
            let patches = self.renumber(said);
            self.closing = Some(event.hold().patched(patches.into_iter().collect()));
            return Ok(self.release());
        }
        self.pass(event, said)
    }

    /// Whether an event belongs to a block that is left out.
    fn leave_out(&mut self, data: &[u8], said: &Said) -> Result<bool, Blocked> {
        if matches!(said.kind, Kind::TextStart | Kind::CallStart | Kind::OtherStart) {
            self.blocks = self.blocks.max(said.index.saturating_add(1));
            if said.kind == Kind::TextStart && self.hold.is_full(CHOICE) {
                self.left_out.push(said.index);
            }
        }
        if !self.left_out.contains(&said.index) {
            return Ok(false);
        }
        // Its text is still judged: that there is one makes the answer a cut one.
        let text = said.text.as_ref().filter(|_| said.kind != Kind::OtherDelta);
        if let Some(text) = text.and_then(|range| data.get(range.clone())).and_then(lenient) {
            self.hold.text(CHOICE, &text)?;
        }
        Ok(true)
    }

    fn interrupt(&mut self, by: Interruption) {
        self.hold.interrupt(CHOICE, by);
    }

    /// Lets an event pass when its text is clear; text that does not stay is cut out of it.
    fn pass(&mut self, event: Event<'_>, said: &Said) -> Result<Verdict, Blocked> {
        let mut patches = Vec::new();
        let mut mark = None;
        let has_text = matches!(said.kind, Kind::TextStart | Kind::TextDelta);
        if let Some(range) = said.text.clone().filter(|_| has_text) {
            let text = event.text().get(range.clone()).and_then(lenient).unwrap_or_default();
            let (stays, to) = self.hold.text(CHOICE, &text)?;
            if stays == 0 && !text.is_empty() && said.kind == Kind::TextDelta {
                return Ok(self.release());
            }
            if stays < text.len() {
                let with = quoted(text.get(..stays).unwrap_or_default());
                patches.push(Patch { range, with: with.into() });
            }
            mark = Some(to);
        }
        if self.hold.is_cut(CHOICE) {
            if said.kind == Kind::CitationDelta {
                return Ok(self.release());
            }
            patches.extend(cut_patches(event.text(), said));
        }
        patches.extend(self.renumber(said));
        if patches.is_empty() && self.hold.passes(mark.as_slice()) {
            return Ok(Verdict::Forward);
        }
        let event = event.hold();
        let bytes = if patches.is_empty() {
            event.bytes
        } else {
            patches.sort_by_key(|patch| patch.range.start);
            event.patched(patches)
        };
        self.hold.push(bytes, mark.as_slice());
        Ok(self.release())
    }

    /// Lets an event that says nothing pass in its turn.
    fn pass_in_turn(&mut self, event: Event<'_>) -> Verdict {
        if self.hold.passes(&[]) {
            return Verdict::Forward;
        }
        self.hold.push(event.hold().bytes, &[]);
        Verdict::Withhold
    }

    /// Takes note of the answer's end, and appends what is missing.
    fn finish(&mut self, data: &[u8], said: &Said) -> Result<(), Blocked> {
        match said.stop_reason.as_ref().and_then(|range| data.get(range.clone())) {
            Some(reason) if is_step(reason) => self.interrupt(Interruption::ToolCall),
            None if said.kind == Kind::MessageDelta => return Ok(()),
            _ => {}
        }
        let Some(more) = self.hold.finish(CHOICE)? else { return Ok(()) };
        let delta = |index| {
            let text = String::from_utf8(quoted(&more)).unwrap_or_default();
            event(
                "content_block_delta",
                &format!("\"index\":{index},\"delta\":{{\"type\":\"text_delta\",\"text\":{text}}}"),
            )
        };
        if let Some(index) = self.last_text {
            // No text block follows one that is left out: it has the provider's number.
            self.hold.push(delta(index), &[]);
            return Ok(());
        }
        self.close();
        let index = self.number(self.blocks);
        let block = format!("\"index\":{index},\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}");
        self.hold.push(event("content_block_start", &block), &[]);
        self.hold.push(delta(index), &[]);
        self.hold.push(event("content_block_stop", &format!("\"index\":{index}")), &[]);
        Ok(())
    }

    /// Lets the end of a text go that waited.
    fn close(&mut self) {
        if let Some(closing) = self.closing.take() {
            self.hold.push(closing, &[]);
            self.last_text = None;
        }
    }

    /// Returns our number of a block.
    fn number(&self, index: u64) -> u64 {
        index - self.left_out.iter().filter(|left_out| **left_out < index).count() as u64
    }

    fn renumber(&self, said: &Said) -> Option<Patch> {
        let range = said.index_at.clone()?;
        let number = self.number(said.index);
        (number != said.index).then(|| Patch { range, with: number.to_string().into() })
    }

    fn release(&mut self) -> Verdict {
        verdict(std::iter::from_fn(|| self.hold.next()).collect())
    }
}

impl<W: Watch + Clone> Judge for MessagesGate<W> {
    fn judge(&mut self, event: Event<'_>) -> Verdict {
        if event.data == Data::None {
            return self.pass_in_turn(event);
        }
        self.data_events += 1;
        let Ok(said) = self.read(event.text()) else { return Verdict::Withhold };
        match said.kind {
            Kind::Error => return Verdict::Forward,
            Kind::Ping => return self.pass_in_turn(event),
            _ => {}
        }
        self.take(event, &said).unwrap_or_else(|blocked| Verdict::End(Progress::Blocked(blocked)))
    }
}

impl<W: Watch + Clone> Gate for MessagesGate<W> {
    fn text_bytes(&self) -> u64 {
        self.hold.text_bytes()
    }

    fn data_events(&self) -> u64 {
        self.data_events
    }
}

/// Returns where the white space before the last brace stands, when nothing else stands between it and the text's.
fn padding(data: &[u8], text: &Range<usize>) -> Option<Range<usize>> {
    let end = data.trim_ascii_end().len().checked_sub(1)?;
    let start = text.end + 1;
    let (inner, gap, outer) = (data.get(text.end)?, data.get(start..end)?, data.get(end)?);
    (*inner == b'}' && gap.trim_ascii().is_empty() && *outer == b'}').then_some(start..end)
}

/// Returns the patches that say that the answer was cut.
fn cut_patches(data: &[u8], said: &Said) -> Vec<Patch> {
    let reason = said.stop_reason.clone().and_then(|range| Some((range.clone(), cut_reason(data.get(range)?)?)));
    let Some((range, with)) = reason else { return Vec::new() };
    let mut patches = vec![Patch { range, with: Bytes::from_static(with) }];
    let sequence = said.stop_sequence.clone();
    patches.extend(sequence.map(|range| Patch { range, with: Bytes::from_static(b"null") }));
    patches
}

fn event(name: &str, members: &str) -> Bytes {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{members}}}\n\n").into()
}

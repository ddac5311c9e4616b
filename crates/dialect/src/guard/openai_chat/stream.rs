//! A stream of chunks: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use std::mem;

use bytes::Bytes;
use ir::guard::{Blocked, Interruption, Watch};

use super::reading::{Choice, LABEL, Reading, cut_reason, is_calling};
use crate::guard::hold::{Hold, Mark};
use crate::guard::stream::{Gate, verdict};
use crate::guard::template::Template;
use crate::json::JsonError;
use crate::json::text::{lenient, quoted};
use crate::passed::Progress;
use crate::splice::Patch;
use crate::splice::events::{Event, Judge, Verdict};
use crate::sse::Data;

/// The guard of a stream of chunks.
#[derive(Debug)]
pub struct ChatGate<W> {
    hold: Hold<Bytes, W>,
    reading: Reading,
    /// The chunk that was read, if others may be the same but for the text.
    template: Template,
    marks: Vec<Mark>,
    /// What a chunk of ours begins with, where one may be needed: the members that every chunk repeats.
    label: Option<Vec<u8>>,
    data_events: u64,
}

/// What becomes of a chunk.
#[derive(Default)]
struct Change {
    patches: Vec<Patch>,
    /// Chunks that go before it.
    before: Vec<Bytes>,
    /// Whether nothing is left of it.
    is_void: bool,
}

impl<W: Watch + Clone> ChatGate<W> {
    /// Starts a stream. `fresh` is the watch of a choice that nothing was seen of.
    pub fn new(fresh: W) -> Self {
        Self {
            hold: Hold::new(fresh),
            reading: Reading::default(),
            template: Template::default(),
            marks: Vec::new(),
            label: None,
            data_events: 0,
        }
    }

    /// Reads a chunk.
    fn read(&mut self, data: &[u8]) -> Result<(), JsonError> {
        if let Some(text) = self.template.text(data) {
            self.reading.texts.clear();
            self.reading.texts.push(text);
            return Ok(());
        }
        self.template.forget();
        self.reading.read(data, "delta")?;
        if let ([text], true) = (self.reading.texts.as_slice(), self.reading.is_one_text()) {
            self.template.learn(data, text, self.reading.padding.clone());
        }
        Ok(())
    }

    /// Takes the texts of a chunk, and returns what becomes of it.
    fn take(&mut self, data: &[u8]) -> Result<Change, Blocked> {
        let mut change = Change { is_void: !self.reading.more && !self.reading.texts.is_empty(), ..Change::default() };
        self.marks.clear();
        let reading = mem::take(&mut self.reading);
        let taken = reading.choices.iter().try_for_each(|choice| self.take_choice(data, &reading, choice, &mut change));
        // Its memory serves the next chunk.
        self.reading = reading;
        taken?;
        change.patches.sort_by_key(|patch| patch.range.start);
        Ok(change)
    }

    fn take_choice(
        &mut self,
        data: &[u8],
        reading: &Reading,
        choice: &Choice,
        change: &mut Change,
    ) -> Result<(), Blocked> {
        let index = choice.index;
        let mut last = None;
        for text in reading.texts_of(choice) {
            let said = data.get(text.clone()).and_then(lenient).unwrap_or_default();
            let (stays, mark) = self.hold.text(index, &said)?;
            change.is_void &= stays == 0 && !said.is_empty();
            if stays < said.len() {
                let with = quoted(said.get(..stays).unwrap_or_default());
                change.patches.push(Patch { range: text.clone(), with: with.into() });
            }
            if stays > 0 {
                last = Some((text.clone(), stays));
            }
            self.marks.push(mark);
        }
        if choice.calls {
            self.hold.interrupt(index, Interruption::ToolCall);
        }
        let finish = choice.finish.as_ref().and_then(|range| Some((range.clone(), data.get(range.clone())?)));
        if let Some((_, reason)) = finish {
            if is_calling(reason) {
                self.hold.interrupt(index, Interruption::ToolCall);
            }
            match (self.hold.finish(index)?, last) {
                (Some(more), Some((range, stays))) => {
                    let said = data.get(range.clone()).and_then(lenient).unwrap_or_default();
                    let with = quoted(&format!("{}{more}", said.get(..stays).unwrap_or_default()));
                    change.patches.retain(|patch| patch.range != range);
                    change.patches.push(Patch { range, with: with.into() });
                }
                (Some(more), None) => change.before.push(self.chunk(index, &more)),
                (None, _) => {}
            }
        }
        if self.hold.is_cut(index) {
            let reason = finish.and_then(|(range, reason)| Some((range, cut_reason(reason)?)));
            let echoes = choice.echoes.iter().cloned();
            let patches = echoes.chain(reason).map(|(range, with)| Patch { range, with: Bytes::from_static(with) });
            change.patches.extend(patches);
        }
        Ok(())
    }

    /// Completes what the provider left open.
    fn finish(&mut self) -> Result<(), Blocked> {
        for index in self.hold.unfinished() {
            if let Some(more) = self.hold.finish(index)? {
                let chunk = self.chunk(index, &more);
                self.hold.push(chunk, &[]);
            }
        }
        Ok(())
    }

    /// Returns a chunk with a text.
    fn chunk(&self, index: u32, text: &str) -> Bytes {
        let mut event = b"data: {".to_vec();
        event.extend_from_slice(self.label.as_deref().unwrap_or_default());
        event.extend_from_slice(format!("\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":").as_bytes());
        event.extend_from_slice(&quoted(text));
        event.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
        event.into()
    }

    fn note_label(&mut self, data: &[u8]) {
        let mut label = Vec::with_capacity(128);
        for (name, range) in LABEL.iter().zip(&self.reading.label) {
            let value = range.as_ref().and_then(|range| data.get(range.clone()));
            if let Some(value) = value {
                label.extend_from_slice(format!("\"{name}\":").as_bytes());
                label.extend_from_slice(value);
                label.push(b',');
            }
        }
        self.label = Some(label);
    }

    /// Lets an event without text pass in its turn.
    fn pass(&mut self, event: Event<'_>) -> Verdict {
        if self.hold.passes(&[]) {
            return Verdict::Forward;
        }
        self.hold.push(event.hold().bytes, &[]);
        Verdict::Withhold
    }

    fn release(&mut self) -> Verdict {
        verdict(std::iter::from_fn(|| self.hold.next()).collect())
    }
}

fn block(blocked: Blocked) -> Verdict {
    Verdict::End(Progress::Blocked(blocked))
}

impl<W: Watch + Clone> Judge for ChatGate<W> {
    fn judge(&mut self, event: Event<'_>) -> Verdict {
        if event.data == Data::None {
            return self.pass(event);
        }
        self.data_events += 1;
        let data = event.text();
        if data.trim_ascii() == b"[DONE]" {
            if let Err(blocked) = self.finish() {
                return block(blocked);
            }
            self.hold.push(event.hold().bytes, &[]);
            return self.release();
        }
        if self.read(data).is_err() {
            return Verdict::Withhold;
        }
        if self.reading.error {
            return Verdict::Forward;
        }
        if self.label.is_none() && self.hold.may_append(0) {
            self.note_label(data);
        }
        let change = match self.take(data) {
            Ok(change) => change,
            Err(blocked) => return block(blocked),
        };
        let same = change.patches.is_empty() && change.before.is_empty();
        if same && self.hold.passes(&self.marks) {
            return Verdict::Forward;
        }
        for chunk in change.before {
            self.hold.push(chunk, &[]);
        }
        if !change.is_void {
            let event = event.hold();
            let bytes = if change.patches.is_empty() { event.bytes } else { event.patched(change.patches) };
            self.hold.push(bytes, &self.marks);
        }
        self.release()
    }
}

impl<W: Watch + Clone> Gate for ChatGate<W> {
    fn text_bytes(&self) -> u64 {
        self.hold.text_bytes()
    }

    fn data_events(&self) -> u64 {
        self.data_events
    }
}

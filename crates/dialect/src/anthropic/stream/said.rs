//! What one event says, read in a single pass.

use std::ops::Range;

use ir::report::Report;

use crate::anthropic::report;
use crate::anthropic::said::{self, Carried};
use crate::anthropic::usage::{self, Reported};
use crate::json::{JsonError, Scanner, string};
use crate::splice::events::Event;
use crate::splice::slot::Slot;
use crate::sse;

/// What kind of event it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// `message_start`
    MessageStart,
    /// `content_block_start`
    BlockStart,
    /// `content_block_delta`
    BlockDelta,
    /// `content_block_stop`
    BlockStop,
    /// `message_delta`
    MessageDelta,
    /// `message_stop`
    MessageStop,
    /// `error`, or an error that does not say what it is.
    Error,
    /// `ping`, and whatever else there may be one day.
    #[default]
    Other,
}

/// What one event says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// What it is.
    pub kind: Kind,
    /// The message's id.
    pub id: Option<Range<usize>>,
    /// Whether it carries content.
    pub has_content: bool,
    /// The bytes of content, for the estimate.
    pub content_bytes: u64,
    /// Why the answer ended.
    pub stop_reason: Option<String>,
    /// What it reports of the usage.
    pub usage: Option<Reported>,
    /// An error instead of an answer.
    pub error: Option<Report>,
    /// Where a new member of the event goes.
    pub slot: Slot,
    /// Where a new member of its message goes.
    pub message: Option<Slot>,
}

/// Reads the data of an event.
///
/// What it is, is said in the data; only where that is silent the event's name is asked.
pub(super) fn read(event: &Event<'_>, meta_key: &[u8]) -> Result<Said, JsonError> {
    let data = event.text();
    let mut said = Said { slot: Slot { empty: true, ..Slot::default() }, ..Said::default() };
    let mut kind = None;
    let mut block = Carried::default();
    let mut delta = Carried::default();
    let mut scanner = Scanner::new(data, 0);
    scanner.enter_object()?;
    while let Some(name) = scanner.member_name(said.slot.empty)? {
        said.slot.empty = false;
        match data.get(name).unwrap_or_default() {
            b"type" => {
                let value = data.get(scanner.value()?).unwrap_or_default();
                kind = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).map(Kind::of);
            }
            b"delta" => delta = said::carried(data, &mut scanner)?,
            b"content_block" => block = said::carried(data, &mut scanner)?,
            b"message" => message(data, &mut scanner, meta_key, &mut said)?,
            b"usage" => said.usage = Some(usage::read(data.get(scanner.value()?).unwrap_or_default())),
            b"error" => {
                let value = data.get(scanner.value()?).unwrap_or_default();
                said.error = (value != b"null").then(|| report::read(value));
            }
            name if name == meta_key => said.slot.taken = Some(scanner.value()?),
            _ => {
                scanner.value()?;
            }
        }
    }
    said.slot.end = scanner.position() - 1;
    scanner.end()?;
    said.kind = match kind.or_else(|| sse::name(event.bytes()).map(Kind::of)) {
        None if said.error.is_some() => Kind::Error,
        kind => kind.unwrap_or_default(),
    };
    match said.kind {
        Kind::BlockStart => (said.has_content, said.content_bytes) = (block.any, block.written()),
        Kind::BlockDelta => (said.has_content, said.content_bytes) = (delta.any, delta.written()),
        Kind::MessageDelta => {
            said.stop_reason = delta.stop_reason.and_then(|value| string(data.get(value).unwrap_or_default()));
            said.has_content = said.stop_reason.is_some();
        }
        _ => {}
    }
    Ok(said)
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::MessageStart,
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

fn message(data: &[u8], scanner: &mut Scanner<'_>, meta_key: &[u8], said: &mut Said) -> Result<(), JsonError> {
    if !scanner.enter_or_pass(b'{')? {
        return Ok(());
    }
    let mut slot = Slot { empty: true, ..Slot::default() };
    while let Some(member) = scanner.member(slot.empty)? {
        slot.empty = false;
        match data.get(member.name).unwrap_or_default() {
            b"id" => said.id = Some(member.value),
            b"usage" => said.usage = Some(usage::read(data.get(member.value).unwrap_or_default())),
            name if name == meta_key => slot.taken = Some(member.value),
            _ => {}
        }
    }
    slot.end = scanner.position() - 1;
    said.message = Some(slot);
    Ok(())
}

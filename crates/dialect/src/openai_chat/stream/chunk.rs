//! One chunk of a stream, read in a single pass.

use std::ops::Range;

use ir::report::Report;
use ir::usage::Usage;

use crate::json::{JsonError, Scanner, string};
use crate::openai_chat::{error, wire};
use crate::splice::slot::Slot;

/// What one `chat.completion.chunk` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    /// The completion's id.
    pub id: Option<Range<usize>>,
    /// Whether a delta carries more than a role.
    pub has_content: bool,
    /// The bytes of what the deltas carry, for the estimate.
    pub content_bytes: u64,
    /// The first finish reason in it.
    pub finish_reason: Option<String>,
    /// Whether it has no choices at all.
    pub no_choices: bool,
    /// Whether it has a `usage` that is not null.
    pub has_usage: bool,
    /// That usage, when it can be believed.
    pub usage: Option<Usage>,
    /// An error instead of an answer.
    pub error: Option<Report>,
    /// Where a new member goes.
    pub slot: Slot,
}

/// Reads the data of an event.
pub(super) fn read(data: &[u8], meta_key: &str) -> Result<Chunk, JsonError> {
    let slot = Slot { empty: true, ..Slot::default() };
    let mut chunk = Chunk { slot, no_choices: true, ..Chunk::default() };
    let mut scanner = Scanner::new(data, 0);
    scanner.enter_object()?;
    while let Some(name) = scanner.member_name(chunk.slot.empty)? {
        chunk.slot.empty = false;
        match data.get(name).unwrap_or_default() {
            b"choices" => choices(data, &mut scanner, &mut chunk)?,
            b"id" => chunk.id = Some(scanner.value()?),
            b"usage" => {
                let value = data.get(scanner.value()?).unwrap_or_default();
                chunk.has_usage = value != b"null";
                if chunk.has_usage {
                    chunk.usage = wire::usage(value);
                }
            }
            b"error" => {
                let value = data.get(scanner.value()?).unwrap_or_default();
                if value != b"null" {
                    chunk.error = Some(error::read_member(value));
                }
            }
            name if name == meta_key.as_bytes() => chunk.slot.taken = Some(scanner.value()?),
            _ => {
                scanner.value()?;
            }
        }
    }
    chunk.slot.end = scanner.position() - 1;
    scanner.end()?;
    Ok(chunk)
}

fn choices(data: &[u8], scanner: &mut Scanner<'_>, chunk: &mut Chunk) -> Result<(), JsonError> {
    if !scanner.enter_or_pass(b'[')? {
        return Ok(());
    }
    while scanner.element(chunk.no_choices)? {
        chunk.no_choices = false;
        if scanner.enter_or_pass(b'{')? {
            choice(data, scanner, chunk)?;
        }
    }
    Ok(())
}

fn choice(data: &[u8], scanner: &mut Scanner<'_>, chunk: &mut Chunk) -> Result<(), JsonError> {
    let mut first = true;
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        match data.get(name).unwrap_or_default() {
            b"delta" => delta(data, scanner, chunk)?,
            b"finish_reason" => {
                let value = data.get(scanner.value()?).unwrap_or_default();
                if value != b"null" && chunk.finish_reason.is_none() {
                    chunk.finish_reason = string(value);
                }
            }
            _ => {
                scanner.value()?;
            }
        }
    }
    Ok(())
}

/// Everything in a delta but the role, and what is empty, is content.
fn delta(data: &[u8], scanner: &mut Scanner<'_>, chunk: &mut Chunk) -> Result<(), JsonError> {
    if !scanner.enter_or_pass(b'{')? {
        return Ok(());
    }
    let mut first = true;
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        let value = data.get(scanner.value()?).unwrap_or_default();
        let nothing = matches!(value, b"null" | b"\"\"" | b"[]" | b"{}");
        if data.get(name).unwrap_or_default() != b"role" && !nothing {
            chunk.has_content = true;
            chunk.content_bytes += value.len().saturating_sub(2) as u64;
        }
    }
    Ok(())
}

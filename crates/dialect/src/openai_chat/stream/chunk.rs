//! One chunk of a stream, read in a single pass.

use std::ops::Range;

use ir::money::ServiceTier;
use ir::report::Report;
use ir::usage::Usage;

use crate::json::{JsonError, Scanner, integer, string};
use crate::openai_chat::{error, finish, said, usage};
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
    /// The first finish reason in it, in the provider's word.
    pub finish_reason: Option<String>,
    /// Where finish reasons stand that not every client knows.
    pub odd_reasons: Vec<Range<usize>>,
    /// Whether a tool is called.
    pub has_calls: bool,
    /// Whether it has no choices at all.
    pub no_choices: bool,
    /// The choices that are in it, and those of them that end.
    pub choices: Choices,
    pub ended: Choices,
    /// Whether it has a `usage` of its own that is not null.
    pub has_usage: bool,
    /// What is reported, there or in the places that some vendors have for it, when it can be believed.
    pub usage: Option<Usage>,
    /// The service tier that it was answered in.
    pub service_tier: Option<ServiceTier>,
    /// An error instead of an answer.
    pub error: Option<Report>,
    /// Where a new member goes.
    pub slot: Slot,
}

/// Some of the choices of an answer, by their index. OpenAI takes at most 128; all beyond count as the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices(u128);

impl Choices {
    fn add(&mut self, index: u64) {
        self.0 |= 1 << index.min(127);
    }

    /// Adds those of another set.
    pub fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether a choice is among them.
    pub fn has(self, index: u64) -> bool {
        self.0 & (1 << index.min(127)) != 0
    }

    /// Whether all of them are in another set.
    pub fn are_all_in(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl Chunk {
    /// Whether it is the chunk that only says what was consumed.
    pub fn is_usage(&self) -> bool {
        self.has_usage && self.no_choices
    }
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
                chunk.has_usage = scanner.peek()? != b'n';
                chunk.usage = usage::scan(data, &mut scanner)?.or(chunk.usage);
            }
            b"service_tier" => chunk.service_tier = usage::tier(data.get(scanner.value()?).unwrap_or_default()),
            b"x_groq" => chunk.usage = chunk.usage.or(usage::scan_inside(data, &mut scanner)?),
            b"error" => {
                let value = data.get(scanner.value()?).unwrap_or_default();
                if !error::is_nothing(value) {
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
    let (mut index, mut ends) = (0, false);
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        match data.get(name).unwrap_or_default() {
            b"delta" => delta(data, scanner, chunk)?,
            b"index" => index = integer(data.get(scanner.value()?).unwrap_or_default()).unwrap_or(0),
            // Moonshot.
            b"usage" => chunk.usage = chunk.usage.or(usage::scan(data, scanner)?),
            b"finish_reason" => {
                let range = scanner.value()?;
                let value = data.get(range.clone()).unwrap_or_default();
                if value == b"null" {
                    continue;
                }
                ends |= value != b"\"\"";
                if chunk.finish_reason.is_none() {
                    chunk.finish_reason = string(value).filter(|reason| !reason.is_empty());
                }
                if !finish::is_known(value) {
                    chunk.odd_reasons.push(range);
                }
            }
            _ => {
                scanner.value()?;
            }
        }
    }
    chunk.choices.add(index);
    if ends {
        chunk.ended.add(index);
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
        let name = data.get(name).unwrap_or_default();
        if name != b"role" && !nothing {
            chunk.has_content = true;
            chunk.has_calls |= name == b"tool_calls";
            chunk.content_bytes += said::bytes_of(name, value);
        }
    }
    Ok(())
}

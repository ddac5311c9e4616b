//! `usage`: <https://docs.claude.com/en/api/messages#response-usage>, read without building values.
//!
//! Anthropic counts `input_tokens` without what was read from or written to the cache, and `output_tokens` with the
//! thinking. A stream reports twice: at its start, and, as sums of the whole answer, in `message_delta`.

use std::ops::Range;

use ir::usage::Usage;

use crate::json::{JsonError, Scanner, integer};

/// What was written for an hour, in `cache_creation`.
const HOUR: &[u8] = b"ephemeral_1h_input_tokens";

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// What a report says, as far as it can be believed, bucket by bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reported {
    /// `input_tokens`
    pub input: Option<u64>,
    /// `cache_read_input_tokens`
    pub cached_input: Option<u64>,
    /// `cache_creation_input_tokens`, for whatever time.
    pub cache_write: Option<u64>,
    /// `cache_creation.ephemeral_1h_input_tokens`: the part of it that was written for an hour.
    pub cache_write_1h: Option<u64>,
    /// `output_tokens`, thinking included.
    pub output: Option<u64>,
    /// `output_tokens_details.thinking_tokens`
    pub thinking: Option<u64>,
    /// `server_tool_use.web_search_requests`
    pub searches: Option<u64>,
    /// What compactions of the conversation consumed.
    pub compaction: Option<Usage>,
}

/// Reads a report. What cannot be read says nothing.
pub(super) fn read(value: &[u8]) -> Reported {
    let mut reported = Reported::default();
    // Whatever stands before the place where it cannot be read counts.
    let _ = reported.members(value, &mut Scanner::new(value, 0));
    reported
}

impl Reported {
    /// Takes over what a later report of the same answer says. One that says nothing but zeros takes nothing back.
    pub(super) fn update(&mut self, later: &Self) {
        if later.usage().is_some_and(|usage| usage.is_nothing()) && self.input.or(self.output).is_some() {
            return;
        }
        self.input = later.input.or(self.input);
        self.cached_input = later.cached_input.or(self.cached_input);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.searches = later.searches.or(self.searches);
        self.output = later.output.or(self.output);
        self.thinking = later.thinking.or(self.thinking);
        self.compaction = later.compaction.or(self.compaction);
    }

    /// Returns the usage in disjoint buckets; `None` as long as input and output are not both known.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let reasoning = self.thinking.unwrap_or(0).min(output);
        let more = self.compaction.unwrap_or_default();
        let written = self.cache_write.unwrap_or(0);
        let hour = self.cache_write_1h.unwrap_or(0).min(written);
        Some(Usage {
            input: input + more.input,
            cached_input: self.cached_input.unwrap_or(0) + more.cached_input,
            cache_write: written - hour + more.cache_write,
            cache_write_1h: hour + more.cache_write_1h,
            output: output - reasoning + more.output,
            reasoning,
            searches: self.searches.unwrap_or(0),
            ..Usage::default()
        })
    }

    /// Returns what is known when an answer begins: its input. What was put out is not known yet.
    pub(super) fn begun(&self) -> Option<Usage> {
        Self { output: Some(0), ..*self }.usage()
    }

    fn members(&mut self, text: &[u8], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.enter_object()?;
        let mut first = true;
        while let Some(name) = scanner.member_name(first)? {
            first = false;
            match text.get(name).unwrap_or_default() {
                b"input_tokens" => self.input = number(text, scanner.value()?),
                b"cache_read_input_tokens" => self.cached_input = number(text, scanner.value()?),
                b"cache_creation_input_tokens" => self.cache_write = number(text, scanner.value()?),
                b"output_tokens" => self.output = number(text, scanner.value()?),
                b"output_tokens_details" => self.thinking = inside(text, scanner, b"thinking_tokens")?,
                b"cache_creation" => self.cache_write_1h = inside(text, scanner, HOUR)?,
                b"server_tool_use" => self.searches = inside(text, scanner, b"web_search_requests")?,
                b"iterations" => self.iterations(text, scanner)?,
                _ => {
                    scanner.value()?;
                }
            }
        }
        Ok(())
    }

    /// Adds up the compactions among the iterations. They are charged, at the model's own price, and are in none of
    /// the sums: <https://platform.claude.com/docs/en/build-with-claude/compaction>. Every other iteration is in the
    /// sums or was another model's.
    fn iterations(&mut self, text: &[u8], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if !scanner.enter_or_pass(b'[')? {
            return Ok(());
        }
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            if !scanner.enter_or_pass(b'{')? {
                continue;
            }
            let (mut usage, mut compaction, mut first) = (Usage::default(), false, true);
            while let Some(member) = scanner.member(first)? {
                first = false;
                let said = || number(text, member.value.clone()).unwrap_or(0);
                match text.get(member.name).unwrap_or_default() {
                    b"type" => compaction = text.get(member.value) == Some(b"\"compaction\""),
                    b"input_tokens" => usage.input = said(),
                    b"cache_read_input_tokens" => usage.cached_input = said(),
                    b"cache_creation_input_tokens" => usage.cache_write = said(),
                    b"cache_creation" => {
                        let creation = text.get(member.value.clone()).unwrap_or_default();
                        let hour = inside(creation, &mut Scanner::new(creation, 0), HOUR)?;
                        usage.cache_write_1h = hour.unwrap_or(0);
                    }
                    b"output_tokens" => usage.output = said(),
                    _ => {}
                }
            }
            if compaction {
                let sum = self.compaction.get_or_insert_default();
                sum.input += usage.input;
                sum.cached_input += usage.cached_input;
                let hour = usage.cache_write_1h.min(usage.cache_write);
                sum.cache_write += usage.cache_write - hour;
                sum.cache_write_1h += hour;
                sum.output += usage.output;
            }
        }
        Ok(())
    }
}

/// Returns a number that stands in an object; `None` when there is no such object, or none that can be believed in it.
fn inside(text: &[u8], scanner: &mut Scanner<'_>, name: &[u8]) -> Result<Option<u64>, JsonError> {
    if !scanner.enter_or_pass(b'{')? {
        return Ok(None);
    }
    let (mut found, mut first) = (None, true);
    while let Some(member) = scanner.member(first)? {
        first = false;
        if text.get(member.name) == Some(name) {
            found = number(text, member.value);
        }
    }
    Ok(found)
}

fn number(text: &[u8], range: Range<usize>) -> Option<u64> {
    integer(text.get(range)?).filter(|tokens| *tokens <= ABSURD_TOKENS)
}

#[cfg(test)]
mod tests;

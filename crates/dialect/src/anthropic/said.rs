//! How much blocks of content and the pieces of one say, in bytes: the estimate of its tokens where nobody reports them.
//!
//! Counted is what the model wrote as one can read it: text, thoughts, the name and the input of a tool. Ids, signatures,
//! citations and encrypted thoughts are not, nor is what a tool of the provider found.

use std::ops::Range;

use memchr::memchr2_iter;

use crate::json::{JsonError, Scanner};

/// What a content block or a delta carries.
#[derive(Default)]
pub(super) struct Carried {
    /// Whether it is more than a type.
    pub(super) any: bool,
    bytes: u64,
    /// Whether it is what a tool of the provider found: the model reads it and has not written it.
    found: bool,
    /// Where a reason to stop stands.
    pub(super) stop_reason: Option<Range<usize>>,
}

impl Carried {
    /// Returns the bytes that the model wrote.
    pub(super) fn written(&self) -> u64 {
        if self.found { 0 } else { self.bytes }
    }
}

/// Reads a block or a delta. Everything in it but its type, and what is empty, is content.
pub(super) fn carried(data: &[u8], scanner: &mut Scanner<'_>) -> Result<Carried, JsonError> {
    let mut carried = Carried::default();
    if !scanner.enter_or_pass(b'{')? {
        return Ok(carried);
    }
    let mut first = true;
    while let Some(member) = scanner.member(first)? {
        first = false;
        let value = data.get(member.value.clone()).unwrap_or_default();
        match data.get(member.name).unwrap_or_default() {
            b"type" => carried.found = value.ends_with(b"_tool_result\""),
            b"stop_reason" => carried.stop_reason = Some(member.value),
            _ if matches!(value, b"null" | b"\"\"" | b"[]" | b"{}") => {}
            name => {
                carried.any = true;
                carried.bytes += length(name, value);
            }
        }
    }
    Ok(carried)
}

/// Returns how much the blocks of a whole answer say: as much as the same blocks do in a stream.
pub(super) fn in_content(blocks: &[u8]) -> u64 {
    let mut bytes = 0;
    // It was read before: what this cannot read is nothing that was said.
    let _ = each(blocks, &mut bytes);
    bytes
}

fn each(blocks: &[u8], bytes: &mut u64) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(blocks, 0);
    scanner.enter_array()?;
    let mut first = true;
    while scanner.element(first)? {
        first = false;
        *bytes += carried(blocks, &mut scanner)?.written();
    }
    Ok(())
}

fn length(name: &[u8], value: &[u8]) -> u64 {
    match name {
        b"id" | b"tool_use_id" | b"signature" | b"data" | b"citation" | b"citations" | b"caller" => 0,
        // In a stream it is a text: with its braces, and what must be escaped in it.
        b"input" if value.starts_with(b"{") => (value.len() + memchr2_iter(b'"', b'\\', value).count()) as u64,
        _ => value.len().saturating_sub(2) as u64,
    }
}

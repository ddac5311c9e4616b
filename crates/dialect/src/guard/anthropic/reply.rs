//! A buffered reply: <https://docs.claude.com/en/api/messages>.

use std::ops::Range;

use bytes::Bytes;
use ir::guard::{Blocked, Interruption, Watch};

use super::said::{cut_reason, is_call, is_step};
use crate::json::text::{lenient, name, quoted};
use crate::json::{JsonError, Scanner};
use crate::splice::{Patch, apply};

/// Judges the body of a reply. Returns it as it may go on: unchanged, cut or with something appended. `fresh` is the
/// watch of an answer that nothing was seen of. A body that is no reply is returned as it is, for others to refuse.
///
/// # Errors
/// When it is blocked.
pub fn judge<W: Watch + Clone>(body: Bytes, fresh: &W) -> Result<Bytes, Blocked> {
    let Ok(reply) = Reply::read(&body) else { return Ok(body) };
    let Some(end) = reply.end else { return Ok(body) };
    let mut watch = fresh.clone();
    let mut patches = Vec::new();
    // The last block, when it is a text: where it stands and how much of it stays.
    let mut last = None;
    let mut before = 0;
    for block in &reply.blocks {
        let start = std::mem::replace(&mut before, block.end);
        let Some(range) = &block.text else {
            watch.interrupt(if block.calls { Interruption::ToolCall } else { Interruption::Other });
            last = None;
            continue;
        };
        let said = body.get(range.clone()).and_then(lenient).unwrap_or_default();
        let stays = watch.push(&said)?;
        // A text of which nothing stays is never the first, and goes with the comma before it: nobody may send an empty
        // one back to the provider.
        if stays == 0 && !said.is_empty() {
            patches.push(Patch { range: start..block.end, with: Bytes::new() });
            continue;
        }
        if stays < said.len() {
            let with = quoted(said.get(..stays).unwrap_or_default());
            patches.push(Patch { range: range.clone(), with: with.into() });
        }
        last = Some((range.clone(), stays));
    }
    let reason = reply.stop_reason.as_ref().and_then(|range| body.get(range.clone()));
    if reason.is_some_and(is_step) {
        watch.interrupt(Interruption::ToolCall);
    }
    if let Some(more) = watch.end()? {
        append(&body, last, end, reply.blocks.is_empty(), &more, &mut patches);
    }
    if let (true, Some(range), Some(with)) = (watch.is_cut(), reply.stop_reason, reason.and_then(cut_reason)) {
        patches.push(Patch { range, with: Bytes::from_static(with) });
        patches.extend(reply.stop_sequence.map(|range| Patch { range, with: Bytes::from_static(b"null") }));
    }
    if patches.is_empty() {
        return Ok(body);
    }
    patches.sort_by_key(|patch| patch.range.start);
    Ok(apply(&body, patches).concat().into())
}

/// Appends a text: to the last block when that is a text, else as a block of its own at the end of the content.
fn append(
    body: &[u8],
    last: Option<(Range<usize>, usize)>,
    end: usize,
    empty: bool,
    more: &str,
    patches: &mut Vec<Patch>,
) {
    let (range, with) = match last {
        Some((range, stays)) => {
            let said = body.get(range.clone()).and_then(lenient).unwrap_or_default();
            let with = quoted(&format!("{}{more}", said.get(..stays).unwrap_or_default()));
            patches.retain(|patch| patch.range != range);
            (range, with)
        }
        None => {
            let comma: &[u8] = if empty { b"" } else { b"," };
            (end..end, [comma, b"{\"type\":\"text\",\"text\":", &quoted(more), b"}"].concat())
        }
    };
    patches.push(Patch { range, with: with.into() });
}

/// What a reply says, as far as guards care.
#[derive(Debug, Default)]
struct Reply {
    blocks: Vec<Block>,
    /// Where the `]` of the content stands.
    end: Option<usize>,
    stop_reason: Option<Range<usize>>,
    stop_sequence: Option<Range<usize>>,
}

/// One content block.
#[derive(Debug, Default)]
struct Block {
    /// Where its text stands, with its quotes, when it is one.
    text: Option<Range<usize>>,
    calls: bool,
    /// Where the block ends.
    end: usize,
}

impl Reply {
    fn read(body: &[u8]) -> Result<Self, JsonError> {
        let mut reply = Self::default();
        let mut scanner = Scanner::new(body, 0);
        scanner.enter_object()?;
        let mut first = true;
        while let Some(found) = scanner.member_name(first)? {
            first = false;
            let found = name(body.get(found).unwrap_or_default());
            if found.as_ref() == b"content" {
                reply.content(body, &mut scanner)?;
                continue;
            }
            let value = scanner.value()?;
            let text = body.get(value.clone()).unwrap_or_default().starts_with(b"\"");
            match found.as_ref() {
                b"stop_reason" if text => reply.stop_reason = Some(value),
                b"stop_sequence" if text => reply.stop_sequence = Some(value),
                _ => {}
            }
        }
        scanner.end()?;
        Ok(reply)
    }

    fn content(&mut self, body: &[u8], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if !scanner.enter_or_pass(b'[')? {
            return Ok(());
        }
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            let mut block = Block::default();
            if scanner.enter_or_pass(b'{')? {
                block = Block::read(body, scanner)?;
            }
            block.end = scanner.position();
            self.blocks.push(block);
        }
        self.end = Some(scanner.position() - 1);
        Ok(())
    }
}

impl Block {
    fn read(body: &[u8], scanner: &mut Scanner<'_>) -> Result<Self, JsonError> {
        let (mut block, mut is_text) = (Self::default(), false);
        let mut first = true;
        while let Some(member) = scanner.member(first)? {
            first = false;
            let value = body.get(member.value.clone()).unwrap_or_default();
            match name(body.get(member.name).unwrap_or_default()).as_ref() {
                b"type" => {
                    is_text = value == b"\"text\"";
                    block.calls = is_call(value);
                }
                b"text" if value.starts_with(b"\"") => block.text = Some(member.value),
                _ => {}
            }
        }
        block.text = block.text.filter(|_| is_text);
        Ok(block)
    }
}

//! What one event of a stream says, as far as guards care.

use std::ops::Range;

use crate::json::text::name;
use crate::json::{JsonError, Scanner, integer};

/// What an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// `content_block_start` of a text.
    TextStart,
    /// `content_block_start` of a tool call that the caller answers.
    CallStart,
    /// `content_block_start` of anything else.
    OtherStart,
    /// `content_block_delta` with text.
    TextDelta,
    /// `content_block_delta` with a citation.
    CitationDelta,
    /// `content_block_delta` with anything else.
    OtherDelta,
    /// `content_block_stop`
    Stop,
    /// `message_delta`
    MessageDelta,
    /// `message_stop`
    MessageStop,
    /// `ping`
    Ping,
    /// `error`
    Error,
    /// Anything else.
    #[default]
    Other,
}

/// What an event says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// What it is.
    pub kind: Kind,
    /// The number of its block.
    pub index: u64,
    /// Where that stands.
    pub index_at: Option<Range<usize>>,
    /// Where its text stands, with its quotes.
    pub text: Option<Range<usize>>,
    /// `stop_reason`, when it has one.
    pub stop_reason: Option<Range<usize>>,
    /// `stop_sequence`, when it has one.
    pub stop_sequence: Option<Range<usize>>,
}

/// Reads the data of an event.
pub(super) fn read(data: &[u8]) -> Result<Said, JsonError> {
    let mut said = Said::default();
    let mut kind: &[u8] = b"";
    let mut inner: &[u8] = b"";
    let mut scanner = Scanner::new(data, 0);
    scanner.enter_object()?;
    let mut first = true;
    while let Some(found) = scanner.member_name(first)? {
        first = false;
        match name(data.get(found).unwrap_or_default()).as_ref() {
            b"content_block" | b"delta" if scanner.enter_or_pass(b'{')? => {
                inner = inside(data, &mut scanner, &mut said)?;
            }
            b"content_block" | b"delta" => {}
            other => {
                let range = scanner.value()?;
                let value = data.get(range.clone()).unwrap_or_default();
                match other {
                    b"type" => kind = value,
                    b"index" => (said.index, said.index_at) = (integer(value).unwrap_or(0), Some(range)),
                    _ => {}
                }
            }
        }
    }
    scanner.end()?;
    said.kind = Kind::of(kind, inner);
    Ok(said)
}

/// Reads a content block or a delta, and returns its type.
fn inside<'a>(data: &'a [u8], scanner: &mut Scanner<'_>, said: &mut Said) -> Result<&'a [u8], JsonError> {
    let mut kind: &[u8] = b"";
    let mut first = true;
    while let Some(member) = scanner.member(first)? {
        first = false;
        let value = data.get(member.value.clone()).unwrap_or_default();
        let text = value.starts_with(b"\"");
        match name(data.get(member.name).unwrap_or_default()).as_ref() {
            b"type" => kind = value,
            b"text" if text => said.text = Some(member.value),
            b"stop_reason" if text => said.stop_reason = Some(member.value),
            b"stop_sequence" if text => said.stop_sequence = Some(member.value),
            _ => {}
        }
    }
    Ok(kind)
}

impl Kind {
    /// Whether the event belongs to a content block.
    pub fn is_of_block(self) -> bool {
        match self {
            Self::TextStart
            | Self::CallStart
            | Self::OtherStart
            | Self::TextDelta
            | Self::CitationDelta
            | Self::OtherDelta
            | Self::Stop => true,
            Self::MessageDelta | Self::MessageStop | Self::Ping | Self::Error | Self::Other => false,
        }
    }

    fn of(kind: &[u8], inner: &[u8]) -> Self {
        match (kind, inner) {
            (b"\"content_block_start\"", b"\"text\"") => Self::TextStart,
            (b"\"content_block_start\"", b"\"tool_use\"") => Self::CallStart,
            (b"\"content_block_start\"", _) => Self::OtherStart,
            (b"\"content_block_delta\"", b"\"text_delta\"") => Self::TextDelta,
            (b"\"content_block_delta\"", b"\"citations_delta\"") => Self::CitationDelta,
            (b"\"content_block_delta\"", _) => Self::OtherDelta,
            (b"\"content_block_stop\"", _) => Self::Stop,
            (b"\"message_delta\"", _) => Self::MessageDelta,
            (b"\"message_stop\"", _) => Self::MessageStop,
            (b"\"ping\"", _) => Self::Ping,
            (b"\"error\"", _) => Self::Error,
            _ => Self::Other,
        }
    }
}

/// Whether a block is a call of a tool that the caller answers, by its type.
pub(super) fn is_call(kind: &[u8]) -> bool {
    kind == b"\"tool_use\""
}

/// Whether an answer with this stop reason is a step on the way.
pub(super) fn is_step(reason: &[u8]) -> bool {
    matches!(reason, b"\"tool_use\"" | b"\"pause_turn\"")
}

/// Returns what a stop reason becomes when the answer was cut; `None` where it says more than that. An answer that calls
/// tools goes on with them.
pub(super) fn cut_reason(reason: &[u8]) -> Option<&'static [u8]> {
    match reason {
        b"\"end_turn\"" | b"\"stop_sequence\"" => Some(b"\"max_tokens\""),
        _ => None,
    }
}

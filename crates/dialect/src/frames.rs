//! Bytes of a streamed answer, cut into frames: server-sent events, or lines of JSON.
//!
//! Any way of cutting the bytes gives the same frames. What is spliced does not pass through here: it is never taken
//! apart.

use bytes::{Buf, BytesMut};
use ir::dialect::Dialect;

use crate::json::Scanner;
use crate::sse::{self, Data, Searched};
use crate::translate::{Frame, NotAReply, Step};

/// A larger frame is not understood: the stream is broken off.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// How a dialect frames its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON value per line.
    Ndjson,
}

/// Cuts bytes into frames.
#[derive(Debug)]
pub struct Frames {
    framing: Framing,
    buffer: BytesMut,
    searched: Searched,
    started: bool,
}

impl Frames {
    /// Starts the stream of a dialect.
    pub fn new(dialect: Dialect) -> Self {
        let framing = match dialect {
            Dialect::Ollama => Framing::Ndjson,
            Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::Anthropic | Dialect::Gemini | Dialect::Cohere => {
                Framing::Sse
            }
        };
        Self { framing, buffer: BytesMut::new(), searched: Searched::default(), started: false }
    }

    /// Takes bytes and passes every frame that is complete to `visit`, until one ends the answer.
    ///
    /// # Errors
    /// What `visit` says; a frame that is too large or is not UTF-8.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(Frame<'_>) -> Result<Step, NotAReply>,
    ) -> Result<Step, NotAReply> {
        self.buffer.extend_from_slice(bytes);
        if !self.started && !self.buffer.is_empty() {
            // A byte order mark means nothing; one that is cut in two is waited for.
            const MARK: &[u8] = b"\xef\xbb\xbf";
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return Ok(Step::More);
            }
            if self.buffer.starts_with(MARK) {
                self.buffer.advance(MARK.len());
            }
            self.started = true;
        }
        let (mut at, mut step) = (0, Ok(Step::More));
        while let Ok(Step::More) = step {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let Some(length) = self.framing.end(rest, &mut self.searched) else { break };
            let frame = rest.get(..length).unwrap_or_default();
            at += length;
            step = self.framing.frame(frame, &mut visit);
        }
        self.buffer.advance(at);
        if self.buffer.len() > MAX_FRAME_BYTES {
            return Err(NotAReply::Malformed("an event is too large".to_owned()));
        }
        step
    }

    /// Takes note of the stream's end. A last line without its line end is a frame, and so is a last event that lacks
    /// only its empty line: its data are whole JSON or an end marker. The standard throws it away (WHATWG HTML, section
    /// 9.2.6); a provider that forgets it has answered all the same. Half an event is none.
    ///
    /// # Errors
    /// As [`Frames::push`].
    pub fn end(&mut self, mut visit: impl FnMut(Frame<'_>) -> Result<Step, NotAReply>) -> Result<Step, NotAReply> {
        let rest = std::mem::take(&mut self.buffer);
        match self.framing {
            Framing::Ndjson => self.framing.frame(&rest, &mut visit),
            Framing::Sse => {
                let event = [&rest, b"\n\n".as_slice()].concat();
                let data = match sse::data(&event) {
                    Data::None => return Ok(Step::More),
                    Data::Line(range) => event.get(range).unwrap_or_default().to_vec(),
                    Data::Joined(joined) => joined,
                };
                let mut scanner = Scanner::new(&data, 0);
                let whole = data.trim_ascii() == b"[DONE]" || scanner.value().and_then(|_| scanner.end()).is_ok();
                if whole { self.framing.frame(&event, &mut visit) } else { Ok(Step::More) }
            }
        }
    }
}

impl Framing {
    fn end(self, bytes: &[u8], searched: &mut Searched) -> Option<usize> {
        match self {
            Self::Sse => sse::event_end(bytes, searched),
            Self::Ndjson => sse::line_end(bytes, searched),
        }
    }

    /// Passes the frame that bytes hold, if they hold one.
    fn frame(
        self,
        bytes: &[u8],
        visit: &mut impl FnMut(Frame<'_>) -> Result<Step, NotAReply>,
    ) -> Result<Step, NotAReply> {
        let text = |bytes| {
            simdutf8::basic::from_utf8(bytes).map_err(|_| NotAReply::Malformed("an event is not UTF-8".to_owned()))
        };
        match self {
            Self::Ndjson => match text(bytes)?.trim_ascii() {
                "" => Ok(Step::More),
                line => visit(Frame { event: None, data: line }),
            },
            Self::Sse => {
                let event = sse::name(bytes).map(text).transpose()?;
                match sse::data(bytes) {
                    Data::None => Ok(Step::More),
                    // A heartbeat of some servers.
                    Data::Line(range) if bytes.get(range.clone()).is_none_or(|data| data.trim_ascii().is_empty()) => {
                        Ok(Step::More)
                    }
                    Data::Line(range) => visit(Frame { event, data: text(bytes.get(range).unwrap_or_default())? }),
                    // The standard joins lines with a line feed. The data are JSON, where that is white space, and what
                    // is carried from them must fit into one line of an event that we send.
                    Data::Joined(joined) => visit(Frame { event, data: &text(&joined)?.replace('\n', " ") }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, text: &str, expect: &[(&str, &str)]) {
        for size in 1..=text.len() {
            let mut frames = Frames::new(dialect);
            let mut found = Vec::new();
            let mut note = |frame: Frame<'_>| {
                found.push((frame.event.unwrap_or_default().to_owned(), frame.data.to_owned()));
                Ok(Step::More)
            };
            for piece in text.as_bytes().chunks(size) {
                frames.push(piece, &mut note).unwrap();
            }
            frames.end(&mut note).unwrap();
            let found: Vec<_> = found.iter().map(|(event, data)| (event.as_str(), data.as_str())).collect();
            assert_eq!(found, expect, "in pieces of {size}");
        }
    }

    #[test]
    fn however_they_are_cut() {
        let events =
            "\u{feff}event: a\r\ndata: {\"é\":1}\r\n\r\ndata:\n\ndata: \n\n: ping\n\ndata: x\ndata: y\n\ndata: lost";
        check(Dialect::Anthropic, events, &[("a", "{\"é\":1}"), ("", "x y")]);
        check(
            Dialect::Ollama,
            "{\"a\":1}\r\n\n{\"b\":2}\n{\"c\":3}",
            &[("", "{\"a\":1}"), ("", "{\"b\":2}"), ("", "{\"c\":3}")],
        );
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        let mut frames = Frames::new(Dialect::Gemini);
        assert!(frames.push(b"data: \xff\n\n", |_| Ok(Step::More)).is_err());
    }
}

//! The chunked transfer coding (RFC 9112, section 7.1), decoded in place.
//!
//! It exists so that a read full of small chunks becomes one contiguous run of data: the first chunk stays where it
//! is, later ones are moved down behind it. Any way of cutting the stream gives the same data. Extensions and trailers
//! are checked for their bounds and dropped. It does no IO.

use std::ops::Range;

use super::H1Error;

const MAX_SIZE_DIGITS: u8 = 16;
const MAX_EXTENSION: usize = 4 * 1024;
/// Of all chunks together: a flood of small chunks with long extensions is not read either.
const MAX_EXTENSIONS: usize = 16 * 1024;
const MAX_TRAILERS: usize = 16 * 1024;
const BARE_LF: H1Error = H1Error::Malformed("bare line feed in chunked body");
const BARE_CR: H1Error = H1Error::Malformed("bare carriage return in chunked body");

/// Where the decoder stands between two reads.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    trailer_bytes: usize,
    extension_bytes: usize,
}

/// What one read held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Where the data lies now.
    pub(super) data: Range<usize>,
    /// How many bytes of the input are done with; all of them unless the body ended.
    pub(super) consumed: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size { value: u64, digits: u8 },
    Extension { value: u64, length: usize },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    LineStart,
    Trailer,
    TrailerLf,
    EndLf,
    Ended,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

impl Chunked {
    pub(super) fn ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Decodes `bytes` up to their end or the end of the body.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, H1Error> {
        let mut data = 0..0;
        let mut at = 0;
        while !self.ended()
            && let Some(&byte) = bytes.get(at)
        {
            let State::Data { left } = self.state else {
                self.state = self.step(byte)?;
                at += 1;
                continue;
            };
            let available = bytes.len() - at;
            let taken = usize::try_from(left).map_or(available, |left| left.min(available));
            if data.is_empty() {
                data = at..at;
            } else {
                // In bounds: `at + taken` is at most the length, and the data ends before `at`.
                bytes.copy_within(at..at + taken, data.end);
            }
            data.end += taken;
            at += taken;
            let left = left.saturating_sub(taken as u64);
            self.state = if left == 0 { State::DataCr } else { State::Data { left } };
        }
        Ok(Decoded { data, consumed: at })
    }

    fn step(&mut self, byte: u8) -> Result<State, H1Error> {
        match self.state {
            State::Size { value, digits } => size(value, digits, byte),
            State::Extension { value, length } => {
                self.extension_bytes = self.extension_bytes.saturating_add(1);
                if self.extension_bytes > MAX_EXTENSIONS {
                    return Err(H1Error::TooLarge);
                }
                extension(value, length, byte)
            }
            State::SizeLf { value: 0 } => expect(byte, b'\n', State::LineStart),
            State::SizeLf { value } => expect(byte, b'\n', State::Data { left: value }),
            State::DataCr => match byte {
                b'\r' => Ok(State::DataLf),
                _ => Err(H1Error::Malformed("chunk longer than its size")),
            },
            State::DataLf => expect(byte, b'\n', State::default()),
            State::LineStart | State::Trailer => self.trailer(byte),
            State::TrailerLf => expect(byte, b'\n', State::LineStart),
            State::EndLf => expect(byte, b'\n', State::Ended),
            State::Data { .. } | State::Ended => Ok(self.state),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, H1Error> {
        self.trailer_bytes = self.trailer_bytes.saturating_add(1);
        match (byte, self.state) {
            (b'\n', _) => Err(BARE_LF),
            _ if self.trailer_bytes > MAX_TRAILERS => Err(H1Error::TooLarge),
            (b'\r', State::LineStart) => Ok(State::EndLf),
            (b'\r', _) => Ok(State::TrailerLf),
            _ => Ok(State::Trailer),
        }
    }
}

fn size(value: u64, digits: u8, byte: u8) -> Result<State, H1Error> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        // Sixteen hexadecimal digits are exactly a u64, so the bound on digits is the bound on the value.
        if digits >= MAX_SIZE_DIGITS {
            return Err(H1Error::Malformed("chunk size too long"));
        }
        return Ok(State::Size { value: (value << 4) | u64::from(digit), digits: digits.saturating_add(1) });
    }
    match byte {
        b'\n' => Err(BARE_LF),
        _ if digits == 0 => Err(H1Error::Malformed("chunk without a size")),
        b'\r' => Ok(State::SizeLf { value }),
        b';' | b' ' | b'\t' => Ok(State::Extension { value, length: 1 }),
        _ => Err(H1Error::Malformed("invalid chunk size")),
    }
}

fn extension(value: u64, length: usize, byte: u8) -> Result<State, H1Error> {
    match byte {
        b'\r' => Ok(State::SizeLf { value }),
        b'\n' => Err(BARE_LF),
        b'\t' | b' '..=b'~' | 0x80.. if length < MAX_EXTENSION => {
            Ok(State::Extension { value, length: length.saturating_add(1) })
        }
        b'\t' | b' '..=b'~' | 0x80.. => Err(H1Error::TooLarge),
        _ => Err(H1Error::Malformed("control character in chunk extension")),
    }
}

fn expect(byte: u8, wanted: u8, next: State) -> Result<State, H1Error> {
    if byte == wanted { Ok(next) } else { Err(BARE_CR) }
}

//! What is written of a reply: its head, and the framing of its body.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use tokio::io::AsyncWrite;

use crate::io::BoxIo;

/// How many parts one write takes.
const MAX_SLICES: usize = 32;

/// How the body of a reply is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, whatever its length would be.
    None,
    /// Its length is known.
    Length(u64),
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    UntilEof,
}

/// What the connection says about itself in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Nothing: it goes on, as is usual.
    Usual,
    /// It goes on, which the peer does not take for granted.
    Stays,
    /// It ends.
    Ends,
}

/// The date of replies, written once a second.
#[derive(Default)]
pub(crate) struct DateLine {
    second: u64,
    text: String,
}

impl DateLine {
    /// Returns the date in the form of RFC 9110, section 5.6.7.
    pub(crate) fn at(&mut self, unix_seconds: u64) -> &str {
        if self.text.is_empty() || self.second != unix_seconds {
            self.second = unix_seconds;
            self.text = http_date(unix_seconds);
        }
        &self.text
    }
}

/// Writes a head. Fields that say how the body is framed are this module's alone; those of the reply are passed over.
pub(super) fn head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    persistence: Persistence,
    date: (&mut DateLine, u64),
) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or("Unknown"), "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    for (name, value) in headers {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING && *name != CONNECTION && *name != DATE {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            digits(out, length, 10);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilEof => {}
    }
    match persistence {
        Persistence::Usual => {}
        Persistence::Stays => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Persistence::Ends => out.extend_from_slice(b"connection: close\r\n"),
    }
    let (line, now) = date;
    for part in ["date: ", line.at(now), "\r\n\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn digits(out: &mut Vec<u8>, mut number: u64, base: u64) {
    let mut text = [0_u8; 20];
    let mut length = 0;
    for place in text.iter_mut().rev() {
        *place = b"0123456789abcdef".get((number % base) as usize).copied().unwrap_or(b'0');
        number /= base;
        length += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(text.len() - length..).unwrap_or_default());
}

/// The civil date of a day is found as in <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn http_date(unix_seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    let name = |names: &[&'static str], at: u64| names.get(at as usize).copied().unwrap_or_default();
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month));
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year} {hours:02}:{minutes:02}:{seconds:02} GMT")
}

/// What is still to be written: a head or the size of a chunk, then parts of a body, in turn.
#[derive(Default)]
pub(super) struct Outgoing {
    /// The bytes that were written here; its room is used again.
    head: Vec<u8>,
    /// How much of the head is written.
    written: usize,
    parts: VecDeque<Bytes>,
    queued: usize,
}

impl Outgoing {
    /// Returns where the head is written. Nothing else waits then.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.is_empty(), "the reply before is written");
        self.head.clear();
        self.written = 0;
        &mut self.head
    }

    /// Adds a part of the body.
    pub(super) fn push(&mut self, data: Bytes, framing: Framing) {
        if framing != Framing::Chunked {
            self.add(data);
            return;
        }
        if self.parts.is_empty() {
            // The size stands behind the head, or behind nothing.
            if self.written >= self.head.len() {
                self.head.clear();
                self.written = 0;
            }
            digits(&mut self.head, data.len() as u64, 16);
            self.head.extend_from_slice(b"\r\n");
        } else {
            let mut size = Vec::with_capacity(18);
            digits(&mut size, data.len() as u64, 16);
            size.extend_from_slice(b"\r\n");
            self.add(size.into());
        }
        self.add(data);
        self.add(Bytes::from_static(b"\r\n"));
    }

    /// Adds what ends a body.
    pub(super) fn end(&mut self, framing: Framing) {
        if framing == Framing::Chunked {
            self.add(Bytes::from_static(b"0\r\n\r\n"));
        }
    }

    fn add(&mut self, data: Bytes) {
        self.queued += data.len();
        self.parts.push_back(data);
    }

    /// Returns how many bytes of the body wait.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.written >= self.head.len()
    }

    /// Tries one write.
    pub(super) fn poll_write(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let head = self.head.get(self.written..).filter(|head| !head.is_empty());
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(head.into_iter().chain(self.parts.iter().map(AsRef::as_ref))) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        match Pin::new(io).poll_write_vectored(cx, slices.get(..count).unwrap_or_default()) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => {
                self.advance(written);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn advance(&mut self, written: usize) {
        let of_head = written.min(self.head.len().saturating_sub(self.written));
        self.written += of_head;
        let mut left = written - of_head;
        while left > 0
            && let Some(first) = self.parts.front_mut()
        {
            let taken = left.min(first.len());
            bytes::Buf::advance(first, taken);
            self.queued -= taken;
            left -= taken;
            if first.is_empty() {
                self.parts.pop_front();
            }
        }
        debug_assert_eq!(left, 0, "the stream took more than it was given");
    }

    /// Gives room back that a usual reply does not need.
    pub(super) fn rest(&mut self) {
        if self.head.capacity() > 4 << 10 {
            self.head = Vec::new();
        }
        if self.parts.capacity() > 16 {
            self.parts = VecDeque::new();
        }
        self.head.clear();
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_795_271_479, "Sat, 21 Nov 2026 14:31:19 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(seconds), text);
        }
    }

    #[test]
    fn numbers_have_their_digits() {
        for (number, base, text) in
            [(0, 10, "0"), (7, 16, "7"), (255, 16, "ff"), (u64::MAX, 10, "18446744073709551615")]
        {
            let mut out = Vec::new();
            digits(&mut out, number, base);
            assert_eq!(out, text.as_bytes());
        }
    }
}

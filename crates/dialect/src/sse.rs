//! Framing of server-sent events (WHATWG HTML, section 9.2), by offsets: bytes are cut into events, never rewritten.
//!
//! Lines end with LF, CR or CRLF, in any mixture; an empty line ends an event. Any way of cutting the bytes gives the
//! same events, but that the LF of a CRLF which arrives late stands at the start of the next event, where it means
//! nothing.

use std::ops::Range;

use memchr::{memchr, memchr2};

/// How far bytes were searched for the end of an event, so that no byte is searched twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// Where the current line starts.
    line: usize,
    /// Up to where it holds no line end.
    to: usize,
}

/// Returns the length of the first complete event of the bytes (its empty line included), or `None` when it is not
/// complete yet; then `searched` says where the next search of the same bytes and more goes on.
pub fn event_end(bytes: &[u8], searched: &mut Searched) -> Option<usize> {
    // A LF at the very start belongs to the CR that ended the event before.
    if searched.to == 0 && bytes.first() == Some(&b'\n') {
        *searched = Searched { line: 1, to: 1 };
    }
    loop {
        let rest = bytes.get(searched.to..).unwrap_or_default();
        let Some(length) = memchr2(b'\n', b'\r', rest) else {
            searched.to = bytes.len();
            return None;
        };
        let end = searched.to + length;
        let next = match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => end + 2,
            // Half of a CRLF, perhaps: a line that is not empty waits for the next byte.
            (Some(b'\r'), None) if end > searched.line => {
                searched.to = end;
                return None;
            }
            _ => end + 1,
        };
        if end == searched.line {
            *searched = Searched::default();
            return Some(next);
        }
        *searched = Searched { line: next, to: next };
    }
}

/// Returns the length of the first line of the bytes, its LF included, or `None` when it is not complete yet.
pub fn line_end(bytes: &[u8], searched: &mut Searched) -> Option<usize> {
    let Some(length) = memchr(b'\n', bytes.get(searched.to..).unwrap_or_default()) else {
        searched.to = bytes.len();
        return None;
    };
    let end = searched.to + length + 1;
    *searched = Searched::default();
    Some(end)
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// No data: a comment, a ping, an empty line.
    None,
    /// One data line; the range is its value inside the event.
    Line(Range<usize>),
    /// Several data lines, joined by LF as the standard says.
    Joined(Vec<u8>),
}

/// Returns the data of one complete event.
pub fn data(event: &[u8]) -> Data {
    let mut found = Data::None;
    let mut line = 0;
    while let Some(rest) = event.get(line..) {
        let Some(length) = memchr2(b'\n', b'\r', rest) else { break };
        if let Some(value) = data_value(event, line..line + length) {
            found = match found {
                Data::None => Data::Line(value),
                Data::Line(first) => {
                    let mut joined = event.get(first).unwrap_or_default().to_vec();
                    push_line(&mut joined, event, value);
                    Data::Joined(joined)
                }
                Data::Joined(mut joined) => {
                    push_line(&mut joined, event, value);
                    Data::Joined(joined)
                }
            };
        }
        line += length + 1;
    }
    found
}

/// Returns the name of one complete event: the value of its last `event` field.
pub fn name(event: &[u8]) -> Option<&[u8]> {
    let lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines
        .filter_map(|line| line.strip_prefix(b"event:"))
        .next_back()
        .map(|value| value.strip_prefix(b" ").unwrap_or(value))
}

fn push_line(joined: &mut Vec<u8>, event: &[u8], value: Range<usize>) {
    joined.push(b'\n');
    joined.extend_from_slice(event.get(value).unwrap_or_default());
}

/// Returns the value of a `data` field: what follows the colon, without one leading space.
fn data_value(event: &[u8], line: Range<usize>) -> Option<Range<usize>> {
    let text = event.get(line.clone())?;
    let after = text.strip_prefix(b"data")?;
    match after {
        [] => Some(line.end..line.end),
        [b':', b' ', ..] => Some(line.start + 6..line.end),
        [b':', ..] => Some(line.start + 5..line.end),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &[u8]) -> Vec<&[u8]> {
        let mut rest = text;
        let mut found = Vec::new();
        while let Some(end) = event_end(rest, &mut Searched::default()) {
            let (event, after) = rest.split_at(end);
            found.push(event);
            rest = after;
        }
        found
    }

    fn values(text: &[u8]) -> Vec<String> {
        events(text)
            .into_iter()
            .filter_map(|event| match data(event) {
                Data::None => None,
                Data::Line(range) => Some(event[range].to_vec()),
                Data::Joined(joined) => Some(joined),
            })
            .map(|value| String::from_utf8(value).unwrap())
            .collect()
    }

    #[test]
    fn knows_every_line_end() {
        for text in [
            "data: a\n\ndata:b\n\n",
            "data: a\r\n\r\ndata:b\r\n\r\n",
            "data: a\r\rdata:b\r\r",
            "data: a\n\r\ndata:b\r\n\n",
        ] {
            assert_eq!(values(text.as_bytes()), ["a", "b"], "{text:?}");
        }
    }

    #[test]
    fn joins_lines_and_skips_comments() {
        assert_eq!(values(b": ping\n\nevent: x\nid: 7\ndata: 1\ndata\ndata: 2\n\n"), ["1\n\n2"]);
        assert_eq!(values(b"data:  two spaces\n\n"), [" two spaces"]);
    }

    #[test]
    fn knows_the_name() {
        assert_eq!(name(b"event: a\r\ndata: event: b\r\n\r\n"), Some(b"a".as_slice()));
        assert_eq!(name(b"data: 1\n\n"), None);
    }

    #[test]
    fn waits_for_the_empty_line() {
        for text in ["data: a\n", "data: a\r", "data: a\r\n"] {
            assert_eq!(event_end(text.as_bytes(), &mut Searched::default()), None, "{text:?}");
        }
        assert_eq!(event_end(b"data: a\r\n\r", &mut Searched::default()), Some(10));
    }

    #[test]
    fn goes_on_where_it_stopped() {
        for text in ["data: a\n\n", "data: a\r\n\r\n", "data: a\r\r", "\ndata: a\ndata: b\n\n"] {
            let mut searched = Searched::default();
            let mut found = None;
            for length in 0..=text.len() {
                found = found.or_else(|| event_end(&text.as_bytes()[..length], &mut searched));
            }
            let whole = event_end(text.as_bytes(), &mut Searched::default());
            // A CRLF that is cut in two ends the event at its CR.
            assert!(found == whole || found.map(|end| end + 1) == whole, "{text:?}");
        }
    }

    #[test]
    fn a_late_lf_means_nothing() {
        assert_eq!(values(b"\ndata: b\n\n"), ["b"]);
    }
}

//! How an answer begins: whether its first bytes are those of a stream, whatever its content type says.

use ir::dialect::Dialect;

/// Whether a content type is the one of a dialect's streams.
pub fn is_stream_type(dialect: Dialect, kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match dialect {
        Dialect::Ollama => {
            kind.eq_ignore_ascii_case("application/x-ndjson") || kind.eq_ignore_ascii_case("application/json")
        }
        _ => kind.eq_ignore_ascii_case("text/event-stream"),
    }
}

/// What the first bytes of a body say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A stream begins.
    Stream,
    /// Something else does, such as an error: no line of a stream begins like this.
    Other,
    /// It may be a stream if it is called one.
    Unclear,
    /// Nothing yet.
    Blank,
    /// It may end within a word.
    Short,
}

/// A byte order mark, in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns a body without the byte order mark that some servers put before JSON: it is none of it (RFC 8259, section 8.1).
pub fn unmarked(body: &[u8]) -> &[u8] {
    body.strip_prefix(MARK).unwrap_or(body)
}

/// Judges the first bytes of an answer: servers exist that name no type, or the one of plain text, for a stream, and
/// others that call an error a stream.
pub fn judge(dialect: Dialect, bytes: &[u8]) -> Opening {
    if !bytes.is_empty() && bytes.len() < MARK.len() && MARK.starts_with(bytes) {
        return Opening::Short;
    }
    let bytes = unmarked(bytes).trim_ascii_start();
    if bytes.is_empty() {
        return Opening::Blank;
    }
    if dialect == Dialect::Ollama {
        return if bytes.starts_with(b"{") { Opening::Stream } else { Opening::Unclear };
    }
    if bytes.starts_with(b"{") || bytes.starts_with(b"[") {
        return Opening::Other;
    }
    let fields = [&b"data:"[..], b"event:", b"id:", b"retry:", b":"];
    if fields.iter().any(|field| bytes.starts_with(field)) {
        Opening::Stream
    } else if fields.iter().any(|field| field.starts_with(bytes)) {
        Opening::Short
    } else {
        Opening::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, bytes: &str, expect: Opening) {
        assert_eq!(judge(dialect, bytes.as_bytes()), expect, "{bytes:?}");
    }

    #[test]
    fn the_first_bytes_say_what_begins() {
        for (bytes, expect) in [
            ("data: {}", Opening::Stream),
            ("\u{feff}event: a", Opening::Stream),
            ("\n\n: ping", Opening::Stream),
            (" {\"id\"", Opening::Other),
            ("[", Opening::Other),
            ("dat", Opening::Short),
            ("", Opening::Blank),
            ("\r\n", Opening::Blank),
            ("<html>", Opening::Unclear),
        ] {
            check(Dialect::OpenaiChat, bytes, expect);
        }
        check(Dialect::Ollama, "{\"model\"", Opening::Stream);
        check(Dialect::Ollama, "data: {}", Opening::Unclear);
        assert_eq!(judge(Dialect::Gemini, b"\xef\xbb"), Opening::Short);
    }
}

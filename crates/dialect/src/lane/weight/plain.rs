//! A request's body without escapes of what needs none, so that words in it are found however they are spelled.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem::find;

/// Returns a body in which `\u0061` and `\/` stand as `a` and `/`. Quotes, backslashes, control characters and all that is
/// not ASCII stay escaped, so that the strings of the body stay what they are.
pub(super) fn plain(body: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(b'\\', body) else { return Cow::Borrowed(body) };
    let escaped = body.get(first..).unwrap_or_default();
    if find(escaped, b"\\u00").is_none() && find(escaped, b"\\/").is_none() {
        return Cow::Borrowed(body);
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, escape)) = memchr(b'\\', rest).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(before);
        let length = match of(escape) {
            Some((byte, length)) => {
                out.push(byte);
                length
            }
            None => {
                out.extend_from_slice(escape.get(..2).unwrap_or(escape));
                2
            }
        };
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Returns what an escape stands for, and its length, where that needs none.
fn of(escape: &[u8]) -> Option<(u8, usize)> {
    if escape.starts_with(b"\\/") {
        return Some((b'/', 2));
    }
    let digits = escape.strip_prefix(b"\\u00")?.get(..2)?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = digits.iter().try_fold(0_u8, |byte, next| Some(byte << 4 | digit(next)?))?;
    (matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')).then_some((byte, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: &str) {
        assert_eq!(String::from_utf8_lossy(&plain(body.as_bytes())), expect, "{body}");
    }

    #[test]
    fn what_needs_no_escape_stands_plainly() {
        check("", "");
        check("{}", "{}");
        check(r"\u0061b\u005Fc\/d", "ab_c/d");
        check(r"\u0022\u005c\u000a\u007f\u00e9\u2603\n\/", r"\u0022\u005c\u000a\u007f\u00e9\u2603\n/");
        check(r"\\u0061 \\\u0061", r"\\u0061 \\a");
        // A body is JSON; what is none stays what it is.
        check(r"\u00", r"\u00");
        check(r"\u00+1\u006", r"\u00+1\u006");
        check(r"\u0061\", r"a\");
    }
}

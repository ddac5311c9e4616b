//! The text of JSON strings, read so that nothing is overlooked: what a strict parser refuses inside a string (raw control
//! characters, half a pair of surrogates, bytes that are not UTF-8) is read as a lenient one would.

use std::borrow::Cow;

use memchr::memchr;

/// Returns the text of a JSON string value (quotes included), unescaped; `None` when it is no string. What is no
/// character is read as U+FFFD.
pub fn lenient(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(unescape(inner))
}

/// Returns the name of a member, unescaped.
pub fn name(name: &[u8]) -> Cow<'_, [u8]> {
    match name.contains(&b'\\') {
        false => Cow::Borrowed(name),
        true => Cow::Owned(unescape(name).into_owned().into_bytes()),
    }
}

/// Returns a text as a JSON string, with its quotes.
pub fn quoted(text: &str) -> Vec<u8> {
    // Serialising a string cannot fail.
    serde_json::to_vec(text).unwrap_or_default()
}

/// Returns a text as it stands inside a JSON string, without quotes.
pub fn escaped(text: &str) -> Vec<u8> {
    let mut quoted = quoted(text);
    quoted.pop();
    quoted.drain(..1.min(quoted.len()));
    quoted
}

fn unescape(inner: &[u8]) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', inner) else {
        return simdutf8::basic::from_utf8(inner).map_or_else(|_| String::from_utf8_lossy(inner), Cow::Borrowed);
    };
    let mut text = Vec::with_capacity(inner.len());
    let (mut at, mut next) = (0, Some(first));
    while let Some(backslash) = next {
        text.extend_from_slice(inner.get(at..backslash).unwrap_or_default());
        let (character, length) = escape(inner.get(backslash..).unwrap_or_default());
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        at = backslash + length;
        next = inner.get(at..).and_then(|rest| memchr(b'\\', rest)).map(|length| at + length);
    }
    text.extend_from_slice(inner.get(at..).unwrap_or_default());
    Cow::Owned(String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Returns the character of an escape (RFC 8259 section 7) and the length of that escape.
fn escape(bytes: &[u8]) -> (char, usize) {
    let plain = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let Some(high) = unit(bytes) else { return (char::REPLACEMENT_CHARACTER, 2) };
            let low = bytes.get(6..).and_then(unit);
            let pair = char::decode_utf16([Some(high), low].into_iter().flatten()).next();
            return match (pair, u32::from(high)) {
                (Some(Ok(character)), 0xd800..=0xdbff) => (character, 12),
                (Some(Ok(character)), _) => (character, 6),
                _ => (char::REPLACEMENT_CHARACTER, 6),
            };
        }
        Some(byte) if byte.is_ascii() => char::from(*byte),
        _ => char::REPLACEMENT_CHARACTER,
    };
    (plain, 2.min(bytes.len().max(1)))
}

/// Returns the UTF-16 unit that `\uXXXX` stands for.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expect: &str) {
        assert_eq!(lenient(value).as_deref(), Some(expect), "{}", String::from_utf8_lossy(value));
    }

    #[test]
    fn escapes_are_read() {
        check(br#""plain""#, "plain");
        check(br#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz");
        check(br#""\u006fbscene \u00e9\ud83d\ude00!""#, "obscene é\u{1f600}!");
        check(br#""""#, "");
    }

    #[test]
    fn what_is_no_character_is_replaced_and_nothing_is_lost() {
        check(br#""\ud83dx""#, "\u{fffd}x");
        check(br#""\ude00\ud83d\ud83d\ude00""#, "\u{fffd}\u{fffd}\u{1f600}");
        check(b"\"a\xffb\\n\xff\"", "a\u{fffd}b\n\u{fffd}");
        check(b"\"raw\x01\ncontrol\\t\"", "raw\u{1}\ncontrol\t");
        assert_eq!(lenient(b"null"), None);
        assert_eq!(lenient(b"\""), None);
    }

    #[test]
    fn texts_are_written() {
        assert_eq!(quoted("a\"\n"), br#""a\"\n""#);
        assert_eq!(escaped("\n\nx"), br"\n\nx");
        assert_eq!(escaped(""), b"");
        assert_eq!(name(br"c\u006fntent").as_ref(), b"content");
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_serde(text: String) {
            let value = quoted(&text);
            let found = lenient(&value);
            proptest::prop_assert_eq!(found.as_deref(), Some(text.as_str()));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..20)) {
            let value = [b"\"\\u", bytes.as_slice(), b"\""].concat();
            lenient(&value);
        }
    }
}

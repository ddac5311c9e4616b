//! A scanner for JSON text (RFC 8259) that finds values without building them.
//!
//! It checks the grammar of everything it passes (structure, numbers, literals, escapes) and bounds the nesting, so
//! that what it accepts means the same to a provider's parser. It does not recurse and it does not allocate. What it
//! leaves to others: raw control characters inside strings, and lone surrogates.

pub mod object;
pub mod text;

use std::ops::Range;

use memchr::memchr2;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: u32 = 127;

/// Why text is not acceptable JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Something other than what the grammar allows, at this byte.
    #[error("invalid JSON at byte {0}")]
    Invalid(usize),
    /// It ends too early.
    #[error("the JSON text ends too early")]
    Truncated,
    /// More than [`MAX_DEPTH`] levels.
    #[error("JSON nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// One member of an object, as byte ranges of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name without its quotes, still escaped.
    pub name: Range<usize>,
    /// The value, from its first to its last byte.
    pub value: Range<usize>,
}

impl<'a> Scanner<'a> {
    /// Starts at a byte of a text.
    pub fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// Returns the byte at which the scanner stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Passes white space and returns the next byte without passing it.
    pub fn peek(&mut self) -> Result<u8, JsonError> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(JsonError::Truncated),
            }
        }
    }

    /// Passes white space and one expected byte.
    pub fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek()? != byte {
            return Err(JsonError::Invalid(self.at));
        }
        self.at += 1;
        Ok(())
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Err(JsonError::Truncated) => Ok(()),
            _ => Err(JsonError::Invalid(self.at)),
        }
    }

    /// Enters an object: passes its `{`.
    pub fn enter_object(&mut self) -> Result<(), JsonError> {
        self.expect(b'{')
    }

    /// Passes the next member of the object that was entered, or its `}` (then `None`). `first` says whether no
    /// member was passed yet.
    pub fn member(&mut self, first: bool) -> Result<Option<Member>, JsonError> {
        let Some(name) = self.member_name(first)? else { return Ok(None) };
        let value = self.value()?;
        Ok(Some(Member { name, value }))
    }

    /// Like [`Scanner::member`], but stops before the value, so that the caller can enter it.
    pub fn member_name(&mut self, first: bool) -> Result<Option<Range<usize>>, JsonError> {
        if self.next_element(first, b'}')? { self.name().map(Some) } else { Ok(None) }
    }

    /// Enters the object or array that opens with `open` if that is what follows; otherwise passes the value (a
    /// `null`, say) and returns `false`.
    pub fn enter_or_pass(&mut self, open: u8) -> Result<bool, JsonError> {
        if self.peek()? == open {
            self.at += 1;
            return Ok(true);
        }
        self.value()?;
        Ok(false)
    }

    /// Enters an array: passes its `[`.
    pub fn enter_array(&mut self) -> Result<(), JsonError> {
        self.expect(b'[')
    }

    /// Stands before the next element of the array that was entered (then `true`), or passes its `]`.
    pub fn element(&mut self, first: bool) -> Result<bool, JsonError> {
        self.next_element(first, b']')
    }

    fn next_element(&mut self, first: bool, close: u8) -> Result<bool, JsonError> {
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        if !first {
            if byte != b',' {
                return Err(JsonError::Invalid(self.at));
            }
            self.at += 1;
            if self.peek()? == close {
                return Err(JsonError::Invalid(self.at));
            }
        }
        Ok(true)
    }

    /// Passes one value of any kind and returns where it stands.
    pub fn value(&mut self) -> Result<Range<usize>, JsonError> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.nested()?,
            _ => self.scalar()?,
        }
        Ok(start..self.at)
    }

    /// Passes an array or object with all that it holds. The kinds of the open levels are bits of one integer.
    fn nested(&mut self) -> Result<(), JsonError> {
        const OBJECT: u128 = 1;
        let mut kinds: u128 = 0;
        let mut depth: u32 = 0;
        loop {
            // Before a value.
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(JsonError::TooDeep);
                    }
                    let object = open == b'{';
                    kinds = (kinds << 1) | u128::from(object);
                    let close = if object { b'}' } else { b']' };
                    if self.peek()? == close {
                        self.at += 1;
                        kinds >>= 1;
                        depth -= 1;
                    } else {
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.scalar()?,
            }
            // After a value: close levels until a comma asks for another value.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = kinds & OBJECT == OBJECT;
                match (self.peek()?, object) {
                    (b',', true) => {
                        self.at += 1;
                        self.name()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        kinds >>= 1;
                        depth -= 1;
                    }
                    _ => return Err(JsonError::Invalid(self.at)),
                }
            }
        }
    }

    /// Passes `"name":` and returns what stands between the quotes.
    fn name(&mut self) -> Result<Range<usize>, JsonError> {
        if self.peek()? != b'"' {
            return Err(JsonError::Invalid(self.at));
        }
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Passes a string and returns what stands between its quotes.
    fn string(&mut self) -> Result<Range<usize>, JsonError> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += quote_or_escape(self.text.get(at..).ok_or(JsonError::Truncated)?).ok_or(JsonError::Truncated)?;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Ok(start..at);
            }
            at = self.escape(at)?;
        }
    }

    /// Passes an escape whose backslash stands at `at`.
    fn escape(&self, at: usize) -> Result<usize, JsonError> {
        match self.text.get(at + 1).ok_or(JsonError::Truncated)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
            b'u' => {
                let digits = self.text.get(at + 2..at + 6).ok_or(JsonError::Truncated)?;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(at + 6) } else { Err(JsonError::Invalid(at)) }
            }
            _ => Err(JsonError::Invalid(at)),
        }
    }

    /// Passes a number or a literal.
    fn scalar(&mut self) -> Result<(), JsonError> {
        let is_of_word = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
        let rest = self.text.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Most of them are whole numbers.
        if matches!(rest.first(), Some(b'1'..=b'9')) && !rest.get(digits).is_some_and(is_of_word) {
            self.at += digits;
            return Ok(());
        }
        let length = rest.iter().position(|byte| !is_of_word(byte)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        if !(matches!(word, b"true" | b"false" | b"null") || is_number(word)) {
            return Err(if length == rest.len() && length > 0 {
                JsonError::Truncated
            } else {
                JsonError::Invalid(self.at)
            });
        }
        self.at += length;
        Ok(())
    }
}

/// Returns where the first quote or backslash stands. Most strings are short (names, roles, ids): their first bytes are
/// looked at eight at a time in a register, because a vector search pays only from some length on.
fn quote_or_escape(text: &[u8]) -> Option<usize> {
    const WORDS: usize = 3;
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let mut at = 0;
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let found = is_zero(word ^ (ONES * u64::from(b'"'))) | is_zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at == WORDS * 8 {
            break;
        }
    }
    memchr2(b'"', b'\\', text.get(at..)?).map(|length| at + length)
}

/// Tells whether the bytes are a number: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(word: &[u8]) -> bool {
    fn digits(word: &[u8]) -> Option<&[u8]> {
        let count = word.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 { None } else { word.get(count..) }
    }
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let mut rest = match word {
        [b'0', rest @ ..] => rest,
        _ => match digits(word) {
            Some(rest) => rest,
            None => return false,
        },
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        match digits(fraction) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        match digits(exponent) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Calls `visit` with the name (still escaped) and the value's range for each member of the object that `range` of
/// the text holds. Anything that is not an object is an error.
pub fn each_member(
    text: &[u8],
    range: Range<usize>,
    mut visit: impl FnMut(&[u8], Range<usize>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(text, range.start);
    scanner.enter_object()?;
    let mut first = true;
    while let Some(member) = scanner.member(first)? {
        first = false;
        visit(text.get(member.name).unwrap_or_default(), member.value)?;
    }
    Ok(())
}

/// Returns the text of a JSON string value (quotes included), unescaped; `None` when it is not a string. An escaped
/// surrogate without its other half is no character: it is read as U+FFFD, as browsers and most servers do.
pub fn string(value: &[u8]) -> Option<String> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice(value).ok().or_else(|| serde_json::from_slice(&without_halves(value)).ok());
    }
    std::str::from_utf8(inner).ok().map(str::to_owned)
}

/// Returns a JSON string with `\ufffd` in the place of every half of a pair of surrogates that stands alone.
fn without_halves(value: &[u8]) -> Vec<u8> {
    let unit = |at: usize| {
        let digits = value.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let length = match (byte, unit(at)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => {
                out.extend_from_slice(b"\\ufffd");
                at += 6;
                continue;
            }
            (b'\\', _) => 2,
            _ => 1,
        };
        out.extend_from_slice(value.get(at..at + length).unwrap_or_default());
        at += length;
    }
    out
}

/// Returns the value of a JSON number that is a whole number of at most 19 digits; `None` for anything else.
pub fn integer(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(text, 0);
        scanner.value()?;
        scanner.end()
    }

    #[test]
    fn halves_of_surrogates_are_no_characters() {
        for (text, expect) in [
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00\ud83d\ud83d\ude00\\ud83d\n""#, "\u{fffd}\u{fffd}\u{1f600}\\ud83d\n"),
        ] {
            assert_eq!(string(text.as_bytes()).as_deref(), Some(expect), "{text}");
        }
        assert_eq!(string(br#""\x""#), None);
    }

    #[test]
    fn agrees_with_serde_on_what_is_json() {
        let texts: &[&str] = &[
            "{}",
            "[]",
            "0",
            "-0",
            "1.5e-3",
            "1E+2",
            "\"\"",
            "\"a\\u00e9\\n\"",
            "true",
            "null",
            " [1, {\"a\":[]}, \"x\"] ",
            "{\"a\":{\"b\":{}},\"c\":[[[]]]}",
            "01",
            "1.",
            ".5",
            "1e",
            "-",
            "+1",
            "tru",
            "nul",
            "True",
            "[1,]",
            "{,}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "[1 2]",
            "]",
            "{]",
            "[}",
            "\"\\x\"",
            "\"\\u12g4\"",
            "",
            " ",
            "[",
            "{\"a\"",
            "{\"a\":",
            "\"abc",
            "1 2",
            "{}{}",
            "[[]",
            "{\"a\":}",
            "'a'",
            "NaN",
            "0x10",
            "1a",
            "truefalse",
        ];
        for text in texts {
            let expect = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(whole(text.as_bytes()).is_ok(), expect, "{text}");
        }
    }

    #[test]
    fn bounds_the_nesting_without_recursion() {
        let deep = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert_eq!(whole(&deep(127)), Ok(()));
        assert_eq!(whole(&deep(128)), Err(JsonError::TooDeep));
        assert_eq!(whole(&vec![b'['; 200_000]), Err(JsonError::TooDeep));
        assert_eq!(whole("{\"a\":".repeat(200_000).as_bytes()), Err(JsonError::TooDeep));
    }

    #[test]
    fn lists_members() {
        let text = br#" {"a" : 1, "b":[2,{"c":3}] , "d":"x"} "#;
        let mut seen = Vec::new();
        each_member(text, 0..text.len(), |name, value| {
            seen.push((String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(&text[value]).into_owned()));
            Ok(())
        })
        .unwrap();
        let expect = [("a", "1"), ("b", r#"[2,{"c":3}]"#), ("d", "\"x\"")];
        assert_eq!(seen, expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_accepts_what_serde_refuses(text in r#"[\[\]{}",:a\\u0-9eE+. -]{0,40}"#) {
            if whole(text.as_bytes()).is_ok() {
                proptest::prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }
    }
}

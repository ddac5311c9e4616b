//! Names in headers: whatever a name holds, the header holds printable ASCII, and one name is not taken for two.

use http::HeaderValue;
use ir::money::digits;
use percent_encoding::{AsciiSet, CONTROLS, PercentEncode, utf8_percent_encode};

/// What is escaped besides controls and everything that is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b',');

/// Returns a name as it stands in a header.
pub(crate) fn printable(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, ESCAPED)
}

/// Returns a header of one name.
pub(crate) fn header(name: &str) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(printable(name).to_string()))
        .unwrap_or(HeaderValue::from_static(""))
}

/// Returns a header of a number. `HeaderValue::from` asks for memory twice.
pub(crate) fn number(value: u64) -> HeaderValue {
    /// Most requests take one attempt, and none of some limits is left.
    static FEW: [HeaderValue; 2] = [HeaderValue::from_static("0"), HeaderValue::from_static("1")];
    if let Some(few) = FEW.get(usize::try_from(value).unwrap_or(usize::MAX)) {
        return few.clone();
    }
    let (digits, first) = digits(value);
    let text = digits.get(first..).unwrap_or_default();
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("0"))
}

/// Returns a header of several names, cut at a length.
pub(crate) fn list(names: &[String], max_bytes: usize) -> HeaderValue {
    let mut text = String::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.extend(printable(name));
        if text.len() > max_bytes {
            break;
        }
    }
    text.truncate(max_bytes);
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for value in [0, 1, 2, 7, 10, 1_795_000_065, u64::MAX] {
            assert_eq!(number(value), value.to_string());
        }
    }

    #[test]
    fn nothing_but_printable_ascii() {
        assert_eq!(header("gpt-4o/x y"), "gpt-4o/x y");
        assert_eq!(header("a\r\nb: ü%"), "a%0D%0Ab: %C3%BC%25");
        let names = ["a, b".to_owned(), "\0".to_owned(), "c".to_owned()];
        assert_eq!(list(&names, 100), "a%2C b, %00, c");
        assert_eq!(list(&names, 9), "a%2C b, %");
        assert_eq!(list(&[], 9), "");
    }
}

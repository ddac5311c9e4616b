//! The headers that an operator may add to requests.

use crate::snapshot::http_name::HeaderName;

/// Headers that the gateway or the connection sets; letting them be configured would break framing or authentication.
const FORBIDDEN: [&str; 17] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads a header name (RFC 9110 section 5.6.2: token).
pub(super) fn compile_name(name: &str) -> Result<HeaderName, &'static str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 200 || !name.bytes().all(token) {
        return Err("not a header name");
    }
    let name = name.to_ascii_lowercase();
    if FORBIDDEN.contains(&name.as_str()) {
        return Err("this header belongs to the gateway");
    }
    Ok(HeaderName(name.into()))
}

/// Checks a header value: visible ASCII, spaces and tabs. A line break would let it add headers of its own.
pub(super) fn check_value(value: &str) -> Result<(), &'static str> {
    if value.len() > 8 << 10 {
        return Err("longer than 8 KiB");
    }
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        Ok(())
    } else {
        Err("it holds a line break, a control character or a character that is not ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        assert_eq!(compile_name("X-Team").map(|name| name.as_str().to_owned()), Ok("x-team".to_owned()));
        for name in ["", "a b", "a:b", "a\r\nb", "ü"] {
            assert_eq!(compile_name(name), Err("not a header name"), "{name:?}");
        }
        for name in ["Authorization", "HOST", "content-length", "Transfer-Encoding", "connection"] {
            assert!(compile_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn values_hold_no_line_breaks() {
        assert!(check_value("a b\tc").is_ok());
        assert!(check_value("a\r\nb: c").is_err());
        assert!(check_value("\0").is_err());
        assert!(check_value(&"a".repeat(9000)).is_err());
    }
}

//! Finding one field of a JSON text without parsing it.
use memchr::memmem;

/// The text after `"name":` at its first occurrence as a key. A quoted copy inside a JSON string is written `\"name\"`
/// and so is not taken for a key.
pub fn after_key<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let quoted = format!("\"{name}\"");
    for at in memmem::find_iter(text, quoted.as_bytes()) {
        if at > 0 && text[at - 1] == b'\\' {
            continue;
        }
        let rest = text[at + quoted.len()..].trim_ascii_start();
        if let Some((b':', value)) = rest.split_first() {
            return Some(value.trim_ascii_start());
        }
    }
    None
}

/// Whether the field is `true`.
pub fn is_true(text: &[u8], name: &str) -> bool {
    after_key(text, name).is_some_and(|v| v.starts_with(b"true"))
}

/// A string field's raw content (escapes are left as they are).
pub fn string<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = after_key(text, name)?.strip_prefix(b"\"")?;
    Some(&value[..memchr::memchr(b'"', value)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_not_values() {
        let t = br#"{"messages":[{"role":"user","content":"a \"user\": \"no\""}],"stream" : true,"user": "id-7"}"#;
        assert_eq!(string(t, "user"), Some(&b"id-7"[..]));
        assert!(is_true(t, "stream"));
        assert!(!is_true(t, "include_usage"));
    }
}

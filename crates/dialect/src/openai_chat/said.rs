//! How long is what was said, in bytes: the estimate of its tokens where nobody reports them.

use crate::json::{JsonError, Scanner};

/// Returns the length of a member of a message, or of a part of one. Of a tool that is called it is the name and the
/// arguments: what stands around them is repeated with every piece of a stream, and is no token of the model's.
pub(super) fn bytes_of(name: &[u8], value: &[u8]) -> u64 {
    let whole = value.len().saturating_sub(2) as u64;
    if name != b"tool_calls" {
        return whole;
    }
    let mut bytes = 0;
    calls(value, &mut bytes).map_or(whole, |()| bytes)
}

fn calls(value: &[u8], bytes: &mut u64) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(value, 0);
    scanner.enter_array()?;
    let mut first = true;
    while scanner.element(first)? {
        first = false;
        members(value, &mut scanner, bytes, |name| matches!(name, b"function" | b"custom"))?;
    }
    Ok(())
}

/// Passes an object. Adds up the text in it: in a call that of the function, there its name and what it is given.
fn members(
    value: &[u8],
    scanner: &mut Scanner<'_>,
    bytes: &mut u64,
    inside: fn(&[u8]) -> bool,
) -> Result<(), JsonError> {
    if !scanner.enter_or_pass(b'{')? {
        return Ok(());
    }
    let mut first = true;
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        let name = value.get(name).unwrap_or_default();
        if inside(name) {
            members(value, scanner, bytes, |_| false)?;
            continue;
        }
        let text = value.get(scanner.value()?).unwrap_or_default();
        if matches!(name, b"name" | b"arguments" | b"input") && text != b"null" {
            *bytes += text.len().saturating_sub(2) as u64;
        }
    }
    Ok(())
}

/// Adds up how long the messages of the choices are: everything in them but who speaks, and what is quoted from elsewhere.
/// Log probabilities and the like stand beside a message, and are not said.
pub(super) fn in_reply(body: &[u8], bytes: &mut u64) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(body, 0);
    scanner.enter_object()?;
    let mut first = true;
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        if body.get(name) != Some(b"choices") {
            scanner.value()?;
            continue;
        }
        scanner.enter_array()?;
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            scanner.enter_object()?;
            let mut first = true;
            while let Some(name) = scanner.member_name(first)? {
                first = false;
                match body.get(name) {
                    Some(b"message") => message(body, &mut scanner, bytes)?,
                    _ => _ = scanner.value()?,
                }
            }
        }
    }
    Ok(())
}

fn message(body: &[u8], scanner: &mut Scanner<'_>, bytes: &mut u64) -> Result<(), JsonError> {
    if !scanner.enter_or_pass(b'{')? {
        return Ok(());
    }
    let mut first = true;
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        let value = body.get(scanner.value()?).unwrap_or_default();
        let unsaid = matches!(value, b"null" | b"\"\"" | b"[]" | b"{}");
        if !unsaid && !matches!(body.get(name.clone()), Some(b"role" | b"annotations")) {
            *bytes += bytes_of(body.get(name).unwrap_or_default(), value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_call_the_name_and_the_arguments_count() {
        let check = |name: &str, value: &str, expect: u64| {
            assert_eq!(bytes_of(name.as_bytes(), value.as_bytes()), expect, "{name} {value}");
        };
        check("content", r#""Hello""#, 5);
        check("reasoning_content", r#""""#, 0);
        check("tool_calls", "[]", 0);
        let begun = r#"{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}"#;
        check("tool_calls", &format!("[{begun}]"), 7);
        check("tool_calls", r#"[{"index":0,"function":{"arguments":"{\"a"}}]"#, 4);
        check("tool_calls", r#"[{"function":{"arguments":"{}"}}, {"custom":{"name":"f","input":"abc"}}]"#, 6);
        check("tool_calls", r#"[{"function":{"arguments":{"city":"Rome"}}},null,7]"#, 13);
        // What is no list of calls counts whole.
        check("tool_calls", r#"{"a":1}"#, 5);
    }
}

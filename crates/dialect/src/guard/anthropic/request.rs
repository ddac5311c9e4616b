//! A request: <https://docs.claude.com/en/api/messages>. The body was read before: it is JSON.

use std::ops::Range;

use bytes::Bytes;

use crate::guard::said::Texts;
use crate::guard::{Said, prompt};
use crate::json::text::{name, quoted};
use crate::json::{JsonError, Scanner};
use crate::splice::Patch;

/// Passes every text of a request on, in its order: the system prompt and the contents of all messages, whoever speaks.
///
/// # Errors
/// What `visit` says of the first text that it refuses.
pub fn texts<E>(body: &[u8], visit: impl FnMut(Said<'_>) -> Result<(), E>) -> Result<(), E> {
    let mut texts = Texts::new(body, visit);
    // A body that is no request has no texts; it was refused before.
    let _ = read(body, &mut texts);
    texts.end()
}

/// Returns the patch of the body that appends a system prompt to the caller's, or adds one.
pub fn inject(body: &[u8], prompt: &str) -> Option<Patch> {
    let mut system = None;
    let mut scanner = Scanner::new(body, 0);
    scanner.enter_object().ok()?;
    let start = scanner.position();
    let mut first = true;
    while let Some(member) = scanner.member(first).ok()? {
        first = false;
        if body.get(member.name) == Some(b"system") {
            system = Some(member.value);
        }
    }
    if let Some(system) = system {
        return Some(prompt::append(body, &system, prompt));
    }
    let comma: &[u8] = if first { b"" } else { b"," };
    let with = [b"\"system\":", quoted(prompt).as_slice(), comma].concat();
    Some(Patch { range: start..start, with: Bytes::from(with) })
}

fn read<E>(body: &[u8], texts: &mut Texts<'_, impl FnMut(Said<'_>) -> Result<(), E>, E>) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(body, 0);
    scanner.enter_object()?;
    let mut first = true;
    while let Some(found) = scanner.member_name(first)? {
        first = false;
        match body.get(found) {
            Some(b"system") => texts.message(scanner.value()?, false),
            Some(b"messages") if scanner.enter_or_pass(b'[')? => {
                let mut first = true;
                while scanner.element(first)? {
                    first = false;
                    let (content, by_user) = message(body, &mut scanner)?;
                    for content in content {
                        texts.message(content, by_user);
                    }
                }
            }
            Some(b"messages") => {}
            _ => _ = scanner.value()?,
        }
    }
    Ok(())
}

/// Returns the contents of a message, and whether the user says them.
fn message(body: &[u8], scanner: &mut Scanner<'_>) -> Result<(Vec<Range<usize>>, bool), JsonError> {
    let (mut content, mut by_user) = (Vec::new(), false);
    if !scanner.enter_or_pass(b'{')? {
        return Ok((content, by_user));
    }
    let mut first = true;
    while let Some(member) = scanner.member(first)? {
        first = false;
        match name(body.get(member.name).unwrap_or_default()).as_ref() {
            b"role" => by_user = body.get(member.value) == Some(b"\"user\""),
            b"content" => content.push(member.value),
            _ => {}
        }
    }
    Ok((content, by_user))
}

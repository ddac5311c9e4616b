//! A request: <https://platform.openai.com/docs/api-reference/chat/create>. The body was read before: it is JSON.

use std::ops::Range;

use bytes::Bytes;

use crate::guard::said::Texts;
use crate::guard::{Said, prompt};
use crate::json::text::{lenient, name, quoted};
use crate::json::{JsonError, Scanner};
use crate::splice::Patch;

/// Passes every text of a request on, in its order: the contents of all messages, whoever speaks.
///
/// # Errors
/// What `visit` says of the first text that it refuses.
pub fn texts<E>(body: &[u8], visit: impl FnMut(Said<'_>) -> Result<(), E>) -> Result<(), E> {
    let mut texts = Texts::new(body, visit);
    // A body that is no request has no texts; it was refused before.
    let _ = each_message(body, |message| {
        let by_user = message.role.as_deref() == Some("user");
        let mut first = true;
        for said in message.said {
            if first {
                texts.message(said, by_user)
            } else {
                texts.more(said, by_user)
            }
            first = false;
        }
        true
    });
    texts.end()
}

/// Returns the patch of the body that appends a system prompt to the caller's: to the last of the system messages at the
/// start, or as a message of its own before all others.
pub fn inject(body: &[u8], prompt: &str) -> Option<Patch> {
    let (mut content, mut start) = (None, None);
    each_message(body, |message| {
        start.get_or_insert(message.start);
        let leads = matches!(message.role.as_deref(), Some("system" | "developer"));
        if leads {
            content = message.content.or(content.take());
        }
        leads
    })
    .ok()?;
    if let Some(content) = content {
        return Some(prompt::append(body, &content, prompt));
    }
    let (at, comma): (usize, &[u8]) = match start {
        Some(start) => (start, b","),
        None => (messages_start(body)?, b""),
    };
    let message = [b"{\"role\":\"system\",\"content\":", quoted(prompt).as_slice(), b"}", comma].concat();
    Some(Patch { range: at..at, with: Bytes::from(message) })
}

/// One message.
#[derive(Default)]
struct Message {
    /// Where its `{` stands.
    start: usize,
    role: Option<String>,
    /// Its content.
    content: Option<Range<usize>>,
    /// Everything in it that holds text.
    said: Vec<Range<usize>>,
}

/// Returns where the `[` of the messages ends.
fn messages_start(body: &[u8]) -> Option<usize> {
    let mut scanner = Scanner::new(body, 0);
    enter_messages(body, &mut scanner).ok()?.then(|| scanner.position())
}

/// Enters the list of messages, if there is one.
fn enter_messages(body: &[u8], scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    scanner.enter_object()?;
    let mut first = true;
    while let Some(found) = scanner.member_name(first)? {
        first = false;
        if body.get(found) == Some(b"messages") {
            return scanner.enter_or_pass(b'[');
        }
        scanner.value()?;
    }
    Ok(false)
}

/// Visits every message, until it is told to stop.
fn each_message(body: &[u8], mut visit: impl FnMut(Message) -> bool) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(body, 0);
    if !enter_messages(body, &mut scanner)? {
        return Ok(());
    }
    let mut first = true;
    while scanner.element(first)? {
        first = false;
        let start = scanner.position();
        if !scanner.enter_or_pass(b'{')? {
            continue;
        }
        let mut message = Message { start, ..Message::default() };
        let mut empty = true;
        while let Some(member) = scanner.member(empty)? {
            empty = false;
            match name(body.get(member.name).unwrap_or_default()).as_ref() {
                b"role" => {
                    let role = body.get(member.value).and_then(lenient);
                    message.role = role.map(|role| role.into_owned());
                }
                b"content" => {
                    message.said.push(member.value.clone());
                    message.content = Some(member.value);
                }
                b"refusal" => message.said.push(member.value),
                _ => {}
            }
        }
        if !visit(message) {
            break;
        }
    }
    Ok(())
}

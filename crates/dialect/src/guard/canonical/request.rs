//! A request in the canonical vocabulary.

use ir::chat::message::{Content, Document, Message, Part, Role, Source};
use ir::chat::request::Request;

use crate::guard::{Said, prompt};

/// Passes every text of a request on, in its order: the contents of all messages, whoever speaks.
///
/// # Errors
/// What `visit` says of the first text that it refuses.
pub fn texts<E>(request: &Request, mut visit: impl FnMut(Said<'_>) -> Result<(), E>) -> Result<(), E> {
    for message in &request.messages {
        let mut starts = true;
        parts(&message.parts, message.role == Role::User, &mut |text, by_user| {
            visit(Said { text, starts: std::mem::take(&mut starts), by_user })
        })?;
    }
    Ok(())
}

/// Appends a system prompt to the caller's: to the last of the system messages at the start, or as a message of its own
/// before all others.
pub fn inject(request: &mut Request, prompt: &str) {
    let leads = |message: &&mut Message| matches!(message.role, Role::System | Role::Developer);
    let Some(message) = request.messages.iter_mut().take_while(leads).last() else {
        let parts = vec![Part::text(prompt)];
        let message = Message { role: Role::System, parts, name: None, extras: Default::default() };
        request.messages.insert(0, message);
        return;
    };
    match message.parts.as_mut_slice() {
        // One text is a text; several are parts, each with marks of its own.
        [Part { content: Content::Text { text, .. }, cache_control: None, .. }] => {
            if !text.is_empty() {
                text.push_str(prompt::BETWEEN);
            }
            text.push_str(prompt);
        }
        _ => message.parts.push(Part::text(prompt)),
    }
}

fn parts<E>(list: &[Part], by_user: bool, visit: &mut impl FnMut(&str, bool) -> Result<(), E>) -> Result<(), E> {
    for part in list {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => visit(text, by_user)?,
            Content::ToolResult(result) => parts(&result.parts, false, visit)?,
            Content::Document(document) => self::document(document, by_user, visit)?,
            Content::Thinking { .. }
            | Content::Redacted
            | Content::Image { .. }
            | Content::Audio(_)
            | Content::Video(_)
            | Content::ToolCall(_)
            | Content::Foreign { .. } => {}
        }
    }
    Ok(())
}

fn document<E>(
    document: &Document,
    by_user: bool,
    visit: &mut impl FnMut(&str, bool) -> Result<(), E>,
) -> Result<(), E> {
    for text in document.title.iter().chain(&document.context) {
        visit(text, by_user)?;
    }
    match &document.source {
        Source::Text(text) => visit(text, by_user),
        Source::Parts(list) => parts(list, by_user, visit),
        Source::Url(_) | Source::Base64 { .. } | Source::File(_) => Ok(()),
    }
}

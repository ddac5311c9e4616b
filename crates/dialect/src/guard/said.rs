//! Finds the texts of a content: a text, or parts that hold texts.
//!
//! It reads more than a dialect has: every `text`, `refusal` and `content` of a part, whatever its type, and names with
//! escapes as a provider's parser would, so that no spelling gets a text past the guard.

use std::ops::Range;

use super::Said;
use crate::json::text::{lenient, name};
use crate::json::{JsonError, Scanner};

/// Contents in contents are looked into so deep: a document in a tool result is the deepest that any dialect has.
const MAX_LEVELS: u32 = 8;

/// Passes texts on, and stops at the first that is refused.
pub(super) struct Texts<'a, F, E> {
    body: &'a [u8],
    visit: F,
    starts: bool,
    refused: Option<E>,
}

impl<'a, F: FnMut(Said<'_>) -> Result<(), E>, E> Texts<'a, F, E> {
    /// Starts reading a body.
    pub fn new(body: &'a [u8], visit: F) -> Self {
        Self { body, visit, starts: true, refused: None }
    }

    /// Ends the reading.
    pub fn end(self) -> Result<(), E> {
        self.refused.map_or(Ok(()), Err)
    }

    /// Reads the content of a message.
    pub fn message(&mut self, content: Range<usize>, by_user: bool) {
        self.starts = true;
        self.content(content, by_user, MAX_LEVELS);
    }

    /// Reads further content of the same message.
    pub fn more(&mut self, content: Range<usize>, by_user: bool) {
        self.content(content, by_user, MAX_LEVELS);
    }

    fn content(&mut self, content: Range<usize>, by_user: bool, levels: u32) {
        let Some(levels) = levels.checked_sub(1) else { return };
        let value = self.body.get(content.clone()).unwrap_or_default();
        match value.first() {
            Some(b'"') => self.say(value, by_user),
            // The body was checked when it was read: what is no JSON does not come here.
            Some(b'[') => self.parts(content.start, by_user, levels).unwrap_or_default(),
            Some(b'{') => self.part(content.start, by_user, levels).unwrap_or_default(),
            _ => {}
        }
    }

    fn parts(&mut self, start: usize, by_user: bool, levels: u32) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(self.body, start);
        scanner.enter_array()?;
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            let part = scanner.value()?;
            self.content(part, by_user, levels);
        }
        Ok(())
    }

    fn part(&mut self, start: usize, by_user: bool, levels: u32) -> Result<(), JsonError> {
        let mut members = Vec::with_capacity(4);
        let mut data = None;
        let (mut result, mut plain) = (false, false);
        let mut scanner = Scanner::new(self.body, start);
        scanner.enter_object()?;
        let mut first = true;
        while let Some(member) = scanner.member(first)? {
            first = false;
            let value = self.body.get(member.value.clone()).unwrap_or_default();
            match name(self.body.get(member.name).unwrap_or_default()).as_ref() {
                b"text" | b"refusal" | b"content" | b"source" | b"title" | b"context" => members.push(member.value),
                b"data" => data = Some(member.value),
                b"type" => {
                    result |= value.ends_with(b"tool_result\"");
                    plain |= value == b"\"text\"";
                }
                _ => {}
            }
        }
        // Data is base64, but that of a document which is plain text. What a tool answers is not what the user says.
        for member in members.into_iter().chain(data.filter(|_| plain)) {
            self.content(member, by_user && !result, levels);
        }
        Ok(())
    }

    fn say(&mut self, value: &[u8], by_user: bool) {
        if self.refused.is_some() {
            return;
        }
        let Some(text) = lenient(value) else { return };
        self.refused = (self.visit)(Said { text: &text, starts: self.starts, by_user }).err();
        self.starts = false;
    }
}

//! What the choices of a reply or of a chunk say, as far as guards care: both have the same form, but that a reply says
//! `message` where a chunk says `delta`.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::json::text::name;
use crate::json::{JsonError, Scanner};

/// What one body or one chunk says.
#[derive(Debug, Default)]
pub struct Reading {
    /// The choices in it, in their order.
    pub choices: Vec<Choice>,
    /// Where the texts in it stand, with their quotes, in their order.
    pub texts: Vec<Range<usize>>,
    /// Whether it says something besides texts and roles.
    pub more: bool,
    /// Whether it is an error.
    pub error: bool,
    /// `id`, `object`, `created`, `model`.
    pub label: [Option<Range<usize>>; 4],
    /// What stands in `obfuscation`, which pads a chunk: <https://platform.openai.com/docs/api-reference/chat/create>.
    pub padding: Option<Range<usize>>,
    /// Whether there is a backslash in it: without one, names are what they look like.
    escapes: bool,
}

/// The members that every chunk of an answer repeats.
pub(super) const LABEL: [&str; 4] = ["id", "object", "created", "model"];

/// One choice.
#[derive(Debug, Default)]
pub struct Choice {
    /// Its number.
    pub index: u32,
    /// Which of the texts are its own.
    pub texts: Range<usize>,
    /// Its `finish_reason`, when it has one.
    pub finish: Option<Range<usize>>,
    /// Whether it calls tools.
    pub calls: bool,
    /// What its content is.
    pub content: Content,
    /// What repeats its text: `text` (Together) and `logprobs`.
    pub echoes: Vec<(Range<usize>, &'static [u8])>,
}

/// What `content` is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// There is no message.
    #[default]
    Missing,
    /// It is not there.
    Absent {
        /// Just after the `{` of the message.
        start: usize,
        /// Whether the message has no member.
        empty: bool,
    },
    /// `null`.
    Null(Range<usize>),
    /// A text.
    Text(Range<usize>),
    /// Parts.
    Parts {
        /// Where the `]` stands.
        end: usize,
        /// Whether there is none.
        empty: bool,
    },
    /// Something else, which has no text.
    Other,
}

impl Reading {
    /// Returns where the texts of a choice stand.
    pub fn texts_of(&self, choice: &Choice) -> &[Range<usize>] {
        self.texts.get(choice.texts.clone()).unwrap_or_default()
    }

    /// Whether it says nothing but one text of one choice.
    pub fn is_one_text(&self) -> bool {
        let one = self.choices.len() == 1 && self.texts.len() == 1 && !self.more && !self.error;
        one && self.choices.iter().all(|choice| choice.echoes.is_empty())
    }

    fn name<'a>(&self, found: &'a [u8]) -> Cow<'a, [u8]> {
        if self.escapes { name(found) } else { Cow::Borrowed(found) }
    }

    /// Begins to read what somebody else scans: a body or a chunk.
    pub fn begin(&mut self, data: &[u8]) {
        self.choices.clear();
        self.texts.clear();
        (self.more, self.error, self.label, self.padding) = (false, false, Default::default(), None);
        self.escapes = memchr(b'\\', data).is_some();
    }

    /// Reads a body or a chunk; `message` is `message` or `delta`.
    pub fn read(&mut self, data: &[u8], message: &str) -> Result<(), JsonError> {
        self.begin(data);
        let mut scanner = Scanner::new(data, 0);
        scanner.enter_object()?;
        let mut first = true;
        while let Some(found) = scanner.member_name(first)? {
            first = false;
            let found = self.name(data.get(found).unwrap_or_default());
            if found.as_ref() == b"choices" {
                self.read_choices(data, &mut scanner, message)?;
                continue;
            }
            let value = scanner.value()?;
            let says = data.get(value.clone()).unwrap_or_default() != b"null";
            match found.as_ref() {
                b"error" => self.error |= says,
                b"usage" => self.more |= says,
                b"obfuscation" if data.get(value.start) == Some(&b'"') => {
                    self.padding = Some(value.start + 1..value.end - 1);
                }
                other => {
                    let place = LABEL.iter().position(|label| label.as_bytes() == other);
                    if let Some(place) = place.and_then(|at| self.label.get_mut(at)) {
                        *place = Some(value);
                    }
                }
            }
        }
        scanner.end()
    }

    fn read_choices(&mut self, data: &[u8], scanner: &mut Scanner<'_>, message: &str) -> Result<(), JsonError> {
        if !scanner.enter_or_pass(b'[')? {
            return Ok(());
        }
        let mut first = true;
        while scanner.element(first)? {
            first = false;
            if scanner.enter_or_pass(b'{')? {
                self.read_choice(data, scanner, message)?;
            }
        }
        Ok(())
    }

    fn read_choice(&mut self, data: &[u8], scanner: &mut Scanner<'_>, message: &str) -> Result<(), JsonError> {
        let mut choice = self.begin_choice();
        let mut first = true;
        while let Some(found) = scanner.member_name(first)? {
            first = false;
            self.read_member(data, scanner, data.get(found).unwrap_or_default(), message, &mut choice)?;
        }
        self.end_choice(choice);
        Ok(())
    }

    /// Begins a choice. One without a number is known by its place.
    pub fn begin_choice(&self) -> Choice {
        let texts = self.texts.len()..self.texts.len();
        Choice { index: self.choices.len() as u32, texts, ..Choice::default() }
    }

    /// Ends a choice.
    pub fn end_choice(&mut self, mut choice: Choice) {
        choice.texts.end = self.texts.len();
        self.choices.push(choice);
    }

    /// Passes the value of a member of a choice, and returns where it stands.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn read_member(
        &mut self,
        data: &[u8],
        scanner: &mut Scanner<'_>,
        found: &[u8],
        message: &str,
        choice: &mut Choice,
    ) -> Result<Range<usize>, JsonError> {
        let found = self.name(found);
        if found.as_ref() == message.as_bytes() {
            scanner.peek()?;
            let start = scanner.position();
            self.read_message(data, scanner, choice)?;
            return Ok(start..scanner.position());
        }
        let range = scanner.value()?;
        let value = data.get(range.clone()).unwrap_or_default();
        match (found.as_ref(), value) {
            (_, b"null") => {}
            (b"index", _) => {
                let number = crate::json::integer(value).and_then(|index| u32::try_from(index).ok());
                choice.index = number.unwrap_or(choice.index);
            }
            (b"finish_reason", [b'"', ..]) => (choice.finish, self.more) = (Some(range.clone()), true),
            (b"text", [b'"', ..]) => choice.echoes.push((range.clone(), b"\"\"")),
            (b"logprobs", _) => choice.echoes.push((range.clone(), b"null")),
            _ => {}
        }
        Ok(range)
    }

    fn read_message(&mut self, data: &[u8], scanner: &mut Scanner<'_>, choice: &mut Choice) -> Result<(), JsonError> {
        if !scanner.enter_or_pass(b'{')? {
            return Ok(());
        }
        let start = scanner.position();
        let mut empty = true;
        while let Some(found) = scanner.member_name(empty)? {
            empty = false;
            let found = self.name(data.get(found).unwrap_or_default());
            if found.as_ref() == b"content" && scanner.peek()? == b'[' {
                self.read_parts(data, scanner, choice)?;
                continue;
            }
            let range = scanner.value()?;
            let value = data.get(range.clone()).unwrap_or_default();
            let nothing = matches!(value, b"null" | b"\"\"" | b"[]" | b"{}");
            match found.as_ref() {
                b"content" if value.starts_with(b"\"") => {
                    choice.content = Content::Text(range.clone());
                    self.texts.push(range);
                }
                b"content" if value == b"null" => choice.content = Content::Null(range),
                b"content" => choice.content = Content::Other,
                b"refusal" if value.starts_with(b"\"") => self.texts.push(range),
                b"tool_calls" | b"function_call" if !nothing => (choice.calls, self.more) = (true, true),
                b"role" => {}
                _ => self.more |= !nothing,
            }
        }
        if choice.content == Content::Missing {
            choice.content = Content::Absent { start, empty };
        }
        Ok(())
    }

    /// Reads the parts of a content: the texts of text and refusal parts, not those inside thoughts.
    fn read_parts(&mut self, data: &[u8], scanner: &mut Scanner<'_>, choice: &mut Choice) -> Result<(), JsonError> {
        scanner.enter_array()?;
        let mut empty = true;
        while scanner.element(empty)? {
            empty = false;
            if !scanner.enter_or_pass(b'{')? {
                continue;
            }
            let mut first = true;
            while let Some(member) = scanner.member(first)? {
                first = false;
                let value = data.get(member.value.clone()).unwrap_or_default();
                let found = self.name(data.get(member.name).unwrap_or_default());
                match found.as_ref() {
                    b"text" | b"refusal" if value.starts_with(b"\"") => {
                        self.texts.push(member.value);
                    }
                    b"type" => {}
                    _ => self.more = true,
                }
            }
        }
        choice.content = Content::Parts { end: scanner.position() - 1, empty };
        Ok(())
    }
}

/// Returns what a finish reason becomes when the answer was cut; `None` where it says more than that. An answer that
/// calls tools goes on with them.
pub(super) fn cut_reason(finish: &[u8]) -> Option<&'static [u8]> {
    match finish {
        b"\"tool_calls\"" | b"\"function_call\"" | b"\"content_filter\"" | b"\"length\"" => None,
        _ => Some(b"\"length\""),
    }
}

/// Whether a finish reason says that tools are to be called.
pub(super) fn is_calling(finish: &[u8]) -> bool {
    matches!(finish, b"\"tool_calls\"" | b"\"function_call\"")
}

//! What guards and wire formats say to each other: which text of an answer may leave, and why something is blocked.
//!
//! The rules themselves are `policy`'s; where the texts stand in a request, a reply or a stream is `dialect`'s.

use std::sync::Arc;

use crate::failure::{Code, Failure, Fault};

/// Judges the text of one answer as it comes.
///
/// All text of a choice is one text: parts, blocks and deltas are joined as they come. A position is a number of bytes
/// of that text, of what has stayed after a cut.
pub trait Watch {
    /// Takes the next piece and returns how many of its bytes stay: all of them, or fewer where the answer is full.
    ///
    /// # Errors
    /// When the text is blocked. No byte after [`Watch::clear`] may leave then.
    fn push(&mut self, text: &str) -> Result<usize, Blocked>;

    /// Returns how much text has come and stayed.
    fn kept(&self) -> u64;

    /// Returns how much of it may leave: the rest may still turn out to be blocked.
    fn clear(&self) -> u64;

    /// Whether text was cut off.
    fn is_cut(&self) -> bool;

    /// Whether no more text would stay.
    fn is_full(&self) -> bool;

    /// Takes note that something other than text follows: what has come may leave, but what follows is judged with it.
    fn interrupt(&mut self, by: Interruption);

    /// Whether [`Watch::end`] may ask for text to be appended.
    fn may_append(&self) -> bool;

    /// Takes note that the text is complete; all of it may leave then. Returns what is to be appended to it.
    ///
    /// # Errors
    /// When the text is blocked for what it lacks.
    fn end(&mut self) -> Result<Option<String>, Blocked>;
}

/// What stands between two pieces of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The model calls a tool that the caller runs: this answer is a step, not the last word.
    ToolCall,
    /// Anything else: a thought, a search of the provider's.
    Other,
}

/// Why a text is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The guardrail.
    pub guard: Arc<str>,
    /// What it found.
    pub reason: Reason,
}

/// What a guardrail found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The banned phrase with this number in the guardrail, from 0.
    Phrase(usize),
    /// Fewer characters than this.
    TooShort(u64),
    /// More characters than this.
    TooLong(u64),
}

/// What was blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What the caller asks.
    Request,
    /// What the model answers.
    Reply,
}

impl Blocked {
    /// Returns the 400 that the caller gets. It names the guardrail and not the phrase.
    pub fn failure(&self, subject: Subject) -> Failure {
        let (subject, guard) = (subject.name(), &self.guard);
        let (found, detail) = match self.reason {
            Reason::Phrase(index) => ("it holds a banned phrase".to_owned(), format!("banned_phrases[{index}]")),
            Reason::TooShort(least) => (format!("it has fewer than {least} characters"), "min_length".to_owned()),
            Reason::TooLong(most) => (format!("it has more than {most} characters"), "max_length".to_owned()),
        };
        let message = format!("the {subject} was blocked by the guardrail {guard}: {found}");
        let detail = format!("guardrails.{guard}.{detail} blocked the {subject}");
        Failure::new(Code::GuardrailBlocked, Fault::Caller, message).with_detail(detail)
    }
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reason: Reason, subject: Subject, message: &str, detail: &str) {
        let failure = Blocked { guard: Arc::from("tone"), reason }.failure(subject);
        assert_eq!((failure.status, failure.code), (400, Code::GuardrailBlocked));
        assert_eq!((failure.message.as_str(), failure.detail.as_deref()), (message, Some(detail)));
    }

    #[test]
    fn says_which_guardrail_and_not_which_phrase() {
        check(
            Reason::Phrase(2),
            Subject::Reply,
            "the reply was blocked by the guardrail tone: it holds a banned phrase",
            "guardrails.tone.banned_phrases[2] blocked the reply",
        );
        check(
            Reason::TooLong(9),
            Subject::Request,
            "the request was blocked by the guardrail tone: it has more than 9 characters",
            "guardrails.tone.max_length blocked the request",
        );
    }
}

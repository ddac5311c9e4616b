//! Guards: what may not be asked and not be answered, compiled. They judge text; where text stands in a request, a
//! reply or a stream is not their affair.
//!
//! The guardrails of an environment are merged: a phrase that one of them bans is banned, the strictest lengths count,
//! and every disclaimer is required.

pub mod disclaimer;
mod fold;
mod grid;
pub mod length;
pub mod phrases;
pub mod prompt;
pub mod reply;
pub mod request;

use std::sync::Arc;

use ir::guard::{Blocked, Reason};

use self::phrases::Phrases;
use self::reply::ReplyRules;
use self::request::RequestRules;

/// The guards of an environment.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// What applies to requests; `None` when nothing does.
    pub requests: Option<Arc<RequestRules>>,
    /// What applies to replies; `None` when nothing does.
    pub replies: Option<Arc<ReplyRules>>,
}

/// The banned phrases of several guardrails.
#[derive(Clone, Debug)]
pub struct Banned {
    phrases: Phrases,
    /// Of each phrase, its guardrail and its number there.
    owners: Box<[(Arc<str>, usize)]>,
}

impl Banned {
    /// Takes phrases, each with its guardrail and its number there.
    pub fn new(phrases: Vec<(Arc<str>, usize, String)>) -> Self {
        let set = Phrases::new(phrases.iter().map(|(_, _, phrase)| phrase.as_str()));
        Self { phrases: set, owners: phrases.into_iter().map(|(guard, index, _)| (guard, index)).collect() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// Reads the next piece of a text.
    ///
    /// # Errors
    /// When a phrase is complete.
    pub fn push(&self, scan: &mut phrases::Scan, text: &str) -> Result<(), Blocked> {
        if self.is_empty() {
            return Ok(());
        }
        let Some(found) = self.phrases.push(scan, text) else { return Ok(()) };
        let (guard, index) = self.owners.get(found).cloned().unwrap_or_else(|| (Arc::from(""), found));
        Err(Blocked { guard, reason: Reason::Phrase(index) })
    }
}

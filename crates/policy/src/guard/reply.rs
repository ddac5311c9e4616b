//! What may be answered: the text of one choice, judged as it comes.
//!
//! An answer that is too long is cut first; what remains is judged. An answer that calls tools is a step on the way:
//! it need not be long and bears no disclaimer.

use std::sync::Arc;

use ir::guard::{Blocked, Interruption, Watch};

use super::banned::{Banned, BannedScan};
use super::disclaimer::{Disclaimers, Seen};
use super::length::{Lengths, cut};
use super::observe::{Observer, ReplyObservers, Watched};

/// The rules for replies.
#[derive(Clone, Debug, Default)]
pub struct ReplyRules {
    /// What no answer may hold.
    pub banned: Banned,
    /// How long an answer must and may be.
    pub lengths: Lengths,
    /// What must stand under it.
    pub disclaimers: Disclaimers,
}

impl ReplyRules {
    /// Returns these rules and others together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut lengths = self.lengths.clone();
        lengths.merge(other.lengths.clone());
        let disclaimers = self.disclaimers.join(&other.disclaimers);
        Self { banned: self.banned.join(&other.banned), lengths, disclaimers }
    }
}

/// One choice as far as it was judged.
#[derive(Clone, Debug)]
pub struct ReplyWatch {
    rules: Arc<ReplyRules>,
    scan: BannedScan,
    disclaimers: Seen,
    characters: u64,
    kept: u64,
    clear: u64,
    cut: bool,
    calls: bool,
    appended: bool,
    /// Who only looks on.
    observers: Option<Box<ReplyObservers>>,
}

impl ReplyWatch {
    /// Starts judging a choice. A clone of a watch that has seen nothing starts another.
    pub fn new(rules: &Arc<ReplyRules>) -> Self {
        Self {
            rules: Arc::clone(rules),
            scan: BannedScan::default(),
            disclaimers: rules.disclaimers.start(),
            characters: 0,
            kept: 0,
            clear: 0,
            cut: false,
            calls: false,
            appended: false,
            observers: None,
        }
    }

    /// Lets guardrails look on that only observe. They see what the caller would see, but for disclaimers.
    #[must_use]
    pub fn observed(mut self, guards: &[Watched<ReplyRules>], observer: Arc<dyn Observer>) -> Self {
        self.observers = Some(Box::new(ReplyObservers::new(guards, observer)));
        self
    }

    fn is_long_enough(&self) -> bool {
        self.calls || self.rules.lengths.reached(self.characters)
    }
}

impl Watch for ReplyWatch {
    fn push(&mut self, text: &str) -> Result<usize, Blocked> {
        if self.cut {
            return Ok(0);
        }
        let (characters, bytes) = if self.rules.lengths.is_empty() {
            (0, text.len())
        } else {
            cut(text, self.rules.lengths.left(self.characters).unwrap_or(u64::MAX))
        };
        let stays = text.get(..bytes).unwrap_or_default();
        self.characters += characters;
        let caught = self.rules.banned.push(&mut self.scan, stays);
        if let Some(observers) = &mut self.observers {
            let seen = caught.as_ref().map_or_else(|caught| caught.end, |()| stays.len());
            observers.push(stays.get(..seen).unwrap_or_default());
        }
        caught.map_err(|caught| caught.blocked)?;
        self.rules.disclaimers.push(&mut self.disclaimers, stays);
        self.kept += bytes as u64;
        self.cut = bytes < text.len();
        if self.cut {
            self.clear = self.kept;
        } else if self.is_long_enough() {
            self.clear = self.clear.max(self.kept - self.scan.pending_bytes() as u64);
        }
        Ok(bytes)
    }

    fn kept(&self) -> u64 {
        self.kept
    }

    fn clear(&self) -> u64 {
        self.clear
    }

    fn is_cut(&self) -> bool {
        self.cut
    }

    fn is_full(&self) -> bool {
        self.cut || self.rules.lengths.left(self.characters) == Some(0)
    }

    fn interrupt(&mut self, by: Interruption) {
        self.calls |= by == Interruption::ToolCall;
        if let Some(observers) = &mut self.observers {
            observers.interrupt(by);
        }
        if self.is_long_enough() {
            self.clear = self.kept;
        }
    }

    fn may_append(&self) -> bool {
        !(self.rules.disclaimers.is_empty() || self.calls || self.appended)
    }

    fn end(&mut self) -> Result<Option<String>, Blocked> {
        if let Some(observers) = &mut self.observers {
            observers.end();
        }
        if !self.calls {
            self.rules.lengths.check_least(self.characters)?;
        }
        self.clear = self.kept;
        if !self.may_append() {
            return Ok(None);
        }
        self.appended = true;
        Ok(self.rules.disclaimers.missing(&self.disclaimers, self.kept > 0))
    }
}

#[cfg(test)]
mod tests;

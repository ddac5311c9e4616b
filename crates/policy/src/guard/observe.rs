//! Guardrails that only observe: what they would have done is told, and nothing is done.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ir::guard::{Blocked, Interruption, Reason, Subject, Watch};

use super::reply::{ReplyRules, ReplyWatch};

/// A guardrail that only observes, and its rules.
#[derive(Debug)]
pub struct Watched<T> {
    /// The guardrail.
    pub guard: Arc<str>,
    /// What it would enforce.
    pub rules: Arc<T>,
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self { guard: Arc::clone(&self.guard), rules: Arc::clone(&self.rules) }
    }
}

/// Is told what guardrails that only observe see, at most once for each act of a guardrail.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Takes note of what a guardrail would have done.
    fn saw(&self, guard: &Arc<str>, subject: Subject, finding: Finding);
}

/// What a guardrail would have done, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It would have blocked the text.
    Block(Reason),
    /// It would have cut the answer.
    Cut,
    /// It would have appended its disclaimer.
    Append,
}

impl Finding {
    /// Returns the act in one word, for logs and metrics.
    pub fn action(self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Cut => "cut",
            Self::Append => "append",
        }
    }

    /// Returns the setting that it follows from.
    pub fn setting(self) -> String {
        match self {
            Self::Block(Reason::Phrase(index)) => format!("banned_phrases[{index}]"),
            Self::Block(Reason::TooShort(_)) => "min_length".to_owned(),
            Self::Block(Reason::TooLong(_)) | Self::Cut => "max_length".to_owned(),
            Self::Append => "disclaimer".to_owned(),
        }
    }

    fn flag(self) -> u8 {
        match self {
            Self::Block(_) => 1,
            Self::Cut => 2,
            Self::Append => 4,
        }
    }
}

/// The guardrails that only observe a reply. A clone observes another choice of the same reply.
#[derive(Clone, Debug)]
pub(super) struct ReplyObservers {
    watches: Vec<Watching>,
    observer: Arc<dyn Observer>,
}

#[derive(Clone, Debug)]
struct Watching {
    guard: Arc<str>,
    /// `None` when the guardrail would have blocked the choice: it has nothing more to say.
    watch: Option<ReplyWatch>,
    /// What was told of the guardrail, of all choices.
    told: Arc<AtomicU8>,
}

impl ReplyObservers {
    pub(super) fn new(guards: &[Watched<ReplyRules>], observer: Arc<dyn Observer>) -> Self {
        let watching = |guard: &Watched<ReplyRules>| Watching {
            guard: Arc::clone(&guard.guard),
            watch: Some(ReplyWatch::new(&guard.rules)),
            told: Arc::default(),
        };
        Self { watches: guards.iter().map(watching).collect(), observer }
    }

    /// Takes the next piece that the caller would see.
    pub(super) fn push(&mut self, text: &str) {
        for watching in &mut self.watches {
            let Some(watch) = &mut watching.watch else { continue };
            match watch.push(text) {
                Ok(_) if watch.is_cut() => watching.tell(&*self.observer, Finding::Cut),
                Ok(_) => {}
                Err(blocked) => watching.blocked(&*self.observer, &blocked),
            }
        }
    }

    pub(super) fn interrupt(&mut self, by: Interruption) {
        for watch in self.watches.iter_mut().filter_map(|watching| watching.watch.as_mut()) {
            watch.interrupt(by);
        }
    }

    /// Takes note that the text is complete.
    pub(super) fn end(&mut self) {
        for watching in &mut self.watches {
            match watching.watch.as_mut().map(ReplyWatch::end) {
                Some(Ok(Some(_))) => watching.tell(&*self.observer, Finding::Append),
                Some(Err(blocked)) => watching.blocked(&*self.observer, &blocked),
                Some(Ok(None)) | None => {}
            }
        }
    }
}

impl Watching {
    fn blocked(&mut self, observer: &dyn Observer, blocked: &Blocked) {
        self.watch = None;
        self.tell(observer, Finding::Block(blocked.reason));
    }

    fn tell(&self, observer: &dyn Observer, finding: Finding) {
        if self.told.fetch_or(finding.flag(), Ordering::Relaxed) & finding.flag() == 0 {
            observer.saw(&self.guard, Subject::Reply, finding);
        }
    }
}

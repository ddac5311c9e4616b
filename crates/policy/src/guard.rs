//! Guards: what may not be asked and not be answered, compiled. They judge text; where text stands in a request, a
//! reply or a stream is not their affair.
//!
//! The guardrails that bind a request are merged: a phrase that one of them bans is banned, the strictest lengths count,
//! and every disclaimer is required. Those that only observe are kept apart, each by itself.

pub mod banned;
pub mod disclaimer;
mod fold;
mod grid;
pub mod length;
pub mod observe;
pub mod phrases;
pub mod prompt;
pub mod reply;
pub mod request;
pub mod scope;

use std::sync::Arc;

use self::observe::{Observer, Watched};
use self::reply::{ReplyRules, ReplyWatch};
use self::request::RequestRules;

/// The guards that bind a request.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// What applies to requests; `None` when nothing does.
    pub requests: Option<Arc<RequestRules>>,
    /// What applies to replies; `None` when nothing does.
    pub replies: Option<Arc<ReplyRules>>,
    /// The guardrails that only observe requests.
    pub observed_requests: Vec<Watched<RequestRules>>,
    /// The guardrails that only observe replies.
    pub observed_replies: Vec<Watched<ReplyRules>>,
}

impl Guards {
    /// Returns what judges a reply; `None` when nothing does. `observer` is told what guardrails that only observe see.
    pub fn watch_reply(&self, observer: impl FnOnce() -> Arc<dyn Observer>) -> Option<ReplyWatch> {
        if self.observed_replies.is_empty() {
            return self.replies.as_ref().map(ReplyWatch::new);
        }
        let rules = self.replies.clone().unwrap_or_default();
        Some(ReplyWatch::new(&rules).observed(&self.observed_replies, observer()))
    }

    /// Returns these guards and others together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            requests: join(self.requests.as_ref(), other.requests.as_ref(), RequestRules::join),
            replies: join(self.replies.as_ref(), other.replies.as_ref(), ReplyRules::join),
            observed_requests: [&*self.observed_requests, &*other.observed_requests].concat(),
            observed_replies: [&*self.observed_replies, &*other.observed_replies].concat(),
        }
    }
}

fn join<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>, both: impl FnOnce(&T, &T) -> T) -> Option<Arc<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Arc::new(both(one, other))),
        (only, None) | (None, only) => only.cloned(),
    }
}

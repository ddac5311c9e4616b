//! What a streamed answer amounts to, whichever dialect it speaks and whether it is spliced or translated.

use ir::guard::Blocked;
use ir::money::ServiceTier;
use ir::report::Report;
use ir::usage::Usage;

/// What the bytes so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The answer goes on.
    More,
    /// The end marker was seen: what is held waits to be released.
    Complete,
    /// The provider broke the answer off with an error.
    Failed(Report),
    /// What came is not what the dialect's streams are; the text is for the log.
    Malformed(String),
    /// An event larger than what is forwarded.
    TooLarge,
    /// A guardrail blocks it: nothing may follow but an error.
    Blocked(Blocked),
}

/// What has passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Whether a first content was seen: from here on there is no failover.
    pub has_content: bool,
    /// The provider's id of the completion.
    pub id: Option<String>,
    /// The first finish reason.
    pub finish_reason: Option<String>,
    /// The last usage report that can be believed.
    pub usage: Option<Usage>,
    /// The service tier that the provider says it answers in.
    pub service_tier: Option<ServiceTier>,
    /// What was reported when the answer began, by a dialect that does so: the input. It makes the estimate better when
    /// no report of the whole answer follows.
    pub begun: Option<Usage>,
    /// The bytes of content, for the estimate when there is no report.
    pub content_bytes: u64,
    /// How many of them had come when the last report did.
    pub reported_bytes: u64,
    /// How many events carried data.
    pub data_events: u64,
}

impl Passed {
    /// Takes note of a usage report: the last one counts, but one that says nothing takes nothing back.
    pub fn report(&mut self, usage: Usage) {
        if self.usage.is_none() || !usage.is_nothing() {
            (self.usage, self.reported_bytes) = (Some(usage), self.content_bytes);
        }
    }

    /// Whether more was said than the last report can know of: the answer broke off, or went on after it. `complete` is
    /// whether the provider has ended it. OpenAI's streams with sound report before their last content, and give no reason
    /// for their end.
    pub fn is_partial(&self, complete: bool) -> bool {
        match self.finish_reason {
            Some(_) => self.content_bytes > self.reported_bytes,
            None => !complete,
        }
    }

    /// Whether nothing was answered: no content, no reason why there is none, nothing consumed.
    pub fn is_nothing(&self) -> bool {
        !self.has_content && self.content_bytes == 0 && self.finish_reason.is_none() && self.usage.is_none()
    }
}

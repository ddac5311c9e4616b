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
    /// How many events carried data.
    pub data_events: u64,
}

impl Passed {
    /// Whether nothing was answered: no content, no reason why there is none, nothing consumed.
    pub fn is_nothing(&self) -> bool {
        !self.has_content && self.content_bytes == 0 && self.finish_reason.is_none() && self.usage.is_none()
    }
}

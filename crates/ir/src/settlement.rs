//! What is written down about a request: the intent before anything is sent, the settlement when it is over.
//!
//! Both are journal entries: their serialised form is versioned by the journal, and a field is only ever added
//! together with a new journal version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{RequestId, ResourceId};
use crate::money::{Charge, NanoUsd};
use crate::usage::{Usage, UsageOrigin};

/// Who asked, and for what: the part of a request that is known when it is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The request.
    pub id: RequestId,
    /// When it was admitted, Unix milliseconds.
    pub admitted_unix_ms: u64,
    /// The environment's name.
    pub environment: Arc<str>,
    /// The key's resource; `None` for the built-in key `anonymous`.
    pub key: Option<ResourceId>,
    /// The key's name at that time.
    pub key_name: Arc<str>,
    /// The key's team at that time.
    pub team: Option<Arc<str>>,
    /// The tags its cost is booked under.
    pub cost_tags: Arc<[Arc<str>]>,
    /// The surface that was called, such as `openai.chat`.
    pub surface: Arc<str>,
    /// The `model` that the caller asked for, cut to 256 bytes; empty when it named none.
    pub requested_model: Arc<str>,
    /// Whether the answer was asked for as a stream.
    pub stream: bool,
}

/// Written before the first attempt is dispatched. If no settlement follows, the process died: the request is settled
/// as `estimated` at the next start, from what stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Who asked, and for what.
    pub subject: Subject,
    /// The model of the first planned attempt.
    pub model: Arc<str>,
    /// The provider of the first planned attempt.
    pub provider: Arc<str>,
    /// The estimate of its input tokens.
    pub input_tokens: u64,
    /// What they cost on it, at the price of this moment; `None` when that is unknown.
    pub input_cost: Option<NanoUsd>,
    /// What is charged for that, where usage is; since version 3 of the journal.
    pub charge: Option<Charge>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The caller got a complete answer.
    Succeeded,
    /// It was refused after it was admitted: no target was asked, or a guardrail blocked the answer.
    Refused,
    /// Every target failed, or the one that answered broke off.
    Failed,
    /// The caller went away before the end.
    Cancelled,
    /// The key was revoked while the request was in flight.
    Revoked,
    /// The process died while the request was in flight.
    Orphaned,
}

impl Outcome {
    /// Returns the name used in the API and in the request log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Revoked => "revoked",
            Self::Orphaned => "orphaned",
        }
    }
}

/// One try of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The model's slug.
    pub model: Arc<str>,
    /// Why this target was tried, such as `requested model` or `fallback of gpt-4o`.
    pub reason: Arc<str>,
    /// The provider's HTTP status; `None` when it did not answer.
    pub status: Option<u16>,
    /// What broke, such as `connect: connection refused`; `None` when nothing did.
    pub error: Option<String>,
    /// How long it took until it failed or ended, in microseconds.
    pub duration_us: u64,
}

/// The one account of an admitted request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Who asked, and for what.
    pub subject: Subject,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status that the caller saw (499 when it left before there was one).
    pub status: u16,
    /// The stable error code, when it failed.
    pub error_code: Option<Arc<str>>,
    /// What the operator reads about the failure.
    pub error_detail: Option<String>,
    /// The model that answered; `None` when none did.
    pub model: Option<Arc<str>>,
    /// The provider that answered; `None` when none did.
    pub provider: Option<Arc<str>>,
    /// The provider's own id of the completion.
    pub upstream_id: Option<String>,
    /// The finish reason of the first choice.
    pub finish_reason: Option<String>,
    /// What was consumed.
    pub usage: Usage,
    /// Where the usage comes from.
    pub usage_origin: UsageOrigin,
    /// What it cost; `None` when a price is unknown.
    pub cost: Option<NanoUsd>,
    /// The model that the savings are measured against.
    pub baseline: Option<Arc<str>>,
    /// What the same usage would have cost on it.
    pub baseline_cost: Option<NanoUsd>,
    /// From the arrival to the last byte or the failure, in microseconds.
    pub latency_us: u64,
    /// From the arrival to the first content of the answer, in microseconds.
    pub first_content_us: Option<u64>,
    /// Every try, in order.
    pub attempts: Vec<AttemptRecord>,
    /// What it is charged, at the price and the margin of its admission; `None` where usage is not charged. Since version
    /// 3 of the journal.
    pub charge: Option<Charge>,
}

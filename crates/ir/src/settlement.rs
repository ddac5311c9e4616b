//! What is written down about a request: the intent before anything is sent, the settlement when it is over.
//!
//! Both are journal entries: their serialised form is versioned by the journal, and a field is only ever added
//! together with a new journal version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{RequestId, ResourceId};
use crate::money::{Charge, NanoUsd};
use crate::usage::{Usage, UsageOrigin};

/// Somebody whom requests name or come from, and whose use limits count: a user, an address or a bucket. Of the name there
/// is only a digest, so that no record holds it and every one is of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Party {
    /// What it is.
    pub kind: PartyKind,
    /// The first 16 bytes of the SHA-256 of kind and name.
    pub digest: [u8; 16],
}

impl Party {
    /// Returns the digest in hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.digest))
    }
}

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartyKind {
    /// A user, as requests name them.
    User,
    /// A peer's address, or its network.
    Address,
    /// A bucket, as requests name it.
    Bucket,
}

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
    /// Whose use limits count beside that of key and team; empty where no limit is of users, addresses or buckets. Since
    /// version 3 of the journal.
    pub parties: Vec<Party>,
    /// What is held for it; `None` where no limit binds. Since version 3 of the journal.
    pub held: Option<Held>,
}

/// What is held for a request of limits: the most that it may use, as far as one knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Output tokens.
    pub output_tokens: u64,
    /// Nano-dollars.
    pub nanos: u64,
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
    /// Every one of them.
    pub const ALL: [Self; Self::Orphaned as usize + 1] =
        [Self::Succeeded, Self::Refused, Self::Failed, Self::Cancelled, Self::Revoked, Self::Orphaned];

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

/// How the error of a try begins that its caller did not wait for: its deadline passed, and the target went on.
pub const LEFT: &str = "left";

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
    /// Whose use limits count beside that of key and team. Since version 3 of the journal.
    pub parties: Vec<Party>,
    /// What limits count instead where nobody knows what was used; else `None`. Since version 3 of the journal.
    pub held: Option<Held>,
    /// Which of the tries were sent to their target: bit `n` for the `n`th. Since version 3 of the journal.
    pub asked: u64,
}

impl Settlement {
    /// Returns the tries that failed and count at their targets all the same.
    pub fn failed_tries(&self) -> impl Iterator<Item = &AttemptRecord> {
        let asked = |index: usize| u32::try_from(index).is_ok_and(|n| self.asked.checked_shr(n).unwrap_or(0) & 1 == 1);
        self.attempts
            .iter()
            .enumerate()
            .filter(move |(n, try_)| asked(*n) && try_.error.is_some())
            .map(|(_, try_)| try_)
    }

    /// Returns whether limits count the request: unless it was refused before a target was asked.
    pub fn counts(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused | Outcome::Revoked) || self.provider.is_some()
    }
}

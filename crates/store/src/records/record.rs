//! A recorded request in the form of the admin API: what a person asks about a request, in the units people read.

use ir::id::{RequestId, ResourceId};
use ir::money::{Charge, NanoUsd};
use ir::settlement::{AttemptRecord, LEFT, Settlement};
use ir::usage::Usage;
use rusqlite::Row;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::detail::{self, StoredAttempt};
use crate::{StoreError, from_sql};
use ir::civil::rfc3339;

/// One recorded request. It is serialised as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestRecord {
    /// The request, `req_…`.
    #[serde(serialize_with = "as_text")]
    pub id: RequestId,
    /// When it was made (the instant in its id), RFC 3339 in UTC.
    pub created_at: String,
    /// The environment.
    pub environment: String,
    /// The key it came with.
    pub key: KeyReference,
    /// The key's team at that time.
    pub team: Option<String>,
    /// The tags its cost is booked under.
    pub cost_tags: Vec<String>,
    /// The surface that was called.
    pub surface: String,
    /// The `model` that the caller asked for.
    pub requested_model: String,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The HTTP status that the caller saw.
    pub status: u16,
    /// How it ended.
    pub outcome: String,
    /// What went wrong.
    pub error: Option<ErrorReport>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// The provider's id of the completion.
    pub upstream_id: Option<String>,
    /// What was consumed.
    pub usage: UsageReport,
    /// What it cost, an exact JSON number of US dollars.
    #[serde(serialize_with = "as_dollars")]
    pub cost_usd: Option<NanoUsd>,
    /// What it was charged, with the margin; `None` where usage is not charged.
    #[serde(serialize_with = "as_dollars")]
    pub charged_usd: Option<NanoUsd>,
    /// The model that the savings are measured against.
    pub baseline: Option<String>,
    /// What the same usage would have cost on it.
    #[serde(serialize_with = "as_dollars")]
    pub baseline_cost_usd: Option<NanoUsd>,
    /// The share of the baseline's cost that was saved, in percent with one decimal; negative when it cost more.
    pub saved_pct: Option<f64>,
    /// From the arrival to the end, milliseconds with three decimals.
    pub latency_ms: f64,
    /// From the arrival to the first content, milliseconds with three decimals.
    pub time_to_first_content_ms: Option<f64>,
    /// Every try, in order.
    pub attempts: Vec<Attempt>,
}

/// The key that a request came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyReference {
    /// Its resource; `None` for the built-in key.
    #[serde(serialize_with = "as_optional_text")]
    pub id: Option<ResourceId>,
    /// Its name at that time.
    pub name: String,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// The stable code.
    pub code: Option<String>,
    /// What the operator reads.
    pub detail: Option<String>,
}

/// What a request consumed, in tokens. The first and the fourth are totals that hold the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageReport {
    /// All input tokens.
    pub input_tokens: u64,
    /// Those read from the provider's prompt cache.
    pub cached_input_tokens: u64,
    /// Those written to the provider's prompt cache.
    pub cache_write_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Those spent on reasoning.
    pub reasoning_tokens: u64,
    /// Input tokens of audio.
    pub audio_input_tokens: u64,
    /// Output tokens of audio.
    pub audio_output_tokens: u64,
    /// Where the figures come from: `none`, `reported` or `estimated`.
    pub origin: String,
}

/// One try of one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Why it was tried.
    pub reason: String,
    /// The provider's HTTP status.
    pub status: Option<u16>,
    /// What broke.
    pub error: Option<String>,
    /// How long it took, milliseconds with three decimals.
    pub duration_ms: f64,
    /// Its share of what the request cost: all of it for the one that answered, nothing for one that failed. `None` where two
    /// targets were asked at once and the cost is that of both.
    #[serde(serialize_with = "as_dollars")]
    pub cost_usd: Option<NanoUsd>,
}

impl RequestRecord {
    /// Reads a row of the reader's query, which names the columns in this order.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let id = RequestId(row.get(0)?);
        let cost = row.get::<_, Option<i64>>(19)?.map(from_sql).map(NanoUsd);
        let baseline_cost = row.get::<_, Option<i64>>(21)?.map(from_sql).map(NanoUsd);
        let unreadable = |source| StoreError::Document { what: id.to_string(), source };
        let detail = detail::read(row.get_ref(24)?.as_blob().map_err(rusqlite::Error::from)?).map_err(unreadable)?;
        let tags = row.get_ref(26)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let model: Option<String> = row.get(5)?;
        let code: Option<String> = row.get(10)?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            id,
            created_at: rfc3339(id.unix_ms()),
            environment: row.get(1)?,
            key: KeyReference { id: row.get::<_, Option<_>>(2)?.map(ResourceId), name: row.get(3)? },
            team: row.get(25)?,
            cost_tags: tags.map_or_else(|| Ok(Vec::new()), serde_json::from_str).map_err(unreadable)?,
            surface: row.get(4)?,
            requested_model: owned(detail.requested_model).or_else(|| model.clone()).unwrap_or_default(),
            model,
            provider: row.get(6)?,
            stream: row.get(7)?,
            status: row.get(8)?,
            outcome: row.get(9)?,
            error: (code.is_some() || detail.error_detail.is_some())
                .then(|| ErrorReport { code, detail: owned(detail.error_detail) }),
            finish_reason: owned(detail.finish_reason),
            upstream_id: owned(detail.upstream_id),
            usage: UsageReport::of(&columns_usage(row)?, row.get(18)?),
            cost_usd: cost,
            charged_usd: row.get::<_, Option<i64>>(27)?.map(from_sql).map(NanoUsd),
            baseline: row.get(20)?,
            baseline_cost_usd: baseline_cost,
            saved_pct: saved_pct(cost, baseline_cost),
            latency_ms: milliseconds(from_sql(row.get(22)?)),
            time_to_first_content_ms: row.get::<_, Option<i64>>(23)?.map(from_sql).map(milliseconds),
            attempts: shared(detail.attempts.into_iter().map(Attempt::from).collect(), cost),
        })
    }

    /// Returns the record that a settlement becomes.
    pub fn of(settlement: &Settlement) -> Self {
        let Settlement { subject, .. } = settlement;
        let owned = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let (code, detail) = (owned(&settlement.error_code), settlement.error_detail.clone());
        Self {
            id: subject.id,
            created_at: rfc3339(subject.id.unix_ms()),
            environment: subject.environment.as_ref().to_owned(),
            key: KeyReference { id: subject.key, name: subject.key_name.as_ref().to_owned() },
            team: owned(&subject.team),
            cost_tags: subject.cost_tags.iter().map(|tag| tag.as_ref().to_owned()).collect(),
            surface: subject.surface.as_ref().to_owned(),
            requested_model: subject.requested_model.as_ref().to_owned(),
            model: owned(&settlement.model),
            provider: owned(&settlement.provider),
            stream: subject.stream,
            status: settlement.status,
            outcome: settlement.outcome.name().to_owned(),
            error: (code.is_some() || detail.is_some()).then_some(ErrorReport { code, detail }),
            finish_reason: settlement.finish_reason.clone(),
            upstream_id: settlement.upstream_id.clone(),
            usage: UsageReport::of(&settlement.usage, settlement.usage_origin.name().to_owned()),
            cost_usd: settlement.cost,
            charged_usd: settlement.charge.map(Charge::total),
            baseline: owned(&settlement.baseline),
            baseline_cost_usd: settlement.baseline_cost,
            saved_pct: saved_pct(settlement.cost, settlement.baseline_cost),
            latency_ms: milliseconds(settlement.latency_us),
            time_to_first_content_ms: settlement.first_content_us.map(milliseconds),
            attempts: shared(settlement.attempts.iter().map(Attempt::of).collect(), settlement.cost),
        }
    }

    /// Returns the latency in microseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was made of whole microseconds")]
    pub(super) fn latency_us(&self) -> u64 {
        (self.latency_ms * 1_000.0).round() as u64
    }
}

fn columns_usage(row: &Row<'_>) -> rusqlite::Result<Usage> {
    let count = |index: usize| row.get(index).map(from_sql);
    Ok(Usage {
        input: count(11)?,
        cached_input: count(12)?,
        cache_write: count(13)?,
        output: count(14)?,
        reasoning: count(15)?,
        audio_input: count(16)?,
        audio_output: count(17)?,
        ..Usage::default()
    })
}

impl UsageReport {
    fn of(usage: &Usage, origin: String) -> Self {
        Self {
            input_tokens: usage.input_tokens(),
            cached_input_tokens: usage.cached_input,
            cache_write_tokens: usage.cache_writes(),
            output_tokens: usage.output_tokens(),
            reasoning_tokens: usage.reasoning,
            audio_input_tokens: usage.audio_input,
            audio_output_tokens: usage.audio_output,
            origin,
        }
    }
}

impl Attempt {
    fn of(attempt: &AttemptRecord) -> Self {
        Self {
            provider: attempt.provider.as_ref().to_owned(),
            model: attempt.model.as_ref().to_owned(),
            reason: attempt.reason.as_ref().to_owned(),
            status: attempt.status,
            error: attempt.error.clone(),
            duration_ms: milliseconds(attempt.duration_us),
            cost_usd: None,
        }
    }
}

impl From<StoredAttempt<'_>> for Attempt {
    fn from(stored: StoredAttempt<'_>) -> Self {
        Self {
            provider: stored.provider.to_owned(),
            model: stored.model.to_owned(),
            reason: stored.reason.to_owned(),
            status: stored.status,
            error: stored.error.map(str::to_owned),
            duration_ms: milliseconds(stored.duration_us),
            cost_usd: None,
        }
    }
}

/// Gives each try its share of the cost. One that failed has none: whatever it had said, nothing of it reached the caller. One
/// that the caller did not wait for has not failed.
fn shared(mut attempts: Vec<Attempt>, cost: Option<NanoUsd>) -> Vec<Attempt> {
    let superseded = |attempt: &Attempt| attempt.error.as_ref().is_some_and(|error| error.starts_with("superseded"));
    let left = |error: &String| error.starts_with(LEFT);
    let both = attempts.iter().any(superseded);
    for attempt in &mut attempts {
        attempt.cost_usd = match &attempt.error {
            None if both => None,
            None => cost,
            Some(error) if left(error) => cost.filter(|_| !both),
            Some(_) if superseded(attempt) => None,
            Some(_) => Some(NanoUsd(0)),
        };
    }
    attempts
}

/// Returns milliseconds. Up to 2^53 microseconds (285 years) the shortest decimal that names the number has at most
/// three decimals.
#[expect(clippy::cast_precision_loss, reason = "no request takes 285 years")]
pub(super) fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// Returns the saved share in percent, rounded half away from zero to one decimal; `None` when it is unknown or the
/// baseline is free.
pub(crate) fn saved_pct(cost: Option<NanoUsd>, baseline: Option<NanoUsd>) -> Option<f64> {
    let (cost, baseline) = (i128::from(cost?.0), i128::from(baseline?.0));
    if baseline == 0 {
        return None;
    }
    let saved = (baseline - cost) * 2_000;
    let per_mille = (saved + baseline * saved.signum()) / (2 * baseline);
    // Twenty digits at most, of which a person reads the first few.
    i64::try_from(per_mille).ok().map(|tenths| tenths as f64 / 10.0)
}

fn as_text<S: Serializer>(id: &RequestId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_optional_text<S: Serializer>(id: &Option<ResourceId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

/// Writes an amount that is known, as [`as_dollars`] does.
pub(super) fn as_exact_dollars<S: Serializer>(amount: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
    as_dollars(&Some(*amount), serializer)
}

/// Writes the decimal itself: a float would print 0.1 + 0.2 as people do not want to read it.
pub(super) fn as_dollars<S: Serializer>(amount: &Option<NanoUsd>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => RawValue::from_string(amount.to_string()).map_err(S::Error::custom)?.serialize(serializer),
        None => serializer.serialize_none(),
    }
}

//! What callers say of the answers they got: `POST /v1/feedback`. It is theirs to say of requests of their own key alone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use engine::native::Call;
use http::Response;
use ir::id::{RequestId, ResourceId};
use policy::snapshot::{Model, ModelIndex};
use serde_json::{Map, Value, json};
use store::feedback::{Feedback, FeedbackStore};
use store::records::read::RecordsReader;
use store::records::record::RequestRecord;

use super::answer;
use crate::admin::Admin;
use crate::admin::json::parse;
use crate::admin::problem::Problem;

/// The most that a comment may have, in characters.
const MAX_COMMENT: usize = 2_000;

/// How often a request is looked for that is not recorded yet, and how long is waited in between: records follow their
/// requests within a quarter of a second.
const LOOKS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// What is said, as it came.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    request: RequestId,
    score: f64,
    rating: Option<String>,
    comment: Option<String>,
}

/// Writes down what a caller says.
///
/// # Errors
/// 400 for what cannot be understood, 404 for a request that is not the key's own, 503 when it cannot be written down.
pub(super) async fn taken(admin: &Arc<Admin>, call: Call) -> Result<Response<Body>, Problem> {
    let said = read(&call.body)?;
    let key = call.identity.key.compiled.id;
    let snapshot = &call.identity.configuration.snapshot;
    let environment = snapshot.environment.name.to_string();
    let kept_days = u64::from(snapshot.environment.retention.records_days);
    let record = found(admin, &environment, key, said.request).await?;
    let now_ms = admin.gateway.clock.unix_ms();
    let oldest_ms = now_ms.saturating_sub(kept_days.saturating_mul(DAY_MS));
    let Said { request, score, rating, comment } = said;
    let shown = json!({
        "object": "feedback", "request_id": request.to_string(), "score": score, "rating": rating, "comment": comment,
    });
    let feedback = Feedback { request, at_ms: now_ms, score, rating, comment };
    let at = Arc::clone(admin);
    let written = admin.blocking.run(move || {
        let mut store = FeedbackStore::open(&at.data_dir)?;
        store.put(&environment, &feedback, oldest_ms)
    });
    let before = written.await?.map_err(|error| Problem::store(&error))?;
    // Who changes their mind is heard; what models are judged by is what was said first.
    if before.is_none() {
        rate(admin, &record, score);
    }
    answer(&shown)
}

/// Tells the live state of the target that answered.
fn rate(admin: &Admin, record: &RequestRecord, score: f64) {
    let state = admin.gateway.state();
    let Some(configuration) = state.environment(&record.environment) else { return };
    let snapshot = &configuration.snapshot;
    let answered = |model: &Model| {
        let provider = snapshot.provider(model.provider).map(|provider| &*provider.name);
        record.model.as_deref() == Some(&*model.slug) && record.provider.as_deref() == provider
    };
    let target = snapshot.models.iter().position(answered).map(ModelIndex);
    if let Some(signals) = target.and_then(|target| configuration.known(target)) {
        signals.rated(admin.gateway.clock.now(), score);
    }
}

/// Returns the record of a request of the key's own. One that has just ended is waited for.
async fn found(
    admin: &Arc<Admin>,
    environment: &str,
    key: Option<ResourceId>,
    request: RequestId,
) -> Result<RequestRecord, Problem> {
    // Nobody waits for a request that is long over, or was never made.
    let age_ms = admin.gateway.clock.unix_ms().saturating_sub(request.unix_ms());
    let looks = if age_ms < 60_000 { LOOKS } else { 1 };
    for look in 1..=looks {
        let (at, environment) = (Arc::clone(admin), environment.to_owned());
        let look_up = admin.blocking.run(move || RecordsReader::open(&at.data_dir)?.get(&environment, request));
        let record = look_up.await?.map_err(|error| Problem::store(&error))?;
        match record {
            Some(record) if record.key.id == key => return Ok(record),
            Some(_) => break,
            None if look < looks => tokio::time::sleep(PAUSE).await,
            None => {}
        }
    }
    Err(Problem::not_found("this key has made no such request"))
}

/// Reads what is said.
fn read(body: &[u8]) -> Result<Said, Problem> {
    let Value::Object(mut members) = parse(body)? else {
        return Err(Problem::invalid("body", "the body must be a JSON object"));
    };
    let request =
        text(&mut members, "request_id")?.ok_or_else(|| Problem::invalid("request_id", "request_id is missing"))?;
    let request = RequestId::parse(&request)
        .ok_or_else(|| Problem::invalid("request_id", "not a request's id: it is in `x-request-id`, `req_…`"))?;
    let rating = text(&mut members, "rating")?;
    let score = match members.remove("score") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_f64()
                .filter(|score| (0.0..=1.0).contains(score))
                .ok_or_else(|| Problem::invalid("score", "score must be a number from 0 to 1"))?,
        ),
    };
    let comment = text(&mut members, "comment")?;
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > MAX_COMMENT) {
        return Err(Problem::invalid("comment", format!("comment has at most {MAX_COMMENT} characters")));
    }
    if let Some(unknown) = members.keys().next() {
        let message = "unknown member: there are `request_id`, `rating`, `score` and `comment`";
        return Err(Problem::invalid(unknown, message));
    }
    let score = match (rating.as_deref(), score) {
        (None, Some(score)) => score,
        (Some("up"), None) => 1.0,
        (Some("down"), None) => 0.0,
        (Some("up" | "down"), Some(_)) => return Err(Problem::invalid("score", "say it once: rating or score")),
        (Some(_), _) => return Err(Problem::invalid("rating", "rating must be `up` or `down`")),
        (None, None) => return Err(Problem::invalid("rating", "rating (`up`, `down`) or score (0 to 1) is missing")),
    };
    Ok(Said { request, score, rating, comment })
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::invalid(name, format!("{name} must be a text"))),
    }
}

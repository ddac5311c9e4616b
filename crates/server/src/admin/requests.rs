//! The request log: lists, counts and histograms under one set of filters, and single requests.

use axum::http::StatusCode;
use ir::civil::rfc3339;
use ir::id::{RequestId, ResourceId};
use serde_json::{Value, json};
use store::StoreError;
use store::feedback::FeedbackStore;
use store::records::read::{ListQuery, RecordsReader};
use store::records::record::RequestRecord;
use store::records::zone::Zone;

use super::Admin;
use super::call::{Call, json as reply};
use super::principal::{Principal, SignedIn};
use super::problem::Problem;
use super::route::Outcome;

pub(super) mod filter;
pub(super) mod payload;
mod scope;
pub(super) mod tail;

use filter::{filter, span};

/// The most spans of a histogram, and how many there are when nothing is said.
pub(super) const MOST_BARS: u64 = 500;
const BARS: u64 = 60;

/// How far a histogram goes back when nothing is said, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// Widths that people can read, in milliseconds.
const WIDTHS: [u64; 20] = [
    1_000,
    5_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
    2_592_000_000,
    31_536_000_000,
];

/// A page of the log, newest first.
pub(super) async fn list(call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let query = ListQuery {
        environment: call.path("env").to_owned(),
        filter: filter(&call)?,
        limit: call.number("limit").and_then(|limit| usize::try_from(limit).ok()),
        cursor: call.query("cursor").map(str::to_owned),
    };
    let page = read(&call, &who, move |reader, keys| {
        let filter = store::records::filter::Filter { visible_keys: keys, ..query.filter };
        reader.list(&ListQuery { filter, ..query })
    });
    reply(StatusCode::OK, &page.await?)
}

/// One request.
pub(super) async fn get(call: Call, who: SignedIn) -> Outcome {
    let record = visible(&call, &who).await?;
    let (environment, id) = (record.environment.clone(), record.id);
    let said = call.blocking(move |admin| said(admin, &environment, id)).await??;
    let mut shown = serde_json::to_value(&record).map_err(|_| Problem::internal("the record cannot be shown"))?;
    if let (Value::Object(members), false) = (&mut shown, said.is_null()) {
        members.insert("feedback".to_owned(), said);
    }
    reply(StatusCode::OK, &shown)
}

/// What the caller said of the answer; null when nothing.
fn said(admin: &Admin, environment: &str, id: RequestId) -> Result<Value, Problem> {
    let store = FeedbackStore::open_reader(&admin.data_dir).map_err(|error| Problem::store(&error))?;
    let Some(store) = store else { return Ok(Value::Null) };
    let said = store.get(environment, id).map_err(|error| Problem::store(&error))?;
    Ok(said.map_or(Value::Null, |said| {
        json!({ "at": rfc3339(said.at_ms), "score": said.score, "rating": said.rating, "comment": said.comment })
    }))
}

/// How many requests a filter means.
pub(super) async fn count(call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let filter = filter(&call)?;
    let now_ms = call.admin.gateway.clock.unix_ms();
    let span = span(&filter, now_ms, None)?;
    let environment = call.path("env").to_owned();
    let counted = read(&call, &who, move |reader, keys| {
        let filter = store::records::filter::Filter { visible_keys: keys, ..filter };
        reader.count(&environment, &filter, span)
    });
    let counted = counted.await?;
    reply(
        StatusCode::OK,
        &json!({
            "count": counted.count,
            "exact": counted.complete_from_ms.is_none(),
            "complete_from": counted.complete_from_ms.map(rfc3339),
            "as_of": rfc3339(now_ms),
        }),
    )
}

/// Requests over time.
pub(super) async fn histogram(call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let filter = filter(&call)?;
    let zone = zone(&call)?;
    let now_ms = call.admin.gateway.clock.unix_ms();
    let (from_ms, to_ms) = span(&filter, now_ms, Some(DAY_MS))?;
    let most = call.number("buckets").unwrap_or(BARS);
    let fits = |width: &u64| (to_ms - from_ms).div_ceil(*width) <= most;
    let Some(width) = WIDTHS.into_iter().find(fits) else {
        return Err(Problem::invalid("buckets", "so much time does not fit into so few buckets").hint("ask for more"));
    };
    let environment = call.path("env").to_owned();
    let bars = read(&call, &who, move |reader, keys| {
        let filter = store::records::filter::Filter { visible_keys: keys, ..filter };
        reader.bars(&environment, &filter, (from_ms, to_ms), width, &zone)
    });
    let bars = bars.await?;
    let complete_from = bars.complete_from_ms;
    let data: Result<Vec<Value>, _> = bars
        .bars
        .iter()
        .filter(|bar| complete_from.is_none_or(|complete| bar.end_ms > complete))
        .map(|bar| {
            let mut shown = serde_json::to_value(&bar.figures)?;
            if let Some(members) = shown.as_object_mut() {
                members.shift_insert(0, "start".to_owned(), rfc3339(bar.start_ms).into());
                members.shift_insert(1, "end".to_owned(), rfc3339(bar.end_ms).into());
            }
            Ok::<_, serde_json::Error>(shown)
        })
        .collect();
    let Ok(data) = data else { return Err(Problem::internal("the answer could not be written")) };
    reply(
        StatusCode::OK,
        &json!({
            "data": data,
            "bucket_ms": width,
            "from": rfc3339(from_ms),
            "to": rfc3339(to_ms),
            "complete_from": complete_from.map(rfc3339),
            "as_of": rfc3339(now_ms),
        }),
    )
}

/// Returns the request that a path names, when the caller may see it.
async fn visible(call: &Call, who: &SignedIn) -> Result<RequestRecord, Problem> {
    known(call)?;
    let environment = call.path("env").to_owned();
    let id = RequestId::parse(call.path("id")).ok_or_else(|| Problem::not_found("no such request"))?;
    let found = read(call, who, move |reader, keys| {
        let found = reader.get(&environment, id)?;
        let own = |record: &RequestRecord| {
            let key = record.key.id;
            keys.as_ref().is_none_or(|keys| key.is_some_and(|key| keys.contains(&key)))
        };
        Ok(found.filter(own))
    });
    found.await?.ok_or_else(|| Problem::not_found("no such request"))
}

/// Returns the zone that was asked for, else the environment's.
pub(super) fn zone(call: &Call) -> Result<Zone, Problem> {
    let state = call.admin.gateway.state();
    let environment = state.environment(call.path("env")).map(|known| &*known.snapshot.environment.timezone);
    let Some(name) = call.query("zone").or(environment) else { return Ok(Zone::default()) };
    Zone::parse(name).map_err(|error| Problem::invalid("zone", error.to_string()))
}

/// Checks that the environment of the path exists.
pub(super) fn known(call: &Call) -> Result<(), Problem> {
    if call.admin.gateway.state().environment(call.path("env")).is_some() {
        return Ok(());
    }
    Err(Problem::not_found("no such environment"))
}

/// Runs a query on a connection of its own, away from the threads that serve, with the keys whose requests the caller may
/// see; `None` for all.
pub(super) async fn read<T: Send + 'static>(
    call: &Call,
    who: &SignedIn,
    query: impl FnOnce(&RecordsReader, Option<Vec<ResourceId>>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let (actor, environment) = (who.actor().clone(), call.path("env").to_owned());
    let answer = call.blocking(move |admin| {
        let keys = scope::visible_keys(&admin.plane, &actor, &environment)?;
        let answer = RecordsReader::open(&admin.data_dir).and_then(|reader| query(&reader, keys));
        answer.map_err(|error| Problem::store(&error))
    });
    answer.await?
}

//! The request log.

use axum::http::StatusCode;
use ir::id::RequestId;
use store::records::read::{ListQuery, RecordsReader};

use super::call::{Call, json};
use super::principal::Operator;
use super::problem::Problem;
use super::route::Outcome;

/// A page of the log, newest first.
pub(super) async fn list(call: Call, _: Operator) -> Outcome {
    known(&call)?;
    let text = |name: &str| call.query(name).map(str::to_owned);
    let query = ListQuery {
        environment: call.path("env").to_owned(),
        key_name: text("key"),
        model: text("model"),
        provider: text("provider"),
        status: call.number("status").and_then(|status| u16::try_from(status).ok()),
        outcome: text("outcome"),
        from_ms: call.number("from"),
        to_ms: call.number("to"),
        limit: call.number("limit").and_then(|limit| usize::try_from(limit).ok()),
        cursor: text("cursor"),
    };
    let page = read(&call, move |reader| reader.list(&query)).await?;
    json(StatusCode::OK, &page)
}

/// One request.
pub(super) async fn get(call: Call, _: Operator) -> Outcome {
    known(&call)?;
    let environment = call.path("env").to_owned();
    let id = RequestId::parse(call.path("id")).ok_or_else(|| Problem::not_found("no such request"))?;
    let found = read(&call, move |reader| reader.get(&environment, id)).await?;
    match found {
        Some(record) => json(StatusCode::OK, &record),
        None => Err(Problem::not_found("no such request")),
    }
}

fn known(call: &Call) -> Result<(), Problem> {
    if call.admin.gateway.state().environment(call.path("env")).is_some() {
        return Ok(());
    }
    Err(Problem::not_found("no such environment"))
}

/// Runs a query on a connection of its own, away from the threads that serve.
async fn read<T: Send + 'static>(
    call: &Call,
    query: impl FnOnce(&RecordsReader) -> Result<T, store::StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let answer = call.blocking(move |admin| query(&RecordsReader::open(&admin.data_dir)?)).await?;
    answer.map_err(|error| Problem::store(&error))
}

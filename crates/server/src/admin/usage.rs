//! Usage: sums by whatever people ask for, as JSON and as CSV.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use ir::civil::rfc3339;
use serde_json::json;
use store::records::filter::Filter;
use store::records::usage::{Dimension, UsageQuery, csv};

use super::call::{Call, json as reply};
use super::principal::SignedIn;
use super::problem::Problem;
use super::requests::filter::{filter, span};
use super::requests::{known, read, zone};
use super::route::Outcome;

/// How far it goes back when nothing is said, in milliseconds.
const MONTH_MS: u64 = 30 * 86_400_000;

/// The most that can be grouped by at once.
const MOST_DIMENSIONS: usize = 4;

/// Sums by group.
pub(super) async fn get(call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let filter = filter(&call)?;
    let now_ms = call.admin.gateway.clock.unix_ms();
    let (from_ms, to_ms) = span(&filter, now_ms, Some(MONTH_MS))?;
    let group_by = dimensions(call.query("group_by").unwrap_or_default())?;
    let query = UsageQuery {
        environment: call.path("env").to_owned(),
        filter,
        from_ms,
        to_ms,
        group_by: group_by.clone(),
        zone: zone(&call)?,
    };
    let usage = read(&call, &who, move |reader, keys| {
        let filter = Filter { visible_keys: keys, ..query.filter };
        reader.usage(&UsageQuery { filter, ..query })
    });
    let usage = usage.await?;
    if call.query("format") == Some("csv") {
        let mut response = Response::new(Body::from(csv::write(&group_by, &usage)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"usage.csv\""));
        return Ok(response);
    }
    reply(
        StatusCode::OK,
        &json!({
            "data": usage.rows,
            "total": usage.total,
            "from": rfc3339(from_ms),
            "to": rfc3339(to_ms),
            "as_of": rfc3339(now_ms),
        }),
    )
}

/// Reads what to group by.
fn dimensions(text: &str) -> Result<Vec<Dimension>, Problem> {
    let names = || Dimension::NAMES.map(|(name, _)| name).join(", ");
    let mut read = Vec::new();
    for word in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        let found = Dimension::NAMES.into_iter().find(|(name, _)| *name == word);
        let Some((_, dimension)) = found else {
            return Err(
                Problem::invalid("group_by", "group_by has a word that is unknown").hint(format!("known: {}", names()))
            );
        };
        let timed = |dimension: &Dimension| matches!(dimension, Dimension::Time(_));
        if read.contains(&dimension) || (timed(&dimension) && read.iter().any(timed)) {
            return Err(Problem::invalid("group_by", "group_by has the same twice, or two units of time"));
        }
        read.push(dimension);
    }
    if read.len() > MOST_DIMENSIONS {
        return Err(Problem::invalid("group_by", format!("group_by has more than {MOST_DIMENSIONS} words")));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use store::records::zone::Unit;

    use super::*;

    #[test]
    fn groups_are_words() {
        assert_eq!(dimensions("").unwrap(), []);
        assert_eq!(dimensions("model, day").unwrap(), [Dimension::Model, Dimension::Time(Unit::Day)]);
        for wrong in [",", "model,", "month", "model,model", "day,hour", "model,key,team,tag,status", "Model"] {
            assert_eq!(dimensions(wrong).unwrap_err().code().name(), "invalid_request", "{wrong}");
        }
    }
}

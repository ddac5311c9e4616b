//! What was asked and what was answered, where that is kept.

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use store::payloads::{Part, PayloadsReader, State, StoredPayload};

use super::visible;
use crate::admin::call::{Call, json as reply};
use crate::admin::principal::SignedIn;
use crate::admin::problem::Problem;
use crate::admin::route::Outcome;

/// The most of a body that stands in the JSON answer; the rest is there by `part`.
const SHOWN_BYTES: usize = 64 << 10;

/// The content of a request.
pub(in crate::admin) async fn get(call: Call, who: SignedIn) -> Outcome {
    let record = visible(&call, &who).await?;
    let (environment, id) = (record.environment.clone(), record.id);
    let found = call.blocking(move |admin| match PayloadsReader::open(&admin.data_dir)? {
        Some(reader) => reader.get(&environment, id),
        None => Ok(None),
    });
    let found = found.await?.map_err(|error| Problem::store(&error))?;
    match call.query("part") {
        Some(part) => raw(&call, part, found),
        None => reply(StatusCode::OK, &shown(id.to_string(), found)),
    }
}

fn shown(id: String, found: Option<StoredPayload>) -> Value {
    let state = found.as_ref().map_or("absent", |payload| match payload.state {
        State::Full => "full",
        State::Redacted => "redacted",
        State::Dropped => "dropped",
    });
    let meaning = match state {
        "absent" => "nothing is kept: content logging was off for this request, or its content was deleted by age",
        "dropped" => "too much content was waiting to be written",
        "redacted" => "what looks like a secret or personal data was replaced",
        _ => "it is kept as it was",
    };
    let (request, response) = found.map_or((None, None), |payload| (payload.request, payload.response));
    json!({
        "id": id,
        "state": state,
        "meaning": meaning,
        "request": request.map(|part| body(&part)),
        "response": response.map(|part| body(&part)),
    })
}

/// Returns a body for people: text, its first 64 KiB.
fn body(part: &Part) -> Value {
    let first = part.data.get(..SHOWN_BYTES).unwrap_or(&part.data);
    json!({
        "bytes": part.bytes,
        "kept_bytes": part.data.len(),
        "truncated": part.cut,
        "shown_bytes": first.len(),
        "text": String::from_utf8_lossy(first),
    })
}

/// Returns the bytes of one body, or a range of them.
fn raw(call: &Call, part: &str, found: Option<StoredPayload>) -> Outcome {
    let kept = found.and_then(|payload| if part == "request" { payload.request } else { payload.response });
    let Some(kept) = kept else { return Err(Problem::not_found(format!("no {part} is kept of this request"))) };
    let length = kept.data.len();
    let range = range(&call.headers, length);
    let (status, bytes, content_range) = match range {
        Wanted::All => (StatusCode::OK, kept.data, None),
        Wanted::Some(from, to) => {
            let bytes = kept.data.get(from..to).unwrap_or_default().to_vec();
            (StatusCode::PARTIAL_CONTENT, bytes, Some(format!("bytes {from}-{}/{length}", to - 1)))
        }
        Wanted::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, Vec::new(), Some(format!("bytes */{length}"))),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // Whatever a caller or a provider wrote is never a page of this site.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = content_range.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From one byte to before another.
    Some(usize, usize),
    /// A range that is not there.
    Nothing,
}

/// Reads `Range` (RFC 9110 section 14.2): one range of bytes; anything else is as good as none.
fn range(headers: &HeaderMap, length: usize) -> Wanted {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = text.split_once('-') else { return Wanted::All };
    let number = |text: &str| text.trim().parse::<usize>();
    match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first > last => Wanted::All,
        (Ok(first), _) if first >= length => Wanted::Nothing,
        (Ok(first), Ok(last)) => Wanted::Some(first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Wanted::Some(first, length),
        (Err(_), Ok(0)) if first.trim().is_empty() => Wanted::Nothing,
        (Err(_), Ok(last)) if first.trim().is_empty() && length > 0 => {
            Wanted::Some(length.saturating_sub(last), length)
        }
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_some_of_the_bytes() {
        let check = |text: &str, expect| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            assert_eq!(range(&headers, 10), expect, "{text}");
        };
        check("bytes=0-3", Wanted::Some(0, 4));
        check("bytes=4-", Wanted::Some(4, 10));
        check("bytes=4-99", Wanted::Some(4, 10));
        check("bytes=-3", Wanted::Some(7, 10));
        check("bytes=-30", Wanted::Some(0, 10));
        check("bytes=10-", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        for ignored in ["bytes=", "bytes=a-b", "bytes=5-4", "lines=1-2", "bytes=0-1,3-4"] {
            check(ignored, Wanted::All);
        }
        assert_eq!(range(&HeaderMap::new(), 10), Wanted::All);
    }
}

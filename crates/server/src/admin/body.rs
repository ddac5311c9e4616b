//! Reads the body of a request: declared as JSON, bounded, in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use net::deadline::after;
use serde_json::Value;
use tokio::time::timeout_at;

use super::json;
use super::problem::{Code, Problem};

/// How long a whole body may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads JSON. `None` when the body is empty.
///
/// # Errors
/// 413 before anything is read where the length is declared, 415, 408, or 400 with the position.
pub(super) async fn read(
    method: &Method,
    headers: &HeaderMap,
    body: Body,
    limit_bytes: usize,
) -> Result<Option<Value>, Problem> {
    if declared(headers).is_some_and(|length| length > limit_bytes as u64) {
        return Err(Problem::too_large(limit_bytes));
    }
    if !has_body(headers) {
        return Ok(None);
    }
    check_type(method, headers)?;
    let bytes = match timeout_at(after(DEADLINE), Limited::new(body, limit_bytes).collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::too_large(limit_bytes)),
        Ok(Err(_)) => return Err(Problem::new(Code::InvalidRequest, "the body broke off")),
        Err(_) => return Err(Problem::new(Code::RequestTimeout, "the body did not arrive in time")),
    };
    if bytes.is_empty() { Ok(None) } else { value(&bytes).map(Some) }
}

fn value(bytes: &Bytes) -> Result<Value, Problem> {
    json::parse(bytes)
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || declared(headers).is_some_and(|length| length > 0)
}

/// A body that a form or a script of another site can send without asking first is none of these.
fn check_type(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let wrong = |message: &str| Err(Problem::new(Code::UnsupportedMediaType, message).hint("send application/json"));
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return wrong("a compressed body is not taken");
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (values.next(), values.next()) else {
        return wrong("the body needs one Content-Type");
    };
    let mut parts = first.to_str().unwrap_or_default().split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let json = kind.eq_ignore_ascii_case("application/json");
    let patch = *method == Method::PATCH && kind.eq_ignore_ascii_case("application/merge-patch+json");
    if !json && !patch {
        return wrong("the body must be JSON");
    }
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    match charset {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => wrong("JSON is UTF-8"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, types: &[&str], good: bool) {
        let mut headers = HeaderMap::new();
        for kind in types {
            headers.append(CONTENT_TYPE, kind.parse().unwrap());
        }
        let checked = check_type(method, &headers);
        assert_eq!(checked.is_ok(), good, "{types:?}");
        assert!(checked.is_ok() || checked.is_err_and(|problem| problem.code() == Code::UnsupportedMediaType));
    }

    #[test]
    fn only_json_is_taken() {
        for kind in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            check(&Method::POST, &[kind], true);
        }
        check(&Method::POST, &["application/json;charset=\"UTF-8\"; x=y"], true);
        for kind in ["text/plain", "text/json", "application/jsonp", "application/x-www-form-urlencoded", ""] {
            check(&Method::POST, &[kind], false);
        }
        check(&Method::POST, &["application/json; charset=utf-16"], false);
        check(&Method::POST, &[], false);
        check(&Method::POST, &["application/json", "text/plain"], false);
    }

    #[test]
    fn a_merge_patch_is_a_patch() {
        check(&Method::PATCH, &["application/merge-patch+json"], true);
        check(&Method::PUT, &["application/merge-patch+json"], false);
        check(&Method::PATCH, &["application/json-patch+json"], false);
    }
}

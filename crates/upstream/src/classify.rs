//! From an error answer to its class, and from the last failed attempt to what the caller is told.

use std::time::Duration;

use dialect::lane::read_error;
use ir::civil::parse_http;
use ir::failure::{Code, Failure, Fault};
use ir::report::Report;
use net::h1::ResponseHead;
use policy::snapshot::FallbackOn;

use crate::credentials::LIMITED;
use crate::failure::{AttemptFailure, Class};
use crate::target::Target;

/// The longest wait that is passed on to a caller.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// What providers say of a prompt that does not fit: OpenAI's code, OpenAI and its followers, Cohere, Anthropic (two
/// forms), Gemini.
const TOO_LONG: [&str; 7] = [
    "context_length",
    "maximum context",
    "context window",
    "too many tokens",
    "prompt is too long",
    "exceed context limit",
    "exceeds the maximum number of tokens",
];

/// Reads an error answer.
pub fn classify(target: &Target, head: &ResponseHead, body: &[u8]) -> AttemptFailure {
    let mut report = read_error(target.dialect, body);
    report.message = report.message.map(|message| target.scrub(&message));
    report.code = report.code.map(|code| target.scrub(&code));
    let loops = head.get("x-crossway-error-code") == Some(Code::LoopDetected.name());
    AttemptFailure {
        class: if loops { Class::Loop } else { class(head.status, &report) },
        status: Some(head.status),
        retry_after: retry_after(head),
        detail: "".into(),
        refusal: None,
        limits: said_of_limits(head),
        report: Box::new(report),
    }
}

/// Judges an error that came with status 200: in the body, or as an event of a stream.
pub fn in_band(target: &Target, report: Report) -> AttemptFailure {
    let number = |code: &str| code.parse().ok().filter(|status| (400..600).contains(status));
    let status = report.code.as_deref().and_then(|code| number(code).or_else(|| named(code)));
    AttemptFailure {
        class: class(status.unwrap_or(500), &report),
        status: status.or(Some(200)),
        report: Box::new(Report { message: report.message.map(|message| target.scrub(&message)), ..report }),
        retry_after: None,
        detail: "an error with status 200".into(),
        refusal: None,
        limits: Box::default(),
    }
}

/// Returns the status that a provider's word stands for, where no status came with it.
fn named(word: &str) -> Option<u16> {
    Some(match word {
        // <https://docs.claude.com/en/api/errors>
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        // <https://platform.openai.com/docs/guides/error-codes>
        "context_length_exceeded" | "content_filter" => 400,
        "invalid_api_key" => 401,
        "insufficient_quota" => 402,
        "model_not_found" => 404,
        "rate_limit_exceeded" => 429,
        // <https://cloud.google.com/apis/design/errors#handling_errors>
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" | "API_KEY_INVALID" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "ABORTED" => 409,
        "RESOURCE_EXHAUSTED" => 429,
        _ => return None,
    })
}

fn class(status: u16, report: &Report) -> Class {
    let says = |needles: &[&str]| {
        let said = [report.code.as_deref(), report.message.as_deref()];
        said.into_iter().flatten().any(|text| {
            let text = text.to_ascii_lowercase();
            needles.iter().any(|needle| text.contains(needle))
        })
    };
    match status {
        // Some say of the operator's account what others say of the request: Google of a wrong key
        // (<https://cloud.google.com/apis/design/errors#error_info>), OpenAI of a quota that was not paid for, Anthropic
        // of credit that is used up (<https://docs.claude.com/en/api/errors>).
        400 if report.code.as_deref() == Some("API_KEY_INVALID") => Class::Auth,
        400..=499 if report.code.as_deref() == Some("insufficient_quota") => Class::Payment,
        400..=499 if says(&["credit balance is too low"]) => Class::Payment,
        401 | 403 => Class::Auth,
        402 => Class::Payment,
        404 => Class::NotFound,
        408 => Class::RequestTimeout,
        409 => Class::Conflict,
        429 => Class::RateLimited,
        400 | 413 | 422 if says(&TOO_LONG) => Class::ContextLength,
        400..=499 if says(&["content_filter", "content management policy", "content_policy"]) => Class::ContentFilter,
        400..=499 => Class::Rejected,
        529 => Class::Overloaded,
        500..=599 if says(&["overloaded"]) => Class::Overloaded,
        _ => Class::Server,
    }
}

/// More than any of the values takes: a number, a time, a duration.
const MAX_LIMIT_BYTES: usize = 64;

/// Returns the fields that say how the provider's own limits stand.
fn said_of_limits(head: &ResponseHead) -> Box<[(Box<str>, Box<str>)]> {
    let of_limits = |name: &[u8]| {
        let begins = |with: &[u8]| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        begins(b"x-ratelimit-") || begins(b"anthropic-ratelimit-")
    };
    let text =
        |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_LIMIT_BYTES).map(Into::into);
    head.fields()
        .filter(|(name, _)| of_limits(name))
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect()
}

/// Reads `retry-after-ms` (OpenAI) or `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, from the provider's
/// own `Date` on.
fn retry_after(head: &ResponseHead) -> Option<Duration> {
    let number = |name: &str| head.get(name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let date = |name: &str| head.get(name).and_then(parse_http);
    let seconds = number("retry-after-ms").map(|ms| ms / 1_000.0).or_else(|| number("retry-after"));
    let Some(seconds) = seconds else {
        let wait = date("retry-after")?.saturating_sub(date("date")?);
        return Some(Duration::from_millis(wait).min(MAX_RETRY_AFTER));
    };
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_RETRY_AFTER).min(MAX_RETRY_AFTER))
}

/// Whether a failure leads to the next target.
pub fn leads_on(class: Class, on: &FallbackOn) -> bool {
    match class {
        Class::Connect | Class::Broken => on.connect,
        Class::Timeout => on.timeout,
        Class::RequestTimeout => on.request_timeout,
        Class::RateLimited => on.rate_limited,
        Class::Server | Class::Malformed | Class::Loop => on.server_error,
        Class::Overloaded => on.overloaded,
        Class::Auth | Class::Payment => on.auth,
        Class::NotFound => on.model_not_found,
        Class::ContextLength => on.context_length,
        Class::ContentFilter => on.content_filter,
        Class::Conflict => on.conflict,
        Class::Unsupported => true,
        Class::Rejected => false,
    }
}

/// Returns what the caller is told about the last failed attempt. What concerns the operator's account is not passed
/// on; what concerns the request is.
pub fn client_failure(failure: &AttemptFailure) -> Failure {
    if let Some(refusal) = &failure.refusal {
        return Failure::clone(refusal);
    }
    let said = failure.report.message.as_deref().filter(|said| !said.trim().is_empty());
    let told = |generic: &str| said.unwrap_or(generic).to_owned();
    let answer = match failure.class {
        Class::Connect => {
            Failure::new(Code::UpstreamError, Fault::Provider, "no connection to the provider could be made")
        }
        Class::Timeout => Failure::new(Code::UpstreamTimeout, Fault::Provider, "the provider did not answer in time"),
        Class::Broken => {
            Failure::new(Code::UpstreamError, Fault::Provider, "the provider closed the connection before it answered")
        }
        Class::Malformed => {
            let message = said.map_or("the provider's answer could not be understood".to_owned(), str::to_owned);
            Failure::new(Code::UpstreamError, Fault::Provider, message)
        }
        Class::Auth => {
            Failure::new(Code::UpstreamAuthError, Fault::Operator, "the provider refused the gateway's credential")
        }
        Class::Payment => {
            Failure::new(Code::UpstreamError, Fault::Operator, "the provider refused the gateway's account")
        }
        Class::RateLimited => {
            Failure::new(Code::RateLimited, Fault::Provider, told("the provider's rate limit is reached"))
        }
        Class::ContextLength => {
            Failure::new(Code::ContextLengthExceeded, Fault::Caller, told("the prompt does not fit into the model"))
        }
        Class::NotFound => Failure::new(Code::NotFound, Fault::Caller, told("the provider does not know this model")),
        Class::RequestTimeout => {
            Failure::new(Code::RequestTimeout, Fault::Provider, told("the provider gave the request up"))
        }
        Class::ContentFilter | Class::Rejected | Class::Conflict => {
            let mut rejected =
                Failure::new(Code::InvalidRequest, Fault::Caller, told("the provider rejected the request"));
            rejected.status = failure.status.filter(|status| (400..500).contains(status)).unwrap_or(400);
            if failure.status == Some(413) {
                rejected.code = Code::RequestTooLarge;
            }
            rejected
        }
        Class::Loop => {
            let message = "a provider points back at this gateway: its base URL has to be another one";
            Failure::new(Code::LoopDetected, Fault::Operator, message)
        }
        Class::Overloaded | Class::Server | Class::Unsupported => {
            Failure::new(Code::UpstreamError, Fault::Provider, told("the provider failed"))
        }
    };
    // Every 429 says when: where the provider does not, after the time for which it is left alone.
    let retry_after = failure.retry_after.or_else(|| (answer.status == 429).then_some(LIMITED));
    Failure {
        param: failure.report.param.clone().filter(|_| answer.fault == Fault::Caller),
        retry_after,
        detail: Some(failure.to_string()),
        overloaded: failure.class == Class::Overloaded,
        // Those of the operator's account are the operator's.
        limits: if answer.fault == Fault::Operator { Box::default() } else { failure.limits.clone() },
        ..answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, message: &str, class_: Class, code: Code, client_status: u16) {
        let report = Report { message: Some(message.into()), ..Report::default() };
        assert_eq!(class(status, &report), class_, "{status} {message}");
        let failure =
            AttemptFailure { status: Some(status), report: Box::new(report), ..AttemptFailure::new(class_, "") };
        let told = client_failure(&failure);
        assert_eq!((told.code, told.status), (code, client_status), "{status} {message}");
    }

    #[test]
    fn statuses_keep_their_class() {
        check(400, "bad", Class::Rejected, Code::InvalidRequest, 400);
        check(422, "bad", Class::Rejected, Code::InvalidRequest, 422);
        for message in [
            "maximum context length is 10",
            "prompt is too long: 200058 tokens > 200000 maximum",
            "The input token count (2000007) exceeds the maximum number of tokens allowed (1048576).",
        ] {
            check(400, message, Class::ContextLength, Code::ContextLengthExceeded, 400);
        }
        check(401, "bad key", Class::Auth, Code::UpstreamAuthError, 502);
        check(402, "pay", Class::Payment, Code::UpstreamError, 502);
        check(404, "no model", Class::NotFound, Code::NotFound, 404);
        check(413, "large", Class::Rejected, Code::RequestTooLarge, 413);
        check(429, "slow", Class::RateLimited, Code::RateLimited, 429);
        check(500, "x", Class::Server, Code::UpstreamError, 502);
        check(503, "Overloaded", Class::Overloaded, Code::UpstreamError, 502);
        check(529, "x", Class::Overloaded, Code::UpstreamError, 502);
        check(302, "x", Class::Server, Code::UpstreamError, 502);
    }

    #[test]
    fn the_operators_account_is_not_told() {
        let failure = AttemptFailure {
            report: Box::new(Report { message: Some("org acme is out of credit".into()), ..Report::default() }),
            ..AttemptFailure::new(Class::Auth, "")
        };
        assert!(!client_failure(&failure).message.contains("acme"));
    }
}

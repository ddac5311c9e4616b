//! The provider's rate-limit headers that callers read (P8): OpenAI's names on every surface, Anthropic's on its own.

use http::{HeaderName, HeaderValue};
use ir::dialect::Dialect;
use ir::failure::Failure;
use net::h1::ResponseHead;

/// OpenAI's names: <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>.
const OPENAI: [&str; 6] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// Anthropic's names: <https://docs.claude.com/en/api/rate-limits#response-headers>.
const ANTHROPIC: [&str; 12] = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
];

/// What Anthropic's names are in OpenAI's. The times differ in kind (an instant, a duration) and have no counterpart.
const SAME: [(&str, &str); 4] = [
    ("anthropic-ratelimit-requests-limit", "x-ratelimit-limit-requests"),
    ("anthropic-ratelimit-requests-remaining", "x-ratelimit-remaining-requests"),
    ("anthropic-ratelimit-tokens-limit", "x-ratelimit-limit-tokens"),
    ("anthropic-ratelimit-tokens-remaining", "x-ratelimit-remaining-tokens"),
];

/// More than any of the values takes: a number, a time, a duration.
const MAX_VALUE_BYTES: usize = 64;

/// Returns the headers of a provider's answer that go to a caller of a dialect.
pub(super) fn passed(head: &ResponseHead, caller: Dialect) -> Vec<(HeaderName, HeaderValue)> {
    of_fields(head.fields(), caller)
}

/// The same of fields that were kept of an answer that failed.
pub(crate) fn of_failure(failure: &Failure, caller: Dialect) -> Vec<(HeaderName, HeaderValue)> {
    of_fields(failure.limits.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), caller)
}

fn of_fields<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    caller: Dialect,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut found = Vec::new();
    for (name, value) in fields {
        // The first letters decide for almost all headers.
        let openai = name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"x-ratelimit-"));
        let anthropic = name.get(..20).is_some_and(|start| start.eq_ignore_ascii_case(b"anthropic-ratelimit-"));
        if !openai && !anthropic {
            continue;
        }
        let printable = value.len() <= MAX_VALUE_BYTES && value.iter().all(|byte| (b' '..=b'~').contains(byte));
        let Some(value) = HeaderValue::from_bytes(value).ok().filter(|_| printable) else { continue };
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        let own = ANTHROPIC.into_iter().filter(|_| caller == Dialect::Anthropic);
        let known = OPENAI.into_iter().chain(own).find(is);
        let same = SAME.into_iter().find(|(theirs, _)| is(theirs)).map(|(_, ours)| ours);
        for name in known.into_iter().chain(same) {
            // Each is said once, the first time.
            if !found.iter().any(|(other, _): &(HeaderName, HeaderValue)| other == name) {
                found.push((HeaderName::from_static(name), value.clone()));
            }
        }
    }
    found
}

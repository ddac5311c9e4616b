//! What the headers of a request say, found in one pass: a request has a handful, and asking the map for each that it
//! might have costs more than looking at those that are there.

use http::{HeaderMap, HeaderValue};

/// The headers that decoding reads. Of one that stands there several times, the first counts, where it does not matter much.
#[derive(Default)]
pub(super) struct Heard<'a> {
    pub(super) timeout: Option<&'a HeaderValue>,
    pub(super) hop: Option<&'a HeaderValue>,
    pub(super) strict: Option<&'a HeaderValue>,
    pub(super) traceparent: Option<&'a HeaderValue>,
    pub(super) idempotency: Option<&'a HeaderValue>,
    pub(super) provider: Option<&'a HeaderValue>,
    pub(super) bucket: Option<&'a HeaderValue>,
    pub(super) metadata: Option<&'a HeaderValue>,
    pub(super) anthropic_version: Option<&'a HeaderValue>,
    /// A list may stand in several lines (RFC 9110 section 5.3).
    pub(super) anthropic_beta: Vec<&'a HeaderValue>,
    pub(super) content_encoding: Option<&'a HeaderValue>,
    pub(super) content_type: Option<&'a HeaderValue>,
    pub(super) content_length: Option<&'a HeaderValue>,
    /// A header that says twice how the request is to be served, and each time something else.
    pub(super) twice: Option<&'a str>,
}

/// What must not be ambiguous: which request it is, where it may go, on whose count, and how long it may take.
const SINGLE: [&str; 6] = [
    "idempotency-key",
    "x-crossway-bucket",
    "x-crossway-metadata",
    "x-crossway-strict",
    "x-crossway-timeout-ms",
    "x-llm-provider",
];

impl<'a> Heard<'a> {
    /// Reads the headers.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut heard = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "x-crossway-timeout-ms" => &mut heard.timeout,
                "x-crossway-hop" => &mut heard.hop,
                "x-crossway-strict" => &mut heard.strict,
                "traceparent" => &mut heard.traceparent,
                "idempotency-key" => &mut heard.idempotency,
                "x-llm-provider" => &mut heard.provider,
                "x-crossway-bucket" => &mut heard.bucket,
                "x-crossway-metadata" => &mut heard.metadata,
                "anthropic-version" => &mut heard.anthropic_version,
                "content-encoding" => &mut heard.content_encoding,
                "content-type" => &mut heard.content_type,
                "content-length" => &mut heard.content_length,
                "anthropic-beta" => {
                    heard.anthropic_beta.push(value);
                    continue;
                }
                _ => continue,
            };
            let known = *place.get_or_insert(value);
            if known != value && SINGLE.contains(&name.as_str()) {
                heard.twice = Some(name.as_str());
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::SINGLE;

    #[test]
    fn callers_are_told_of_each() {
        let page = include_str!("../../../../../docs/calling.md").to_lowercase();
        for name in SINGLE {
            assert!(page.contains(&format!("| `{name}` |")), "docs/calling.md does not tell of {name}");
        }
    }
}

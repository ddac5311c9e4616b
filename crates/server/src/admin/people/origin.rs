//! Where a request comes from, as the browser says: `Sec-Fetch-Site` and `Origin`.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A page of this very origin, or the person themselves.
    Same,
    /// A page of another one.
    Other,
    /// It does not say.
    Silent,
}

/// Judges by what a browser says and a page cannot make it say otherwise. `public_url` is the origin that a proxy shows.
pub fn judge(headers: &HeaderMap, public_url: Option<&str>) -> Verdict {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match text(&FETCH_SITE) {
        Some("same-origin") => return Verdict::Same,
        Some("none") | None => {}
        Some(_) => return Verdict::Other,
    }
    let Some(origin) = text(&ORIGIN) else {
        // A browser that says `none` was sent here by the person; it says so of no script.
        return if headers.contains_key(FETCH_SITE) { Verdict::Same } else { Verdict::Silent };
    };
    let public = public_url.is_some_and(|url| origin_of(url) == Some(origin));
    let host = text(&HOST).unwrap_or_default();
    let here = origin.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "http" | "https") && !host.is_empty() && rest.eq_ignore_ascii_case(host)
    });
    if public || here { Verdict::Same } else { Verdict::Other }
}

/// Returns whether the request came over https, as its page or the proxy before us says. Who lies about it keeps a
/// cookie from themselves.
pub fn is_https(headers: &HeaderMap) -> bool {
    let begins = |name: HeaderName, with: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|text| text.starts_with(with))
    };
    begins(ORIGIN, "https://") || begins(FORWARDED_PROTO, "https")
}

/// Returns scheme, host and port of an address.
fn origin_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let length = scheme.len() + 3 + rest.split('/').next()?.len();
    url.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn other_sites_are_told_apart() {
        let check = |pairs: &[(&'static str, &str)], expect: Verdict| {
            let mut all = headers(pairs);
            all.insert(HOST, "gw.test:8081".parse().unwrap());
            assert_eq!(judge(&all, Some("https://console.test/base")), expect, "{pairs:?}");
        };
        check(&[], Verdict::Silent);
        check(&[("origin", "http://gw.test:8081")], Verdict::Same);
        check(&[("origin", "https://gw.test:8081")], Verdict::Same);
        check(&[("origin", "https://console.test")], Verdict::Same);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "https://behind.test")], Verdict::Same);
        check(&[("sec-fetch-site", "none")], Verdict::Same);
        for origin in [
            "null",
            "",
            "http://gw.test",
            "http://gw.test:8082",
            "http://evil.test",
            "http://gw.test:8081.evil.test",
            "http://console.test",
            "https://console.test.evil",
            "https://console.test:444",
            "gw.test:8081",
            "chrome-extension://gw.test:8081",
            "http://gw.test:8081/",
        ] {
            check(&[("origin", origin)], Verdict::Other);
        }
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            check(&[("sec-fetch-site", site), ("origin", "http://gw.test:8081")], Verdict::Other);
        }
        check(&[("sec-fetch-site", "none"), ("origin", "http://evil.test")], Verdict::Other);
    }

    #[test]
    fn https_is_believed() {
        assert!(is_https(&headers(&[("origin", "https://x")])));
        assert!(is_https(&headers(&[("x-forwarded-proto", "https")])));
        assert!(!is_https(&headers(&[("origin", "http://x"), ("x-forwarded-proto", "http")])));
    }
}

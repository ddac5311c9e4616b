//! Cookies (RFC 6265): read strictly, written with every attribute.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use crate::admin::problem::Problem;

/// Returns every value of a name, in the order of the headers.
fn get<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .collect()
}

/// A cookie of ours. Over https it goes by its name with `__Host-` before it: a browser takes such a one from this very
/// host and over https alone, so that neither a neighbour's host nor a plain connection can plant it.
#[derive(Clone, Copy, Debug)]
pub struct Ours {
    /// Its name over http.
    pub plain: &'static str,
    /// Its name over https: the same, with `__Host-` before it.
    pub guarded: &'static str,
    /// When other sites' pages have it sent: `Strict`, `Lax`.
    pub same_site: &'static str,
}

impl Ours {
    /// Returns its values. The guarded name goes first, for it cannot be planted; where everybody comes over https
    /// (`only_guarded`), nothing else counts.
    pub fn values<'a>(&self, headers: &'a HeaderMap, only_guarded: bool) -> Vec<&'a str> {
        let guarded = get(headers, self.guarded);
        if guarded.is_empty() && !only_guarded { get(headers, self.plain) } else { guarded }
    }

    /// Returns a `Set-Cookie` that scripts cannot read.
    ///
    /// # Errors
    /// 500 when the value is not one that a cookie may have.
    pub fn set(&self, value: &str, seconds: u64, secure: bool) -> Result<HeaderValue, Problem> {
        let (name, secure) = if secure { (self.guarded, "; Secure") } else { (self.plain, "") };
        let same_site = self.same_site;
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).map_err(|_| Problem::internal("the cookie could not be written"))
    }

    /// Returns the `Set-Cookie`s that take it away under either name.
    ///
    /// # Errors
    /// None that can happen.
    pub fn taken_away(&self) -> Result<[HeaderValue; 2], Problem> {
        Ok([self.set("", 0, false)?, self.set("", 0, true)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; b=2;c=3 ; xa=4; A=5; d"));
        headers.append(COOKIE, HeaderValue::from_static("a=6=7"));
        let check = |name: &str, expect: &[&str]| assert_eq!(get(&headers, name), expect, "{name}");
        check("a", &["1", "6=7"]);
        check("b", &["2"]);
        check("c", &["3"]);
        check("d", &[]);
        check("", &[]);
    }

    const OURS: Ours = Ours { plain: "s", guarded: "__Host-s", same_site: "Strict" };

    #[test]
    fn cookies_are_out_of_the_reach_of_scripts() {
        assert_eq!(
            OURS.set("1", 60, true).unwrap(),
            "__Host-s=1; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert_eq!(OURS.set("1", 60, false).unwrap(), "s=1; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
        assert!(OURS.set("1\r\nx: y", 0, false).is_err());
    }

    /// Acceptance WEB-03: a neighbouring host can plant `s`, and not `__Host-s`.
    #[test]
    fn what_cannot_be_planted_goes_first() {
        let check = |cookies: &'static str, only_guarded: bool, expect: &[&str]| {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookies))]);
            assert_eq!(OURS.values(&headers, only_guarded), expect, "{cookies} {only_guarded}");
        };
        check("s=1", false, &["1"]);
        check("s=1", true, &[]);
        check("s=1; __Host-s=2", false, &["2"]);
        check("__Host-s=2; s=1; s=3", true, &["2"]);
        check("__Host-s=2; __Host-s=3", false, &["2", "3"]);
        check("__host-s=2", true, &[]);
    }
}

//! Cookies (RFC 6265): read strictly, written with every attribute.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use crate::admin::problem::Problem;

/// Returns every value of a name, in the order of the headers.
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .collect()
}

/// Returns a `Set-Cookie` that scripts cannot read; one that lives for zero seconds takes it away.
///
/// # Errors
/// 500 when the value is not one that a cookie may have.
pub fn set(
    name: &str,
    value: &str,
    path: &str,
    same_site: &str,
    seconds: u64,
    secure: bool,
) -> Result<HeaderValue, Problem> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(|_| Problem::internal("the cookie could not be written"))
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

    #[test]
    fn cookies_are_out_of_the_reach_of_scripts() {
        let cookie = set("s", "1", "/", "Strict", 60, true).unwrap();
        assert_eq!(cookie, "s=1; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert!(!set("s", "1", "/", "Lax", 0, false).unwrap().to_str().unwrap().contains("Secure"));
        assert!(set("s", "1\r\nx: y", "/", "Lax", 0, false).is_err());
    }
}

//! Replacing what looks like a secret or personal data in a body that is kept.
//!
//! It reads bytes, not JSON, so that a body that is cut or no JSON at all is redacted too; JSON stays JSON. It knows keys
//! by the prefixes that providers give them, bearer tokens, JSON web tokens, long hexadecimal and mixed words, email
//! addresses, card numbers (by their check digit) and long runs of digits. What a model says in several events of a stream
//! is put together first (`pieces`).

mod pieces;

use std::ops::Range;

/// What keys begin with, ours first.
const KEYS: [&str; 27] = [
    "whsec_",
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "pk-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "xoxs-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "hf_",
    "gsk_",
    "xai-",
    "pplx-",
    "r8_",
    "npm_",
];

/// What ids begin with that are long and no secret.
const IDS: [&str; 9] = ["chatcmpl-", "msg_", "resp_", "req_", "call_", "toolu_", "cmpl-", "fp_", "gen-"];

/// A key has at least so many characters.
const SHORTEST_KEY: usize = 12;

/// A word of hexadecimal digits, and one of capitals, small letters and digits, is a secret from so many characters on.
const LONG_HEX: usize = 32;
const LONG_MIXED: usize = 40;

/// A run of digits is personal from so many on: accounts, telephones, social security.
const LONG_DIGITS: usize = 9;

/// Returns a body without what looks like a secret.
pub fn redact(body: &[u8]) -> Vec<u8> {
    let joined = pieces::redact_across(body);
    let body = joined.as_deref().unwrap_or(body);
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    for Mark { range, with } in marks(body) {
        out.extend_from_slice(body.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(with);
        at = range.end;
    }
    out.extend_from_slice(body.get(at..).unwrap_or_default());
    out
}

/// A piece of a text that must not be kept, and what stands for it.
struct Mark {
    range: Range<usize>,
    with: &'static [u8],
}

/// Finds what looks like a secret, in the order of the text.
fn marks(body: &[u8]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut at = 0;
    let mut after_bearer = false;
    while let Some(byte) = body.get(at) {
        let rest = body.get(at..).unwrap_or_default();
        if *byte == b'\\' {
            // An escape is no part of the word behind it.
            at += if rest.get(1) == Some(&b'u') { 6 } else { 2 };
            continue;
        }
        if let Some(length) = digits(rest) {
            let (before, run) = (body.get(..at).unwrap_or_default(), rest.get(..length).unwrap_or_default());
            let range = at..at + length;
            at += length;
            let number = is_number(before, body.get(at..).unwrap_or_default());
            // A time in seconds or milliseconds is a number too: only what is a card is taken for one.
            let with: Option<&'static [u8]> = match (is_card(run), number) {
                (true, true) => Some(b"0"),
                (true, false) => Some(b"[card]"),
                (false, false) if is_long(run) => Some(b"[number]"),
                _ => None,
            };
            marks.extend(with.map(|with| Mark { range, with }));
            after_bearer = false;
            continue;
        }
        if !byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let length = rest.iter().take_while(|byte| is_word(**byte)).count();
        let word = rest.get(..length).unwrap_or_default();
        marks.extend(replaced(word, after_bearer).map(|with| Mark { range: at..at + length, with }));
        after_bearer = word.eq_ignore_ascii_case(b"bearer");
        at += length;
    }
    marks
}

/// Returns what stands for a word, if it must not be kept.
fn replaced(word: &[u8], after_bearer: bool) -> Option<&'static [u8]> {
    let text = std::str::from_utf8(word).ok()?;
    if IDS.iter().any(|prefix| text.starts_with(prefix)) {
        return None;
    }
    let hex = word.len() >= LONG_HEX && word.iter().all(u8::is_ascii_hexdigit);
    let has = |kind: fn(&u8) -> bool| word.iter().any(kind);
    let mixed = word.len() >= LONG_MIXED
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase);
    let web_token = text.starts_with("eyJ") && text.matches('.').count() == 2;
    // A key may stand behind something, as in `key=sk-…` or `https://user:ghp_…@host`.
    let key = KEYS.iter().any(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let begins = at == 0 || word.get(at - 1).is_some_and(|before| !before.is_ascii_alphanumeric());
            begins && word.len() - at >= SHORTEST_KEY
        })
    });
    let secret = key || hex || mixed || web_token || (after_bearer && word.len() >= 8);
    match (secret, is_email(text)) {
        (true, _) => Some(b"[secret]"),
        (false, true) => Some(b"[email]"),
        (false, false) => None,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.+/@%".contains(&byte)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let labels = domain.trim_end_matches(['.', ':']);
    let dotted = labels.split_once('.').is_some_and(|(name, rest)| !name.is_empty() && rest.len() >= 2);
    let named = local.chars().next_back().is_some_and(|last| last.is_ascii_alphanumeric() || "_-+".contains(last));
    dotted && named
}

/// Returns the length of a run of digits that may be grouped by single spaces or dashes; `None` when there is none. A last
/// group that is the beginning of a word, as in `1111 2nd`, is no part of it.
fn digits(rest: &[u8]) -> Option<usize> {
    let (mut groups, mut length) = (0, 0);
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        let next_is_digit = rest.get(at + 1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'0'..=b'9' => length = at + 1,
            b' ' | b'-' if length > 0 && next_is_digit => groups = length,
            _ => break,
        }
        at += 1;
    }
    let word = rest.get(length).is_some_and(|next| is_word(*next) && !b".-/".contains(next));
    let length = if word { groups } else { length };
    (length > 0).then_some(length)
}

fn values(run: &[u8]) -> impl DoubleEndedIterator<Item = u32> {
    run.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'))
}

/// Whether a run is as long as a number that names somebody. Groups of digits as in `2026-11-21 10:00` are shorter.
fn is_long(run: &[u8]) -> bool {
    values(run).count() >= LONG_DIGITS
}

/// Whether a run is a card number: 13 to 19 digits (ISO/IEC 7812-1), the last of which checks the others (Luhn).
fn is_card(run: &[u8]) -> bool {
    let sum: u32 = values(run)
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit @ 0..5) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    (13..=19).contains(&values(run).count()) && sum.is_multiple_of(10)
}

/// Whether digits stand where JSON has a number, by what is before and behind them.
fn is_number(before: &[u8], behind: &[u8]) -> bool {
    let last = before.iter().rev().find(|byte| !byte.is_ascii_whitespace());
    let next = behind.iter().find(|byte| !byte.is_ascii_whitespace());
    last.is_none_or(|last| b":,[.-".contains(last)) && next.is_none_or(|next| b",]}.".contains(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: &str) {
        assert_eq!(String::from_utf8(redact(body.as_bytes())).unwrap(), expect, "{body}");
    }

    #[test]
    fn keys_are_replaced() {
        check("my key is sk-cw-0123456789abcdef, thanks", "my key is [secret], thanks");
        check(r#"{"content":"first\nsk-ant-api03-AbCdEf"}"#, r#"{"content":"first\n[secret]"}"#);
        check("token=ghp_abcdefghijklmnop", "token=[secret]");
        check("AKIAIOSFODNN7EXAMPLE", "[secret]");
        check("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [secret]");
        check("eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl", "[secret]");
        check("0123456789abcdef0123456789abcdef", "[secret]");
        check("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1", "[secret]");
        check("https://u:ghp_0123456789abc@example.com/x", "https://u:[secret]");
    }

    #[test]
    fn people_are_replaced() {
        check("write to jane.doe+x@example.co.uk.", "write to [email]");
        check("card 4111 1111 1111 1111!", "card [card]!");
        check("card 4111-1111-1111-1111", "card [card]");
        check(r#"{"card":4111111111111111}"#, r#"{"card":0}"#);
        check("call 030 1234 5678 90 now", "call [number] now");
        check("account 123456789", "account [number]");
        check("4111 1111 1111 1111 2nd", "[card] 2nd");
        check("030 1234 5678 90-x", "[number]-x");
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "",
            "plain words, a sk-8 board, risk-taking people",
            r#"{"created":1795000000,"id":"chatcmpl-9x8y7z6w5v4u3t2s1r0q9p8o7n6m5l4k","n":[1,2.5,-3]}"#,
            "2026-11-21T10:00:00Z, 12345678, 3.14159",
            "@home and a@b",
            "grüße, 東京 \\u00e9",
            "the bearer of news",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn any_bytes_are_read() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut body: Vec<u8> =
                (0..random.usize(0..60)).map(|_| *random.choice(b"sk-_1234567890\\u\"@.a Z\xff").unwrap()).collect();
            redact(&body);
            body.truncate(random.usize(0..=body.len()));
            assert!(!String::from_utf8_lossy(&redact(&body)).contains("sk-123456789012"));
        }
    }
}

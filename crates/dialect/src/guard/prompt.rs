//! Appends our system prompt to a caller's: a text or parts, the same in every dialect that has them.

use std::ops::Range;

use bytes::Bytes;

use crate::json::Scanner;
use crate::json::text::{escaped, quoted};
use crate::splice::Patch;

/// What stands between a caller's system prompt and ours.
pub(super) const BETWEEN: &str = "\n\n";

/// Returns the patch that appends a prompt to a system prompt that stands at `value`.
pub(super) fn append(body: &[u8], value: &Range<usize>, prompt: &str) -> Patch {
    let insert = |at: usize, with: Vec<u8>| Patch { range: at..at, with: with.into() };
    let last = value.end.saturating_sub(1);
    match body.get(value.clone()).unwrap_or_default() {
        b"\"\"" | b"null" => replace(value, quoted(prompt)),
        [b'"', ..] => insert(last, escaped(&format!("{BETWEEN}{prompt}"))),
        [b'[', ..] => {
            let empty = Scanner::new(body, value.start + 1).peek() == Ok(b']');
            let comma: &[u8] = if empty { b"" } else { b"," };
            insert(last, [comma, &part(prompt)].concat())
        }
        // No system prompt that a dialect knows: the provider would refuse it, and ours must not be lost.
        other => replace(value, [b"[", other, b",", &part(prompt), b"]"].concat()),
    }
}

fn part(prompt: &str) -> Vec<u8> {
    [b"{\"type\":\"text\",\"text\":", quoted(prompt).as_slice(), b"}"].concat()
}

fn replace(value: &Range<usize>, with: Vec<u8>) -> Patch {
    Patch { range: value.clone(), with: Bytes::from(with) }
}

//! A bounded run of the fuzzing targets of `fuzz/targets/dialect.rs`, on a stable toolchain.

#![expect(clippy::panic, clippy::print_stdout, reason = "a test fails by panicking and says what it did")]

#[path = "../../../fuzz/bounded.rs"]
mod bounded;
#[path = "../../../fuzz/targets/dialect.rs"]
mod targets;

use bounded::Grammar;
use dialect::json::Scanner;

/// JSON and event streams.
const GRAMMAR: Grammar = Grammar {
    words: &[
        b"{".as_slice(),
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"",
        b"\\",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b"\"\"",
        b"-1",
        b"1e9",
        b"0.5",
        b"18446744073709551616",
        b"\\ud83d",
        b"\\u0000",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"data:",
        b"data: [DONE]\n\n",
        b"event: x\n",
        b": ping\n\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\"type\":",
        b"\"error\":{\"message\":\"m\"}",
        b"\xc3\xa9",
        b" ",
    ],
    values: &[b"null".as_slice(), b"true", b"{}", b"[]", b"\"\"", b"-1", b"\"text\"", b"18446744073709551616"],
    boundaries: b"{}[],:\"\n",
    value: |data, start| {
        let before = data.iter().skip(start).position(|byte| b":[,".contains(byte))?;
        let range = Scanner::new(data, start + before + 1).value().ok()?;
        Some((range.start, range.end))
    },
};

/// Acceptance FUZZ-01.
#[test]
fn no_target_fails() {
    bounded::run_all(targets::TARGETS, &GRAMMAR);
}

//! A bounded run of the fuzzing targets of `fuzz/targets/configuration.rs`, on a stable toolchain.

#![expect(clippy::panic, clippy::print_stdout, reason = "a test fails by panicking and says what it did")]

#[path = "../../../fuzz/bounded.rs"]
mod bounded;
#[path = "../../../fuzz/targets/configuration.rs"]
mod targets;

use bounded::Grammar;

/// YAML, TOML and JSON, as far as lines and a few signs go.
const GRAMMAR: Grammar = Grammar {
    words: &[
        b": ".as_slice(),
        b"- ",
        b"\n",
        b"\r\n",
        b"  ",
        b"\t",
        b"---\n",
        b"...",
        b"|",
        b">-",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!binary ",
        b"? ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[[",
        b"]]",
        b" = ",
        b"\"",
        b"'",
        b"'''",
        b"#",
        b"${SET}",
        b"${",
        b"$$",
        b"\\u0000",
        b"\xef\xbb\xbf",
        b"\xff",
        b"key",
        b"environment",
        b"spec",
        b"kind",
        b"default",
    ],
    values: &[
        b"null".as_slice(),
        b"~",
        b"true",
        b"-1",
        b"0",
        b"0.1",
        b"1e999",
        b"0x10",
        b".nan",
        b"18446744073709551616",
        b"1_000",
        b"60s",
        b"month",
        b"2026-02-30",
        b"2027-01-31T00:00:00Z",
        b"team:",
        b"model:x",
        b"http://[::1",
        b"10.0.0.0/33",
        b"'vision' in features",
        b"headers.a.matches('(a+)+$')",
        b"[[[[[[[[model]]]]]]]] == []",
        b"labels.all(x, x == 'a' || x > 3)",
        b"a\n  b",
        b"\"\"",
    ],
    boundaries: b"{}[],:=-\"'\n",
    value: |data, start| {
        // What stands behind the first sign that a value stands behind, to the end of the line.
        let before = data.iter().skip(start).position(|byte| b":=-".contains(byte))?;
        let from = start + before + 1;
        let length = data.iter().skip(from).position(|byte| *byte == b'\n')?;
        Some((from, from + length))
    },
};

/// Acceptance FUZZ-01.
#[test]
fn no_target_fails() {
    bounded::run_all(targets::TARGETS, &GRAMMAR);
}

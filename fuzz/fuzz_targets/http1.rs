//! Runs the target of HTTP/1.1 under libFuzzer.

#![no_main]

#[path = "../targets/http1.rs"]
mod http1;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| http1::request_head(data));

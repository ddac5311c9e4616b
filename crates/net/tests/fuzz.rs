//! A bounded run of the fuzzing target of HTTP/1.1, on a stable toolchain: changes of the seeds in `fuzz/seeds/http1`, the
//! same ones on every machine.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../../fuzz/targets/http1.rs"]
mod http1;

use std::path::Path;

const CASES: u64 = 20_000;

/// What framing hangs on.
const WORDS: [&str; 22] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    "+",
    "0x",
    "5",
    "18446744073709551616",
    "content-length: 6\r\n",
    "Content-Length:5\r\n",
    "transfer-encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "chunked",
    "connection: close\r\n",
    "HTTP/1.1",
    "HTTP/1.0",
    "\r\n\r\n",
    "\u{e9}",
];

/// Acceptance FUZZ-01.
#[test]
fn heads_are_framed_as_their_lines_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/http1");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| http1::request_head(seed));
    for case in 0..CASES {
        let mut random = fastrand::Rng::with_seed(case);
        let mut data = seeds[random.usize(..seeds.len())].clone();
        for _ in 0..=random.usize(..4) {
            change(&mut random, &mut data);
        }
        http1::request_head(&data);
    }
}

fn change(random: &mut fastrand::Rng, data: &mut Vec<u8>) {
    let at = random.usize(..=data.len());
    match random.u8(..4) {
        0 => {
            data.splice(at..at, WORDS[random.usize(..WORDS.len())].bytes());
        }
        1 if at < data.len() => data[at] = random.u8(..),
        2 => {
            let end = (at + random.usize(..8)).min(data.len());
            data.drain(at..end);
        }
        _ => {
            let end = (at + random.usize(..40)).min(data.len());
            let piece = data[at..end].to_vec();
            let to = random.usize(..=data.len());
            data.splice(to..to, piece);
        }
    }
}

//! What is fuzzed of HTTP/1.1: the head of a request. Any way of cutting it gives the same head, and what is accepted is
//! framed as a plain reading of its lines says.
//!
//! The file belongs to two programs: `fuzz_targets/http1.rs`, under libFuzzer, and the test `fuzz` of the crate `net`, on
//! a stable toolchain.

use bytes::Bytes;
use net::h1::serve::head::{HeadError, Length, empty_lines, find_end, parse};

/// Reads bytes as the beginning of a connection.
pub fn request_head(data: &[u8]) {
    let Ok(empty) = empty_lines(data) else { return };
    let data = &data[empty..];
    let whole = find_end(data, &mut 0);
    assert_eq!(in_pieces(data), whole, "any way of cutting gives the same end");
    let Ok(Some(end)) = whole else { return };
    let raw = Bytes::copy_from_slice(&data[..end]);
    let Ok(head) = parse(&raw) else { return };
    let text = String::from_utf8_lossy(&raw).into_owned();
    let lines: Vec<&str> =
        text.strip_suffix("\r\n\r\n").expect("a head ends with an empty line").split("\r\n").collect();
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])), "no line hides another");
    let values = |name: &str| -> Vec<String> {
        let fields = lines[1..].iter().filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    };
    let (codings, lengths) = (values("transfer-encoding"), values("content-length"));
    match head.length {
        Length::Chunked => assert!(
            lengths.is_empty() && codings.len() == 1 && codings[0].eq_ignore_ascii_case("chunked"),
            "{codings:?}"
        ),
        Length::Known(length) => {
            assert!(codings.is_empty(), "{codings:?}");
            assert!(lengths.len() <= 1 && lengths.iter().all(|said| *said == length.to_string()), "{lengths:?}");
            assert!(!lengths.is_empty() || length == 0);
        }
    }
}

fn in_pieces(data: &[u8]) -> Result<Option<usize>, HeadError> {
    let mut scanned = 0;
    for end in 0..data.len() {
        match find_end(&data[..end], &mut scanned) {
            Ok(None) => {}
            found => return found,
        }
    }
    find_end(data, &mut scanned)
}

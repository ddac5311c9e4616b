//! Payloads through their public functions.

use super::*;
use crate::tests::{Directory, NOW_MS};

fn payload(ms: u64, text: &str) -> StoredPayload {
    let part = Part { data: text.as_bytes().to_vec(), bytes: text.len() as u64 + 7, cut: true };
    StoredPayload {
        until_ms: None,
        id: RequestId::new(ms),
        environment: "default".into(),
        state: State::Redacted,
        request: Some(part),
        response: Some(Part::default()),
    }
}

#[test]
fn payloads_read_as_they_were_written() {
    let dir = Directory::new();
    assert!(PayloadsReader::open(&dir).unwrap().is_none());
    let mut payloads = Payloads::open(&dir).unwrap();
    let mut given: Vec<_> =
        ["", "short", &"long ".repeat(500), "{\"é\":1}"].iter().map(|text| payload(NOW_MS, text)).collect();
    given[1].response = None;
    given[2].state = State::Dropped;
    given[3].id = RequestId(std::array::from_fn(|n| if n == 15 { given[2].id.0[15] ^ 1 } else { given[2].id.0[n] }));
    payloads.write(&given).unwrap();
    let mut again = given[0].clone();
    again.request = None;
    payloads.write(&[again]).unwrap();
    let reader = PayloadsReader::open(&dir).unwrap().unwrap();
    for one in &given {
        assert_eq!(reader.get("default", one.id).unwrap().as_ref(), Some(one));
        assert_eq!(reader.get("other", one.id).unwrap(), None);
    }
    assert_eq!(reader.get("default", RequestId::new(NOW_MS)).unwrap(), None);
}

#[test]
fn old_payloads_go_a_few_at_a_time_and_their_space_is_used_again() {
    let dir = Directory::new();
    let mut payloads = Payloads::open(&dir).unwrap();
    let text: String = (0..20_000).map(|n: u32| char::from(33 + (n * n % 89) as u8)).collect();
    let many = |from: u64| (0..120).map(|n| payload(from + n, &text)).collect::<Vec<_>>();
    payloads.write(&many(NOW_MS)).unwrap();
    let size = || std::fs::metadata(dir.join("payloads.db")).unwrap().len();
    let checkpoint = |payloads: &Payloads| {
        payloads.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    };
    checkpoint(&payloads);
    let full = size();
    assert_eq!(payloads.sweep("other", NOW_MS + 1_000).unwrap(), 0);
    let deleted: Vec<_> = (0..4).map(|_| payloads.sweep("default", NOW_MS + 119).unwrap()).collect();
    assert_eq!(deleted, [50, 50, 19, 0]);
    payloads.write(&many(NOW_MS + 1_000)).unwrap();
    checkpoint(&payloads);
    assert!(size() <= full + full / 10, "{} after {full}", size());
}

#[test]
fn damage_is_an_error() {
    assert_eq!(squeeze::unsqueeze(&[]), None);
    assert_eq!(squeeze::unsqueeze(&[9, 1, 2]), None);
    assert_eq!(squeeze::unsqueeze(&[1, 0xff, 0xff]), None);
}

//! A file of version 1, with its rows.

use super::requests::{query, settlement};
use super::*;
use crate::records::usage::UsageQuery;

const VERSION_1: &str = include_str!("../../migrations/records/0001_requests.sql");

/// What version 1 wrote of two requests of a key and one of another name: one succeeded at the second try.
fn write_version_1(dir: &Path, settlements: &[Settlement]) {
    // The detail's form has not changed since: it is taken from a new file.
    let other = Directory::new();
    Records::open(&other).unwrap().commit(settlements, &[], &[]).unwrap();
    let new = rusqlite::Connection::open(other.join("records.db")).unwrap();
    let old = rusqlite::Connection::open(dir.join("records.db")).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute("ATTACH ?1 AS new", [other.join("records.db").to_str().unwrap()]).unwrap();
    old.execute_batch(
        "INSERT INTO names SELECT * FROM new.names;
        INSERT INTO callers SELECT min(id), environment, key_name FROM new.callers GROUP BY environment, key_name;
        INSERT INTO requests SELECT r.seq, r.id, o.id, n.key_id, r.surface, r.model, r.provider, r.stream, r.status,
            r.outcome, r.error_code, r.input_tokens, r.cached_input_tokens, r.cache_write_tokens, r.output_tokens,
            r.reasoning_tokens, r.audio_input_tokens, r.audio_output_tokens, r.usage_origin, r.cost_nanos, r.baseline,
            r.baseline_cost_nanos, r.latency_us, r.first_content_us, r.detail
        FROM new.requests r JOIN new.callers n ON n.id = r.caller
            JOIN main.callers o ON o.environment = n.environment AND o.key_name = n.key_name;
        INSERT INTO watermarks VALUES (x'01010101010101010101010101010101', 77);",
    )
    .unwrap();
    drop(new);
}

/// Acceptance DUR-06.
#[test]
fn a_file_of_version_1_keeps_its_rows_and_is_summed() {
    let dir = Directory::new();
    let mut given: Vec<_> = (0..3).map(|n| settlement(NOW_MS + n * 70_000, "a")).collect();
    given[0].subject.key = Some(ResourceId([1; 16]));
    given[1].subject.key = Some(ResourceId([2; 16]));
    let again = given[1].attempts[0].clone();
    given[1].attempts.push(again);
    given[2].subject.key_name = "b".into();
    write_version_1(&dir, &given);

    let mut records = Records::open(&dir).unwrap();
    assert_eq!(records.watermarks().unwrap(), [([1; 16], 77)]);
    assert_eq!(records.commit(&given, &[], &[]).unwrap(), [0, 1, 2], "they are known");
    let reader = RecordsReader::open(&dir).unwrap();
    for one in &given {
        let record = reader.get("default", one.subject.id).unwrap().unwrap();
        assert_eq!(record, crate::records::record::RequestRecord::of(one));
    }
    let span = UsageQuery { environment: "default".into(), from_ms: 0, to_ms: u64::MAX >> 20, ..UsageQuery::default() };
    let total = reader.usage(&span).unwrap().total;
    assert_eq!((total.sums.requests, total.sums.cost_nanos, total.fallbacks), (3, 3 * 122_500, 1));
    assert_eq!(reader.totals(&[ResourceId([2; 16])]).unwrap()[0].1.requests, 1);
    let retried = ListQuery { filter: Filter { fallback: Some(true), ..Filter::default() }, ..query() };
    assert_eq!(reader.list(&retried).unwrap().data[0].id, given[1].subject.id);

    drop(records);
    let _again = Records::open(&dir).unwrap();
    assert_eq!(reader.usage(&span).unwrap().total.sums.requests, 3, "they are counted once");
}

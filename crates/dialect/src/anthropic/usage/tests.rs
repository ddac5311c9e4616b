//! What reports say, and which are believed.

use super::*;

/// In this order: input, read from the cache, written to it, output, thinking.
fn check(report: &str, expect: Option<[u64; 5]>) {
    let found = read(report.as_bytes()).usage();
    if let Some(usage) = found {
        assert_eq!((usage.audio_input, usage.audio_output), (0, 0));
    }
    let found = found.map(|u| [u.input, u.cached_input, u.cache_writes(), u.output, u.reasoning]);
    assert_eq!(found, expect, "{report}");
}

#[test]
fn buckets_are_disjoint() {
    check(r#"{"input_tokens":12,"output_tokens":5}"#, Some([12, 0, 0, 5, 0]));
    check(
        r#"{"input_tokens":12,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,
            "cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},
            "output_tokens":50,"output_tokens_details":{"thinking_tokens":20},"service_tier":"standard",
            "server_tool_use":{"web_search_requests":1}}"#,
        Some([12, 4, 3, 30, 20]),
    );
    check(
        r#"{"input_tokens":1,"cache_read_input_tokens":null,"output_tokens_details":null,"output_tokens":2}"#,
        Some([1, 0, 0, 2, 0]),
    );
    check(
        r#"{"output_tokens_details":{"thinking_tokens":9},"input_tokens":1,"output_tokens":2}"#,
        Some([1, 0, 0, 0, 2]),
    );
}

#[test]
fn cache_writes_have_their_time() {
    let check = |creation: &str, expect: [u64; 2]| {
        let report = format!(
            r#"{{"input_tokens":1,"cache_creation_input_tokens":30,"cache_creation":{creation},"output_tokens":1}}"#
        );
        let found = read(report.as_bytes()).usage().unwrap();
        assert_eq!([found.cache_write, found.cache_write_1h], expect, "{creation}");
    };
    check(r#"{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10}"#, [20, 10]);
    check(r#"{"ephemeral_1h_input_tokens":31}"#, [0, 30]);
    check(r#"{"ephemeral_1h_input_tokens":-1}"#, [30, 0]);
    check("{}", [30, 0]);
    check("null", [30, 0]);
    check("7", [30, 0]);
    // A stream says it at its start; the sums at its end do not repeat it.
    let mut reported = read(
        br#"{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":5},"output_tokens":1}"#,
    );
    reported.update(&read(
        br#"{"cache_creation_input_tokens":5,"output_tokens":9,"server_tool_use":{"web_search_requests":2}}"#,
    ));
    let usage = reported.usage().unwrap();
    assert_eq!((usage.cache_write, usage.cache_write_1h, usage.output, usage.searches), (0, 5, 9, 2));
}

#[test]
fn compactions_are_added() {
    let iterations = r#"[
        {"type":"compaction","input_tokens":100,"output_tokens":10,"cache_read_input_tokens":7},
        {"type":"message","input_tokens":5,"output_tokens":6},
        {"type":"advisor_message","model":"m","input_tokens":1000,"output_tokens":1000},
        {"output_tokens":1,"input_tokens":20,"cache_creation_input_tokens":3,"type":"compaction"}, null]"#;
    check(&format!(r#"{{"input_tokens":5,"output_tokens":6,"iterations":{iterations}}}"#), Some([125, 7, 3, 17, 0]));
    check(r#"{"input_tokens":5,"iterations":null,"output_tokens":6}"#, Some([5, 0, 0, 6, 0]));
}

#[test]
fn lies_are_not_believed() {
    for report in [
        "null",
        "{}",
        "",
        "[1]",
        r#"{"input_tokens":-1,"output_tokens":1}"#,
        r#"{"input_tokens":1.5,"output_tokens":1}"#,
        r#"{"input_tokens":"1","output_tokens":1}"#,
        r#"{"input_tokens":1,"output_tokens":99999999999999}"#,
        r#"{"input_tokens":1,"output_tokens":null}"#,
        r#"{"input_tokens":1}"#,
        r#"{"output_tokens":1}"#,
    ] {
        check(report, None);
    }
    check(r#"{"input_tokens":1,"cache_read_input_tokens":-7,"output_tokens":1}"#, Some([1, 0, 0, 1, 0]));
}

#[test]
fn the_last_word_counts_bucket_by_bucket() {
    let mut reported = read(br#"{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":1}"#);
    assert_eq!(reported.begun().map(|u| (u.input, u.cached_input, u.output)), Some((10, 4, 0)));
    reported.update(&read(br#"{"output_tokens":30,"input_tokens":-1}"#));
    reported.update(&read(br#"{"cache_read_input_tokens":6,"output_tokens":31}"#));
    assert_eq!(reported.usage().map(|u| (u.input, u.cached_input, u.output)), Some((10, 6, 31)));
}

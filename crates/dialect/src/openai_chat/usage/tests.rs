//! Reports of many vendors, in disjoint buckets.

use super::*;

/// `expect`: plain input, cached, written to the cache, audio; plain output, reasoning, audio.
fn check(report: &str, expect: [u64; 7]) {
    let usage = read(report.as_bytes()).unwrap();
    let Usage { input, cached_input, cache_write, output, reasoning, audio_input, audio_output, .. } = usage;
    assert_eq!([input, cached_input, cache_write, audio_input, output, reasoning, audio_output], expect, "{report}");
}

#[test]
fn buckets_are_disjoint() {
    check(
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":8,"audio_tokens":6},
            "completion_tokens_details":{"reasoning_tokens":40,"audio_tokens":null}}"#,
        [22, 64, 8, 6, 10, 40, 0],
    );
    check(
        r#"{"prompt_tokens":7,"completion_tokens":9,"completion_tokens_details":{"audio_tokens":5}}"#,
        [7, 0, 0, 0, 4, 0, 5],
    );
    check(r#"{"prompt_tokens":7}"#, [7, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn lies_are_not_believed() {
    for report in [
        "null",
        "{}",
        "7",
        "[]",
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":99999999999999}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"total_tokens":99999999999999}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"reasoning_tokens":99999999999999}"#,
        r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-1}}"#,
        r#"{"prompt_tokens":"1"}"#,
        r#"{"prompt_tokens":1"#,
    ] {
        assert_eq!(read(report.as_bytes()), None, "{report}");
    }
}

#[test]
fn a_part_that_exceeds_its_whole_is_cut_to_it() {
    // Grok at Azure; DeepSeek at Together.
    let cached = r#"{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":9,"cache_write_tokens":9,"audio_tokens":9}}"#;
    check(cached, [0, 5, 0, 0, 3, 0, 0]);
    let thoughts = r#"{"prompt_tokens":95,"total_tokens":2143,"completion_tokens":2048,"reasoning_tokens":2049}"#;
    check(thoughts, [95, 0, 0, 0, 0, 2048, 0]);
}

#[test]
fn the_total_tells_what_stands_beside() {
    // xAI: more thoughts than answer, and fewer.
    let xai = |completion: u64, total: u64| {
        format!(
            r#"{{"prompt_tokens":10,"completion_tokens":{completion},"total_tokens":{total},
                "prompt_tokens_details":{{"text_tokens":10,"audio_tokens":0,"cached_tokens":4}},
                "completion_tokens_details":{{"reasoning_tokens":30,"audio_tokens":0}}}}"#
        )
    };
    check(&xai(2, 42), [6, 4, 0, 0, 2, 30, 0]);
    check(&xai(50, 90), [6, 4, 0, 0, 50, 30, 0]);
    check(&xai(50, 60), [6, 4, 0, 0, 20, 30, 0]);
    // Mistral: sound, with and without its tokens.
    check(
        r#"{"completion_tokens":15,"prompt_audio_seconds":5,"prompt_tokens":11,"prompt_tokens_details":{"audio_tokens":375,"cached_tokens":9},"total_tokens":401}"#,
        [2, 9, 0, 375, 15, 0, 0],
    );
    check(
        r#"{"prompt_audio_seconds":203,"prompt_tokens":4,"total_tokens":3264,"completion_tokens":635}"#,
        [4, 0, 0, 2625, 635, 0, 0],
    );
    // Sound and thoughts beside each other.
    check(
        r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":33,"prompt_tokens_details":{"audio_tokens":10},"completion_tokens_details":{"reasoning_tokens":20}}"#,
        [1, 0, 0, 10, 2, 20, 0],
    );
    // Google's compatible endpoint: only the total has them.
    check(r#"{"completion_tokens":1,"prompt_tokens":9,"total_tokens":103}"#, [9, 0, 0, 0, 1, 93, 0]);
    // A total below the sum says nothing.
    check(r#"{"completion_tokens":4,"prompt_tokens":9,"total_tokens":9}"#, [9, 0, 0, 0, 4, 0, 0]);
}

#[test]
fn thoughts_may_stand_beside_unsummed() {
    // Vercel.
    check(
        r#"{"prompt_tokens":9,"completion_tokens":52,"total_tokens":61,"completion_tokens_details":{"reasoning_tokens":232}}"#,
        [9, 0, 0, 0, 52, 232, 0],
    );
    // Perplexity's research.
    check(
        r#"{"prompt_tokens":3,"completion_tokens":70,"total_tokens":73,"citation_tokens":200,"num_search_queries":18,"reasoning_tokens":50}"#,
        [203, 0, 0, 0, 70, 50, 0],
    );
}

#[test]
fn what_is_cached_has_many_names() {
    let cached = |member: &str| {
        let report = format!(r#"{{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,{member}}}"#);
        check(&report, [4, 5, 0, 0, 1, 0, 0]);
    };
    cached(r#""num_cached_tokens":5"#);
    cached(r#""cached_tokens":5"#);
    cached(r#""prompt_cache_hit_tokens":5,"prompt_cache_miss_tokens":4"#);
    cached(r#""prompt_cache_hit_tokens":5,"prompt_tokens_details":{"cached_tokens":5}"#);
    cached(r#""prompt_tokens_details":{"cached_tokens":5},"cache_read_input_tokens":5"#);
    cached(r#""prompt_token_details":{"cached_tokens":5},"prompt_tokens_details":null,"num_cached_tokens":0"#);
    check(
        r#"{"prompt_tokens":9,"cache_creation_input_tokens":5,"prompt_tokens_details":{"cache_creation_tokens":5}}"#,
        [4, 0, 5, 0, 0, 0, 0],
    );
}

#[test]
fn a_report_may_stand_inside() {
    let inside = |text: &str| scan_inside(text.as_bytes(), &mut Scanner::new(text.as_bytes(), 0));
    let groq = inside(r#"{"id":"req_1","usage":{"prompt_tokens":2,"completion_tokens":1}}"#).unwrap().unwrap();
    assert_eq!((groq.input, groq.output), (2, 1));
    assert_eq!(inside(r#"{"id":"req_1"}"#), Ok(None));
    assert_eq!(inside("null"), Ok(None));
    assert!(inside(r#"{"usage":{"#).is_err());
}

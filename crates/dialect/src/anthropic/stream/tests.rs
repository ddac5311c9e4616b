//! What passes, what is held and patched, however the bytes are cut.

use ir::usage::Usage;

use super::*;

const META: &[u8] = br#""crossway":{"routed_to":"m"}"#;
const ACCOUNT: &[u8] = br#""crossway":{"cost":1}"#;

/// Runs a whole stream, cut at the given places, and returns what the caller sees and how it ended.
fn run(text: &[u8], cuts: &[usize]) -> (String, Progress, Passed) {
    let mut stream = MessagesStream::new("crossway", META.to_vec());
    let mut out = Vec::new();
    let mut progress = Progress::More;
    let mut from = 0;
    for cut in cuts.iter().copied().chain([text.len()]) {
        progress = stream.push(Bytes::copy_from_slice(&text[from..cut]), &mut out);
        from = cut;
        if progress != Progress::More {
            break;
        }
    }
    if progress == Progress::More {
        progress = stream.end(&mut out);
    }
    if progress == Progress::Complete {
        stream.release(ACCOUNT, &mut out);
    }
    (String::from_utf8(out.concat()).unwrap(), progress, stream.passed().clone())
}

fn event(data: &str) -> String {
    let name = data.split('"').nth(3).unwrap();
    format!("event: {name}\ndata: {data}\n\n")
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","content":[],"usage":{"input_tokens":12,"cache_read_input_tokens":3,"output_tokens":1}}}"#;
const TEXT: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const PING: &str = r#"{"type":"ping"}"#;
const HELLO: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"日本\n\ndata: {}"}}"#;
const BLOCK_STOP: &str = r#"{"type":"content_block_stop","index":0}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn events(list: &[&str]) -> String {
    list.iter().map(|data| event(data)).collect()
}

fn sample() -> String {
    events(&[START, TEXT, PING, HELLO, BLOCK_STOP, DELTA, STOP])
}

fn in_message(start: &str, member: &[u8]) -> String {
    format!("{},{}}}}}", &start[..start.len() - 2], String::from_utf8_lossy(member))
}

fn with(data: &str, member: &[u8]) -> String {
    format!("{},{}}}", &data[..data.len() - 1], String::from_utf8_lossy(member))
}

fn expected() -> String {
    let (start, delta) = (in_message(START, META), with(DELTA, ACCOUNT));
    events(&[&start, TEXT, PING, HELLO, BLOCK_STOP, &delta, STOP])
}

#[test]
fn only_our_members_are_added() {
    for end in ["\n", "\r\n", "\r"] {
        let (seen, progress, passed) = run(sample().replace('\n', end).as_bytes(), &[]);
        assert_eq!(seen, expected().replace('\n', end), "{end:?}");
        assert_eq!(progress, Progress::Complete);
        let input = Usage { input: 12, cached_input: 3, ..Usage::default() };
        assert_eq!((passed.usage, passed.begun), (Some(Usage { output: 7, ..input }), Some(input)));
        assert_eq!((passed.id.as_deref(), passed.finish_reason.as_deref()), (Some("msg_1"), Some("end_turn")));
        assert_eq!((passed.data_events, passed.content_bytes), (7, r"日本\n\ndata: {}".len() as u64));
    }
}

#[test]
fn every_cut_gives_the_same() {
    for end in ["\n", "\r\n", "\r"] {
        let (text, expect) = (sample().replace('\n', end), expected().replace('\n', end));
        for cut in 0..=text.len() {
            assert_eq!(run(text.as_bytes(), &[cut]).0, expect, "{end:?} cut at {cut}");
        }
        let all: Vec<usize> = (1..text.len()).collect();
        assert_eq!(run(text.as_bytes(), &all).0, expect, "{end:?} byte by byte");
    }
}

proptest::proptest! {
    #[test]
    fn any_cuts_give_the_same(mut cuts in proptest::collection::vec(0usize..900, 0..12), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let text = format!(": hello\n\n{}", sample()).replace('\n', end);
        cuts.retain(|cut| *cut <= text.len());
        cuts.sort_unstable();
        let (seen, progress, _) = run(text.as_bytes(), &cuts);
        proptest::prop_assert_eq!(seen, format!(": hello\n\n{}", expected()).replace('\n', end));
        proptest::prop_assert_eq!(progress, Progress::Complete);
    }

    #[test]
    fn nothing_panics(
        kind in r"(message_start|content_block_start|content_block_delta|message_delta|error)?",
        rest in r#"[\[\]{}",:a0-9 -]{0,30}"#,
        member in r"(message|delta|content_block|usage|error)",
    ) {
        let text = format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"{member}\":{rest}}}\n\ndata: {rest}\n\n{}", sample());
        run(text.as_bytes(), &[text.len() / 3]);
    }
}

#[test]
fn the_beginning_is_not_content() {
    let mut stream = MessagesStream::new("crossway", META.to_vec());
    let mut out = Vec::new();
    let thinking =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#;
    let cited = r#"{"type":"content_block_start","index":0,"content_block":{"citations":[],"text":"","type":"text"}}"#;
    let empty = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#;
    let text = format!(": hi\n\n{}", events(&[START, PING, TEXT, thinking, cited, empty, BLOCK_STOP]));
    stream.push(text.into(), &mut out);
    assert!(!stream.passed().has_content);
    stream.push(event(HELLO).into(), &mut out);
    assert!(stream.passed().has_content);
}

#[test]
fn tools_and_thinking_are_content() {
    let check = |data: &str, bytes: u64| {
        let (_, _, passed) = run(event(data).as_bytes(), &[]);
        assert_eq!((passed.has_content, passed.content_bytes), (true, bytes), "{data}");
    };
    let delta = |delta: &str| format!(r#"{{"type":"content_block_delta","index":0,"delta":{{{delta}}}}}"#);
    check(&delta(r#""type":"thinking_delta","thinking":"hm""#), 2);
    check(&delta(r#""partial_json":"{\"a\"","type":"input_json_delta""#), 6);
    check(&delta(r#""type":"signature_delta","signature":"abc""#), 0);
    let block = |block: &str| format!(r#"{{"type":"content_block_start","index":0,"content_block":{{{block}}}}}"#);
    check(&block(r#""type":"tool_use","id":"t1","name":"f","input":{}"#), 1);
    check(&block(r#""type":"redacted_thinking","data":"abcd""#), 0);
    // What a tool of the provider found was not written by the model.
    check(&block(r#""content":[{"url":"x"}],"type":"web_search_tool_result","tool_use_id":"t""#), 0);
}

#[test]
fn a_finished_answer_without_message_stop_is_complete() {
    let text = events(&[START, TEXT, HELLO, BLOCK_STOP, DELTA]);
    let expect = events(&[&in_message(START, META), TEXT, HELLO, BLOCK_STOP, &with(DELTA, ACCOUNT), STOP]);
    let (seen, progress, _) = run(text.as_bytes(), &[]);
    assert_eq!((seen.as_str(), progress), (expect.as_str(), Progress::Complete));
    // Even the last empty line may be missing.
    assert_eq!(run(text.trim_end().as_bytes(), &[]).1, Progress::Complete);
}

#[test]
fn an_unfinished_answer_is_broken() {
    let text = format!("{}event: content_block_delta\ndata: {{\"type\":\"cont", events(&[START, TEXT, HELLO]));
    let (seen, progress, passed) = run(text.as_bytes(), &[]);
    assert_eq!(progress, Progress::Failed(Report::default()));
    assert!(!seen.contains("message_stop") && passed.content_bytes > 0);
    assert_eq!((passed.usage, passed.begun.map(|u| u.input)), (None, Some(12)));
}

#[test]
fn an_error_event_breaks_the_answer_off() {
    let check = |before: &[&str], error: &str, code: &str, message: Option<&str>| {
        let text = format!("{}{error}{}", events(before), events(&[HELLO]));
        let (seen, progress, passed) = run(text.as_bytes(), &[]);
        let Progress::Failed(report) = progress else { panic!("{error}: {progress:?}") };
        assert_eq!((report.code.as_deref(), report.message.as_deref()), (Some(code), message), "{error}");
        assert_eq!(passed.has_content, before.contains(&HELLO) || before.contains(&DELTA));
        assert!(!seen.contains("error"), "{seen}");
    };
    let overloaded = event(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    check(&[], &overloaded, "overloaded_error", Some("Overloaded"));
    check(&[START, TEXT], &overloaded, "overloaded_error", Some("Overloaded"));
    check(&[START, TEXT, HELLO], &overloaded, "overloaded_error", Some("Overloaded"));
    check(&[START, DELTA], &overloaded, "overloaded_error", Some("Overloaded"));
    check(&[], "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"t\"}}\n\n", "t", Some("m"));
    check(&[], "data: {\"error\":{\"message\":\"m\",\"type\":\"t\"}}\n\n", "t", Some("m"));
    check(&[], "event: error\ndata: {}\n\n", "error", None);
    check(&[], "event: error\ndata: upstream is gone\n\n", "error", Some("upstream is gone"));
}

#[test]
fn what_follows_the_end_is_ignored() {
    let text = format!("{}{}", sample(), sample());
    assert_eq!(run(text.as_bytes(), &[]).0, expected());
}

#[test]
fn what_comes_while_the_end_is_held_keeps_its_place() {
    let second = DELTA.replace("\"output_tokens\":7", "\"output_tokens\":9");
    let text = format!("{}: hi\n\n{}", events(&[START, DELTA, PING]), events(&[&second, STOP]));
    let start = in_message(START, META);
    let expect = format!("{}: hi\n\n{}", events(&[&start, DELTA, PING]), events(&[&with(&second, ACCOUNT), STOP]));
    let (seen, _, passed) = run(text.as_bytes(), &[]);
    assert_eq!((seen, passed.usage.map(|u| u.output)), (expect, Some(9)));
}

#[test]
fn a_message_that_goes_on_has_not_ended() {
    let start = in_message(START, META);
    let (seen, progress, _) = run(events(&[START, DELTA, PING, TEXT, HELLO]).as_bytes(), &[]);
    assert_eq!(seen, events(&[&start, DELTA, PING, TEXT, HELLO]));
    assert_eq!(progress, Progress::Failed(Report::default()));
    let last = DELTA.replace("end_turn", "max_tokens");
    let (seen, progress, passed) = run(events(&[START, DELTA, HELLO, &last, STOP]).as_bytes(), &[]);
    assert_eq!(seen, events(&[&start, DELTA, HELLO, &with(&last, ACCOUNT), STOP]));
    assert_eq!((progress, passed.finish_reason.as_deref()), (Progress::Complete, Some("max_tokens")));
}

#[test]
fn a_meta_block_of_another_gateway_is_replaced() {
    let start = r#"{"message":{"crossway":{"routed_to":"theirs"},"id":"m"},"type":"message_start"}"#;
    let delta = r#"{"crossway":{"cost":9},"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
    let text = format!("data: {start}\n\ndata: {delta}\n\ndata: {STOP}\n\n");
    let expect =
        text.replace(r#"{"routed_to":"theirs"}"#, r#"{"routed_to":"m"}"#).replace(r#"{"cost":9}"#, r#"{"cost":1}"#);
    assert_eq!(run(text.as_bytes(), &[]).0, expect);
}

#[test]
fn the_name_tells_where_the_data_does_not() {
    let text =
        "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"}}\n\nevent: message_stop\ndata: {}\n\n";
    let expect = text.replace("}}", "},\"crossway\":{\"cost\":1}}");
    assert_eq!(run(text.as_bytes(), &[]).0, expect);
}

#[test]
fn what_is_not_understood_passes() {
    let text = "data: {not json\n\nevent: x\ndata: [1,\ndata: 2]\n\nevent: new\ndata: {\"type\":\"new\",\"delta\":{\"text\":\"x\"}}\n\n";
    let (seen, _, passed) = run(text.as_bytes(), &[]);
    assert_eq!((seen.as_str(), passed.has_content, passed.data_events), (text, false, 3));
    for start in [r#"{"type":"message_start"}"#, r#"{"type":"message_start","message":null}"#] {
        assert_eq!(run(event(start).as_bytes(), &[]).0, event(start));
    }
}

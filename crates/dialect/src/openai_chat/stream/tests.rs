//! What passes, what is held, patched and left out, however the bytes are cut.

use super::*;
use crate::splice::events::MAX_EVENT_BYTES;

const META: &[u8] = br#""crossway":{"routed_to":"m"}"#;
const ACCOUNT: &[u8] = br#""crossway":{"cost":1}"#;

/// Runs a whole stream, cut at the given places, and returns what the caller sees and how it ended.
fn run(text: &[u8], cuts: &[usize], wants_usage: bool) -> (String, Progress, Passed) {
    let mut stream = ChatStream::new("crossway", META.to_vec(), wants_usage);
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

fn chunk(delta: &str, finish: &str) -> String {
    format!(r#"{{"id":"c1","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":null}}"#)
}

const USAGE: &str = r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

fn sample() -> [String; 5] {
    [
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"日本\n\ndata: [DONE]\u0000"}"#, "null").replace("\n", "\\n"),
        chunk(r#"{"content":"b"}"#, "null"),
        chunk("{}", "\"stop\""),
        USAGE.to_owned(),
    ]
}

fn frame(chunks: &[String], end: &str) -> String {
    let mut text: String = chunks.iter().map(|chunk| format!("data: {chunk}{end}{end}")).collect();
    text.push_str(&format!("data: [DONE]{end}{end}"));
    text
}

fn with(chunk: &str, member: &[u8]) -> String {
    format!("{},{}}}", &chunk[..chunk.len() - 1], String::from_utf8_lossy(member))
}

fn expected(end: &str, wants_usage: bool) -> String {
    let [first, a, b, finish, usage] = sample();
    let mut chunks = vec![with(&first, META), a, b];
    if wants_usage {
        chunks.extend([finish, with(&usage, ACCOUNT)]);
    } else {
        chunks.push(with(&finish, ACCOUNT));
    }
    frame(&chunks, end)
}

#[test]
fn only_our_fields_are_added() {
    for end in ["\n", "\r\n", "\r"] {
        for wants_usage in [false, true] {
            let (seen, progress, passed) = run(frame(&sample(), end).as_bytes(), &[], wants_usage);
            assert_eq!(seen, expected(end, wants_usage), "{end:?}");
            assert_eq!(progress, Progress::Complete);
            assert_eq!(passed.usage.map(|u| (u.input, u.output)), Some((3, 2)));
            assert_eq!((passed.id.as_deref(), passed.finish_reason.as_deref()), (Some("c1"), Some("stop")));
        }
    }
}

#[test]
fn every_cut_gives_the_same() {
    for end in ["\n", "\r\n", "\r"] {
        let text = frame(&sample(), end);
        let expect = expected(end, true);
        for cut in 0..=text.len() {
            assert_eq!(run(text.as_bytes(), &[cut], true).0, expect, "{end:?} cut at {cut}");
        }
        let all: Vec<usize> = (1..text.len()).collect();
        assert_eq!(run(text.as_bytes(), &all, true).0, expect, "{end:?} byte by byte");
    }
}

proptest::proptest! {
    #[test]
    fn any_cuts_give_the_same(mut cuts in proptest::collection::vec(0usize..900, 0..12), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let text = format!(": hello{end}{end}{}", frame(&sample(), end));
        cuts.retain(|cut| *cut <= text.len());
        cuts.sort_unstable();
        let (seen, progress, _) = run(text.as_bytes(), &cuts, false);
        proptest::prop_assert_eq!(seen, format!(": hello{end}{end}{}", expected(end, false)));
        proptest::prop_assert_eq!(progress, Progress::Complete);
    }
}

#[test]
fn a_role_is_not_content() {
    let [role, content, ..] = sample();
    let mut stream = ChatStream::new("crossway", META.to_vec(), false);
    let mut out = Vec::new();
    stream.push(format!(": ping\n\ndata: {role}\n\n").into(), &mut out);
    assert!(!stream.passed().has_content);
    stream.push(format!("data: {content}\n\n").into(), &mut out);
    assert!(stream.passed().has_content);
}

#[test]
fn tools_and_reasoning_are_content() {
    for delta in [
        r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}"#,
        r#"{"reasoning_content":"hm"}"#,
        r#"{"refusal":"no"}"#,
    ] {
        let (_, _, passed) = run(format!("data: {}\n\n", chunk(delta, "null")).as_bytes(), &[], false);
        assert!(passed.has_content, "{delta}");
    }
}

#[test]
fn a_finished_answer_without_end_marker_is_complete() {
    let [first, a, b, finish, _] = sample();
    let text: String = [first, a, b, finish].iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let (seen, progress, passed) = run(text.as_bytes(), &[], false);
    assert_eq!(progress, Progress::Complete);
    assert!(seen.ends_with("data: [DONE]\n\n") && seen.contains(r#""crossway":{"cost":1}"#));
    assert_eq!(passed.usage, None);
    // Even the last empty line may be missing.
    assert_eq!(run(text.trim_end().as_bytes(), &[], false).1, Progress::Complete);
}

#[test]
fn an_unfinished_answer_is_broken() {
    let [first, a, ..] = sample();
    let text = format!("data: {first}\n\ndata: {a}\n\ndata: {{\"id\":\"c1\",\"choi");
    let (seen, progress, passed) = run(text.as_bytes(), &[], false);
    assert_eq!(progress, Progress::Failed(Report::default()));
    // The half event is not shown: nothing but whole JSON comes before the error.
    assert_eq!(seen, format!("data: {}\n\ndata: {a}\n\n", with(&first, META)));
    assert!(passed.content_bytes > 0);
}

#[test]
fn an_error_event_breaks_the_answer_off() {
    let [first, a, ..] = sample();
    let text =
        format!("data: {first}\n\ndata: {a}\n\ndata: {{\"error\":{{\"message\":\"boom\"}}}}\n\ndata: [DONE]\n\n");
    let (seen, progress, _) = run(text.as_bytes(), &[], false);
    assert!(matches!(progress, Progress::Failed(report) if report.message.as_deref() == Some("boom")));
    assert!(!seen.contains("boom"));
}

#[test]
fn what_follows_the_end_marker_is_ignored() {
    let text = format!("{}data: {}\n\n", frame(&sample(), "\n"), sample()[1]);
    assert_eq!(run(text.as_bytes(), &[], false).0, expected("\n", false));
}

#[test]
fn other_choices_may_go_on_after_one_has_finished() {
    let second =
        |text: &str| chunk(&format!(r#"{{"content":"{text}"}}"#), "null").replace("\"index\":0", "\"index\":1");
    let last = chunk("{}", "\"length\"").replace("\"index\":0", "\"index\":1");
    let [first, a, _, finish, usage] = sample();
    let chunks = [first.clone(), a.clone(), finish.clone(), second("x"), last.clone(), usage];
    let (seen, _, _) = run(frame(&chunks, "\n").as_bytes(), &[], false);
    assert_eq!(seen, frame(&[with(&first, META), a, finish, second("x"), with(&last, ACCOUNT)], "\n"));
}

#[test]
fn a_usage_chunk_before_the_last_content_waits() {
    let [first, a, b, _, usage] = sample();
    let ending = |reason: &str, more: &str| {
        format!(r#"{{"id":"c1","choices":[{{"index":0,"delta":{{}},"finish_reason":{reason}}}]{more}}}"#)
    };
    let account = format!(",{}", String::from_utf8_lossy(ACCOUNT));
    // OpenAI's sound: nothing finishes.
    let text = frame(&[first.clone(), a.clone(), usage.clone(), b.clone()], "\n");
    let expect = [with(&first, META), a.clone(), b.clone(), ending("\"stop\"", &account)];
    assert_eq!(run(text.as_bytes(), &[], false).0, frame(&expect, "\n"));
    let expect = [with(&first, META), a.clone(), b.clone(), ending("\"stop\"", ""), with(&usage, ACCOUNT)];
    assert_eq!(run(text.as_bytes(), &[], true).0, frame(&expect, "\n"));
    // It was first of all.
    let text = frame(&[usage.clone(), a.clone(), chunk("{}", "\"stop\"")], "\n");
    let expect = [with(&a, META), with(&chunk("{}", "\"stop\""), ACCOUNT)];
    assert_eq!(run(text.as_bytes(), &[], false).0, frame(&expect, "\n"));
    // Content after the finish event: the account gets a place of its own.
    let finish = chunk("{}", "\"stop\"");
    let text = frame(&[first.clone(), finish.clone(), usage, b.clone()], "\n");
    let expect = [with(&first, META), finish, b, ending("null", &account)];
    assert_eq!(run(text.as_bytes(), &[], false).0, frame(&expect, "\n"));
}

#[test]
fn finish_reasons_are_words_that_clients_know() {
    let [first, ..] = sample();
    let call = chunk(r#"{"tool_calls":[{"index":0}]}"#, "null");
    for (said, begin, expect) in [
        (r#""stop""#, &first, r#""stop""#),
        (r#""function_call""#, &first, r#""function_call""#),
        (r#""eos""#, &first, r#""stop""#),
        (r#""max_tokens""#, &first, r#""length""#),
        (r#""tool_use""#, &first, r#""tool_calls""#),
        (r#""other""#, &first, r#""stop""#),
        (r#""other""#, &call, r#""tool_calls""#),
    ] {
        let two =
            |said: &str| format!(r#"{{"choices":[{{"finish_reason":{said}}},{{"finish_reason":{said}}}],"id":"c1"}}"#);
        let (seen, progress, passed) = run(frame(&[begin.clone(), two(said)], "\n").as_bytes(), &[], false);
        assert_eq!(seen, frame(&[with(begin, META), with(&two(expect), ACCOUNT)], "\n"), "{said}");
        assert_eq!(
            (progress, passed.finish_reason),
            (Progress::Complete, said.get(1..said.len() - 1).map(str::to_owned))
        );
    }
    // A word that is empty ends nothing.
    let empty = |said: &str| chunk(r#"{"content":"a"}"#, said);
    let chunks = [first.clone(), empty(r#""""#), chunk("{}", r#""stop""#)];
    let expect = [with(&first, META), empty("null"), with(&chunks[2], ACCOUNT)];
    assert_eq!(run(frame(&chunks, "\n").as_bytes(), &[], false).0, frame(&expect, "\n"));
    // Another choice goes on after one has finished in such a word.
    let other = chunk(r#"{"content":"b"}"#, "null");
    let chunks = [first.clone(), chunk("{}", r#""eos""#), other.clone(), chunk("{}", r#""eos""#)];
    let stop = chunk("{}", r#""stop""#);
    let expect = [with(&first, META), stop.clone(), other, with(&stop, ACCOUNT)];
    assert_eq!(run(frame(&chunks, "\n").as_bytes(), &[], false).0, frame(&expect, "\n"));
}

#[test]
fn usage_inside_the_finish_event_stays() {
    let [first, a, ..] = sample();
    let finish =
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let (seen, _, passed) = run(frame(&[first.clone(), a.clone(), finish.into()], "\n").as_bytes(), &[], false);
    assert_eq!(seen, frame(&[with(&first, META), a, with(finish, ACCOUNT)], "\n"));
    assert!(passed.usage.is_some());
}

#[test]
fn usage_is_found_where_vendors_hide_it() {
    let report = r#"{"prompt_tokens":5,"completion_tokens":2}"#;
    for last in [
        format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop","usage":{report}}}]}}"#),
        format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],"x_groq":{{"id":"r","usage":{report}}}}}"#),
        format!(r#"{{"x_groq":{{"usage":{{"prompt_tokens":9}}}},"choices":[],"usage":{report}}}"#),
    ] {
        let passed = run(format!("data: {last}\n\n").as_bytes(), &[], false).2;
        assert_eq!(passed.usage.map(|usage| (usage.input, usage.output)), Some((5, 2)), "{last}");
    }
}

#[test]
fn a_meta_block_of_another_gateway_is_replaced() {
    let first = r#"{"choices":[{"delta":{"content":"a"}}],"crossway":{"routed_to":"theirs"}}"#;
    let (seen, _, _) = run(format!("data: {first}\n\n").as_bytes(), &[], false);
    assert!(seen.contains(r#""crossway":{"routed_to":"m"}}"#) && !seen.contains("theirs"));
}

#[test]
fn garbage_and_joined_lines_pass() {
    let (seen, _, _) = run(b"data: {not json\n\nevent: x\ndata: [1,\ndata: 2]\n\n", &[], false);
    assert_eq!(seen, "data: {not json\n\nevent: x\ndata: [1,\ndata: 2]\n\n");
    let (seen, _, _) = run(b"data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"a\"}}]}\n\n", &[], false);
    assert_eq!(
        seen,
        "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"a\"}}],\"crossway\":{\"routed_to\":\"m\"}}\n\n"
    );
}

#[test]
fn a_byte_order_mark_is_left_out() {
    let text = [b"\xef\xbb\xbf".as_slice(), frame(&sample(), "\n").as_bytes()].concat();
    assert_eq!(run(&text, &[], false).0, expected("\n", false));
}

#[test]
fn a_long_line_passes_and_a_huge_one_ends() {
    let long = chunk(&format!(r#"{{"content":"{}"}}"#, "x".repeat(1 << 20)), "null");
    let (seen, _, passed) = run(format!("data: {long}\n\n").as_bytes(), &[5, 70_000], false);
    assert_eq!(passed.content_bytes, 1 << 20);
    assert!(seen.len() > 1 << 20);
    let huge = vec![b'x'; MAX_EVENT_BYTES + 10];
    assert_eq!(run(&huge, &[], false).1, Progress::TooLarge);
}

fn choice(index: u8, delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"choices\":[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

#[test]
fn an_answer_is_complete_when_each_of_its_choices_is() {
    let a = choice(0, r#"{"content":"a"}"#, "null");
    let b = choice(1, r#"{"content":"b"}"#, "null");
    let (a_ends, b_ends) = (choice(0, "{}", "\"stop\""), choice(1, "{}", "\"length\""));
    let cut = [&*a, &b, &a_ends].concat();
    let whole = [&*cut, &b_ends].concat();
    let (seen, progress, _) = run(cut.as_bytes(), &[], false);
    assert_eq!(progress, Progress::Failed(Report::default()), "{seen}");
    let (seen, progress, _) = run(whole.as_bytes(), &[], false);
    assert_eq!((progress, seen.matches("finish_reason\":\"").count()), (Progress::Complete, 2), "{seen}");
    // One that is cut says so in the choices that have not ended.
    let mut stream = ChatStream::new("crossway", META.to_vec(), false);
    let mut out = Vec::new();
    stream.push(Bytes::from(cut), &mut out);
    assert!(!stream.is_finishing());
    stream.cut(2, &mut out);
    stream.release(ACCOUNT, &mut out);
    let seen = String::from_utf8(out.concat()).unwrap();
    assert_eq!((seen.matches("\"stop\"").count(), seen.matches("\"length\"").count()), (1, 1), "{seen}");
}

#[test]
fn an_error_is_told_by_its_name_or_its_member() {
    let content = choice(0, r#"{"content":"a"}"#, "null");
    for (event, message) in [
        ("event: error\ndata: {\"message\":\"boom\",\"code\":500}\n\n", Some("boom")),
        ("event: error\ndata: out of memory\n\n", None),
        ("data: {\"error\":\"boom\"}\n\n", Some("boom")),
    ] {
        let (_, progress, _) = run([&content, event, "data: [DONE]\n\n"].concat().as_bytes(), &[], false);
        let Progress::Failed(report) = progress else { panic!("{event}: {progress:?}") };
        assert_eq!(report.message.as_deref(), message, "{event}");
    }
    for nothing in ["null", "false", "\"\"", "{}", "[]"] {
        let event = content.replace("\"id\"", &format!("\"error\":{nothing},\"id\""));
        let (_, progress, _) = run([&event, "data: [DONE]\n\n"].concat().as_bytes(), &[], false);
        assert_eq!(progress, Progress::Complete, "{nothing}");
    }
}

#[test]
fn the_end_marker_is_said_as_clients_know_it() {
    let (seen, progress, _) = run(b"data: {\"choices\":[]}\n\ndata:   [DONE] \n\n", &[], false);
    assert_eq!((progress, seen.ends_with("\n\ndata: [DONE]\n\n")), (Progress::Complete, true), "{seen}");
}

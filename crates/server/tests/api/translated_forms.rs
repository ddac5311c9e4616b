//! The forms that streams of every dialect can have on the wire, and what content can look like: the caller gets the
//! same text, in whole events, whatever it holds.

use serde_json::json;
use testkit::caller::Caller;
use testkit::client::Reply;
use testkit::dialects::{Answer, KINDS, TEXT, body};
use testkit::gateway::Gateway;
use testkit::heard::{Heard, heard};
use testkit::pieces::{self, begun, delta, head, preamble, rest};
use testkit::script::{Script, chunk};

/// Asks both surfaces and expects success.
async fn both(kind: &'static str, script: Script, case: &str) -> [(Reply, Heard); 2] {
    let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
    let mut all = Vec::new();
    for caller in Caller::BOTH {
        let reply = caller.ask(&gateway, "", &caller.request(true)).await;
        let heard = heard(caller, &reply);
        assert!(heard.ended && heard.error.is_none(), "{case}: {kind} {caller:?}: {}", reply.text());
        all.push((reply, heard));
    }
    for record in gateway.records(2).await {
        assert_eq!(
            (record.outcome.as_str(), record.usage.origin.as_str()),
            ("succeeded", "reported"),
            "{case}: {kind}"
        );
    }
    all.try_into().unwrap()
}

/// Streams this and expects the text.
async fn texts(kind: &'static str, script: Script, text: &str, case: &str) {
    for (_, heard) in both(kind, script, case).await {
        assert!(heard.text == text, "{case}: {kind}: {:.500}", heard.text);
        assert!(heard.unreadable.is_empty());
    }
}

fn whole(kind: &str) -> String {
    pieces::frames(kind, Answer::Text).concat()
}

/// The whole answer as bytes, framing included, cut into segments.
fn cut(kind: &str, stream: &str, size: usize) -> Script {
    head(kind).cut([chunk(stream.as_bytes()), b"0\r\n\r\n".to_vec()].concat(), size)
}

/// Servers exist that name no content type, or a wrong one, or answer 201: what comes is what counts.
#[tokio::test(start_paused = true)]
async fn a_stream_under_another_name() {
    for kind in KINDS {
        for (status, fields) in [
            (200, ""),
            (200, "content-type: text/plain; charset=utf-8\r\n"),
            (200, "content-type: application/octet-stream\r\n"),
            (200, "content-type: application/json\r\n"),
            (201, "content-type: text/event-stream\r\n"),
            (202, ""),
        ] {
            for size in [1, 1000] {
                let head = format!("HTTP/1.1 {status} X\r\n{fields}transfer-encoding: chunked\r\n\r\n");
                let body = [chunk(whole(kind).as_bytes()), b"0\r\n\r\n".to_vec()].concat();
                let script = Script::new().send(head).cut(body, size);
                texts(kind, script, TEXT, &format!("{status} {fields:?} in segments of {size}")).await;
            }
        }
    }
}

/// What comes before the first line may come alone.
#[tokio::test(start_paused = true)]
async fn a_stream_under_another_name_after_blank_lines() {
    for kind in KINDS {
        for before in ["\n", "\r\n\r\n", "\u{feff}", "\u{feff}\n\n"] {
            for size in [1, 2, 1000] {
                let stream = format!("{before}{}", whole(kind));
                let body = [chunk(stream.as_bytes()), b"0\r\n\r\n".to_vec()].concat();
                let script = Script::new().send("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").cut(body, size);
                texts(kind, script, TEXT, &format!("{before:?} in segments of {size}")).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn line_ends_of_every_kind() {
    for kind in KINDS {
        for end in ["\n", "\r\n", "\r"] {
            // A line of JSON ends with a line feed.
            if kind == "ollama" && end == "\r" {
                continue;
            }
            for size in [1, 2, 3, 7, 64] {
                let stream = whole(kind).replace('\n', end);
                texts(kind, cut(kind, &stream, size), TEXT, &format!("{end:?} in segments of {size}")).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn comments_fields_and_marks() {
    for kind in KINDS.into_iter().filter(|kind| *kind != "ollama") {
        let stream = whole(kind);
        for changed in [
            format!(": hello\n\n{stream}"),
            format!("\u{feff}{stream}"),
            stream.replace("data: ", ": a comment\nid: 7\nretry: 10\nx: y\ndata: "),
            stream.replace("\n\n", "\n\n: ping\n\n\n"),
            stream.replace("\n\n", "\n\ndata:\n\ndata: \n\n"),
            stream.replace("data: ", "data:"),
            stream.replace("data: {", "data: {\ndata: "),
            // Names of events are not needed: the data says what it is.
            stream.lines().filter(|line| !line.starts_with("event: ")).map(|line| format!("{line}\n")).collect(),
        ] {
            if (kind, changed.contains("event: ")) == ("anthropic", false) {
                continue;
            }
            texts(kind, head(kind).chunk(&changed).end(), TEXT, &changed[..changed.len().min(80)]).await;
        }
    }
    let lines = whole("ollama");
    for changed in [format!("\u{feff}{lines}"), lines.replace('\n', "\n\n \n"), lines.trim_end().to_owned()] {
        texts("ollama", head("ollama").chunk(&changed).end(), TEXT, "lines").await;
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_a_megabyte() {
    let long = "ä\\\"\n".repeat(1 << 18);
    for kind in KINDS {
        for size in [1_000, usize::MAX - 1] {
            let stream = [preamble(kind), delta(kind, "a"), delta(kind, &long), delta(kind, "b"), rest(kind)].concat();
            texts(kind, cut(kind, &stream, size), &format!("a{long}b"), "a megabyte").await;
            let stream = [preamble(kind), delta(kind, &long), delta(kind, "b"), rest(kind)].concat();
            texts(kind, cut(kind, &stream, size), &format!("{long}b"), "a megabyte first").await;
        }
    }
}

/// INJ-04: whatever the content is, it is content.
#[tokio::test(start_paused = true)]
async fn content_cannot_become_an_event() {
    let nasty = [
        "\n\ndata: [DONE]\n\n",
        "\r\n\r\nevent: error\r\ndata: {\"error\":{\"message\":\"x\"}}\r\n\r\n",
        "\r\rdata: [DONE]\r\r",
        "event: error\n",
        "data: [DONE]",
        "[DONE]",
        "\u{2028}\u{2029}\u{85}\u{b}\u{c}",
        "\u{feff}",
        "\0\u{1}\u{1b}[31m\u{7f}",
        ": comment\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "\",\"crossway\":{\"cost\":0},\"x\":\"",
        "<script>alert(1)</script>",
        "\\u0000\\n\\\"",
        "👩‍👩‍👧\u{202e}\u{10ffff}",
        "}\n{\"error\":\"x\"}\n",
    ];
    for kind in KINDS {
        // Together, and each in an event of its own.
        let together = nasty.concat();
        texts(kind, pieces::answered(kind, &nasty), &together, "apart").await;
        texts(kind, pieces::answered(kind, &[&together]), &together, "together").await;
        let stream = [preamble(kind), nasty.iter().map(|text| delta(kind, text)).collect(), rest(kind)].concat();
        texts(kind, cut(kind, &stream, 5), &together, "in segments").await;
    }
}

/// The same in a buffered answer, and in the name and the arguments of a call.
#[tokio::test(start_paused = true)]
async fn arguments_are_kept_as_they_are() {
    for arguments in [
        r#"{"a":"x\n\ndata: [DONE]\n\n"}"#,
        r#"{"b": [1,2.50, 1e400, "é"], "a":{}}"#,
        "{}",
        r#"{"a":1"#,
        "not json",
        "[1]",
        "\n\n",
    ] {
        for kind in ["openai-compatible", "openai-responses", "anthropic", "cohere"] {
            let quoted = json!(arguments).to_string();
            let plain = json!(r#"{"city":"Bern"}"#).to_string();
            let stream = pieces::frames(kind, Answer::Call).concat().replace(&plain, &quoted);
            for (_, heard) in both(kind, head(kind).chunk(stream).end(), arguments).await {
                assert_eq!(heard.calls, [("weather".to_owned(), arguments.to_owned())], "{kind}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_no_json_in_a_whole_answer() {
    for arguments in ["not json", "[1]", r#"{"a":1"#, ""] {
        for kind in ["openai-compatible", "openai-responses", "cohere", "ollama"] {
            let script = Script::json(200, &pieces::call(kind, arguments).to_string());
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
            let openai = Caller::Openai.ask(&gateway, "", &Caller::Openai.request(false)).await;
            assert_eq!(openai.status, 200, "{kind} {arguments}: {}", openai.text());
            let call = &openai.json()["choices"][0]["message"]["tool_calls"][0]["function"];
            assert_eq!(call["name"], "weather", "{kind} {arguments}");
            let said = call["arguments"].as_str().unwrap();
            assert!(said == arguments || (arguments.is_empty() && said == "{}"), "{kind} {arguments}: {said}");
            let anthropic = Caller::Anthropic.ask(&gateway, "", &Caller::Anthropic.request(false)).await;
            assert_eq!(anthropic.status, 200, "{kind} {arguments}: {}", anthropic.text());
            // An input is an object, whatever the model wrote.
            let json = anthropic.json();
            let block = json["content"].as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
            assert!(block["input"].is_object(), "{kind} {arguments}: {block}");
            assert!(arguments.is_empty() || block.to_string().contains(&json!(arguments).to_string()), "{block}");
            gateway.records(2).await;
        }
    }
}

/// Providers count as they like; blocks of a message have one number after the other.
#[tokio::test(start_paused = true)]
async fn indexes_that_jump() {
    let calls = |kind: &str| pieces::frames(kind, Answer::Call).concat();
    for (kind, stream) in [
        (
            "openai-compatible",
            calls("openai-compatible").replace("\"tool_calls\":[{\"index\":0", "\"tool_calls\":[{\"index\":7"),
        ),
        ("anthropic", calls("anthropic").replace("\"index\":0", "\"index\":7")),
        ("openai-responses", calls("openai-responses").replace("\"output_index\":0", "\"output_index\":7")),
        ("cohere", calls("cohere").replace("\"index\":0", "\"index\":7")),
    ] {
        let gateway = Gateway::builder().provider_of("p", kind, vec![head(kind).chunk(stream).end()]).start();
        for caller in Caller::BOTH {
            // What is spliced keeps the provider's numbers.
            if (kind, caller) == ("anthropic", Caller::Anthropic) {
                continue;
            }
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            let heard = heard(caller, &reply);
            let call = ("weather".to_owned(), r#"{"city":"Bern"}"#.to_owned());
            assert_eq!((heard.ended, heard.calls), (true, vec![call]), "{kind} {caller:?}: {}", reply.text());
        }
        gateway.records(if kind == "anthropic" { 1 } else { 2 }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_choices_that_interleave() {
    let chunk = |index: u64, delta: serde_json::Value, finish: Option<&str>| {
        testkit::data::event(&json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up-m", "choices": [{ "index": index, "delta": delta, "finish_reason": finish }] }).to_string())
    };
    let text = |index, text: &str| chunk(index, json!({ "content": text }), None);
    let stream = [
        chunk(0, json!({ "role": "assistant", "content": "" }), None),
        text(1, "B1 "),
        text(0, "A1 "),
        text(1, "B2"),
        chunk(1, json!({}), Some("length")),
        text(0, "A2"),
        chunk(0, json!({}), Some("stop")),
        testkit::data::usage(),
        testkit::data::DONE.to_owned(),
    ];
    let kind = "openai-compatible";
    for split in [false, true] {
        let script = if split {
            stream.iter().fold(head(kind), |script, event| script.chunk(event))
        } else {
            head(kind).chunk(stream.concat())
        };
        let [(_, openai), (reply, anthropic)] = both(kind, script.end(), "two choices").await;
        assert_eq!(
            (openai.text.as_str(), openai.others[&1].as_str(), openai.finish.as_deref()),
            ("A1 A2", "B1 B2", Some("stop"))
        );
        assert_eq!(
            (anthropic.text.as_str(), anthropic.finish.as_deref()),
            ("A1 A2", Some("end_turn")),
            "{}",
            reply.text()
        );
        assert!(!reply.text().contains("B1"));
    }
}

/// Usage is believed when it can be: the last report counts, wherever it stands.
#[tokio::test(start_paused = true)]
async fn usage_of_every_kind() {
    let chunks = |usage: &str| {
        [begun("openai-compatible", "Hello"), testkit::data::finish(), usage.to_owned(), testkit::data::DONE.to_owned()]
            .concat()
    };
    let usage = |input: &str, output: &str| {
        testkit::data::usage()
            .replace("\"prompt_tokens\":9", &format!("\"prompt_tokens\":{input}"))
            .replace("\"completion_tokens\":4", &format!("\"completion_tokens\":{output}"))
            .replace(",\"total_tokens\":13", "")
    };
    let estimated = |caller: Caller| ((caller.request(true).to_string().len() as u64).div_ceil(4), 2);
    for (stream, expect) in [
        (chunks(""), None),
        (chunks(&usage("-1", "4")), None),
        (chunks(&usage("9", "-4")), None),
        (chunks(&usage("1.5", "4")), None),
        (chunks(&usage("99999999999999999999", "4")), None),
        (chunks(&usage("9007199254740993", "4")), None),
        (chunks(&usage("\"9\"", "4")), None),
        (chunks(&usage("null", "null")), None),
        // Who has said something and counts nothing does not know.
        (chunks(&usage("0", "0")), None),
        (chunks(&usage("9", "4")), Some((9, 4))),
        (chunks(&(usage("5", "1") + &usage("9", "4"))), Some((9, 4))),
        (
            [
                begun("openai-compatible", "He"),
                usage("9", "4"),
                delta("openai-compatible", "llo"),
                testkit::data::finish(),
                testkit::data::DONE.to_owned(),
            ]
            .concat(),
            Some((9, 4)),
        ),
    ] {
        let gateway = Gateway::builder().provider("p", head("openai-compatible").chunk(&stream).end()).start();
        for caller in Caller::BOTH {
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            let heard = heard(caller, &reply);
            assert_eq!((heard.text.as_str(), heard.ended), ("Hello", true), "{stream}: {}", reply.text());
        }
        for (record, caller) in gateway.records(2).await.into_iter().zip(Caller::BOTH) {
            let found = (record.usage.input_tokens, record.usage.output_tokens);
            let origin = if expect.is_some() { "reported" } else { "estimated" };
            assert_eq!(record.usage.origin, origin, "{caller:?} {stream}");
            assert_eq!(found, expect.unwrap_or_else(|| estimated(caller)), "{caller:?} {stream}");
        }
    }
}

/// In every dialect a report that cannot be believed is none, whole and streamed.
#[tokio::test(start_paused = true)]
async fn usage_that_cannot_be_believed() {
    let counts = ["prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count"];
    for kind in KINDS {
        for wrong in ["-9", "1e30", "99999999999999999999", "9.5"] {
            let lie = |text: String| {
                counts
                    .iter()
                    .fold(text, |text, name| text.replace(&format!("\"{name}\":9"), &format!("\"{name}\":{wrong}")))
            };
            let stream = lie(whole(kind));
            assert!(stream.contains(wrong), "{kind}: {stream}");
            let body = lie(body(kind, Answer::Text).to_string());
            let scripts = vec![head(kind).chunk(&stream).end(), Script::json(200, &body)];
            for caller in Caller::BOTH {
                let gateway = Gateway::builder().provider_like("p", kind, "", scripts.clone()).start();
                let streamed = caller.ask(&gateway, "", &caller.request(true)).await;
                assert!(heard(caller, &streamed).ended, "{kind} {wrong}: {}", streamed.text());
                let reply = caller.ask(&gateway, "", &caller.request(false)).await;
                assert_eq!(reply.status, 200, "{kind} {wrong}: {}", reply.text());
                for record in gateway.records(2).await {
                    assert_eq!(
                        (record.outcome.as_str(), record.usage.origin.as_str()),
                        ("succeeded", "estimated"),
                        "{kind} {caller:?} {wrong} {}",
                        record.stream
                    );
                    assert!(
                        record.usage.input_tokens < 100 && record.usage.output_tokens < 100,
                        "{kind}: {:?}",
                        record.usage
                    );
                }
            }
        }
    }
}

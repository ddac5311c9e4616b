//! The lanes with a guard in them, from the provider's bytes to the caller's.

use std::sync::Arc;

use bytes::Bytes;
use dialect::guard::ReplyGuard;
use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use dialect::lane::reply::Reply;
use dialect::lane::stream::ReplyStream;
use dialect::passed::Progress;
use dialect::translate::{Callee, Label};
use ir::dialect::Dialect;
use ir::guard::Reason;
use serde_json::{Value, json};

use crate::rules::Rules;

const LABEL: Label<'static> = Label { seed: "00112233445566778899aabbccddeeff", model: "m", created: 1 };

fn chat(texts: &[&str]) -> String {
    let mut events = String::new();
    for text in texts {
        let delta = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
        events.push_str(&format!("data: {delta}\n\n"));
    }
    let finish = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    events + &format!("data: {finish}\n\ndata: [DONE]\n\n")
}

fn messages(texts: &[&str]) -> String {
    let mut events = String::new();
    let mut event = |data: Value| {
        events.push_str(&format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()));
    };
    event(
        json!({"type": "message_start", "message": {"id": "msg", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
    );
    event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    for text in texts {
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
    }
    event(json!({"type": "content_block_stop", "index": 0}));
    event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 5}}));
    event(json!({"type": "message_stop"}));
    events
}

/// What a caller sees of a stream.
struct Seen {
    text: String,
    finish: String,
    progress: Progress,
    content_bytes: u64,
    has_content: bool,
}

fn run(surface: Surface, dialect: Dialect, rules: &Rules, texts: &[&str], size: usize) -> Seen {
    let input = if dialect == Dialect::Anthropic { messages(texts) } else { chat(texts) };
    let stream = ReplyStream::new(surface, dialect, "crossway", b"\"crossway\":{}".to_vec(), false, &LABEL);
    let mut stream = stream.guarded(rules.watch());
    let (mut out, mut progress) = (Vec::new(), Progress::More);
    for piece in input.as_bytes().chunks(size) {
        progress = stream.push(Bytes::copy_from_slice(piece), &mut out);
        if progress != Progress::More {
            break;
        }
    }
    if progress == Progress::More {
        progress = stream.end(&mut out);
    }
    if progress == Progress::Complete {
        stream.release(b"\"crossway\":{\"cost\":1}", &mut out);
    }
    let passed = stream.passed();
    let out = String::from_utf8(out.concat()).unwrap();
    let (mut text, mut finish) = (String::new(), String::new());
    for line in out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        let data: Value = serde_json::from_str(line).unwrap();
        let choice = &data["choices"][0];
        for said in [&choice["delta"]["content"], &data["delta"]["text"]] {
            text.push_str(said.as_str().unwrap_or_default());
        }
        for reason in [&choice["finish_reason"], &data["delta"]["stop_reason"]] {
            finish.push_str(reason.as_str().unwrap_or_default());
        }
    }
    let (content_bytes, has_content) = (passed.content_bytes, passed.has_content);
    Seen { text, finish, progress, content_bytes, has_content }
}

const WAYS: [(Surface, Dialect); 4] = [
    (Surface::OpenaiChat, Dialect::OpenaiChat),
    (Surface::AnthropicMessages, Dialect::Anthropic),
    (Surface::OpenaiChat, Dialect::Anthropic),
    (Surface::AnthropicMessages, Dialect::OpenaiChat),
];

#[test]
fn every_lane_blocks_and_leaks_nothing() {
    for (surface, dialect) in WAYS {
        for size in [7, 100_000] {
            let seen = run(surface, dialect, &Rules::banned(&["obscene"]), &["so ", "ob", "SCENE", " word"], size);
            let blocked = matches!(&seen.progress, Progress::Blocked(blocked) if blocked.reason == Reason::Phrase(0));
            assert!(blocked && seen.has_content, "{surface:?} {dialect:?} {:?}", seen.progress);
            assert_eq!((seen.text.as_str(), seen.finish.as_str()), ("so ", ""));
            let seen = run(surface, dialect, &Rules::least(10), &["so ", "short"], size);
            assert!(matches!(&seen.progress, Progress::Blocked(blocked) if blocked.reason == Reason::TooShort(10)));
            assert_eq!((seen.text.as_str(), seen.content_bytes >= 8), ("", true));
        }
    }
    // Nothing has passed: a caller can still be told with a status.
    let seen = run(Surface::OpenaiChat, Dialect::OpenaiChat, &Rules::banned(&["obscene"]), &["obscene"], 7);
    assert!(!seen.has_content);
}

#[test]
fn every_lane_cuts_and_completes() {
    for (surface, dialect) in WAYS {
        let rules = Rules { most: Some(6), ..Rules::disclaimer("D.") };
        let seen = run(surface, dialect, &rules, &["Hello", ", world", "!"], 50);
        let cut = if surface == Surface::OpenaiChat { "length" } else { "max_tokens" };
        assert_eq!((seen.text.as_str(), seen.finish.as_str()), ("Hello,\n\nD.", cut), "{surface:?} {dialect:?}");
        assert_eq!(seen.progress, Progress::Complete);
    }
}

#[test]
fn every_lane_judges_whole_replies() {
    let chat = |text: &str| {
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
            "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    };
    let messages = |text: &str| {
        json!({"id": "msg", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text",
            "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 3, "output_tokens": 4}})
    };
    for (surface, dialect) in WAYS {
        let reply = |rules: &Rules, text: &str| {
            let body = if dialect == Dialect::Anthropic { messages(text) } else { chat(text) };
            let fresh = rules.watch();
            let guard: Option<&dyn ReplyGuard> = Some(&fresh);
            Reply::decode(surface, dialect, body.to_string().into(), "crossway", &LABEL, guard).unwrap()
        };
        let rules = Rules { most: Some(4), disclaimer: Some("D.".to_owned()), ..Rules::banned(&["obscene"]) };
        let blocked = reply(&Rules { most: None, ..rules.clone() }, "an obscene word");
        assert_eq!(blocked.blocked.as_ref().map(|blocked| blocked.reason), Some(Reason::Phrase(0)));
        assert_eq!(blocked.usage.map(|usage| usage.output), Some(4), "what it cost is known");
        assert!(blocked.encode(b"\"crossway\":{}".to_vec()).is_empty());
        let cut = reply(&rules, "a long text");
        assert!(cut.blocked.is_none());
        let body: Value = serde_json::from_slice(&cut.encode(b"\"crossway\":{}".to_vec()).concat()).unwrap();
        let (text, finish) = match surface {
            Surface::OpenaiChat => (&body["choices"][0]["message"]["content"], &body["choices"][0]["finish_reason"]),
            _ => (&body["content"][0]["text"], &body["stop_reason"]),
        };
        assert_eq!(text, "a lo\n\nD.");
        assert!(finish == "length" || finish == "max_tokens");
        assert_eq!(body["crossway"], json!({}));
    }
}

#[test]
fn every_lane_sends_the_prompt() {
    let prompt: Arc<str> = Arc::from("Be nice.");
    let callee = Callee { model: "up", max_output_tokens: Some(100), ask_usage: true, quirks: &[], refuses: &[] };
    let bodies = [
        (
            Surface::OpenaiChat,
            json!({"messages": [{"role": "system", "content": "Rhyme."}, {"role": "user", "content": "hi"}],
            "stream": true, "model": "m"}),
        ),
        (
            Surface::AnthropicMessages,
            json!({"system": "Rhyme.", "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 9, "model": "m"}),
        ),
    ];
    for (surface, body) in bodies {
        let size = body.to_string().len() as u64;
        for dialect in [Dialect::OpenaiChat, Dialect::Anthropic] {
            let mut asked = Asked::decode(surface, body.to_string().into()).unwrap();
            let mut texts = Vec::new();
            let found: Result<(), ()> = asked.texts(|said| {
                texts.push(said.text.to_owned());
                Ok(())
            });
            assert_eq!((found, texts.concat().as_str()), (Ok(()), "Rhyme.hi"));
            asked.inject(&prompt);
            assert_eq!(asked.body_bytes(), size + 8);
            // Another try sends the same.
            for _ in 0..2 {
                let sent = asked.outgoing(dialect, &callee, &[]).unwrap().body.concat();
                let sent: Value = serde_json::from_slice(&sent).unwrap();
                let system =
                    if dialect == Dialect::OpenaiChat { &sent["messages"][0]["content"] } else { &sent["system"] };
                assert_eq!(system, "Rhyme.\n\nBe nice.", "{sent}");
                assert_eq!(sent["model"], "up");
            }
        }
    }
}

//! The forms a stream can have on the wire: the caller gets the same text, whatever the cuts and line ends.

use testkit::client::{Reply, now};
use testkit::data::{self, DONE, delta, finish, role, usage};
use testkit::gateway::{Gateway, STREAM};
use testkit::script::{Script, chunk};

const CONTENTS: [&str; 4] = ["Grü", "ße 🌍", "漢字", " \\n \"quoted\" 👩‍👩‍👧"];

/// Streams this to a caller and expects success with these contents.
async fn check(script: Script, contents: &str, origin: &str) -> Reply {
    let gateway = Gateway::builder().provider("p", script).start();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
    assert_eq!(reply.content(), contents);
    assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    assert_eq!(reply.text().matches("\"crossway\"").count(), 2);
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", origin));
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    reply
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The whole answer, head and framing included.
fn whole(stream: &str) -> Vec<u8> {
    [HEAD.as_bytes(), &chunk(stream.as_bytes()), b"0\r\n\r\n"].concat()
}

#[tokio::test(start_paused = true)]
async fn line_ends_of_every_kind() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = data::stream(&CONTENTS).replace('\n', end);
        for size in [1, 2, 3, 7, 64, 100_000] {
            check(Script::new().cut(whole(&stream), size), &CONTENTS.concat(), "reported").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_cut_anywhere() {
    let stream = data::stream(&CONTENTS);
    for size in [1, 5, 11, 50] {
        let mut script = Script::new().send(HEAD);
        for piece in stream.as_bytes().chunks(size) {
            script = script.chunk(piece);
        }
        check(script.end(), &CONTENTS.concat(), "reported").await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_segments_cut_at_every_byte() {
    let bytes = whole(&data::stream(&["ü🌍"]));
    // Two segments with a pause between: the gateway reads them apart.
    let cut = |at: usize| Script::new().cut(bytes[..at].to_vec(), at).cut(bytes[at..].to_vec(), bytes.len());
    // One gateway for all of them: to start one costs more than the request.
    let scripts: Vec<Script> = (1..bytes.len()).map(cut).collect();
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    for at in 1..bytes.len() {
        assert_eq!(gateway.chat(STREAM).await.content(), "ü🌍", "{at}");
    }
    for record in gateway.records(bytes.len() - 1).await {
        assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", "reported"));
    }
}

#[tokio::test(start_paused = true)]
async fn comments_fields_and_spaces() {
    let stream = data::stream(&CONTENTS);
    check(Script::streamed(&CONTENTS), &CONTENTS.concat(), "reported").await;
    for changed in [
        format!(": hello\n\n{stream}"),
        stream.replace("data: ", ": a comment\nevent: message\nid: 7\nretry: 10\ndata: "),
        stream.replace("\n\n", "\n\n: ping\n\n\n"),
        stream.replace("\n\n", "\n\ndata:\n\ndata: \n\n"),
        format!("\u{feff}{stream}"),
    ] {
        check(Script::stream().chunk(changed).end(), &CONTENTS.concat(), "reported").await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_space_after_the_colon() {
    let script = Script::stream().chunk(data::stream(&["Hello"]).replace("data: ", "data:")).end();
    let gateway = Gateway::builder().provider("p", script).start();
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().contains("Hello") && reply.text().ends_with("data:[DONE]\n\n"));
    assert_eq!(gateway.one().await.usage.origin, "reported");
}

#[tokio::test(start_paused = true)]
async fn an_event_of_several_lines() {
    let lines = delta("Hello").replace(",\"object\"", ",\ndata: \"object\"");
    let gateway = Gateway::builder()
        .provider("p", Script::stream().chunk([role(), lines, finish(), usage(), DONE.to_owned()].concat()).end())
        .start();
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().contains("Hello") && reply.text().ends_with(DONE));
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_line_of_a_megabyte() {
    let long = "x".repeat(1 << 20);
    let stream = data::stream(&["a", &long, "b"]);
    for size in [1_000, usize::MAX - 1] {
        check(Script::new().cut(whole(&stream), size), &format!("a{long}b"), "reported").await;
    }
    // A picture is an answer's first content.
    let picture = "x".repeat(5 << 20);
    let stream = data::stream(&[&picture, "b"]);
    for size in [60_000, usize::MAX - 1] {
        check(Script::new().cut(whole(&stream), size), &format!("{picture}b"), "reported").await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_end_marker() {
    let stream = [role(), delta("Hello"), finish(), usage()].concat();
    check(Script::stream().chunk(&stream).end(), "Hello", "reported").await;
    let stream = [role(), delta("Hello"), finish()].concat();
    check(Script::stream().chunk(&stream).end(), "Hello", "estimated").await;
    // The last event lacks its empty line.
    check(Script::stream().chunk(stream.trim_end()).end(), "Hello", "estimated").await;
}

#[tokio::test(start_paused = true)]
async fn without_usage() {
    let stream = [role(), delta("Hello"), finish(), DONE.to_owned()].concat();
    check(Script::stream().chunk(&stream).end(), "Hello", "estimated").await;
}

#[tokio::test(start_paused = true)]
async fn with_usage_in_the_finish_event() {
    let finish = finish().replace("}]}", &format!("}}],\"usage\":{}}}", data::USAGE));
    let stream = [role(), delta("Hello"), finish, DONE.to_owned()].concat();
    let reply = check(Script::stream().chunk(&stream).end(), "Hello", "reported").await;
    assert!(reply.text().contains("\"prompt_tokens\":9"));
}

#[tokio::test(start_paused = true)]
async fn until_the_connection_closes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let script = Script::new().send(format!("{head}{}", data::stream(&CONTENTS))).close();
    check(script, &CONTENTS.concat(), "reported").await;
}

#[tokio::test(start_paused = true)]
async fn with_a_body_that_lingers_after_the_end_marker() {
    let script = Script::stream().chunk(data::stream(&["Hello"])).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let before = now();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.content().as_str(), before.elapsed().as_millis() < 10), ("Hello", true));
    gateway.provider("p").cancelled().await;
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_after_a_stream() {
    let gateway = Gateway::builder().provider("p", Script::streamed(&["Hello"])).start();
    for _ in 0..3 {
        assert_eq!(gateway.chat(STREAM).await.content(), "Hello");
        // The end of the body may come a moment after the end marker.
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.provider("p").connections(), 1);
    gateway.records(3).await;
}

/// The end of the connection takes nothing of an answer away that is whole, however it ends.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_survives_its_connection() {
    let said = [role(), delta("Hello"), finish()].concat();
    for (rest, origin) in [(String::new(), "estimated"), (usage(), "reported")] {
        let cut = [HEAD.as_bytes(), &chunk([said.as_bytes(), rest.as_bytes()].concat().as_slice()), b"50\r\ndata: [D"]
            .concat();
        check(Script::new().send(cut).close(), "Hello", origin).await;
    }
}

/// An end marker alone is no answer: another target is asked.
#[tokio::test(start_paused = true)]
async fn an_end_without_an_answer_leads_on() {
    for nothing in [DONE.to_owned(), [role(), DONE.to_owned()].concat()] {
        for kind in ["openai-compatible", "mistral"] {
            let scripts =
                vec![Script::stream().chunk(&nothing).end(), Script::stream().chunk(data::stream(&["Hello"])).end()];
            let gateway = Gateway::builder().provider_of("p", kind, scripts).start();
            let reply = gateway.chat(STREAM).await;
            assert_eq!((reply.status, reply.content().as_str()), (200, "Hello"), "{}", reply.text());
            assert_eq!(gateway.one().await.attempts.len(), 2);
        }
    }
}

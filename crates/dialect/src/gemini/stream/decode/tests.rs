//! How streams of Gemini are read: small cases, malformed ones among them.

use ir::chat::fold::Fold;
use ir::chat::message::Signature;
use ir::chat::response::Response;

use super::*;

const SEED: &str = "0123456789abcdef0123456789abcdef";

fn read(frames: &[&str]) -> Result<(Vec<Event>, Step), NotAReply> {
    let (mut stream, mut out) = (Decoder::new(SEED), Vec::new());
    for data in frames {
        stream.frame(Frame { event: None, data }, &mut out)?;
    }
    let step = stream.end(&mut out)?;
    Ok((out, step))
}

fn parts_frame(parts: &str, more: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}{more}}}],"responseId":"r","modelVersion":"m"}}"#)
}

fn folded(frames: &[&str]) -> Response {
    let (events, step) = read(frames).unwrap();
    assert_eq!(step, Step::Complete);
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    fold.finish()
}

#[test]
fn texts_of_a_kind_are_one_part() {
    let frames = [
        parts_frame(r#"{"text":"th","thought":true}"#, ""),
        parts_frame(r#"{"text":"ink","thought":true},{"text":"a"}"#, ""),
        parts_frame(r#"{"text":""}"#, ""),
        parts_frame(r#"{"text":"b"}"#, r#","finishReason":"STOP""#),
    ];
    let (events, step) = read(&frames.each_ref().map(String::as_str)).unwrap();
    let open = |part, opening| Event::Opened { choice: 0, part, opening };
    let text = |part, text: &str| Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) };
    let started = Started { id: "r".to_owned(), model: "m".to_owned(), ..Started::default() };
    let expect = [
        Event::Started(started),
        open(0, Opening::Thinking { id: None }),
        text(0, "th"),
        text(0, "ink"),
        Event::Closed { choice: 0, part: 0 },
        open(1, Opening::Text),
        text(1, "a"),
        text(1, "b"),
        Event::Closed { choice: 0, part: 1 },
        Event::Finished { choice: 0, finish: Finish::Stop },
    ];
    assert_eq!((events.as_slice(), step), (expect.as_slice(), Step::Complete));
}

#[test]
fn signed_text_is_not_continued() {
    let response = folded(&[
        &parts_frame(r#"{"text":"a"}"#, ""),
        &parts_frame(r#"{"text":"","thoughtSignature":"s"}"#, ""),
        &parts_frame(r#"{"text":"b"}"#, ""),
        &parts_frame(
            r#"{"functionCall":{"name":"f","args":{"x":1}},"thoughtSignature":"t"}"#,
            r#","finishReason":"STOP""#,
        ),
        &parts_frame(r#"{"text":"","thoughtSignature":"u"}"#, ""),
    ]);
    let signature = |text: &str| Some(Signature { by: Dialect::Gemini, text: text.to_owned() });
    let choice = &response.choices[0];
    let signatures: Vec<_> = choice.parts.iter().map(|part| part.signature.clone()).collect();
    assert_eq!(signatures, [signature("s"), None, signature("t"), signature("u")]);
    assert!(matches!(&choice.parts[2].content, Content::ToolCall(call)
        if call.id == format!("call_{SEED}0") && call.arguments == r#"{"x":1}"#));
    assert_eq!(choice.finish, Finish::ToolCalls);
}

#[test]
fn what_belongs_to_the_end_may_come_late() {
    let grounding = r#""groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}],"groundingSupports":[{"segment":{"endIndex":3},"groundingChunkIndices":[0]}]}"#;
    let late = format!(
        r#"{{"candidates":[{{{grounding}}}],"usageMetadata":{{"promptTokenCount":3,"candidatesTokenCount":2}}}}"#
    );
    let response = folded(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"abc"},{"executableCode":{"code":"1"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3}}"#,
        &late,
        &late,
    ]);
    assert_eq!(response.usage.map(|usage| (usage.input, usage.output)), Some((3, 2)));
    assert!(matches!(&response.choices[0].parts[0].content, Content::Text { citations, .. } if citations.len() == 1));
    assert!(matches!(&response.choices[0].parts[1].content, Content::Foreign { .. }));
    assert_eq!(response.extras.of(Dialect::Gemini).count(), 1);
}

#[test]
fn a_blocked_prompt_is_a_whole_answer() {
    let response = folded(&[r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#]);
    assert_eq!((response.choices.len(), &response.choices[0].finish), (1, &Finish::ContentFilter));
}

#[test]
fn pictures_and_several_answers_come_apart() {
    let response = folded(&[r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"},
        {"index":0,"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]},"finishReason":"MAX_TOKENS"}]}"#]);
    let ends: Vec<_> = response.choices.iter().map(|choice| (choice.index, choice.finish.clone())).collect();
    assert_eq!(ends, [(1, Finish::Stop), (0, Finish::Length)]);
    assert!(
        matches!(&response.choices[1].parts[0].content, Content::Image { source: Source::Base64 { data, .. }, .. } if data == "AA==")
    );
}

#[test]
fn what_is_cut_off_or_broken_is_known() {
    assert_eq!(read(&[&parts_frame(r#"{"text":"a"}"#, "")]).unwrap().1, Step::More);
    assert_eq!(read(&[]).unwrap().1, Step::More);
    let error = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    assert!(matches!(read(&[&parts_frame(r#"{"text":"a"}"#, ""), error]), Err(NotAReply::Error(_))));
    assert!(matches!(read(&["{"]), Err(NotAReply::Malformed(_))));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in r#"\{"candidates":\[\{"(content|groundingMetadata|index|finishReason)":["a-zA-Z:,\[\]{}0-9]{0,40}"#) {
        let _ = read(&[&text]);
    }
}

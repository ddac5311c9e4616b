//! How whole replies of Gemini are read: small cases, malformed ones among them.

use super::*;

const SEED: &str = "0123456789abcdef0123456789abcdef";

fn answer(text: &str) -> Response {
    decode(text, SEED).unwrap()
}

fn candidate_of(members: &str) -> Choice {
    answer(&format!(r#"{{"candidates":[{{{members}}}]}}"#)).choices.remove(0)
}

#[test]
fn an_answer_is_understood() {
    let response = answer(
        r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"a","thought":true},{"text":"b","thoughtSignature":"s"},
        {"functionCall":{"name":"f","args":{"x":1}}},{"functionCall":{"id":"i","name":"g"}},{"functionCall":{"name":"h"}},{"text":""}]},
        "finishReason":"STOP","avgLogprobs":-0.5}],"modelVersion":"m","responseId":"r",
        "usageMetadata":{"promptTokenCount":3,"serviceTier":"standard"},"createTime":"t"}"#,
    );
    let choice = &response.choices[0];
    let ids = choice.parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some(call.id.clone()),
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), [format!("call_{SEED}0"), "i".to_owned(), format!("call_{SEED}1")]);
    assert_eq!((choice.parts.len(), &choice.finish), (5, &Finish::ToolCalls));
    assert_eq!((response.id.as_str(), response.model.as_str()), ("r", "m"));
    assert_eq!((response.usage.unwrap().input, response.service_tier.as_deref()), (3, Some("standard")));
    let names =
        |extras: &Extras| extras.of(ir::dialect::Dialect::Gemini).map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (names(&response.extras), names(&choice.extras)),
        (vec!["createTime".to_owned()], vec!["avgLogprobs".to_owned()])
    );
}

#[test]
fn ends_have_common_words() {
    let finish = |reason: &str| candidate_of(&format!(r#""finishReason":{reason}"#)).finish;
    assert_eq!(finish("1"), Finish::Stop);
    assert_eq!(finish("null"), Finish::Stop);
    assert_eq!(finish("\"MAX_TOKENS\""), Finish::Length);
    assert_eq!(finish("\"RECITATION\""), Finish::ContentFilter);
    assert_eq!(finish("10"), Finish::Other("MALFORMED_FUNCTION_CALL".to_owned()));
    assert_eq!(finish("\"NEW\""), Finish::Other("NEW".to_owned()));
    let blocked = answer(r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#);
    assert_eq!((blocked.choices.len(), &blocked.choices[0].finish), (1, &Finish::ContentFilter));
    assert!(blocked.extras.get(ir::dialect::Dialect::Gemini, "promptFeedback").is_some());
}

#[test]
fn citations_stand_with_the_text_that_they_end_in() {
    let choice = candidate_of(
        r#""content":{"parts":[{"text":"no","thought":true},{"text":"héllo"},{"text":" world"}]},
        "groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"t"}}],"groundingSupports":[
        {"segment":{"endIndex":6},"groundingChunkIndices":[0]},{"segment":{"startIndex":7,"endIndex":12},"groundingChunkIndices":[0]}]}"#,
    );
    let spans = choice.parts.iter().map(|part| match &part.content {
        Content::Text { citations, .. } => citations.iter().map(|citation| citation.span.unwrap()).collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    assert_eq!(spans.collect::<Vec<_>>(), [vec![], vec![(0, 5)], vec![(6, 11)]]);
    assert!(choice.extras.get(ir::dialect::Dialect::Gemini, "groundingMetadata").is_some());
}

#[test]
fn what_is_no_answer_is_known() {
    let wrong = |text: &str| decode(text, SEED).unwrap_err();
    let error = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    for text in [error.to_owned(), format!("[{error}]")] {
        assert!(
            matches!(wrong(&text), NotAReply::Error(report) if report.code.as_deref() == Some("UNAVAILABLE")),
            "{text}"
        );
    }
    for text in [
        "",
        "[]",
        "[{}]",
        "{}",
        "<html>",
        r#"{"candidates":{}}"#,
        r#"{"candidates":[1]}"#,
        r#"{"candidates":[{"content":{"parts":[1]}}]}"#,
    ] {
        assert!(matches!(wrong(text), NotAReply::Malformed(_)), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(text in r#"\{"candidates":\[\{"(content|groundingMetadata|logprobsResult|finishReason)":["a-zA-Z:,\[\]{}0-9]{0,40}"#) {
        let _ = decode(&text, "");
    }
}

//! How whole replies of Gemini are written: small cases, malformed ones among them.

use ir::chat::extras::Extras;
use ir::chat::message::Signature;
use serde_json::{Value, json};

use super::*;

fn written(response: &Response) -> Value {
    let label = Label { seed: "5eed", model: "m", created: 7 };
    serde_json::from_slice(&encode(response, &label)).unwrap()
}

fn choice(parts: Vec<Part>, finish: Finish) -> Choice {
    Choice { index: 0, parts, finish, logprobs: None, extras: Extras::default() }
}

#[test]
fn an_answer_is_written() {
    let thought = Part {
        signature: Some(Signature { by: Dialect::Anthropic, text: "s".to_owned() }),
        ..Part::new(Content::Thinking { text: "t".to_owned(), id: None })
    };
    let cited = |url: &str, span| Citation { url: Some(url.to_owned()), span, ..Citation::default() };
    let citations = vec![cited("u", Some((1, 3))), cited("u", None), cited("v", Some((0, 99))), Citation::default()];
    let text = Part::new(Content::Text { text: "é—a".to_owned(), citations });
    let block = Content::Foreign { dialect: Dialect::Anthropic, block: Json::of(&1) };
    let parts = vec![thought, Part::new(Content::Redacted), Part::new(block), text];
    let response = Response {
        id: "r".to_owned(),
        choices: vec![choice(parts, Finish::Length)],
        usage: Some(Usage { input: 1, cached_input: 2, audio_input: 4, output: 8, reasoning: 16, ..Usage::default() }),
        ..Response::default()
    };
    let expect = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "t", "thought": true}, {"text": "é—a"}]},
            "finishReason": "MAX_TOKENS",
            "index": 0,
            "groundingMetadata": {
                "groundingChunks": [{"web": {"uri": "u"}}, {"web": {"uri": "v"}}],
                "groundingSupports": [
                    {"segment": {"startIndex": 2, "endIndex": 6, "text": "—a"}, "groundingChunkIndices": [0]},
                    {"segment": {"startIndex": 0, "endIndex": 6, "text": "é—a"}, "groundingChunkIndices": [1]},
                ],
            },
        }],
        "usageMetadata": {
            "promptTokenCount": 7, "cachedContentTokenCount": 2, "candidatesTokenCount": 8, "thoughtsTokenCount": 16,
            "totalTokenCount": 31, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
        },
        "modelVersion": "m",
        "responseId": "r",
    });
    assert_eq!(written(&response), expect);
}

#[test]
fn ends_have_words() {
    let word = |finish| {
        written(&Response { choices: vec![choice(vec![], finish)], ..Response::default() })["candidates"][0]["finishReason"].clone()
    };
    assert_eq!(word(Finish::ToolCalls), "STOP");
    assert_eq!(word(Finish::ContextWindow), "MAX_TOKENS");
    assert_eq!(word(Finish::ContentFilter), "SAFETY");
    assert_eq!(word(Finish::Other("NO_IMAGE".to_owned())), "NO_IMAGE");
    assert_eq!(word(Finish::Other("new_limit".to_owned())), "OTHER");
}

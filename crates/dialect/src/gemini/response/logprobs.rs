//! Log probabilities: <https://ai.google.dev/api/generate-content#LogprobsResult>, in OpenAI's shape.

use ir::json::Json;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    #[serde(default)]
    chosen_candidates: Vec<Candidate>,
    #[serde(default)]
    top_candidates: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    #[serde(default)]
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    token: String,
    log_probability: Option<Json>,
}

#[derive(Serialize)]
struct Logprobs<'a> {
    content: Vec<Token<'a>>,
    refusal: (),
}

#[derive(Serialize)]
struct Token<'a> {
    #[serde(flatten)]
    token: Alternative<'a>,
    top_logprobs: Vec<Alternative<'a>>,
}

/// <https://platform.openai.com/docs/api-reference/chat/object#chat-object-choices-logprobs>
#[derive(Serialize)]
struct Alternative<'a> {
    token: &'a str,
    logprob: Option<&'a Json>,
    bytes: &'a [u8],
}

impl Candidate {
    fn told(&self) -> Alternative<'_> {
        Alternative { token: &self.token, logprob: self.log_probability.as_ref(), bytes: self.token.as_bytes() }
    }
}

/// Rewrites `logprobsResult`; `None` when it is none.
pub(in super::super) fn logprobs(text: &str) -> Option<Json> {
    let result: Result = serde_json::from_str(text).ok()?;
    let content = result.chosen_candidates.iter().enumerate().map(|(at, chosen)| {
        let top = result.top_candidates.get(at).map(|top| top.candidates.as_slice()).unwrap_or_default();
        Token { token: chosen.told(), top_logprobs: top.iter().map(Candidate::told).collect() }
    });
    Some(Json::of(&Logprobs { content: content.collect(), refusal: () }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_told_as_openai_does() {
        let text = r#"{"chosenCandidates":[{"token":"é","tokenId":1,"logProbability":-0.10}],
            "topCandidates":[{"candidates":[{"token":"é","logProbability":-0.10},{"token":"e"}]}]}"#;
        let expect = r#"{"content":[{"token":"é","logprob":-0.10,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.10,"bytes":[195,169]},{"token":"e","logprob":null,"bytes":[101]}]}],"refusal":null}"#;
        assert_eq!(logprobs(text).unwrap().as_str(), expect);
        assert_eq!(logprobs("{}").unwrap().as_str(), r#"{"content":[],"refusal":null}"#);
        assert_eq!(logprobs("[1]"), None);
    }
}

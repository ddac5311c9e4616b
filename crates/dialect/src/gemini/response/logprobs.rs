//! Log probabilities: <https://ai.google.dev/api/generate-content#LogprobsResult>, to OpenAI's shape and back.

use ir::json::Json;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    #[serde(default)]
    chosen_candidates: Vec<Candidate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    top_candidates: Vec<Top>,
}

#[derive(Deserialize, Serialize)]
struct Top {
    #[serde(default)]
    candidates: Vec<Candidate>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_probability: Option<Json>,
}

#[derive(Deserialize, Serialize)]
struct Logprobs {
    content: Option<Vec<Token>>,
    refusal: Option<Vec<Token>>,
}

/// <https://platform.openai.com/docs/api-reference/chat/object#chat-object-choices-logprobs>
#[derive(Deserialize, Serialize)]
struct Token {
    token: String,
    logprob: Option<Json>,
    bytes: Option<Vec<u8>>,
    /// The alternatives; they have none themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Token>>,
}

/// Rewrites `logprobsResult`; `None` when it is none.
pub(in super::super) fn logprobs(text: &str) -> Option<Json> {
    let result: Result = serde_json::from_str(text).ok()?;
    let mut tops = result.top_candidates.into_iter();
    let content = result.chosen_candidates.into_iter().map(|chosen| {
        let top = tops.next().map(|top| top.candidates).unwrap_or_default();
        let top_logprobs = Some(top.into_iter().map(|candidate| candidate.told(None)).collect());
        chosen.told(top_logprobs)
    });
    Some(Json::of(&Logprobs { content: Some(content.collect()), refusal: None }))
}

/// Rewrites OpenAI's shape for a client that speaks Gemini; `None` when it is another.
pub(in super::super) fn result(openai: &Json) -> Option<Json> {
    let tokens = serde_json::from_str::<Logprobs>(openai.as_str()).ok()?.content.unwrap_or_default();
    let mut result = Result { chosen_candidates: Vec::new(), top_candidates: Vec::new() };
    for mut token in tokens {
        let top = token.top_logprobs.take().unwrap_or_default();
        result.top_candidates.push(Top { candidates: top.into_iter().map(Token::candidate).collect() });
        result.chosen_candidates.push(token.candidate());
    }
    if result.top_candidates.iter().all(|top| top.candidates.is_empty()) {
        result.top_candidates.clear();
    }
    Some(Json::of(&result))
}

impl Candidate {
    fn told(self, top_logprobs: Option<Vec<Token>>) -> Token {
        let bytes = Some(self.token.as_bytes().to_vec());
        Token { token: self.token, logprob: self.log_probability, bytes, top_logprobs }
    }
}

impl Token {
    fn candidate(self) -> Candidate {
        Candidate { token: self.token, log_probability: self.logprob }
    }
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
        let back = r#"{"chosenCandidates":[{"token":"é","logProbability":-0.10}],"topCandidates":[{"candidates":[{"token":"é","logProbability":-0.10},{"token":"e"}]}]}"#;
        assert_eq!(result(&logprobs(text).unwrap()).unwrap().as_str(), back);
        assert_eq!(result(&Json::of(&"x")), None);
    }
}

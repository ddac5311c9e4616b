//! The recordings.

use std::path::Path;

use serde::Deserialize;

/// One recorded exchange; `shared/corpus/README.md` describes the fields.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    pub id: String,
    pub endpoint: String,
    pub provider: String,
    pub fidelity: String,
    pub stream_events: Option<u64>,
    pub request: Option<Request>,
    pub response: Response,
    /// Only in `parallel.jsonl`.
    pub scenario: Option<String>,
    /// Only in `parallel.jsonl`.
    pub family: Option<String>,
    /// Only in `parallel.jsonl`.
    pub first_turn: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub path: String,
    pub body: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Response {
    pub status: u16,
    pub body: String,
    pub body_encoding: Option<String>,
}

impl Exchange {
    /// Whether it is a successful answer.
    pub fn succeeded(&self) -> bool {
        self.response.status == 200 && self.response.body_encoding.is_none()
    }

    /// Whether the answer is a stream.
    pub fn is_stream(&self) -> bool {
        self.stream_events.is_some()
    }

    /// Returns the body of the request, if it was recorded as text.
    pub fn asked(&self) -> Option<&str> {
        self.request.as_ref()?.body.as_deref()
    }
}

/// Returns the exchanges of a file (`anthropic`, `openai_compatible`, `parallel`, …); none where the recordings are
/// missing, which only a machine of CI takes for a failure.
pub fn read(file: &str) -> Vec<Exchange> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/exchanges");
    let Ok(text) = std::fs::read_to_string(folder.join(format!("{file}.jsonl"))) else {
        assert!(std::env::var_os("CI").is_none(), "no recorded exchanges beside the checkout");
        eprintln!("no recorded exchanges beside the checkout: nothing is compared");
        return Vec::new();
    };
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the exchanges of a file with one of the endpoints.
pub fn of(file: &str, endpoints: &[&str]) -> Vec<Exchange> {
    let mut found = read(file);
    found.retain(|exchange| endpoints.contains(&exchange.endpoint.as_str()));
    found
}

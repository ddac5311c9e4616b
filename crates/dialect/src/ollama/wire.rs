//! The body of a request as Ollama's schema has it, and what requests and replies share: <https://docs.ollama.com/api/chat>.

use std::borrow::Cow;

use ir::json::Json;
use serde::Serialize;

use crate::carry::Own;

/// `POST /api/chat`.
#[derive(Debug, Serialize)]
pub(super) struct Chat<'a> {
    pub model: &'a str,
    pub messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Options::is_empty")]
    pub options: Options<'a>,
    /// Always written: a stream is the server's default.
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<Think>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u64>,
    #[serde(flatten)]
    pub own: Own<'a>,
}

/// One message. The texts and pictures of its parts are joined: there is no order among them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Message<'a> {
    pub role: &'static str,
    pub content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Cow<'a, str>>,
    /// Base64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<&'a str>,
    #[serde(flatten)]
    pub own: Own<'a>,
}

/// A call that the model made.
#[derive(Debug, Serialize)]
pub(super) struct ToolCall<'a> {
    /// Newer servers make one up and take it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    pub function: Call<'a>,
    #[serde(flatten)]
    pub own: Own<'a>,
}

/// The function that is called.
#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    pub name: &'a str,
    /// An object.
    pub arguments: Json,
    #[serde(flatten)]
    pub own: Own<'a>,
}

/// A tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Function<'a>,
    },
    Own(&'a Json),
}

/// A function that the caller runs.
#[derive(Debug, Serialize)]
pub(super) struct Function<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    pub parameters: Cow<'a, Json>,
    #[serde(flatten)]
    pub own: Own<'a>,
}

/// `"json"` or a schema.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Format<'a> {
    Json(&'static str),
    Schema(&'a Json),
}

/// `true`, `false`, or how hard.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Think {
    Whether(bool),
    Level(&'static str),
}

/// <https://docs.ollama.com/modelfile#valid-parameters-and-values>
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_predict: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<&'a Json>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub stop: &'a [String],
    #[serde(flatten)]
    pub own: Own<'a>,
}

impl Options<'_> {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Pictures are sent without their type; it shows in their first bytes.
pub(super) fn media_type(base64: &str) -> &'static str {
    const KNOWN: [(&str, &str); 4] =
        [("/9j/", "image/jpeg"), ("iVBORw0KGgo", "image/png"), ("UklGR", "image/webp"), ("R0lGOD", "image/gif")];
    let found = KNOWN.iter().find(|(start, _)| base64.starts_with(start));
    found.map_or("application/octet-stream", |(_, media_type)| *media_type)
}

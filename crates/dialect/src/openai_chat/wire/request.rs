//! A chat completion request as it is written:
//! <https://platform.openai.com/docs/api-reference/chat/create>.

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::dialect::Dialect;
use ir::json::Json;
use serde::Serialize;

use super::message::Message;
use crate::carry::Own;
use crate::json::object::{Object, Path};

/// The objects whose leftover members are kept under their name and a point.
const NESTED: [&str; 8] = [
    "file.",
    "function.",
    "image_url.",
    "input_audio.",
    "json_schema.",
    "reasoning.",
    "response_format.",
    "stream_options.",
];

/// Returns the members of this dialect that belong to a thing itself.
pub fn own(extras: &Extras) -> Own<'_> {
    let mut own = Own::of(extras, Dialect::OpenaiChat);
    for prefix in NESTED {
        let _ = own.take_under(prefix);
    }
    own
}

/// Returns the members of this dialect that belong to an object in it; all, for an empty prefix.
pub fn inside<'a>(extras: &'a Extras, prefix: &'static str) -> Own<'a> {
    Own::of(extras, Dialect::OpenaiChat).take_under(prefix)
}

/// The request.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    pub model: &'a str,
    pub messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Cow<'a, Json>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_seed: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

/// A tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Tool<'a> {
    Raw(&'a Json),
    Known {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        function: Function<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Own<'a>,
    },
}

#[derive(Debug, Serialize)]
pub struct Function<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Choice<'a> {
    Word(&'static str),
    Raw(&'a Json),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Named<'a>,
    },
    Named(Named<'a>),
}

#[derive(Debug, Serialize)]
pub struct Named<'a> {
    pub name: &'a str,
}

#[derive(Debug, Serialize)]
pub struct StreamOptions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Stop<'a> {
    One(&'a str),
    List(&'a [String]),
}

/// A boolean; Together takes the number of alternatives.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Logprobs {
    Flag(bool),
    Number(u64),
}

#[derive(Debug, Serialize)]
pub struct Format<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Schema<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<&'a Json>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

#[derive(Debug, Serialize)]
pub struct Schema<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// The schema's members themselves, where it stands without a name of its own (Groq).
    #[serde(flatten)]
    pub bare: Option<Splat<'a>>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub struct Splat<'a>(pub &'a Json);

impl Serialize for Splat<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = Object::read(self.0.as_str(), Path::default());
        let members = object.into_iter().flat_map(Object::leftovers);
        serializer.collect_map(members.map(|(name, value)| (name, Json::parse(value))))
    }
}

/// OpenRouter's: <https://openrouter.ai/docs/use-cases/reasoning-tokens>.
#[derive(Debug, Serialize)]
pub struct Reasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<bool>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

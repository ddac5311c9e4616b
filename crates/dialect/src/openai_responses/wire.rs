//! Requests as they stand on the wire, to be written, and the usage report, to be read.
//!
//! <https://platform.openai.com/docs/api-reference/responses/create>

use std::borrow::Cow;

use ir::json::Json;
use ir::usage::Usage;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::json::object::{Object, Path};

/// A whole request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Input::is_empty")]
    pub input: Input<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(flatten)]
    pub members: Members<'a>,
}

/// Members that are written as they were read.
#[derive(Default)]
pub(super) struct Members<'a>(pub Vec<(&'a str, &'a Json)>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The conversation: one text of the user, or items.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    Text(&'a str),
    Items(Vec<Item<'a>>),
}

impl Input<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Items(items) if items.is_empty())
    }
}

/// One item of the input.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Message {
        role: &'static str,
        content: Contents<'a>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// `None` when it stands among the members.
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<Vec<Content<'a>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        #[serde(flatten)]
        members: Members<'a>,
    },
    CustomToolCall {
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
        #[serde(flatten)]
        members: Members<'a>,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: Contents<'a>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    CustomToolCallOutput {
        call_id: &'a str,
        output: Contents<'a>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    #[serde(untagged)]
    Untyped {
        role: &'static str,
        content: Contents<'a>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    #[serde(untagged)]
    Foreign(&'a Json),
}

/// What a message or a tool says: a plain text in its short form, or parts.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Contents<'a> {
    Text(&'a str),
    Parts(Vec<Content<'a>>),
}

/// One part of a message.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    InputText {
        text: &'a str,
        #[serde(flatten)]
        members: Members<'a>,
    },
    OutputText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Vec<&'a Json>>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    SummaryText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
        #[serde(flatten)]
        members: Members<'a>,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    #[serde(untagged)]
    Foreign(&'a Json),
}

/// A tool.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Tool<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<Cow<'a, Json>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(flatten)]
        members: Members<'a>,
    },
    #[serde(untagged)]
    Foreign(&'a Json),
}

/// Whether tools may, must or must not be called.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ToolChoice<'a> {
    Word(&'static str),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
    },
    Foreign(&'a Json),
}

/// How much the model thinks.
#[derive(Serialize)]
pub(super) struct Reasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<&'static str>,
    #[serde(flatten)]
    pub members: Members<'a>,
}

/// The form of the answer.
#[derive(Default, Serialize)]
pub(super) struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format<'a>>,
    #[serde(flatten)]
    pub members: Members<'a>,
}

/// The form of the answer, by its kind.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Format<'a> {
    Text,
    JsonObject,
    JsonSchema {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<Cow<'a, Json>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// Reads a usage report into disjoint buckets. `None` when it is unreadable or absurd.
///
/// The cached tokens and those that were written to the cache are counted inside `input_tokens`, the reasoning tokens
/// inside `output_tokens`; a part that exceeds its whole is cut to it.
pub(super) fn usage(text: &str) -> Option<Usage> {
    let mut usage = Object::read(text, Path::default()).ok()?;
    let (input, output) = (usage.integer("input_tokens").ok()??, usage.integer("output_tokens").ok()?.unwrap_or(0));
    if input > ABSURD_TOKENS || output > ABSURD_TOKENS {
        return None;
    }
    let mut detail = |of: &'static str, names: [&'static str; 2]| -> Option<[u64; 2]> {
        let Some(mut details) = usage.object(of).ok()? else { return Some([0; 2]) };
        let [first, second] = names.map(|name| details.integer(name).ok());
        Some([first?.unwrap_or(0), second?.unwrap_or(0)])
    };
    let [cached, written] = detail("input_tokens_details", ["cached_tokens", "cache_write_tokens"])?;
    let [reasoning, _] = detail("output_tokens_details", ["reasoning_tokens", ""])?;
    let cached_input = cached.min(input);
    let cache_write = written.min(input - cached_input);
    let reasoning = reasoning.min(output);
    Some(Usage {
        input: input - cached_input - cache_write,
        cached_input,
        cache_write,
        output: output - reasoning,
        reasoning,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(report: &str, expect: Option<[u64; 5]>) {
        let found = usage(report).map(|u| [u.input, u.cached_input, u.cache_write, u.output, u.reasoning]);
        assert_eq!(found, expect, "{report}");
    }

    #[test]
    fn buckets_are_disjoint() {
        check(
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},
               "output_tokens":50,"output_tokens_details":{"reasoning_tokens":40},"total_tokens":150}"#,
            Some([10, 60, 30, 10, 40]),
        );
        check(r#"{"input_tokens":7,"output_tokens":null,"input_tokens_details":null}"#, Some([7, 0, 0, 0, 0]));
        check(
            r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":9,"cache_write_tokens":9},
               "output_tokens":3,"output_tokens_details":{"reasoning_tokens":9}}"#,
            Some([0, 5, 0, 0, 3]),
        );
    }

    #[test]
    fn lies_are_not_believed() {
        for report in [
            "7",
            "{}",
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":1.5}"#,
            r#"{"input_tokens":1,"output_tokens":99999999999999}"#,
            r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":"1"}}"#,
        ] {
            check(report, None);
        }
    }
}

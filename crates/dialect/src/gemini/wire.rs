//! What is written: <https://ai.google.dev/api/generate-content>.

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::ToolCall;
use ir::dialect::Dialect;
use ir::json::Json;
use serde::{Serialize, Serializer};

/// The body of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system_instruction: Option<Content<'a>>,
    pub(super) contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generation_config: Option<GenerationConfig<'a>>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// One turn, or a piece of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    pub(super) parts: Vec<Part<'a>>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// One part.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a> {
    /// One that is understood.
    Known(Box<Known<'a>>),
    /// One that is carried whole.
    Whole(&'a Json),
}

/// A part that is understood: one member of `text` to `function_response` is there.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Known<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<InlineData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<&'a str>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// Data in the message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineData<'a> {
    pub(super) mime_type: &'a str,
    pub(super) data: &'a str,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// Data elsewhere.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    pub(super) file_uri: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<Json>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// A call.
#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) args: Json,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

impl<'a> FunctionCall<'a> {
    /// Writes a call. Arguments are an object: text that is none stands in one, as `input` for a custom tool, else as
    /// `arguments`.
    pub(super) fn of(call: &'a ToolCall, extras: &'a Extras) -> Self {
        let args = match object(&call.arguments).filter(|_| !call.custom) {
            Some(object) => object,
            None if call.arguments.trim().is_empty() => Json::of(&Members::default()),
            None if call.custom => Json::of(&One("input", &call.arguments)),
            None => match Json::parse(&call.arguments) {
                Some(value) => Json::of(&One("arguments", &value)),
                None => Json::of(&One("arguments", &call.arguments)),
            },
        };
        Self { id: &call.id, name: &call.name, args, extras: Members::of(extras, "functionCall.") }
    }
}

/// Its result.
#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) response: Json,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part<'a>>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// Tools of one kind.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    /// The caller's functions.
    #[serde(rename_all = "camelCase")]
    Functions {
        /// All of them.
        function_declarations: Vec<Function<'a>>,
    },
    /// A tool of the provider's.
    Whole(&'a Json),
}

/// A function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters_json_schema: Option<&'a Json>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// How tools are used.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_calling_config: Option<Calling<'a>>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// Whether functions are called.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Calling<'a> {
    /// In words that every dialect has.
    #[serde(rename_all = "camelCase")]
    Mode {
        /// `AUTO`, `ANY` or `NONE`.
        mode: &'static str,
        /// Which may be called.
        #[serde(skip_serializing_if = "Option::is_none")]
        allowed_function_names: Option<[&'a str; 1]>,
    },
    /// As it came.
    Whole(&'a Json),
}

/// How the answer is made.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_k: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) presence_penalty: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frequency_penalty: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_config: Option<ThinkingConfig<'a>>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// How much it thinks.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_level: Option<&'static str>,
    #[serde(flatten)]
    pub(super) extras: Members<'a>,
}

/// Members that are carried.
#[derive(Clone, Debug, Default)]
pub(super) struct Members<'a>(Vec<(&'a str, &'a Json)>);

impl<'a> Members<'a> {
    /// Returns the extras of this dialect whose name has the prefix, without it; with no prefix, those that have none.
    pub(super) fn of(extras: &'a Extras, prefix: &str) -> Self {
        let found = extras.of(Dialect::Gemini).filter_map(|(name, value)| {
            let name = name.strip_prefix(prefix)?;
            (!name.contains('.')).then_some((name, value))
        });
        Self(found.collect())
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name is among them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// Adds those of another.
    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// An object with one member.
pub(super) struct One<'a, T>(pub(super) &'static str, pub(super) &'a T);

impl<T: Serialize> Serialize for One<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0, self.1)])
    }
}

/// Returns a text that is a JSON object, as one.
pub(super) fn object(text: &str) -> Option<Json> {
    Json::parse(text).filter(|json| json.as_str().starts_with('{'))
}

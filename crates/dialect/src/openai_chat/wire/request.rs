//! A chat completion request as it is written:
//! <https://platform.openai.com/docs/api-reference/chat/create>.

use std::borrow::Cow;
use std::fmt;

use ir::chat::extras::Extras;
use ir::dialect::Dialect;
use ir::json::Json;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::json::object::{Object, Path};
use crate::openai_chat::reasoning::Detail;

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
    pub extras: Members<'a>,
}

/// The extras of this dialect that belong to an object: those whose names begin with its name and a point, or, with an
/// empty prefix, those whose names begin with no such object's.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    extras: Option<&'a Extras>,
    prefix: &'static str,
}

/// The objects whose leftover members are kept under their name and a point.
pub const NESTED: [&str; 8] = [
    "file.",
    "function.",
    "image_url.",
    "input_audio.",
    "json_schema.",
    "reasoning.",
    "response_format.",
    "stream_options.",
];

impl<'a> Members<'a> {
    /// No members.
    pub const NONE: Self = Self { extras: None, prefix: "" };

    /// The members of the thing itself.
    pub fn of(extras: &'a Extras) -> Self {
        Self { extras: Some(extras), prefix: "" }
    }

    /// The members of an object in it.
    pub fn inside(extras: &'a Extras, prefix: &'static str) -> Self {
        Self { extras: Some(extras), prefix }
    }

    /// Returns the members and their names.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a Json)> {
        let own = self.extras.into_iter().flat_map(|extras| extras.of(Dialect::OpenaiChat));
        own.filter_map(move |(name, value)| match self.prefix {
            "" => (!NESTED.iter().any(|prefix| name.starts_with(prefix))).then_some((name, value)),
            prefix => Some((name.strip_prefix(prefix)?, value)),
        })
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A message.
#[derive(Debug, Serialize)]
pub struct Message<'a> {
    pub role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<Detail<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<Call<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<&'a Json>,
    #[serde(flatten)]
    pub extras: Members<'a>,
}

impl Message<'_> {
    /// Returns a message that says nothing.
    pub fn new(role: &'static str) -> Self {
        Self {
            role,
            content: None,
            name: None,
            reasoning_content: None,
            reasoning: None,
            reasoning_details: None,
            refusal: None,
            tool_calls: None,
            function_call: None,
            tool_call_id: None,
            cache_control: None,
            extras: Members::NONE,
        }
    }
}

/// What is said.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Content<'a> {
    Null,
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

/// A part of the content.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Part<'a> {
    /// A part as it came.
    Raw(&'a Json),
    Known(Known<'a>),
}

/// A part that is understood.
#[derive(Debug, Serialize)]
pub struct Known<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(flatten)]
    pub body: Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<&'a Json>,
    #[serde(flatten)]
    pub extras: Members<'a>,
}

/// What it is: the member that has the type's name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<'a> {
    Text(Cow<'a, str>),
    Refusal(&'a str),
    ImageUrl(Image<'a>),
    InputAudio(Audio<'a>),
    VideoUrl(Url<'a>),
    FileUrl(Url<'a>),
    DocumentUrl(Address<'a>),
    File(File<'a>),
    Thinking(Thinking<'a>),
}

impl Body<'_> {
    /// Returns the type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Refusal(_) => "refusal",
            Self::ImageUrl(_) => "image_url",
            Self::InputAudio(_) => "input_audio",
            Self::VideoUrl(_) => "video_url",
            Self::FileUrl(_) => "file_url",
            Self::DocumentUrl(_) => "document_url",
            Self::File(_) => "file",
            Self::Thinking(_) => "thinking",
        }
    }
}

/// Where data is. Large data is not copied before it is written.
#[derive(Clone, Copy, Debug)]
pub enum Address<'a> {
    Plain(&'a str),
    Data { media_type: &'a str, data: &'a str },
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => f.write_str(address),
            Self::Data { media_type, data } => write!(f, "data:{media_type};base64,{data}"),
        }
    }
}

impl Serialize for Address<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(address) => address.serialize(serializer),
            Self::Data { .. } => serializer.collect_str(self),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Url<'a> {
    pub url: Address<'a>,
}

/// A picture; Mistral takes the bare address, too.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Image<'a> {
    Bare(Address<'a>),
    Whole {
        url: Address<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
}

/// Sound; Mistral takes bare base64 or an address.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Audio<'a> {
    Bare(&'a str),
    Whole {
        data: &'a str,
        format: &'a str,
        #[serde(flatten)]
        extras: Members<'a>,
    },
}

#[derive(Debug, Serialize)]
pub struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<Address<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<&'a str>,
    #[serde(flatten)]
    pub extras: Members<'a>,
}

/// A thought among the content (Mistral): <https://docs.mistral.ai/capabilities/reasoning>.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Thinking<'a> {
    Noted(&'a Json),
    Made([Chunk<'a>; 1]),
}

#[derive(Debug, Serialize)]
pub struct Chunk<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub text: &'a str,
}

/// A tool call.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Call<'a> {
    Raw(&'a Json),
    Known {
        id: Cow<'a, str>,
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        function: Option<Called<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        custom: Option<Custom<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<ExtraContent<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
}

#[derive(Debug, Serialize)]
pub struct Called<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
    #[serde(flatten)]
    pub extras: Members<'a>,
}

#[derive(Debug, Serialize)]
pub struct Custom<'a> {
    pub name: &'a str,
    pub input: &'a str,
}

/// Google's place for the signature of a call:
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>.
#[derive(Debug, Serialize)]
pub struct ExtraContent<'a> {
    pub google: Google<'a>,
}

#[derive(Debug, Serialize)]
pub struct Google<'a> {
    pub thought_signature: &'a str,
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
        extras: Members<'a>,
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
    pub extras: Members<'a>,
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
    pub extras: Members<'a>,
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
    pub extras: Members<'a>,
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
    pub extras: Members<'a>,
}

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub struct Splat<'a>(pub &'a Json);

impl Serialize for Splat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let object = Object::read(self.0.as_str(), Path::default());
        for (name, value) in object.into_iter().flat_map(Object::leftovers) {
            map.serialize_entry(&name, &Json::parse(value))?;
        }
        map.end()
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
    pub extras: Members<'a>,
}

//! The messages of a request as they are written.

use std::borrow::Cow;
use std::fmt;

use ir::json::Json;
use serde::Serialize;
use serde::ser::Serializer;

use crate::carry::Own;
use crate::openai_chat::reasoning::Detail;

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
    pub extras: Own<'a>,
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
            extras: Own::default(),
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

impl<'a> Content<'a> {
    /// Adds a refusal as text, for vendors that have no place of its own for it.
    pub fn and(self, refusal: Option<&'a str>) -> Self {
        let Some(refusal) = refusal else { return self };
        match self {
            Self::Null => Self::Text(Cow::Borrowed(refusal)),
            Self::Text(text) if text.is_empty() => Self::Text(Cow::Borrowed(refusal)),
            Self::Text(text) => Self::Text(Cow::Owned(format!("{text}\n\n{refusal}"))),
            Self::Parts(mut parts) => {
                parts.push(Part::text(Cow::Borrowed(refusal)));
                Self::Parts(parts)
            }
        }
    }
}

/// A part of the content.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Part<'a> {
    /// A part as it came.
    Raw(&'a Json),
    Known(Known<'a>),
}

impl<'a> Part<'a> {
    /// Returns a part that is text.
    pub fn text(text: Cow<'a, str>) -> Self {
        Self::Known(Known::new(Body::Text(text), Own::default()))
    }
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
    pub extras: Own<'a>,
}

impl<'a> Known<'a> {
    pub fn new(body: Body<'a>, extras: Own<'a>) -> Self {
        Self { kind: body.kind(), body, document_name: None, cache_control: None, extras }
    }
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
    /// Mistral's form of a file that was uploaded before.
    FileId(&'a str),
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
            Self::File(_) | Self::FileId(_) => "file",
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
        extras: Own<'a>,
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
        extras: Own<'a>,
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
    pub extras: Own<'a>,
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
        extras: Own<'a>,
    },
}

#[derive(Debug, Serialize)]
pub struct Called<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
    #[serde(flatten)]
    pub extras: Own<'a>,
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

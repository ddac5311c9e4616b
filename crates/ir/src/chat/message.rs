//! Messages and their parts.

use super::extras::Extras;
use crate::dialect::Dialect;
use crate::json::Json;

/// One message. The order of messages and of parts is the conversation's; a dialect that wants another shape (tool
/// results in messages of their own, or all of them in one) makes it when it encodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part>,
    /// The speaker's name (OpenAI `name`).
    pub name: Option<String>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator of the application.
    System,
    /// The same, in OpenAI's newer word.
    Developer,
    /// The user. Tool results may stand among the parts (Anthropic) or in messages of the role `Tool`.
    User,
    /// The model.
    Assistant,
    /// A tool: every part is a [`Content::ToolResult`].
    Tool,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// A provider's proof of its own thought: Anthropic's and Gemini's signatures, OpenAI's encrypted reasoning. It is
    /// valid only where it came from.
    pub signature: Option<Signature>,
    /// Up to here the prompt may be cached: Anthropic's `cache_control` value.
    pub cache_control: Option<Json>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

impl Part {
    /// Returns a part that is nothing but its content.
    pub fn new(content: Content) -> Self {
        Self { content, signature: None, cache_control: None, extras: Extras::default() }
    }

    /// Returns plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text { text: text.into(), citations: Vec::new() })
    }
}

/// A provider's proof of its own thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The dialect that understands it.
    pub by: Dialect,
    /// Its text, opaque.
    pub text: String,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// What it is taken from.
        citations: Vec<Citation>,
    },
    /// The model's reasoning, as far as the provider shows it.
    Thinking {
        /// The thought or its summary; it may be empty while its signature is not.
        text: String,
        /// The provider's id of it (OpenAI Responses).
        id: Option<String>,
    },
    /// Reasoning that the provider hides: Anthropic's `redacted_thinking`. Its data stands in the signature.
    Redacted,
    /// The model declines.
    Refusal(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// How closely to look: OpenAI's `low`, `high`, `auto`.
        detail: Option<String>,
    },
    /// Sound.
    Audio(Source),
    /// A film.
    Video(Source),
    /// A file: PDF, text.
    Document(Document),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// A block that only its dialect knows (a server tool's use, a search result): its whole JSON.
    Foreign {
        /// The dialect that knows it.
        dialect: Dialect,
        /// The block.
        block: Json,
    },
}

/// Where data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// At an address. `data:` addresses are decoded into [`Source::Base64`].
    Url(String),
    /// Here.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// Base64 with padding (RFC 4648 section 4).
        data: String,
    },
    /// In the provider's store.
    File(String),
    /// Here, as text.
    Text(String),
    /// Here, as parts (Anthropic's `content` documents).
    Parts(Vec<Part>),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it is.
    pub source: Source,
    /// Its title or file name.
    pub title: Option<String>,
    /// What the model is told about it, without it being cited.
    pub context: Option<String>,
    /// Whether the answer shall cite it.
    pub citations: Option<bool>,
}

/// The model calls a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of the call; empty where the dialect has none (Gemini, Ollama) and none was made up yet.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as they came: JSON, when the model did as it should; plain text for a custom tool.
    pub arguments: String,
    /// Whether the tool is a custom one, whose input is plain text (OpenAI).
    pub custom: bool,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The call that it answers.
    pub call_id: String,
    /// The tool, where the dialect says it.
    pub name: Option<String>,
    /// The answer: text, pictures, documents.
    pub parts: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: Option<bool>,
}

/// What a text is taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citation {
    /// The address, for a web page.
    pub url: Option<String>,
    /// The title of the page or document.
    pub title: Option<String>,
    /// The words that are cited.
    pub cited_text: Option<String>,
    /// Where in the answer's text the cited words stand, in characters: from, to.
    pub span: Option<(u64, u64)>,
    /// The citation as its dialect says it.
    pub original: Option<(Dialect, Json)>,
}

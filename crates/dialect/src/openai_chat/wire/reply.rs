//! Replies and chunks as they are written:
//! <https://platform.openai.com/docs/api-reference/chat/object>,
//! <https://platform.openai.com/docs/api-reference/chat-streaming>.

use std::borrow::Cow;

use ir::chat::message::{Citation, Signature};
use ir::dialect::Dialect;
use ir::json::Json;
use ir::usage::Usage;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::message::{Address, Called, Custom, ExtraContent, Google};
use crate::carry::Own;
use crate::openai_chat::reasoning::Detail;

/// A whole answer.
#[derive(Debug, Serialize)]
pub struct Reply<'a> {
    pub id: Cow<'a, str>,
    pub object: &'static str,
    pub created: u64,
    pub model: &'a str,
    pub choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Consumed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct Choice<'a> {
    pub index: u32,
    pub message: Message<'a>,
    pub logprobs: Option<&'a Json>,
    pub finish_reason: &'static str,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

/// What is said. Content and refusal are always there.
#[derive(Debug, Serialize)]
pub struct Message<'a> {
    pub role: &'static str,
    pub content: Option<String>,
    pub refusal: Option<String>,
    #[serde(flatten)]
    pub more: Delta<'a>,
}

/// What a delta may hold, and a message beside its content.
#[derive(Debug, Default, Serialize)]
pub struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation<'a>>,
    /// Citations of something else than a web page, which OpenAI has no shape for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Passage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_specific_fields: Option<Blocks<'a>>,
}

impl<'a> Delta<'a> {
    /// Adds a citation. `index` is its number, in streams: SDKs join lists by it.
    pub fn cite(&mut self, citation: &'a Citation, index: Option<u32>) {
        match Annotation::of(citation, index) {
            Some(annotation) => self.annotations.push(annotation),
            None => self.citations.push(Passage::of(citation, index)),
        }
    }

    /// Adds to the thoughts that are shown.
    pub fn think(&mut self, text: &'a str) {
        match &mut self.reasoning_content {
            Some(found) => found.to_mut().push_str(text),
            None if text.is_empty() => {}
            None => self.reasoning_content = Some(Cow::Borrowed(text)),
        }
    }
}

/// A tool call, or a piece of one.
#[derive(Debug, Default, Serialize)]
pub struct Call<'a> {
    /// Its number, in streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Piece<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<ExtraContent<'a>>,
}

/// A function that is called, whole or in pieces.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Piece<'a> {
    Whole(Called<'a>),
    More { arguments: &'a str },
}

/// A custom tool that is called, whole or in pieces.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Entry<'a> {
    Whole(Custom<'a>),
    More { input: &'a str },
}

impl<'a> Call<'a> {
    /// Returns the call, or its beginning.
    pub fn new(id: Cow<'a, str>, name: &'a str, arguments: &'a str, is_custom: bool) -> Self {
        Self {
            id: Some(id),
            kind: Some(if is_custom { "custom" } else { "function" }),
            function: (!is_custom).then_some(Piece::Whole(Called { name, arguments, extras: Own::default() })),
            custom: is_custom.then_some(Entry::Whole(Custom { name, input: arguments })),
            ..Self::default()
        }
    }

    /// Returns a later piece of it.
    pub fn more(index: u32, text: &'a str, is_custom: bool) -> Self {
        Self {
            index: Some(index),
            function: (!is_custom).then_some(Piece::More { arguments: text }),
            custom: is_custom.then_some(Entry::More { input: text }),
            ..Self::default()
        }
    }
}

/// Returns the place of a call's signature: only Google's has one.
pub fn extra_content(signature: Option<&Signature>) -> Option<ExtraContent<'_>> {
    let signature = signature.filter(|signature| signature.by == Dialect::Gemini)?;
    Some(ExtraContent { google: Google { thought_signature: &signature.text } })
}

/// Sound; all four members must be there in a whole answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Audio<'a> {
    Raw(&'a Json),
    Data {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        data: &'a str,
    },
    Whole {
        id: String,
        data: &'a str,
        expires_at: u64,
        transcript: String,
    },
}

/// A picture that the model made, as OpenRouter sends it:
/// <https://openrouter.ai/docs/features/multimodal/image-generation>.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: Url<'a>,
    index: u32,
}

#[derive(Debug, Serialize)]
struct Url<'a> {
    url: Address<'a>,
}

impl<'a> Image<'a> {
    pub fn new(url: Address<'a>, index: u32) -> Self {
        Self { kind: "image_url", image_url: Url { url }, index }
    }
}

/// A citation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Annotation<'a> {
    Raw(&'a Json),
    Url {
        #[serde(rename = "type")]
        kind: &'static str,
        url_citation: UrlCitation<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
    },
}

/// A citation of a web page. Without a known place in the text both ends are 0, as OpenRouter has them.
#[derive(Debug, Serialize)]
pub struct UrlCitation<'a> {
    url: &'a str,
    title: &'a str,
    start_index: u64,
    end_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// A citation of something else.
#[derive(Debug, Serialize)]
pub struct Passage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cited_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
}

impl<'a> Annotation<'a> {
    /// Returns the annotation that a citation is; `None` when it is of no web page.
    fn of(citation: &'a Citation, index: Option<u32>) -> Option<Self> {
        if let Some((Dialect::OpenaiChat, original)) = &citation.original {
            return Some(Self::Raw(original));
        }
        let url = citation.url.as_deref()?;
        let (start_index, end_index) = citation.span.unwrap_or_default();
        let title = citation.title.as_deref().unwrap_or_default();
        let content = citation.cited_text.as_deref();
        let url_citation = UrlCitation { url, title, start_index, end_index, content };
        Some(Self::Url { kind: "url_citation", url_citation, index })
    }
}

impl<'a> Passage<'a> {
    fn of(citation: &'a Citation, index: Option<u32>) -> Self {
        let (start_index, end_index) = citation.span.unzip();
        let (title, cited_text) = (citation.title.as_deref(), citation.cited_text.as_deref());
        Self { title, cited_text, start_index, end_index, index }
    }
}

/// Returns the tier of service in OpenAI's words (and Groq's); `None` for one that it has no word for.
pub fn service_tier(tier: Option<&str>) -> Option<&str> {
    match tier? {
        known @ ("auto" | "default" | "flex" | "scale" | "priority" | "fast" | "on_demand") => Some(known),
        "standard" => Some("default"),
        _ => None,
    }
}

/// Blocks that only their dialects know (a provider's own tool at work): the schema has no place for them, so that
/// they are kept beside the content, by dialect. LiteLLM's clients know the member.
#[derive(Debug, Default)]
pub struct Blocks<'a>(pub Vec<(Dialect, &'a Json)>);

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, (dialect, _)) in self.0.iter().enumerate() {
            if self.0.iter().take(at).all(|(before, _)| before != dialect) {
                let own = self.0.iter().filter(|(other, _)| other == dialect);
                map.serialize_entry(dialect.name(), &own.map(|(_, block)| block).collect::<Vec<_>>())?;
            }
        }
        map.end()
    }
}

/// A chunk's choice.
#[derive(Debug, Serialize)]
pub struct Step<'a> {
    pub index: u32,
    pub delta: Delta<'a>,
    pub logprobs: Option<&'a Json>,
    pub finish_reason: Option<&'static str>,
}

/// Usage, with OpenAI's sums.
#[derive(Debug, Serialize)]
pub struct Consumed {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Prompt,
    completion_tokens_details: Completion,
}

#[derive(Debug, Serialize)]
struct Prompt {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    audio_tokens: u64,
}

#[derive(Debug, Serialize)]
struct Completion {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl Consumed {
    pub fn of(usage: &Usage) -> Self {
        let (prompt_tokens, completion_tokens) = (usage.input_tokens(), usage.output_tokens());
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: Prompt {
                cached_tokens: usage.cached_input,
                cache_write_tokens: Some(usage.cache_writes()).filter(|written| *written > 0),
                audio_tokens: usage.audio_input,
            },
            completion_tokens_details: Completion {
                reasoning_tokens: usage.reasoning,
                audio_tokens: usage.audio_output,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

/// Returns the id of a call, made up of the seed where the provider has none.
pub fn call_id<'a>(id: &'a str, seed: &str, choice: u32, part: usize) -> Cow<'a, str> {
    if id.is_empty() {
        // OpenAI takes back ids of up to 40 characters.
        return Cow::Owned(format!("call_{}_{choice}_{part}", seed.get(..24).unwrap_or(seed)));
    }
    Cow::Borrowed(id)
}

/// Returns the provider's id of the completion, or one made up of the seed.
pub fn completion_id<'a>(id: &'a str, seed: &str) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("chatcmpl-{seed}")) } else { Cow::Borrowed(id) }
}

//! `reasoning_details`: how thoughts and their proofs travel in this dialect.
//!
//! It is OpenRouter's form, which its clients and several vendors follow; `format` says whose proof an entry is:
//! <https://openrouter.ai/docs/use-cases/reasoning-tokens>.

use ir::chat::message::{Content, Part, Signature};
use ir::dialect::Dialect;
use ir::json::Json;
use serde::Serialize;

use crate::json::object::{Object, Wrong};

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `reasoning.text`: a thought, perhaps with its signature.
    Text,
    /// `reasoning.summary`: what is shown of a thought.
    Summary,
    /// `reasoning.encrypted`: a proof without words.
    Encrypted,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "reasoning.text",
            Self::Summary => "reasoning.summary",
            Self::Encrypted => "reasoning.encrypted",
        }
    }
}

/// One entry that was read.
#[derive(Debug)]
pub(super) struct Entry {
    pub kind: Kind,
    pub text: String,
    pub signature: Option<Signature>,
    pub id: Option<String>,
    pub index: Option<u64>,
    pub format: Option<String>,
}

impl Entry {
    /// Takes an entry's members; `None` when its type is not known.
    ///
    /// # Errors
    /// When a member is not what it must be.
    pub fn read(object: &mut Object<'_>) -> Result<Option<Self>, Wrong> {
        let kind = match object.text("type")?.as_deref() {
            Some("reasoning.text") => Kind::Text,
            Some("reasoning.summary") => Kind::Summary,
            Some("reasoning.encrypted") => Kind::Encrypted,
            _ => return Ok(None),
        };
        let format = object.text("format")?;
        let by = dialect_of(format.as_deref());
        let (text, proof) = match kind {
            Kind::Text => (object.text("text")?, object.text("signature")?),
            Kind::Summary => (object.text("summary")?, None),
            Kind::Encrypted => (None, Some(object.text("data")?.unwrap_or_default())),
        };
        Ok(Some(Self {
            kind,
            text: text.unwrap_or_default(),
            signature: proof.map(|text| Signature { by, text }),
            id: object.text("id")?,
            index: object.integer("index")?,
            format,
        }))
    }

    /// Returns the part that it says. What no part has a word for is noted for this dialect.
    pub fn into_part(self) -> Part {
        let content = match (self.kind, self.id) {
            (Kind::Encrypted, None) => Content::Redacted,
            (_, id) => Content::Thinking { text: self.text, id },
        };
        let mut part = Part::new(content);
        part.signature = self.signature;
        part.extras.note(Dialect::OpenaiChat, "type", Json::of(&self.kind.name()));
        if let Some(format) = self.format {
            part.extras.note(Dialect::OpenaiChat, "format", Json::of(&format));
        }
        if let Some(index) = self.index {
            part.extras.note(Dialect::OpenaiChat, "index", Json::of(&index));
        }
        part
    }
}

/// Returns who understands a proof of a format. What is not known goes back where it came from, and nowhere else.
fn dialect_of(format: Option<&str>) -> Dialect {
    match format {
        Some("anthropic-claude-v1") => Dialect::Anthropic,
        Some("google-gemini-v1") => Dialect::Gemini,
        Some("openai-responses-v1") => Dialect::OpenaiResponses,
        _ => Dialect::OpenaiChat,
    }
}

/// Returns the format of a dialect's proofs.
fn format_of(by: Dialect) -> &'static str {
    match by {
        Dialect::Anthropic => "anthropic-claude-v1",
        Dialect::Gemini => "google-gemini-v1",
        Dialect::OpenaiResponses => "openai-responses-v1",
        Dialect::OpenaiChat | Dialect::Ollama | Dialect::Cohere => "unknown",
    }
}

/// One entry to be written.
#[derive(Debug, Serialize)]
pub(super) struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Word<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<Word<'a>>,
}

/// A member that is noted or made.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Word<'a> {
    Noted(&'a Json),
    Name(&'static str),
    Number(u64),
}

impl<'a> Detail<'a> {
    fn new(kind: Kind, id: Option<&'a str>, index: u64) -> Self {
        Self {
            kind: kind.name(),
            text: None,
            summary: None,
            data: None,
            signature: None,
            id,
            format: None,
            index: Some(Word::Number(index)),
        }
    }

    /// Returns the entry of a piece of text.
    pub fn text(text: &'a str, id: Option<&'a str>, index: u64) -> Self {
        Self { text: Some(text), ..Self::new(Kind::Text, id, index) }
    }

    /// Returns the entry of a proof. `worded` says whether it belongs to a thought that has words: then it is that
    /// thought's signature, but for OpenAI's, which is always an entry of its own.
    pub fn proof(signature: &'a Signature, worded: bool, id: Option<&'a str>, index: u64) -> Self {
        let format = Some(Word::Name(format_of(signature.by)));
        if worded && signature.by != Dialect::OpenaiResponses {
            let proof = Some(signature.text.as_str());
            return Self { text: Some(""), signature: proof, format, ..Self::new(Kind::Text, id, index) };
        }
        Self { data: Some(&signature.text), format, ..Self::new(Kind::Encrypted, id, index) }
    }
}

/// Appends the entries of a part that is a thought.
pub(super) fn push<'a>(part: &'a Part, index: u64, out: &mut Vec<Detail<'a>>) {
    let (text, id, worded) = match &part.content {
        // Anthropic signs thoughts without words, too; what else has no words is encrypted.
        Content::Thinking { text, id } => {
            let signed = part.signature.as_ref().is_none_or(|signature| signature.by == Dialect::Anthropic);
            (text.as_str(), id.as_deref(), !text.is_empty() || (signed && id.is_none()))
        }
        _ => ("", None, false),
    };
    let from = out.len();
    let noted = part.extras.noted(Dialect::OpenaiChat, "type").map(Json::as_str);
    let summary = noted == Some("\"reasoning.summary\"")
        || part.signature.as_ref().is_some_and(|signature| signature.by == Dialect::OpenaiResponses);
    if worded && summary {
        out.push(Detail { summary: Some(text), ..Detail::new(Kind::Summary, id, index) });
    } else if worded {
        out.push(Detail::text(text, id, index));
    }
    match (&part.signature, out.get_mut(from)) {
        (Some(signature), Some(entry)) if !summary => {
            entry.signature = Some(&signature.text);
            entry.format = Some(Word::Name(format_of(signature.by)));
        }
        (Some(signature), entry) => {
            if let Some(entry) = entry {
                entry.format = Some(Word::Name(format_of(signature.by)));
            }
            out.push(Detail::proof(signature, worded, id, index));
        }
        (None, _) => {}
    }
    for entry in out.iter_mut().skip(from) {
        if noted.is_some() {
            entry.format = part.extras.noted(Dialect::OpenaiChat, "format").map(Word::Noted);
            entry.index = part.extras.noted(Dialect::OpenaiChat, "index").map(Word::Noted);
        }
    }
}

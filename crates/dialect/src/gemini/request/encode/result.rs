//! The result of a tool call.

use std::borrow::Cow;

use ir::chat::message::{Content, Part, Source, ToolResult};
use ir::json::Json;

use super::super::super::wire::{Members, One, object};
use crate::json::object::{Object, Path};

/// A result, and the media that cannot stand in it.
pub(super) struct Written<'a> {
    /// Its object.
    pub(super) response: Json,
    /// What is left of its parts, with their numbers.
    pub(super) media: Vec<(usize, &'a Part)>,
}

/// Writes what a tool said as an object: text that is one as it is, other text as `{"result":…}` or `{"error":…}`
/// (<https://ai.google.dev/api/caching#FunctionResponse>). Texts are joined by line ends.
pub(super) fn write(result: &ToolResult) -> Written<'_> {
    let mut text: Option<Cow<'_, str>> = None;
    let mut media = Vec::new();
    for (index, part) in result.parts.iter().enumerate() {
        match &part.content {
            Content::Text { text: more, .. } => {
                text = Some(match text {
                    None => Cow::Borrowed(more.as_str()),
                    Some(before) => Cow::Owned(format!("{before}\n{more}")),
                });
            }
            _ => media.push((index, part)),
        }
    }
    Written { response: response(text.as_deref(), result.is_error == Some(true)), media }
}

fn response(text: Option<&str>, failed: bool) -> Json {
    let Some(text) = text else { return Json::of(&Members::default()) };
    let name = if failed { "error" } else { "result" };
    match object(text) {
        Some(object)
            if failed && Object::read(text, Path::default()).is_ok_and(|object| object.peek(name).is_none()) =>
        {
            Json::of(&One(name, &object))
        }
        Some(object) => object,
        None => Json::of(&One(name, &text)),
    }
}

/// Whether the third generation takes the part inside of a result
/// (<https://ai.google.dev/gemini-api/docs/function-calling#multimodal>): pictures, PDF and plain text.
pub(super) fn takes(part: &Part) -> bool {
    let (Content::Image { source, .. } | Content::Audio(source) | Content::Video(source)) = &part.content else {
        let Content::Document(document) = &part.content else { return false };
        return matches!(&document.source, Source::Base64 { media_type, .. }
            if matches!(media_type.as_str(), "application/pdf" | "text/plain"));
    };
    matches!(source, Source::Base64 { media_type, .. } if media_type.starts_with("image/"))
}

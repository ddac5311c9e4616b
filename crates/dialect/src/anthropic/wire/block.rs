//! Reading content blocks, of requests and of replies.
//!
//! What at least two dialects can say becomes a part of its own; every other block (server tools and their results,
//! search results, MCP, container uploads), every call that code at Anthropic's made and every block with a source of
//! an unknown kind is carried whole.

use ir::chat::extras::Extras;
use ir::chat::message::{Citation, Content, Document, Part, Signature, Source, ToolCall, ToolResult};
use ir::json::Json;

use super::{DIALECT, LIST};
use crate::json::object::{Object, Path, Wrong, string};

/// Reads the member that holds content (`content`, `system`): a string, or an array of blocks.
///
/// # Errors
/// When it is something else, or a known block is malformed.
pub(in crate::anthropic) fn content(
    object: &mut Object<'_>,
    name: &'static str,
    extras: &mut Extras,
) -> Result<Vec<Part>, Wrong> {
    let path = object.path().member(name);
    match object.peek(name) {
        None => Ok(Vec::new()),
        Some(value) if value.starts_with('"') => Ok(vec![Part::text(object.need_text(name)?)]),
        Some(_) => {
            let blocks = object.list(name)?.unwrap_or_default();
            extras.note(DIALECT, LIST, Json::of(&true));
            blocks.into_iter().enumerate().map(|(at, block)| read(block, path.element(at))).collect()
        }
    }
}

/// Reads a block.
///
/// # Errors
/// When it has no type, or lacks what its type demands.
pub(in crate::anthropic) fn read(text: &str, path: Path) -> Result<Part, Wrong> {
    let mut block = Object::read(text, path)?;
    let mut signature = None;
    let mut extras = Extras::default();
    let content = match block.need_text("type")?.as_str() {
        "text" => Some(Content::Text { text: block.need_text("text")?, citations: citations(&mut block)? }),
        "thinking" => {
            signature = block.text("signature")?;
            Some(Content::Thinking { text: block.text("thinking")?.unwrap_or_default(), id: None })
        }
        "redacted_thinking" => {
            signature = Some(block.need_text("data")?);
            Some(Content::Redacted)
        }
        "image" => source(&mut block)?.map(|source| Content::Image { source, detail: None }),
        "document" => document(&mut block)?.map(Content::Document),
        "tool_use" if is_direct(&block) => Some(Content::ToolCall(ToolCall {
            id: block.text("id")?.unwrap_or_default(),
            name: block.need_text("name")?,
            arguments: block.take("input").unwrap_or("{}").to_owned(),
            custom: false,
        })),
        "tool_result" => Some(Content::ToolResult(ToolResult {
            call_id: block.need_text("tool_use_id")?,
            name: None,
            parts: self::content(&mut block, "content", &mut extras)?,
            is_error: block.boolean("is_error")?,
        })),
        _ => None,
    };
    let Some(content) = content else { return Ok(foreign(text)) };
    let mut part = Part::new(content);
    part.signature = signature.map(|text| Signature { by: DIALECT, text });
    part.cache_control = block.json("cache_control");
    carry(block, "", &mut extras);
    part.extras = extras;
    Ok(part)
}

/// Carries what nobody took of an object; `inside` says of which (`usage.`).
pub(in crate::anthropic) fn carry(object: Object<'_>, inside: &str, extras: &mut Extras) {
    for (name, value) in object.leftovers() {
        if let Some(value) = Json::parse(value) {
            extras.push(DIALECT, format!("{inside}{name}"), value);
        }
    }
}

/// Returns a block that is carried whole.
pub(in crate::anthropic) fn foreign(text: &str) -> Part {
    let block = Json::parse(text).unwrap_or_else(|| Json::of(&()));
    Part::new(Content::Foreign { dialect: DIALECT, block })
}

/// Reads a citation. What names a place is kept as it is, for the same dialect; a web page without its index was made
/// up for another provider's citation, and is no original.
pub(in crate::anthropic) fn citation(text: &str) -> Citation {
    let Ok(mut read) = Object::read(text, Path::default()) else { return Citation::default() };
    let mut take = |name| read.take(name).and_then(string);
    let title = take("title").or_else(|| take("document_title"));
    let made_up = take("encrypted_index").is_some_and(|index| index.is_empty());
    Citation {
        url: take("url"),
        title,
        cited_text: take("cited_text").filter(|cited| !cited.is_empty()),
        span: None,
        original: if made_up { None } else { Json::parse(text).map(|json| (DIALECT, json)) },
    }
}

fn citations(block: &mut Object<'_>) -> Result<Vec<Citation>, Wrong> {
    Ok(block.list("citations")?.unwrap_or_default().into_iter().map(citation).collect())
}

/// Whether a call comes from the model itself; it does when nothing is said.
fn is_direct(call: &Object<'_>) -> bool {
    call.peek("caller").is_none_or(|caller| {
        Object::read(caller, Path::default()).is_ok_and(|caller| caller.peek("type") == Some("\"direct\""))
    })
}

/// Reads where data is; `None` when the kind of source is not known.
fn source(block: &mut Object<'_>) -> Result<Option<Source>, Wrong> {
    let path = block.path().member("source");
    let mut source = block.object("source")?.ok_or(Wrong::Missing(path))?;
    let found = match source.need_text("type")?.as_str() {
        "base64" => Source::Base64 { media_type: source.need_text("media_type")?, data: source.need_text("data")? },
        "url" => Source::Url(source.need_text("url")?),
        "file" => Source::File(source.need_text("file_id")?),
        "text" if source.take("media_type").is_none_or(|kind| kind == "\"text/plain\"") => {
            Source::Text(source.need_text("data")?)
        }
        "content" => Source::Parts(content(&mut source, "content", &mut Extras::default())?),
        _ => return Ok(None),
    };
    Ok(source.leftovers().next().is_none().then_some(found))
}

fn document(block: &mut Object<'_>) -> Result<Option<Document>, Wrong> {
    let Some(source) = source(block)? else { return Ok(None) };
    let citations = match block.object("citations")? {
        Some(mut citations) => citations.boolean("enabled")?,
        None => None,
    };
    Ok(Some(Document { source, title: block.text("title")?, context: block.text("context")?, citations }))
}

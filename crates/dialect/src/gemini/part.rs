//! One part of a content, read: the same in requests, answers and streams.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Part, Signature, Source, ToolCall, ToolResult};
use ir::dialect::Dialect;
use ir::json::Json;

use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, string};

/// Reads a part. One whose kind has no word in the canonical vocabulary is carried whole.
///
/// # Errors
/// When it is not an object, or a member that is understood has the wrong type.
pub(super) fn decode(text: &str, path: Path) -> Result<Part, Wrong> {
    let mut object = Object::read(text, path)?.in_camel_case()?;
    let thought = object.boolean("thought")?.unwrap_or(false);
    let signature = object.text("thoughtSignature")?;
    let mut extras = Extras::default();
    let content = match object.text("text")? {
        Some(text) if thought => Content::Thinking { text, id: None },
        Some(text) => Content::Text { text, citations: Vec::new() },
        None => {
            let Some(content) = data(&mut object, &mut extras)? else { return bare(object, text, thought, signature) };
            if thought {
                extras.push(Dialect::Gemini, "thought", Json::of(&true));
            }
            content
        }
    };
    leftovers(object, "", &mut extras);
    Ok(Part { content, signature: signature.map(by_gemini), cache_control: None, extras })
}

/// Reads what a part holds, if it is something else than text.
fn data(object: &mut Object<'_>, extras: &mut Extras) -> Result<Option<Content>, Wrong> {
    if let Some(blob) = object.object("inlineData")? {
        return inline_data(blob, extras).map(Some);
    }
    if let Some(file) = object.object("fileData")? {
        return file_data(file, extras).map(Some);
    }
    if let Some(call) = object.object("functionCall")? {
        return function_call(call, extras).map(Some);
    }
    match object.object("functionResponse")? {
        Some(response) => function_response(response, extras).map(Some),
        None => Ok(None),
    }
}

/// Reads a part that holds none of the data that is known: a signature on its own, or a block of Gemini's.
fn bare(object: Object<'_>, whole: &str, thought: bool, signature: Option<String>) -> Result<Part, Wrong> {
    let mut rest = Extras::default();
    leftovers(object, "", &mut rest);
    let content = match (rest.is_empty(), thought) {
        (true, true) => Content::Thinking { text: String::new(), id: None },
        (true, false) => Content::Text { text: String::new(), citations: Vec::new() },
        (false, _) => {
            let block = Json::parse(whole).unwrap_or_else(|| Json::of(&()));
            // The signature stands inside.
            return Ok(Part::new(Content::Foreign { dialect: Dialect::Gemini, block }));
        }
    };
    Ok(Part { signature: signature.map(by_gemini), ..Part::new(content) })
}

fn inline_data(blob: Object<'_>, extras: &mut Extras) -> Result<Content, Wrong> {
    let mut blob = blob.in_camel_case()?;
    let media_type = blob.text("mimeType")?.unwrap_or_default();
    let data = standard_base64(blob.need_text("data")?);
    leftovers(blob, "inlineData.", extras);
    let kind = media_type.clone();
    Ok(media(&kind, Source::Base64 { media_type, data }))
}

fn file_data(file: Object<'_>, extras: &mut Extras) -> Result<Content, Wrong> {
    let mut file = file.in_camel_case()?;
    let media_type = file.text("mimeType")?.unwrap_or_default();
    let uri = file.need_text("fileUri")?;
    extras.note(Dialect::Gemini, "fileData.mimeType", Json::of(&media_type));
    leftovers(file, "fileData.", extras);
    let source = if uri.contains("generativelanguage.googleapis.com/") { Source::File(uri) } else { Source::Url(uri) };
    Ok(media(&media_type, source))
}

fn media(media_type: &str, source: Source) -> Content {
    match media_type.split('/').next() {
        Some("image") => Content::Image { source, detail: None },
        Some("audio") => Content::Audio(source),
        Some("video") => Content::Video(source),
        _ => Content::Document(Document { source, title: None, context: None, citations: None }),
    }
}

fn function_call(call: Object<'_>, extras: &mut Extras) -> Result<Content, Wrong> {
    let mut call = call.in_camel_case()?;
    let content = Content::ToolCall(ToolCall {
        id: call.text("id")?.unwrap_or_default(),
        name: call.need_text("name")?,
        arguments: call.take("args").unwrap_or("{}").to_owned(),
        custom: false,
    });
    leftovers(call, "functionCall.", extras);
    Ok(content)
}

fn function_response(response: Object<'_>, extras: &mut Extras) -> Result<Content, Wrong> {
    let mut response = response.in_camel_case()?;
    let (call_id, name) = (response.text("id")?.unwrap_or_default(), response.text("name")?);
    let (text, is_error) = match response.take("response") {
        Some(whole) => said(whole, response.path().member("response"))?,
        None => (None, None),
    };
    let mut parts: Vec<Part> = text.map(Part::text).into_iter().collect();
    let path = response.path().member("parts");
    for (index, part) in response.list("parts")?.unwrap_or_default().into_iter().enumerate() {
        parts.push(decode(part, path.element(index))?);
    }
    leftovers(response, "functionResponse.", extras);
    Ok(Content::ToolResult(ToolResult { call_id, name, parts, is_error }))
}

/// Returns what a tool said, as text, and whether it is an error. `{"result":"…"}` and `{"error":"…"}` hold plain text
/// in the wrapping that encoding gives it (an object is sent as it is, so that one inside of text stays wrapped); any
/// other object is the text itself.
fn said(whole: &str, path: Path) -> Result<(Option<String>, Option<bool>), Wrong> {
    let mut object = Object::read(whole, path)?;
    let failed = object.peek("error").is_some().then_some(true);
    let plain = object.take(if failed.is_some() { "error" } else { "result" }).and_then(string);
    let plain = plain.filter(|text| Object::read(text, path).is_err());
    let alone = object.leftovers().next().is_none();
    let empty = whole.trim_matches(|letter: char| matches!(letter, '{' | '}') || letter.is_whitespace()).is_empty();
    let text = match plain {
        Some(text) if alone => Some(text),
        _ => (!empty).then(|| whole.to_owned()),
    };
    Ok((text, failed))
}

/// Carries the members that nobody took.
pub(super) fn leftovers(object: Object<'_>, prefix: &str, extras: &mut Extras) {
    keep(object, Dialect::Gemini, prefix, extras);
}

fn by_gemini(text: String) -> Signature {
    Signature { by: Dialect::Gemini, text }
}

/// Protobuf's JSON takes the URL alphabet and missing padding too; the canonical vocabulary does not.
fn standard_base64(mut data: String) -> String {
    if data.contains(['-', '_']) {
        data = data.replace('-', "+").replace('_', "/");
    }
    while !data.len().is_multiple_of(4) && !data.ends_with("==") {
        data.push('=');
    }
    data
}

//! The parts of a message's content.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Part, Source};
use ir::json::Json;

use super::{OWN, note};
use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, string};
use crate::openai_chat::wire;

/// Reads a part. A type that is not known is this dialect's affair.
pub(super) fn read(text: &str, path: Path) -> Result<Part, Wrong> {
    let mut object = Object::read(text, path)?;
    let kind = object.need_text("type")?;
    let mut extras = Extras::default();
    let content = match kind.as_str() {
        "text" => Content::Text { text: object.need_text("text")?, citations: Vec::new() },
        "refusal" => {
            note(&mut extras, "refusal");
            Content::Refusal(object.need_text("refusal")?)
        }
        "image_url" => image(&mut object, &mut extras)?,
        "input_audio" => Content::Audio(audio(&mut object, &mut extras)?),
        "video_url" => {
            let url = inner(&mut object, "video_url")?.need_text("url")?;
            Content::Video(address(url))
        }
        "file" => Content::Document(file(&mut object, &mut extras)?),
        "file_url" => {
            let url = inner(&mut object, "file_url")?.need_text("url")?;
            note(&mut extras, "file_url");
            Content::Document(document(anything(url, &mut extras), None))
        }
        "document_url" => {
            let url = object.need_text("document_url")?;
            note(&mut extras, "document_url");
            Content::Document(document(address(url), object.text("document_name")?))
        }
        "thinking" => thinking(&mut object, &mut extras)?,
        _ => return foreign(text, path),
    };
    let cache_control = object.json("cache_control");
    if cache_control.is_some() {
        note(&mut extras, "cache_control");
    }
    keep(object, OWN, "", &mut extras);
    Ok(Part { content, signature: None, cache_control, extras })
}

fn foreign(text: &str, path: Path) -> Result<Part, Wrong> {
    let block = Json::parse(text).ok_or(Wrong::Form { path, expected: "an object" })?;
    Ok(Part::new(Content::Foreign { dialect: OWN, block }))
}

fn inner<'a>(object: &mut Object<'a>, name: &'static str) -> Result<Object<'a>, Wrong> {
    object.object(name)?.ok_or(Wrong::Missing(object.path().member(name)))
}

fn image(object: &mut Object<'_>, extras: &mut Extras) -> Result<Content, Wrong> {
    if let Some(url) = object.peek("image_url").and_then(string) {
        object.take("image_url");
        note(extras, "bare");
        return Ok(Content::Image { source: address(url), detail: None });
    }
    let mut image = inner(object, "image_url")?;
    let content = Content::Image { source: address(image.need_text("url")?), detail: image.text("detail")? };
    keep(image, OWN, "image_url.", extras);
    Ok(content)
}

fn audio(object: &mut Object<'_>, extras: &mut Extras) -> Result<Source, Wrong> {
    if let Some(bare) = object.peek("input_audio").and_then(string) {
        object.take("input_audio");
        note(extras, "bare");
        return Ok(anything(bare, extras));
    }
    let mut audio = inner(object, "input_audio")?;
    let data = audio.need_text("data")?;
    let media_type = format!("audio/{}", audio.need_text("format")?);
    keep(audio, OWN, "input_audio.", extras);
    Ok(Source::Base64 { media_type, data })
}

fn file(object: &mut Object<'_>, extras: &mut Extras) -> Result<Document, Wrong> {
    // Mistral: the id stands beside the type.
    if object.peek("file").is_none()
        && let Some(id) = object.text("file_id")?
    {
        note(extras, "bare id");
        return Ok(document(Source::File(id), None));
    }
    let mut file = inner(object, "file")?;
    let title = file.text("filename")?;
    let source = match (file.text("file_data")?, file.text("file_id")?) {
        (Some(data), _) => {
            let source = anything(data, extras);
            // OpenRouter takes an address as data.
            if matches!(source, Source::Url(_)) {
                note(extras, "address");
            }
            source
        }
        (None, Some(id)) => Source::File(id),
        (None, None) => return Err(Wrong::Missing(file.path().member("file_data"))),
    };
    if title.is_none() {
        note(extras, "unnamed");
    }
    keep(file, OWN, "file.", extras);
    Ok(document(source, title))
}

fn document(source: Source, title: Option<String>) -> Document {
    Document { source, title, context: None, citations: None }
}

fn thinking(object: &mut Object<'_>, extras: &mut Extras) -> Result<Content, Wrong> {
    let whole = object.take("thinking").unwrap_or("[]");
    let text = wire::thought(whole).ok_or_else(|| object.wrong("thinking", "an array of text chunks"))?;
    extras.note(OWN, "thinking", Json::of(&Json::parse(whole)));
    Ok(Content::Thinking { text, id: None })
}

/// An address; `data:` addresses hold the data themselves.
fn address(url: String) -> Source {
    match wire::data_url(&url) {
        Some((media_type, data)) => Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() },
        None => Source::Url(url),
    }
}

/// An address or bare base64.
fn anything(text: String, extras: &mut Extras) -> Source {
    let found = address(text);
    match found {
        Source::Url(data) if !data.contains(':') => {
            note(extras, "bare data");
            Source::Base64 { media_type: wire::media_type(&data).to_owned(), data }
        }
        found => found,
    }
}

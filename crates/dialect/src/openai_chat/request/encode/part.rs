//! The parts of a message's content, and its tool calls.

use std::borrow::Cow;
use std::fmt;

use ir::chat::message::{Content, Document, Part, Source, ToolCall};
use ir::dialect::{Dialect, Quirk};
use ir::failure::Failure;

use super::message::unplaced;
use super::{OWN, name_lost, noted};
use crate::carry::Dropped;
use crate::openai_chat::wire::message::{self as wire, Address, Body};
use crate::openai_chat::wire::request::{inside, own};
use crate::openai_chat::wire::thought;
use crate::translate::Callee;

/// Where a part stands in the request, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub message: usize,
    pub part: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}].content[{}]", self.message, self.part)
    }
}

/// Appends a part. `keeps_cache` says whether its cache mark is written.
pub(super) fn push<'a>(
    part: &'a Part,
    place: Place,
    keeps_cache: bool,
    callee: &Callee<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<wire::Part<'a>>,
) -> Result<(), Failure> {
    let body = match &part.content {
        Content::Text { text, .. } => Body::Text(Cow::Borrowed(text)),
        Content::Refusal(refusal) => Body::Refusal(refusal),
        Content::Image { source, detail } => image(part, source, detail.as_deref(), place)?,
        Content::Audio(source) => audio(part, source, place)?,
        Content::Video(source) => Body::VideoUrl(wire::Url { url: address(source, "a video", place)? }),
        Content::Document(document) => {
            return self::document(part, document, place, keeps_cache, callee, dropped, out);
        }
        Content::Thinking { text, .. } => Body::Thinking(thinking(part, text)),
        Content::Foreign { dialect: Dialect::OpenaiChat, block } => {
            out.push(wire::Part::Raw(block));
            return Ok(());
        }
        Content::Foreign { dialect, .. } => {
            return Err(unplaced(&format!("a block that only {} knows", dialect.name()), place));
        }
        Content::Redacted => {
            dropped.name("reasoning");
            return Ok(());
        }
        Content::ToolCall(_) | Content::ToolResult(_) => return Err(unplaced("a tool call or result", place)),
    };
    finish(part, body, None, keeps_cache, dropped, out);
    Ok(())
}

fn finish<'a>(
    part: &'a Part,
    body: Body<'a>,
    document_name: Option<&'a str>,
    keeps_cache: bool,
    dropped: &mut Dropped,
    out: &mut Vec<wire::Part<'a>>,
) {
    name_lost(part, keeps_cache, dropped);
    let cache_control = part.cache_control.as_ref().filter(|_| keeps_cache);
    out.push(wire::Part::Known(wire::Known {
        document_name,
        cache_control,
        ..wire::Known::new(body, own(&part.extras))
    }));
}

fn address<'a>(source: &'a Source, what: &str, place: Place) -> Result<Address<'a>, Failure> {
    match source {
        Source::Url(url) => Ok(Address::Plain(url)),
        Source::Base64 { media_type, data } => Ok(Address::Data { media_type, data }),
        Source::File(_) | Source::Text(_) | Source::Parts(_) => {
            Err(unplaced(&format!("{what} that is neither an address nor base64"), place))
        }
    }
}

/// Undoes what the decoder noted: data that stood without an address around it.
fn bare<'a>(part: &Part, found: Address<'a>) -> Address<'a> {
    match found {
        Address::Data { data, .. } if noted(&part.extras, "bare data") => Address::Plain(data),
        found => found,
    }
}

fn image<'a>(part: &'a Part, source: &'a Source, detail: Option<&'a str>, place: Place) -> Result<Body<'a>, Failure> {
    let url = address(source, "an image", place)?;
    Ok(Body::ImageUrl(if noted(&part.extras, "bare") {
        wire::Image::Bare(url)
    } else {
        wire::Image::Whole { url, detail, extras: inside(&part.extras, "image_url.") }
    }))
}

fn audio<'a>(part: &'a Part, source: &'a Source, place: Place) -> Result<Body<'a>, Failure> {
    let audio = match source {
        Source::Url(url) if noted(&part.extras, "bare") => wire::Audio::Bare(url),
        Source::Base64 { data, .. } if noted(&part.extras, "bare") => wire::Audio::Bare(data),
        Source::Base64 { media_type, data } => {
            let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
                "mpeg" | "mp3" => "mp3",
                "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
                other => other,
            };
            wire::Audio::Whole { data, format, extras: inside(&part.extras, "input_audio.") }
        }
        _ => return Err(unplaced("audio that is not base64", place)),
    };
    Ok(Body::InputAudio(audio))
}

/// Returns Mistral's form of a thought, as it had come if it still says the same.
fn thinking<'a>(part: &'a Part, text: &'a str) -> wire::Thinking<'a> {
    let noted = part.extras.noted(OWN, "thinking");
    match noted.filter(|noted| thought(noted.as_str()).as_deref() == Some(text)) {
        Some(noted) => wire::Thinking::Noted(noted),
        None => wire::Thinking::Made([wire::Chunk { kind: "text", text }]),
    }
}

fn document<'a>(
    part: &'a Part,
    document: &'a Document,
    place: Place,
    keeps_cache: bool,
    callee: &Callee<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<wire::Part<'a>>,
) -> Result<(), Failure> {
    if document.citations == Some(true) {
        dropped.name("citations");
    }
    if let Some(context) = &document.context {
        out.push(wire::Part::text(Cow::Borrowed(context)));
    }
    let title = document.title.as_deref();
    let as_url = noted(&part.extras, "document_url") || callee.has(Quirk::DocumentUrl);
    match &document.source {
        Source::Url(_) | Source::Base64 { .. } if as_url => {
            let url = Body::DocumentUrl(address(&document.source, "a document", place)?);
            finish(part, url, title, keeps_cache, dropped, out);
            return Ok(());
        }
        Source::File(id) if callee.has(Quirk::DocumentUrl) || noted(&part.extras, "bare id") => {
            finish(part, Body::FileId(id), None, keeps_cache, dropped, out);
            return Ok(());
        }
        _ => {}
    }
    let (file_data, file_id) = match &document.source {
        Source::Text(said) => {
            let whole = title.map_or(Cow::Borrowed(said.as_str()), |title| format!("{title}\n\n{said}").into());
            finish(part, Body::Text(whole), None, keeps_cache, dropped, out);
            return Ok(());
        }
        Source::Parts(parts) => {
            out.extend(title.map(|title| wire::Part::text(Cow::Borrowed(title))));
            return parts.iter().try_for_each(|inner| push(inner, place, false, callee, dropped, out));
        }
        Source::File(id) => (None, Some(id.as_str())),
        Source::Url(_) if !noted(&part.extras, "address") && !noted(&part.extras, "file_url") => {
            return Err(unplaced("a document that stands elsewhere", place));
        }
        source => (Some(bare(part, address(source, "a document", place)?)), None),
    };
    if let (true, Some(url)) = (noted(&part.extras, "file_url"), file_data) {
        finish(part, Body::FileUrl(wire::Url { url }), None, keeps_cache, dropped, out);
        return Ok(());
    }
    // OpenAI wants a name with data.
    let filename = title.or_else(|| file_data.and_then(unnamed).filter(|_| !noted(&part.extras, "unnamed")));
    let extras = inside(&part.extras, "file.");
    finish(part, Body::File(wire::File { filename, file_data, file_id, extras }), None, keeps_cache, dropped, out);
    Ok(())
}

fn unnamed(data: Address<'_>) -> Option<&'static str> {
    match data {
        Address::Data { media_type: "application/pdf", .. } => Some("document.pdf"),
        Address::Data { media_type: "text/plain", .. } => Some("document.txt"),
        Address::Data { .. } => Some("document"),
        Address::Plain(_) => None,
    }
}

/// Returns a tool call.
pub(super) fn call<'a>(part: &'a Part, call: &'a ToolCall, id: Cow<'a, str>, keeps_cache: bool) -> wire::Call<'a> {
    let custom = call.custom.then_some(wire::Custom { name: &call.name, input: &call.arguments });
    let signature = part.signature.as_ref().filter(|_| noted(&part.extras, "extra_content"));
    wire::Call::Known {
        id,
        kind: if call.custom { "custom" } else { "function" },
        function: (!call.custom).then(|| called(part, call)),
        custom,
        extra_content: signature
            .map(|signature| wire::ExtraContent { google: wire::Google { thought_signature: &signature.text } }),
        cache_control: part.cache_control.as_ref().filter(|_| keeps_cache),
        extras: own(&part.extras),
    }
}

/// Returns the function that is called.
pub(super) fn called<'a>(part: &'a Part, call: &'a ToolCall) -> wire::Called<'a> {
    wire::Called { name: &call.name, arguments: &call.arguments, extras: inside(&part.extras, "function.") }
}

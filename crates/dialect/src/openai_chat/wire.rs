//! The few members of replies and chunks that are read as values, and the shapes that are written.

pub(super) mod message;
pub(super) mod reply;
pub(super) mod request;

use crate::json::object::{Object, Path, elements, string};

/// Reads an object of a reply; anything else says nothing.
pub(super) fn object(text: &str) -> Option<Object<'_>> {
    Object::read(text, Path::default()).ok()
}

/// Takes a text that is there and not empty; anything else says nothing.
pub(super) fn word(object: &mut Object<'_>, name: &'static str) -> Option<String> {
    object.text(name).ok().flatten().filter(|text| !text.is_empty())
}

/// Returns what base64 data is, by its first bytes; sound without a header is PCM, which is all that streams carry.
pub(super) fn media_type(data: &str) -> &'static str {
    const MARKS: [(&str, &str); 10] = [
        ("JVBERi0", "application/pdf"),
        ("UEsDB", "application/zip"),
        ("UklGR", "audio/wav"),
        ("SUQz", "audio/mp3"),
        ("//u", "audio/mp3"),
        ("//N", "audio/mp3"),
        ("T2dnU", "audio/ogg"),
        ("ZkxhQ", "audio/flac"),
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
    ];
    MARKS.iter().find(|(mark, _)| data.starts_with(mark)).map_or("audio/pcm16", |(_, name)| name)
}

/// Returns the text of Mistral's `thinking`: a string or an array of text chunks.
pub(super) fn thought(value: &str) -> Option<String> {
    if let Some(text) = string(value) {
        return Some(text);
    }
    let chunks = elements(value).ok()?;
    chunks.into_iter().map(|chunk| Object::read(chunk, Path::default()).ok()?.text("text").ok()?).collect()
}

/// Takes a `data:` address with base64 apart (RFC 2397).
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((media_type.strip_suffix(";base64")?, data))
}

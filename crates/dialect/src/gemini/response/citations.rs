//! What an answer is taken from: <https://ai.google.dev/api/generate-content#GroundingMetadata> and
//! <https://ai.google.dev/api/generate-content#citationmetadata>.

use ir::chat::message::Citation;

use crate::json::object::{Object, Path};

/// A citation, and the byte of the answer's text at which it ends; `None` when it is of no certain place.
pub(in super::super) struct Found {
    pub(in super::super) citation: Citation,
    pub(in super::super) end: Option<usize>,
}

/// Reads the sources of a candidate's text. Gemini counts bytes of the whole text (thoughts left out); citations count
/// its characters. What cannot be read says nothing: the original is carried as an extra.
pub(in super::super) fn citations(grounding: Option<&str>, sources: Option<&str>, text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(grounding) = grounding.and_then(object) {
        grounded(grounding, text, &mut found);
    }
    if let Some(mut object) = sources.and_then(object) {
        // Vertex AI calls them `citations`.
        let list = ["citationSources", "citations"].iter().flat_map(|name| objects(&mut object, name));
        for mut source in list.collect::<Vec<_>>() {
            let citation =
                Citation { url: word(&mut source, "uri"), title: word(&mut source, "title"), ..Citation::default() };
            push(&mut source, citation, text, &mut found);
        }
    }
    found
}

/// Reads `groundingMetadata`: each support names pieces of text and the chunks that bear it out. Chunks that bear out
/// nothing in particular are named when there is no support at all.
fn grounded(mut grounding: Object<'_>, text: &str, found: &mut Vec<Found>) {
    let chunks: Vec<Citation> = objects(&mut grounding, "groundingChunks").into_iter().filter_map(chunk).collect();
    let supports = objects(&mut grounding, "groundingSupports");
    if supports.is_empty() {
        found.extend(chunks.into_iter().map(|citation| Found { citation, end: None }));
        return;
    }
    for mut support in supports {
        let segment = support.take("segment").unwrap_or("{}");
        for index in support.list("groundingChunkIndices").ok().flatten().unwrap_or_default() {
            let chunk = index.parse::<usize>().ok().and_then(|index| chunks.get(index));
            if let (Some(chunk), Some(mut segment)) = (chunk, object(segment)) {
                push(&mut segment, chunk.clone(), text, found);
            }
        }
    }
}

/// Reads a chunk: a page of the web, a document of a store, a place on the map.
fn chunk(mut chunk: Object<'_>) -> Option<Citation> {
    let whole = ["web", "retrievedContext", "maps"].iter().find_map(|kind| chunk.take(kind));
    let mut source = object(whole.unwrap_or("{}"))?;
    Some(Citation {
        url: word(&mut source, "uri"),
        title: word(&mut source, "title"),
        cited_text: word(&mut source, "text"),
        ..Citation::default()
    })
}

/// Adds a citation, with the place that `startIndex` and `endIndex` of the object give.
fn push(place: &mut Object<'_>, mut citation: Citation, text: &str, found: &mut Vec<Found>) {
    let mut index = |name| place.integer(name).ok().flatten().and_then(|index| usize::try_from(index).ok());
    let start = index("startIndex").unwrap_or(0);
    let end = index("endIndex").map(|end| end.min(text.len())).filter(|end| start <= *end);
    citation.span = end.map(|end| (characters(text, start), characters(text, end)));
    found.push(Found { citation, end });
}

/// Returns how many characters stand before a byte.
fn characters(text: &str, byte: usize) -> u64 {
    text.char_indices().take_while(|(at, _)| *at < byte).count() as u64
}

fn object(text: &str) -> Option<Object<'_>> {
    Object::read(text, Path::default()).ok()?.in_camel_case().ok()
}

fn objects<'a>(from: &mut Object<'a>, name: &'static str) -> Vec<Object<'a>> {
    let list = from.list(name).ok().flatten().unwrap_or_default();
    // One that cannot be read keeps its number.
    list.into_iter().filter_map(|text| object(text).or_else(|| object("{}"))).collect()
}

fn word(from: &mut Object<'_>, name: &'static str) -> Option<String> {
    from.text(name).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Cited<'a> = (Option<&'a str>, Option<(u64, u64)>);

    fn check(grounding: &str, sources: &str, text: &str, expect: &[Cited<'_>]) {
        let found = citations(Some(grounding), Some(sources), text);
        let found: Vec<_> = found.iter().map(|found| (found.citation.url.as_deref(), found.citation.span)).collect();
        assert_eq!(found, expect, "{grounding} {sources}");
    }

    #[test]
    fn places_are_counted_in_characters() {
        let chunks = r#""groundingChunks":[{"web":{"uri":"u0","title":"t"}},7,{"retrievedContext":{"text":"x"}}]"#;
        let supports = r#""groundingSupports":[{"segment":{"startIndex":3,"endIndex":5},"groundingChunkIndices":[0,2,9]},
            {"segment":{"endIndex":99},"groundingChunkIndices":[0]},{"segment":{"startIndex":4,"endIndex":1},"groundingChunkIndices":[0]}]"#;
        check(
            &format!("{{{chunks},{supports}}}"),
            "{}",
            "éé—a",
            &[(Some("u0"), Some((2, 3))), (None, Some((2, 3))), (Some("u0"), Some((0, 4))), (Some("u0"), None)],
        );
        check(&format!("{{{chunks}}}"), "{}", "a", &[(Some("u0"), None), (None, None), (None, None)]);
        check(
            "[]",
            r#"{"citationSources":[{"startIndex":1,"endIndex":2,"uri":"u"}]}"#,
            "abc",
            &[(Some("u"), Some((1, 2)))],
        );
        check("{}", r#"{"citations":[{"uri":"u"}]}"#, "abc", &[(Some("u"), None)]);
    }
}

//! What an answer is taken from: annotations of its text, and the pages that some vendors list beside it.

use ir::chat::message::Citation;
use ir::dialect::Dialect;
use ir::json::Json;

use crate::json::object::{Object, elements, string};
use crate::openai_chat::wire::{object, word};

const OWN: Dialect = Dialect::OpenaiChat;

/// Reads an annotation. What has no word in the vocabulary goes along as the original.
pub(super) fn citation(text: &str) -> Option<Citation> {
    let mut annotation = object(text)?;
    let kind = word(&mut annotation, "type");
    // Its number, in streams: it says nothing.
    annotation.take("index");
    let mut citation = Citation::default();
    let mut is_plain = false;
    if let (Some("url_citation"), Ok(Some(mut page))) = (kind.as_deref(), annotation.object("url_citation")) {
        citation.url = word(&mut page, "url");
        citation.title = word(&mut page, "title");
        citation.cited_text = word(&mut page, "content");
        let (start, end) = (page.integer("start_index").ok().flatten(), page.integer("end_index").ok().flatten());
        citation.span = start.zip(end).filter(|span| *span != (0, 0));
        is_plain = citation.url.is_some() && page.leftovers().next().is_none();
    }
    if !is_plain || annotation.leftovers().next().is_some() {
        citation.original = Some((OWN, Json::parse(text)?));
    }
    Some(citation)
}

/// Reads a citation of something else than a web page, as we write it.
pub(super) fn passage(text: &str) -> Option<Citation> {
    let mut passage = object(text)?;
    let (start, end) = (passage.integer("start_index").ok().flatten(), passage.integer("end_index").ok().flatten());
    Some(Citation {
        title: word(&mut passage, "title"),
        cited_text: word(&mut passage, "cited_text"),
        span: start.zip(end),
        ..Citation::default()
    })
}

/// Takes the pages that an answer rests on, where a vendor lists them beside it (Perplexity, xAI). They stay among
/// what only this dialect can say, too.
pub(in crate::openai_chat) fn results(reply: &Object<'_>) -> Vec<Citation> {
    let read = |name| reply.peek(name).and_then(|list| elements(list).ok()).unwrap_or_default();
    let page = |text| {
        let mut page = object(text)?;
        Some(Citation { url: word(&mut page, "url"), title: word(&mut page, "title"), ..Citation::default() })
    };
    let pages: Vec<Citation> = read("search_results").into_iter().filter_map(page).collect();
    if !pages.is_empty() {
        return pages;
    }
    let addresses = read("citations").into_iter().filter_map(string);
    addresses.map(|url| Citation { url: Some(url), ..Citation::default() }).collect()
}

//! A whole answer, read.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part};
use ir::chat::response::{Choice, Finish, Response};
use ir::dialect::Dialect;
use ir::json::Json;

use super::super::error;
use super::super::part::{self, leftovers};
use super::{citations, finish, logprobs, usage};
use crate::json::object::{Object, Path, Wrong, elements};
use crate::translate::NotAReply;

/// Reads the body of an answer. Calls without an id get one from the seed (32 hexadecimal digits) and their number.
///
/// # Errors
/// When it is not an object with candidates or with the reason why there are none, or when it is an error.
pub fn decode(body: &str, seed: &str) -> Result<Response, NotAReply> {
    let mut object = reply(body)?;
    let mut response = Response {
        id: word(&mut object, "responseId"),
        model: word(&mut object, "modelVersion"),
        ..Response::default()
    };
    if let Some(metadata) = object.take("usageMetadata") {
        response.usage = usage::usage(metadata);
        response.service_tier = usage::service_tier(metadata);
    }
    let mut calls = Calls { seed, made: 0 };
    for (at, text) in object.list("candidates").map_err(malformed)?.unwrap_or_default().into_iter().enumerate() {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        response.choices.push(candidate(text, at, &mut calls).map_err(malformed)?);
    }
    if response.choices.is_empty() {
        if !is_blocked(&object) {
            return Err(NotAReply::Malformed("the answer has no candidates".to_owned()));
        }
        response.choices.push(blocked());
    }
    leftovers(object, "", &mut response.extras);
    Ok(response)
}

/// Opens the object of an answer or of a piece of one.
pub(in super::super) fn reply(text: &str) -> Result<Object<'_>, NotAReply> {
    let object = Object::read(text, Path::default()).and_then(Object::in_camel_case);
    let object = object.map_err(|wrong| match text.trim_start().starts_with('[') {
        // Where a stream is asked for without `alt=sse`, all comes in a list, errors too.
        true => match error::read(text.as_bytes()) {
            report if report.message.is_some() => NotAReply::Error(report),
            _ => malformed(wrong),
        },
        false => malformed(wrong),
    })?;
    match object.peek("error") {
        Some(_) => Err(NotAReply::Error(error::read(text.as_bytes()))),
        None => Ok(object),
    }
}

/// Whether the prompt was blocked: then there are no candidates.
pub(in super::super) fn is_blocked(object: &Object<'_>) -> bool {
    let feedback = object.peek("promptFeedback").and_then(|text| Object::read(text, Path::default()).ok());
    feedback.and_then(|feedback| feedback.in_camel_case().ok()).is_some_and(|it| it.peek("blockReason").is_some())
}

fn blocked() -> Choice {
    Choice { index: 0, parts: Vec::new(), finish: Finish::ContentFilter, logprobs: None, extras: Extras::default() }
}

fn candidate(text: &str, at: u32, calls: &mut Calls<'_>) -> Result<Choice, Wrong> {
    let mut object = Object::read(text, Path::default())?.in_camel_case()?;
    let mut parts = parts(&mut object)?;
    let mut called = false;
    for part in &mut parts {
        if let Content::ToolCall(call) = &mut part.content {
            called = true;
            calls.name(&mut call.id);
        }
    }
    cite(&object, &mut parts);
    let reason = object.take("finishReason").and_then(finish::name).unwrap_or_default();
    let mut choice = Choice {
        index: index(&mut object).unwrap_or(at),
        parts,
        finish: finish::finish(&reason, called),
        logprobs: object.take("logprobsResult").and_then(logprobs::logprobs),
        extras: Extras::default(),
    };
    if choice.finish == Finish::ContentFilter {
        // Which of the many filters it was.
        choice.extras.note(Dialect::Gemini, "finishReason", Json::of(&reason));
    }
    leftovers(object, "", &mut choice.extras);
    Ok(choice)
}

/// Returns the number of a candidate.
pub(in super::super) fn index(candidate: &mut Object<'_>) -> Option<u32> {
    candidate.integer("index").ok().flatten().and_then(|index| u32::try_from(index).ok())
}

/// Takes the parts of a candidate. Empty text says nothing, unless it is signed.
pub(in super::super) fn parts(candidate: &mut Object<'_>) -> Result<Vec<Part>, Wrong> {
    let Some(content) = candidate.take("content") else { return Ok(Vec::new()) };
    let mut content = Object::read(content, Path::default())?.in_camel_case()?;
    let texts = content.take("parts").map(elements).transpose().map_err(Wrong::Json)?.unwrap_or_default();
    let mut parts = Vec::with_capacity(texts.len());
    for text in texts {
        let part = part::decode(text, Path::default())?;
        let blank = matches!(&part.content, Content::Text { text, .. } if text.is_empty());
        if !blank || part.signature.is_some() {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Hands the citations of a candidate to the texts that they end in.
fn cite(candidate: &Object<'_>, parts: &mut [Part]) {
    let texts = || {
        parts
            .iter()
            .filter_map(|part| if let Content::Text { text, .. } = &part.content { Some(text.as_str()) } else { None })
    };
    let whole: String = texts().collect();
    let ends: Vec<usize> = texts()
        .scan(0, |sum, text| {
            *sum += text.len();
            Some(*sum)
        })
        .collect();
    let found = citations::citations(candidate.peek("groundingMetadata"), candidate.peek("citationMetadata"), &whole);
    for found in found {
        let at =
            ends.iter().position(|end| found.end.is_some_and(|to| to <= *end)).unwrap_or(ends.len().saturating_sub(1));
        let texts = parts.iter_mut().filter_map(|part| match &mut part.content {
            Content::Text { citations, .. } => Some(citations),
            _ => None,
        });
        if let Some(citations) = texts.into_iter().nth(at) {
            citations.push(found.citation);
        }
    }
}

/// Gives calls an id.
#[derive(Debug)]
pub(in super::super) struct Calls<'a> {
    /// Of the answer.
    pub(in super::super) seed: &'a str,
    /// How many ids were made.
    pub(in super::super) made: u32,
}

impl Calls<'_> {
    /// Fills an id that is empty.
    pub(in super::super) fn name(&mut self, id: &mut String) {
        if id.is_empty() {
            *id = format!("call_{}{}", self.seed, self.made);
            self.made += 1;
        }
    }
}

fn word(object: &mut Object<'_>, name: &'static str) -> String {
    object.text(name).ok().flatten().unwrap_or_default()
}

/// Returns the failure of a text that is no answer.
pub(in super::super) fn malformed(wrong: Wrong) -> NotAReply {
    NotAReply::Malformed(wrong.to_string())
}

#[cfg(test)]
mod tests;

//! What Cohere answers at once, and the members that its streams hold too.

pub mod decode;

use ir::chat::message::Citation;
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use ir::json::Json;
use ir::report::Report;
use ir::usage::Usage;
use serde::Serialize;

use crate::json::integer;
use crate::json::object::{Object, Path, Wrong, elements};
use crate::translate::NotAReply;

/// Takes a text that says something; anything else says nothing.
pub(super) fn said(object: &mut Object<'_>, name: &'static str) -> Option<String> {
    object.text(name).ok().flatten().filter(|text| !text.is_empty())
}

pub(super) fn malformed(wrong: Wrong) -> NotAReply {
    NotAReply::Malformed(wrong.to_string())
}

/// Reads why an answer ended. One that failed or took too long is no answer, whatever was said before.
pub(super) fn finish(reason: Option<&str>, mut report: Report) -> Result<Finish, NotAReply> {
    Ok(match reason {
        None | Some("COMPLETE") => Finish::Stop,
        Some("STOP_SEQUENCE") => Finish::StopSequence(None),
        Some("MAX_TOKENS") => Finish::Length,
        Some("TOOL_CALL") => Finish::ToolCalls,
        Some(reason @ ("ERROR" | "TIMEOUT")) => {
            report.code.get_or_insert_with(|| reason.to_owned());
            return Err(NotAReply::Error(report));
        }
        Some(other) => Finish::Other(other.to_owned()),
    })
}

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// Reads a count. The schema says `number`: a whole one may be written `5.0`.
fn count(object: &mut Object<'_>, name: &str) -> Result<Option<u64>, ()> {
    let Some(value) = object.take(name) else { return Ok(None) };
    let whole = value.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|digit| digit == b'0'));
    let digits = whole.map_or(value, |(whole, _)| whole);
    integer(digits.as_bytes()).filter(|tokens| *tokens <= ABSURD_TOKENS).map(Some).ok_or(())
}

/// Reads `usage`. What is billed counts (`billed_units`): it leaves out Cohere's own preamble, which `tokens` counts
/// and nobody pays for. `cached_tokens` are some of `tokens`, preamble included, and most often more than what is
/// billed; no price is reduced for them, so that all that is billed is plain input. Where nothing is said to be billed,
/// `tokens` are all there is.
pub(super) fn usage(mut usage: Object<'_>) -> Option<Usage> {
    let mut tokens = usage.object("tokens").ok().flatten();
    let reasoning = match &mut tokens {
        Some(tokens) => count(tokens, "reasoning_tokens").ok()?.unwrap_or(0),
        None => 0,
    };
    let pair = |object: Option<Object<'_>>| {
        let mut object = object?;
        let (input, output) = (count(&mut object, "input_tokens").ok()?, count(&mut object, "output_tokens").ok()?);
        Some((input?, output?))
    };
    let billed = usage.object("billed_units").ok()?.filter(|billed| billed.peek("input_tokens").is_some());
    let (input, output, cached) = match billed {
        Some(billed) => pair(Some(billed)).map(|(input, output)| (input, output, 0))?,
        None => {
            let (input, output) = pair(tokens)?;
            (input, output, count(&mut usage, "cached_tokens").ok()?.unwrap_or(0).min(input))
        }
    };
    let reasoning = reasoning.min(output);
    let input = input - cached;
    Some(Usage { input, cached_input: cached, output: output - reasoning, reasoning, ..Usage::default() })
}

/// Reads a citation of the answer's text, and which block of the content it is in; `None` when it is of a thought or of
/// a plan, which nobody is shown as sourced. Of several sources the first with an address is told.
pub(super) fn citation(text: &str) -> Option<(Citation, Option<u64>)> {
    let mut object = Object::read(text, Path::default()).ok()?;
    if said(&mut object, "type").is_some_and(|kind| kind != "TEXT_CONTENT") {
        return None;
    }
    let mut number = |name| object.integer(name).ok().flatten();
    let (span, block) = (number("start").zip(number("end")), number("content_index"));
    let sources = object.objects("sources").unwrap_or_default().into_iter().map(source);
    let best = sources.reduce(|best, other| if best.0.is_none() && other.0.is_some() { other } else { best });
    let (url, title) = best.unwrap_or_default();
    let original = Json::parse(text).map(|original| (Dialect::Cohere, original));
    Some((Citation { url, title, cited_text: said(&mut object, "text"), span, original }, block))
}

/// Reads a source: its address, and its title or else its name.
fn source(mut source: Object<'_>) -> (Option<String>, Option<String>) {
    let inner = ["document", "tool_output"].iter().find_map(|name| source.object(name).ok().flatten());
    let (url, title) = inner.map(|mut inner| (said(&mut inner, "url"), said(&mut inner, "title"))).unwrap_or_default();
    (url, title.or_else(|| said(&mut source, "id")))
}

/// One piece of text as OpenAI writes a token.
#[derive(Serialize)]
struct Token {
    token: String,
    logprob: Json,
    bytes: (),
    top_logprobs: [Json; 0],
}

/// Turns pieces `{"text", "token_ids", "logprobs"}` into OpenAI's shape. A piece of several tokens has the sum of their
/// log probabilities, which is its own.
pub(super) fn logprobs<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Option<Json> {
    #[derive(Serialize)]
    struct Logprobs {
        content: Vec<Token>,
        refusal: (),
    }
    let token = |piece| {
        let mut object = Object::read(piece, Path::default()).ok()?;
        let logprob = match object.list("logprobs").ok().flatten()?.as_slice() {
            [] => return None,
            [one] => Json::parse(one)?,
            several => Json::of(&several.iter().map(|one| one.parse::<f64>().ok()).sum::<Option<f64>>()?),
        };
        Some(Token { token: object.text("text").ok().flatten()?, logprob, bytes: (), top_logprobs: [] })
    };
    let content: Vec<Token> = pieces.into_iter().filter_map(token).collect();
    (!content.is_empty()).then(|| Json::of(&Logprobs { content, refusal: () }))
}

/// Returns the texts of a list's elements, or the one value that stands in its place.
pub(super) fn each(value: &str) -> Vec<&str> {
    if value.starts_with('[') { elements(value).unwrap_or_default() } else { vec![value] }
}

#[cfg(test)]
mod tests;

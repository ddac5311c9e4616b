//! A whole answer, written for a client that speaks Gemini.
//!
//! What Gemini cannot say is left out: blocks of other dialects, reasoning that is hidden, signatures of others.

use ir::chat::message::{Citation, Content, Part, Source};
use ir::chat::response::{Choice, Finish, Response};
use ir::dialect::Dialect;
use ir::json::Json;
use ir::usage::Usage;
use serde::Serialize;

use super::super::stream::decode::OF_CANDIDATE;
use super::super::wire::{self, FileData, InlineData, Known, Members};
use super::logprobs;
use crate::translate::Label;

/// Writes an answer.
pub fn encode(response: &Response, label: &Label<'_>) -> Vec<u8> {
    reply(response, label, Parts::All)
}

/// Which parts of an answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Parts {
    /// All.
    All,
    /// What was not streamed before: all but texts.
    Rest,
}

/// <https://ai.google.dev/api/generate-content#generatecontentresponse>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    candidates: Vec<Candidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageMetadata<'a>>,
    model_version: &'a str,
    response_id: &'a str,
    #[serde(flatten)]
    extras: Members<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    content: wire::Content<'a>,
    finish_reason: &'a str,
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs_result: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grounding_metadata: Option<Grounding<'a>>,
    #[serde(flatten)]
    extras: Members<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata<'a> {
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<Modality>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<Modality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    modality: &'static str,
    token_count: u64,
}

/// What the answer is taken from, as [`super::citations`] reads it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Grounding<'a> {
    grounding_chunks: Vec<Chunk<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grounding_supports: Vec<Support<'a>>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    web: Web<'a>,
}

#[derive(Serialize)]
struct Web<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Support<'a> {
    segment: Segment<'a>,
    grounding_chunk_indices: [usize; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment<'a> {
    start_index: usize,
    end_index: usize,
    text: &'a str,
}

/// Writes an answer, or what is left of it.
pub(in super::super) fn reply(response: &Response, label: &Label<'_>, which: Parts) -> Vec<u8> {
    // Where the prompt was blocked there are no candidates.
    let blocked = response.extras.get(Dialect::Gemini, "promptFeedback").is_some();
    let texts: Vec<String> = response.choices.iter().map(text).collect();
    let choices = response.choices.iter().zip(&texts).filter(|(choice, _)| !(blocked && choice.parts.is_empty()));
    let reply = Reply {
        candidates: choices.map(|(choice, text)| candidate(response, choice, text, which)).collect(),
        usage_metadata: response.usage.map(|usage| usage_metadata(usage, response.service_tier.as_deref())),
        model_version: if response.model.is_empty() { label.model } else { &response.model },
        response_id: if response.id.is_empty() { label.seed } else { &response.id },
        extras: Members::of(&response.extras, ""),
    };
    // Serialising into a vector cannot fail.
    serde_json::to_vec(&reply).unwrap_or_default()
}

fn candidate<'a>(response: &'a Response, choice: &'a Choice, text: &'a str, which: Parts) -> Candidate<'a> {
    let mut extras = Members::of(&choice.extras, "");
    // A stream has kept those of its candidate among its own.
    extras.append(Members::of(&response.extras, OF_CANDIDATE));
    let cites = !extras.has("groundingMetadata") && !extras.has("citationMetadata");
    let noted = choice.extras.noted(Dialect::Gemini, "finishReason");
    Candidate {
        content: wire::Content {
            role: Some("model"),
            parts: choice.parts.iter().filter_map(|part| self::part(part, which)).collect(),
            extras: Members::default(),
        },
        finish_reason: noted.map_or(reason(&choice.finish), |noted| noted.as_str().trim_matches('"')),
        index: choice.index,
        logprobs_result: choice.logprobs.as_ref().and_then(logprobs::result),
        grounding_metadata: if cites { grounding(choice, text) } else { None },
        extras,
    }
}

fn part(part: &Part, which: Parts) -> Option<wire::Part<'_>> {
    let signature = part.signature.as_ref().filter(|signature| signature.by == Dialect::Gemini);
    let mut known = Known {
        thought_signature: signature.map(|signature| signature.text.as_str()),
        extras: Members::of(&part.extras, ""),
        ..Known::default()
    };
    match &part.content {
        Content::Text { .. } | Content::Thinking { .. } | Content::Refusal(_) if which == Parts::Rest => return None,
        Content::Text { text, .. } | Content::Refusal(text) => known.text = Some(text.into()),
        Content::Thinking { text, .. } => {
            known.thought = true;
            known.text = Some(text.into());
        }
        Content::Image { source, .. } | Content::Audio(source) | Content::Video(source) => {
            data(source, part, &mut known)?;
        }
        Content::Document(document) => data(&document.source, part, &mut known)?,
        Content::ToolCall(call) => known.function_call = Some(wire::FunctionCall::of(call, &part.extras)),
        Content::Foreign { dialect: Dialect::Gemini, block } => return Some(wire::Part::Whole(block)),
        Content::Foreign { .. } | Content::Redacted | Content::ToolResult(_) => return None,
    }
    Some(wire::Part::Known(Box::new(known)))
}

fn data<'a>(source: &'a Source, part: &'a Part, known: &mut Known<'a>) -> Option<()> {
    match source {
        Source::Base64 { media_type, data } => {
            let extras = Members::of(&part.extras, "inlineData.");
            known.inline_data = Some(InlineData { mime_type: media_type, data, extras });
        }
        Source::Url(uri) | Source::File(uri) => {
            let mime_type = part.extras.noted(Dialect::Gemini, "fileData.mimeType").cloned();
            let extras = Members::of(&part.extras, "fileData.");
            known.file_data = Some(FileData { file_uri: uri.into(), mime_type, extras });
        }
        Source::Text(text) => known.text = Some(text.into()),
        Source::Parts(_) => return None,
    }
    Some(())
}

/// Returns the reason of an end in Gemini's words: <https://ai.google.dev/api/generate-content#FinishReason>.
fn reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Refusal | Finish::Pause => "STOP",
        Finish::Length | Finish::ContextWindow => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
        Finish::Other(word) if super::finish::is_known(word) => word,
        Finish::Other(_) => "OTHER",
    }
}

fn usage_metadata(usage: Usage, service_tier: Option<&str>) -> UsageMetadata<'_> {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let apart = |audio: u64, image: u64| {
        let all = [("AUDIO", audio), ("IMAGE", image)].into_iter();
        let there = all.filter(|(_, tokens)| *tokens > 0);
        there.map(|(modality, token_count)| Modality { modality, token_count }).collect()
    };
    UsageMetadata {
        prompt_token_count: input,
        cached_content_token_count: usage.cached_input,
        candidates_token_count: output.saturating_sub(usage.reasoning),
        thoughts_token_count: usage.reasoning,
        total_token_count: input.saturating_add(output),
        prompt_tokens_details: apart(usage.audio_input, usage.image_input),
        candidates_tokens_details: apart(usage.audio_output, usage.image_output),
        service_tier,
    }
}

/// Returns the text of an answer, thoughts left out: what citations count in.
fn text(choice: &Choice) -> String {
    let texts = choice.parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Writes the citations that have an address.
fn grounding<'a>(choice: &'a Choice, text: &'a str) -> Option<Grounding<'a>> {
    let mut grounding = Grounding::default();
    let citations = choice.parts.iter().flat_map(|part| match &part.content {
        Content::Text { citations, .. } => citations.as_slice(),
        _ => &[],
    });
    for Citation { url, title, span, .. } in citations {
        let Some(uri) = url else { continue };
        let known = grounding.grounding_chunks.iter().position(|chunk| chunk.web.uri == uri);
        let index = known.unwrap_or(grounding.grounding_chunks.len());
        if known.is_none() {
            grounding.grounding_chunks.push(Chunk { web: Web { uri, title: title.as_deref() } });
        }
        let bytes = span.map(|(from, to)| (byte(text, from), byte(text, to)));
        if let Some((start_index, end_index, text)) = bytes.and_then(|(from, to)| Some((from, to, text.get(from..to)?)))
        {
            let segment = Segment { start_index, end_index, text };
            grounding.grounding_supports.push(Support { segment, grounding_chunk_indices: [index] });
        }
    }
    (!grounding.grounding_chunks.is_empty()).then_some(grounding)
}

/// Returns the byte at which a character starts.
fn byte(text: &str, character: u64) -> usize {
    let at = usize::try_from(character).unwrap_or(usize::MAX);
    text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;

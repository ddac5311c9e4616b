//! From a buffered reply to the canonical answer.

use std::fmt::Display;

use ir::chat::event::Started;
use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part};
use ir::chat::response::{Choice, Finish, Response};
use ir::dialect::Dialect;
use ir::json::Json;
use ir::report::Report;

use crate::json::object::{Object, Path, string};
use crate::openai_responses::item::{self, Item};
use crate::openai_responses::{error, wire};
use crate::translate::NotAReply;

/// Reads a reply. `seed` names calls that came without an id.
///
/// # Errors
/// When it is an error, when it is not complete yet (a background response), when it is something else.
pub fn decode(body: &str, seed: &str) -> Result<Response, NotAReply> {
    let mut reply = Object::read(body, Path::default()).map_err(malformed)?;
    if let Some(report) = failure(&mut reply) {
        return Err(NotAReply::Error(report));
    }
    let Some(output) = reply.list("output").map_err(malformed)? else {
        return Err(NotAReply::Malformed("the reply has no output".to_owned()));
    };
    let mut parts = Vec::new();
    // mistral.rs shows the thought beside the output.
    if let Some(text) = reply.peek("reasoning").and_then(string) {
        parts.push(Part::new(Content::Thinking { text, id: None }));
    }
    let path = Path::default().member("output");
    for (index, text) in output.into_iter().enumerate() {
        parts.extend(spoken(text, path.element(index), seed, index)?);
    }
    parts.retain(says_something);
    let status = reply.take("status").and_then(string);
    let finish =
        finish(status.as_deref(), &mut reply, parts.iter().any(|part| matches!(part.content, Content::ToolCall(_))))?;
    let head = head(&mut reply);
    Ok(Response {
        id: head.id,
        model: head.model,
        created: head.created,
        usage: reply.take("usage").and_then(wire::usage),
        service_tier: head.service_tier,
        choices: vec![Choice { index: 0, logprobs: logprobs(&parts), parts, finish, extras: Extras::default() }],
        extras: Extras::default(),
    })
}

/// Returns the log of what is wrong with a reply.
pub(in crate::openai_responses) fn malformed(why: impl Display) -> NotAReply {
    NotAReply::Malformed(why.to_string())
}

/// Returns the parts that an item of the output amounts to. `index` is the item's place.
pub(in crate::openai_responses) fn spoken(
    text: &str,
    path: Path,
    seed: &str,
    index: usize,
) -> Result<Vec<Part>, NotAReply> {
    let mut parts = match item::read(text, path).map_err(malformed)? {
        Item::Message { mut parts, extras, .. } => {
            item::keep_beside(&mut parts, &extras);
            parts
        }
        Item::Piece(part) => vec![part],
        // What a tool answered is not the model's to say: it is carried as it is.
        Item::Answer { .. } => vec![Part::new(item::foreign(text))],
    };
    for part in &mut parts {
        if let Content::ToolCall(call) = &mut part.content
            && call.id.is_empty()
        {
            call.id = format!("call_{seed}{index}");
        }
    }
    Ok(parts)
}

/// Whether a part says anything. Providers send empty messages, and reasoning of which they show nothing.
pub(in crate::openai_responses) fn says_something(part: &Part) -> bool {
    match &part.content {
        Content::Text { text, citations } => !text.is_empty() || !citations.is_empty(),
        Content::Thinking { text, .. } => !text.is_empty() || part.signature.is_some(),
        Content::Refusal(text) => !text.is_empty(),
        _ => true,
    }
}

/// Takes the error that a response holds, or that stands in its place.
pub(in crate::openai_responses) fn failure(reply: &mut Object<'_>) -> Option<Report> {
    let failed = reply.peek("status").and_then(string).is_some_and(|status| status == "failed");
    match reply.take("error") {
        Some(value) => {
            let mut report = error::member(value);
            report.code = report.code.or_else(|| reply.peek("code").and_then(string));
            Some(report)
        }
        None => failed.then(Report::default),
    }
}

/// Takes what names a response.
pub(in crate::openai_responses) fn head(reply: &mut Object<'_>) -> Started {
    let mut word = |name| reply.text(name).ok().flatten();
    let (id, model) = (word("id").unwrap_or_default(), word("model").unwrap_or_default());
    let service_tier = word("service_tier");
    Started { id, model, created: reply.integer("created_at").ok().flatten(), service_tier, usage: None }
}

/// Returns why a response of a status ended. `calls` says whether it calls tools.
///
/// # Errors
/// When it has not.
pub(in crate::openai_responses) fn finish(
    status: Option<&str>,
    reply: &mut Object<'_>,
    calls: bool,
) -> Result<Finish, NotAReply> {
    let mut reason = || {
        let mut details = reply.object("incomplete_details").ok()??;
        details.text("reason").ok()?
    };
    Ok(match status {
        Some("queued" | "in_progress") => return Err(malformed("the response is not complete")),
        Some("incomplete") => match reason().as_deref() {
            Some("max_output_tokens") => Finish::Length,
            Some("content_filter") => Finish::ContentFilter,
            reason => Finish::Other(reason.unwrap_or("incomplete").to_owned()),
        },
        Some("cancelled") => Finish::Other("cancelled".to_owned()),
        // Some servers say it in their own words, or not at all.
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    })
}

/// Gathers the log probabilities of what is said, in the shape of chat completions: the entries are the same.
fn logprobs(parts: &[Part]) -> Option<Json> {
    let lists = parts.iter().filter_map(|part| part.extras.get(Dialect::OpenaiResponses, "logprobs"));
    entries(lists.map(Json::as_str))
}

/// Returns the entries of lists as one object; `None` when there are none.
pub(in crate::openai_responses) fn entries<'a>(lists: impl Iterator<Item = &'a str>) -> Option<Json> {
    let inner = |list: &'a str| list.trim().strip_prefix('[')?.strip_suffix(']').map(str::trim);
    let all = lists.filter_map(inner).filter(|entries| !entries.is_empty()).collect::<Vec<_>>().join(",");
    if all.is_empty() { None } else { Json::parse(&format!(r#"{{"content":[{all}],"refusal":null}}"#)) }
}

#[cfg(test)]
mod tests;

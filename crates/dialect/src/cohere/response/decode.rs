//! A buffered reply.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part, ToolCall};
use ir::chat::response::{Choice, Response};
use ir::dialect::Dialect;

use super::{citation, each, finish, logprobs, malformed, said, usage};
use crate::carry::keep;
use crate::cohere::error;
use crate::json::object::{Object, Path, string};
use crate::translate::NotAReply;

/// Reads a reply. `seed` makes ids of tool calls that have none.
///
/// # Errors
/// When it is no whole reply, or an error.
pub fn decode(body: &str, seed: &str) -> Result<Response, NotAReply> {
    let mut object = Object::read(body.trim(), Path::default()).map_err(malformed)?;
    // In an error, `message` is a text.
    if !object.peek("message").is_some_and(|message| message.starts_with('{')) {
        let report = error::member(&mut object);
        return Err(match report.message {
            Some(_) => NotAReply::Error(report),
            None => NotAReply::Malformed("the reply has no message".to_owned()),
        });
    }
    let message = object.object("message").map_err(malformed)?;
    let reason = said(&mut object, "finish_reason");
    let finish = finish(reason.as_deref(), error::member(&mut object))?;
    let mut response = Response { id: said(&mut object, "id").unwrap_or_default(), ..Response::default() };
    let parts = message.map(|message| parts(message, seed)).transpose()?.unwrap_or_default();
    let logprobs = object.take("logprobs").and_then(|pieces| logprobs(each(pieces)));
    response.choices = vec![Choice { index: 0, parts, finish, logprobs, extras: Extras::default() }];
    response.usage = object.peek("usage").and_then(|text| Object::read(text, Path::default()).ok()).and_then(usage);
    keep(object, Dialect::Cohere, "", &mut response.extras);
    Ok(response)
}

fn parts(mut message: Object<'_>, seed: &str) -> Result<Vec<Part>, NotAReply> {
    let thinking = |text| Part::new(Content::Thinking { text, id: None });
    let mut parts: Vec<Part> = said(&mut message, "tool_plan").map(thinking).into_iter().collect();
    // Which part each block became.
    let mut places: Vec<Option<usize>> = Vec::new();
    for block in message.take("content").map(each).unwrap_or_default() {
        let part = match string(block) {
            Some(text) => Some(Part::text(text)),
            None => {
                let mut block = Object::read(block, Path::default()).map_err(malformed)?;
                said(&mut block, "thinking").map(thinking).or_else(|| said(&mut block, "text").map(Part::text))
            }
        };
        places.push(part.is_some().then_some(parts.len()));
        parts.extend(part);
    }
    for (citation, block) in message.take("citations").map(each).unwrap_or_default().into_iter().filter_map(citation) {
        let named = block.and_then(|block| *places.get(usize::try_from(block).ok()?)?);
        let is_text = |part: &Part| matches!(part.content, Content::Text { .. });
        let place = named.filter(|at| parts.get(*at).is_some_and(is_text)).or_else(|| parts.iter().rposition(is_text));
        if let Some(Content::Text { citations, .. }) =
            place.and_then(|at| parts.get_mut(at)).map(|part| &mut part.content)
        {
            citations.push(citation);
        }
    }
    for (number, call) in message.objects("tool_calls").map_err(malformed)?.into_iter().enumerate() {
        parts.push(self::call(call, seed, number)?);
    }
    Ok(parts)
}

fn call(mut call: Object<'_>, seed: &str, number: usize) -> Result<Part, NotAReply> {
    let id = said(&mut call, "id").unwrap_or_else(|| format!("call_{seed}{number}"));
    let (name, arguments) = match call.object("function").map_err(malformed)? {
        Some(mut function) => (function.need_text("name").map_err(malformed)?, said(&mut function, "arguments")),
        None => return Err(NotAReply::Malformed("a tool call has no function".to_owned())),
    };
    let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
    Ok(Part::new(Content::ToolCall(ToolCall { id, name, arguments, custom: false })))
}

#[cfg(test)]
mod tests;

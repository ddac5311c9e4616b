//! A buffered reply, read into the canonical vocabulary.
//!
//! <https://platform.openai.com/docs/api-reference/chat/object>, and what the vendors make of it.

use ir::chat::event::Event;
use ir::chat::extras::Extras;
use ir::chat::fold::Fold;
use ir::chat::response::Response;

use super::citations::results;
use super::head;
use super::parts::Reader;
use crate::json::object::Object;
use crate::openai_chat::wire::{self, word};
use crate::translate::NotAReply;

/// Reads a reply body. `seed` is for ids of tool calls that have none.
///
/// # Errors
/// When it is not a JSON object with choices, or is an error.
pub fn decode(body: &str, seed: &str) -> Result<Response, NotAReply> {
    let mut object = head::read(body)?;
    if object.peek("object") == Some("\"chat.completion.chunk\"") {
        return Err(NotAReply::Malformed("a piece of a stream is no answer".to_owned()));
    }
    let choices = object.list("choices").ok().flatten();
    let choices = choices.ok_or_else(|| NotAReply::Malformed("the answer has no choices".to_owned()))?;
    let mut events = vec![Event::Started(head::started(&mut object))];
    let mut usage = head::usage(&mut object);
    let mut extras: Vec<(u32, Extras)> = Vec::new();
    for (at, text) in choices.into_iter().enumerate() {
        let Some(mut choice) = wire::object(text) else { continue };
        usage = usage.or_else(|| head::told(&mut choice));
        let index = choice.integer("index").ok().flatten().and_then(|index| index.try_into().ok());
        let mut reader = Reader::new(index.unwrap_or(at as u32), true);
        // Perplexity repeats the message as a delta.
        choice.take("delta");
        read(&mut reader, &mut choice, seed, &mut events);
        if at == 0 {
            results(&object).into_iter().for_each(|page| reader.cite(page, &mut events));
        }
        reader.end(&mut events);
        extras.push((reader.index, head::extras(head::leftovers(choice))));
    }
    events.extend(usage.map(Event::Usage));
    events.push(Event::Extras(head::extras(head::leftovers(object))));
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(event));
    let mut response = fold.finish();
    for (index, extras) in extras {
        if let Some(choice) = response.choices.iter_mut().find(|choice| choice.index == index) {
            choice.extras = extras;
        }
    }
    Ok(response)
}

fn read(reader: &mut Reader, choice: &mut Object<'_>, seed: &str, events: &mut Vec<Event>) {
    if let Ok(Some(message)) = choice.object("message") {
        reader.message(message, seed, events);
    }
    if let Some(logprobs) = head::logprobs(choice) {
        events.push(Event::Logprobs { choice: reader.index, logprobs });
    }
    reader.finished(word(choice, "finish_reason"));
}

#[cfg(test)]
mod tests;

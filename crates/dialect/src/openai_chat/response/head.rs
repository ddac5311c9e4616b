//! What replies and chunks say of the whole answer.

use ir::chat::event::Started;
use ir::chat::extras::Extras;
use ir::dialect::Dialect;
use ir::json::Json;
use ir::usage::Usage;

use crate::json::object::{Object, Path};
use crate::openai_chat::wire::{self, word};
use crate::openai_chat::{error, usage};
use crate::translate::NotAReply;

/// What says nothing of the answer: the kind of the object, and padding against listeners.
const EMPTY: [&str; 3] = ["object", "obfuscation", "p"];

/// Reads a body or the data of a frame.
///
/// # Errors
/// When it is not a JSON object, or is an error.
pub(in crate::openai_chat) fn read(text: &str) -> Result<Object<'_>, NotAReply> {
    let object = Object::read(text, Path::default()).map_err(|wrong| NotAReply::Malformed(wrong.to_string()))?;
    match object.peek("error").filter(|error| !error::is_nothing(error.as_bytes())) {
        Some(error) => Err(NotAReply::Error(error::read_member(error.as_bytes()))),
        None => Ok(object),
    }
}

/// Takes what says how the answer began.
pub(in crate::openai_chat) fn started(object: &mut Object<'_>) -> Started {
    Started {
        id: word(object, "id").unwrap_or_default(),
        model: word(object, "model").unwrap_or_default(),
        created: object.integer("created").ok().flatten(),
        service_tier: word(object, "service_tier"),
        usage: None,
    }
}

/// Takes the usage, where it can be believed. Groq has it in a member of its own while it streams.
pub(in crate::openai_chat) fn usage(object: &mut Object<'_>) -> Option<Usage> {
    let groq = object.peek("x_groq").and_then(wire::object).and_then(|mut groq| groq.take("usage"));
    let own = object.take("usage").and_then(|own| usage::read(own.as_bytes()));
    own.or_else(|| usage::read(groq?.as_bytes()))
}

/// Takes the usage that stands in a choice (Moonshot: <https://github.com/earendil-works/pi/issues/2017>).
pub(in crate::openai_chat) fn told(choice: &mut Object<'_>) -> Option<Usage> {
    usage::read(choice.take("usage")?.as_bytes())
}

/// Returns what is left, by name.
pub(in crate::openai_chat) fn leftovers(object: Object<'_>) -> impl Iterator<Item = (String, Json)> {
    let known = object.leftovers().filter(|(name, _)| !EMPTY.contains(&&**name));
    known.filter_map(|(name, value)| Some((name.into_owned(), Json::parse(value)?)))
}

/// Returns members as extras of this dialect.
pub(in crate::openai_chat) fn extras(members: impl IntoIterator<Item = (String, Json)>) -> Extras {
    let mut extras = Extras::default();
    for (name, value) in members {
        extras.push(Dialect::OpenaiChat, name, value);
    }
    extras
}

/// Takes a choice's log probabilities, if there are any in OpenAI's shape.
pub(in crate::openai_chat) fn logprobs(choice: &mut Object<'_>) -> Option<Json> {
    let text = choice.take("logprobs")?;
    let found = wire::object(text)?;
    let said = |name| found.peek(name).is_some_and(|list| list.starts_with('[') && list != "[]");
    (said("content") || said("refusal")).then(|| Json::parse(text)).flatten()
}

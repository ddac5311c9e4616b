//! The messages. A message that holds tool results becomes several: the results first, each in a message of its own.

use std::borrow::Cow;

use ir::chat::message::{Content, Message, Part, Role, ToolResult};
use ir::dialect::{Dialect, Quirk};
use ir::failure::Failure;
use ir::json::Json;

use super::ids::Ids;
use super::part::{self, Place};
use super::{OWN, name_lost, noted, unsayable};
use crate::carry::Dropped;
use crate::openai_chat::reasoning;
use crate::openai_chat::wire::message as wire;
use crate::openai_chat::wire::request::own;
use crate::translate::Callee;

/// What is carried from message to message.
struct Writer<'a, 'c> {
    callee: &'c Callee<'c>,
    dropped: &'c mut Dropped,
    ids: Ids<'a>,
    out: Vec<wire::Message<'a>>,
    /// Pictures and files of tool results: a tool message takes text only, so they wait for the next user message.
    moved: Vec<wire::Part<'a>>,
}

/// Writes the messages.
pub(super) fn all<'a>(
    messages: &'a [Message],
    callee: &Callee<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<wire::Message<'a>>, Failure> {
    let mut writer =
        Writer { callee, dropped, ids: Ids::new(callee), out: Vec::with_capacity(messages.len()), moved: Vec::new() };
    for (at, message) in messages.iter().enumerate() {
        writer.message(message, at)?;
    }
    writer.flush();
    Ok(writer.out)
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, message: &'a Message, at: usize) -> Result<(), Failure> {
        self.dropped.foreign(&message.extras, OWN);
        let mut rest = Vec::with_capacity(message.parts.len());
        for (index, part) in message.parts.iter().enumerate() {
            let place = Place { message: at, part: index };
            match &part.content {
                Content::ToolResult(result) => self.result(message, part, result, place)?,
                _ => rest.push((part, place)),
            }
        }
        match message.role {
            Role::Tool => Ok(()),
            // Nothing but results.
            Role::User if rest.is_empty() && !message.parts.is_empty() => Ok(()),
            Role::Assistant => {
                self.flush();
                self.assistant(message, &rest)
            }
            role => {
                let moved = if role == Role::User { std::mem::take(&mut self.moved) } else { Vec::new() };
                self.flush();
                self.speech(message, &rest, moved)
            }
        }
    }

    /// Lets what waits stand in a user message of its own.
    fn flush(&mut self) {
        if !self.moved.is_empty() {
            let parts = std::mem::take(&mut self.moved);
            self.out.push(wire::Message { content: Some(wire::Content::Parts(parts)), ..wire::Message::new("user") });
        }
    }

    fn speech(
        &mut self,
        message: &'a Message,
        parts: &[(&'a Part, Place)],
        moved: Vec<wire::Part<'a>>,
    ) -> Result<(), Failure> {
        let role = match message.role {
            Role::Developer if !self.callee.has(Quirk::NoDeveloperRole) => "developer",
            Role::Developer | Role::System => "system",
            _ => "user",
        };
        let separator = if role == "user" { None } else { Some("\n\n") };
        let content = self.content(message, parts, moved, separator)?;
        let name = self.name(message);
        self.out.push(wire::Message {
            content: Some(content),
            name,
            cache_control: self.message_cache(message),
            extras: own(&message.extras),
            ..wire::Message::new(role)
        });
        Ok(())
    }

    fn name(&mut self, message: &'a Message) -> Option<&'a str> {
        let nameless = self.callee.has(Quirk::NoNames);
        self.dropped.name_if(nameless && message.name.is_some(), "name");
        message.name.as_deref().filter(|_| !nameless)
    }

    /// Returns text where text is enough: not every vendor takes lists. Texts in a row are joined by the separator.
    fn content(
        &mut self,
        message: &'a Message,
        parts: &[(&'a Part, Place)],
        moved: Vec<wire::Part<'a>>,
        separator: Option<&str>,
    ) -> Result<wire::Content<'a>, Failure> {
        if !noted(&message.extras, "parts")
            && moved.is_empty()
            && let Some(text) = self.plain(message, parts, separator)
        {
            for (part, _) in parts {
                name_lost(part, self.marks_whole(message), self.dropped);
            }
            return Ok(wire::Content::Text(text));
        }
        let mut list = moved;
        for (part, place) in parts {
            let keeps_cache = self.keeps_cache(message, part);
            part::push(part, *place, keeps_cache, self.callee, self.dropped, &mut list)?;
        }
        Ok(wire::Content::Parts(list))
    }

    /// Returns the text of parts that are nothing else.
    fn plain(&self, message: &Message, parts: &[(&'a Part, Place)], separator: Option<&str>) -> Option<Cow<'a, str>> {
        let text = |(part, _): &(&'a Part, Place)| match &part.content {
            Content::Text { text, .. } => {
                let marked = part.cache_control.is_some() && self.keeps_cache(message, part);
                (!marked && own(&part.extras).is_empty()).then_some(text.as_str())
            }
            _ => None,
        };
        let texts: Vec<&str> = parts.iter().map(text).collect::<Option<_>>()?;
        match (texts.as_slice(), separator) {
            ([], _) => Some(Cow::Borrowed("")),
            ([one], _) => Some(Cow::Borrowed(one)),
            (texts, Some(separator)) => Some(texts.join(separator).into()),
            (_, None) => None,
        }
    }

    /// Whether a cache mark is written at its part: where the vendor takes it, or the caller had put it there.
    fn keeps_cache(&self, message: &Message, part: &Part) -> bool {
        let own = noted(&part.extras, "cache_control");
        own || (!self.marks_whole(message) && self.callee.has(Quirk::CacheControl))
    }

    /// Whether the mark of the last part stood at the message.
    fn marks_whole(&self, message: &Message) -> bool {
        noted(&message.extras, "cache_control")
    }

    fn message_cache(&self, message: &'a Message) -> Option<&'a Json> {
        message.parts.last().filter(|_| self.marks_whole(message))?.cache_control.as_ref()
    }

    fn result(
        &mut self,
        message: &'a Message,
        part: &'a Part,
        result: &'a ToolResult,
        place: Place,
    ) -> Result<(), Failure> {
        name_lost(part, self.marks_whole(message), self.dropped);
        if result.is_error == Some(true) {
            self.dropped.name("is_error");
        }
        // What the caller had put into a tool message stays there: the vendor may take it.
        let stays = |part: &&Part| noted(&message.extras, "parts") || matches!(part.content, Content::Text { .. });
        let staying: Vec<(&Part, Place)> = result.parts.iter().filter(stays).map(|part| (part, place)).collect();
        let mut content = self.content(message, &staying, Vec::new(), Some("\n"))?;
        if staying.len() < result.parts.len() {
            if staying.is_empty() {
                content = wire::Content::Text("The result follows in the next message.".into());
            }
            self.moved.push(wire::Part::text(format!("From the result of the tool call {}:", result.call_id).into()));
            for part in result.parts.iter().filter(|part| !stays(part)) {
                part::push(part, place, false, self.callee, self.dropped, &mut self.moved)?;
            }
        }
        let older = noted(&message.extras, "function") && !self.callee.refuses("functions");
        let id = self.ids.of_result(&result.call_id, result.name.as_deref());
        self.out.push(wire::Message {
            content: Some(content),
            name: result.name.as_deref().filter(|_| noted(&message.extras, "name")),
            tool_call_id: (!older).then_some(id),
            cache_control: self.message_cache(message),
            extras: own(&message.extras),
            ..wire::Message::new(if older { "function" } else { "tool" })
        });
        Ok(())
    }

    fn assistant(&mut self, message: &'a Message, parts: &[(&'a Part, Place)]) -> Result<(), Failure> {
        let mut said = Vec::new();
        let mut out = wire::Message {
            name: self.name(message),
            cache_control: self.message_cache(message),
            extras: own(&message.extras),
            ..wire::Message::new("assistant")
        };
        let mut calls = Vec::new();
        let mut thoughts = Vec::new();
        let mut refusal = None;
        let as_parts = self.callee.has(Quirk::ReasoningParts);
        for (part, place) in parts {
            match &part.content {
                Content::Thinking { .. } if noted(&part.extras, "thinking") || (as_parts && is_worded(part)) => {
                    said.push((*part, *place));
                }
                Content::Thinking { .. } | Content::Redacted => thoughts.push(*part),
                Content::Refusal(said) if self.callee.refuses("messages.refusal") => refusal = Some(said.as_str()),
                Content::Refusal(refusal) if !noted(&part.extras, "refusal") && out.refusal.is_none() => {
                    out.refusal = Some(refusal);
                }
                Content::ToolCall(call)
                    if noted(&part.extras, "function_call") && !self.callee.refuses("messages.function_call") =>
                {
                    out.function_call = Some(part::called(part, call));
                }
                Content::ToolCall(call) => {
                    let keeps = self.keeps_cache(message, part);
                    name_lost(part, keeps || self.marks_whole(message), self.dropped);
                    let id = self.ids.of_call(&call.id, &call.name);
                    calls.push(part::call(part, call, id, keeps));
                }
                Content::Foreign { dialect: Dialect::OpenaiChat, block } if noted(&part.extras, "tool_calls") => {
                    calls.push(wire::Call::Raw(block));
                }
                _ => said.push((*part, *place)),
            }
        }
        self.thoughts(message, &thoughts, &mut out);
        let says = !calls.is_empty()
            || out.refusal.is_some()
            || out.function_call.is_some()
            || !own(&message.extras).is_empty();
        out.content = Some(if said.is_empty() && says && !noted(&message.extras, "parts") {
            wire::Content::Null
        } else {
            self.content(message, &said, Vec::new(), Some(""))?
        });
        out.content = out.content.map(|content| content.and(refusal));
        out.tool_calls = (!calls.is_empty() || noted(&message.extras, "no calls")).then_some(calls);
        self.out.push(out);
        Ok(())
    }

    /// Writes thoughts as the vendor takes them or, where nothing is known of it, as the caller had written them.
    fn thoughts(&mut self, message: &Message, thoughts: &[&'a Part], out: &mut wire::Message<'a>) {
        thoughts.iter().for_each(|part| self.dropped.foreign(&part.extras, OWN));
        if self.callee.has(Quirk::ReasoningParts) {
            // Those that can be said stand in the content.
            self.dropped.name_if(!thoughts.is_empty(), "reasoning");
            return;
        }
        let as_noted = |name| noted(&message.extras, name);
        let details = self.callee.has(Quirk::ReasoningDetails);
        let content = self.callee.has(Quirk::ReasoningContent);
        let plain = self.callee.has(Quirk::Reasoning);
        let text = || thoughts.iter().filter_map(|part| text_of(part)).collect::<String>();
        if details || (!content && !plain && as_noted("reasoning_details")) {
            if !thoughts.is_empty() || as_noted("reasoning_details") {
                let mut entries = Vec::with_capacity(thoughts.len());
                for (index, part) in thoughts.iter().enumerate() {
                    reasoning::push(part, index as u64, &mut entries);
                }
                out.reasoning_details = Some(entries);
            }
            out.reasoning = as_noted("reasoning").then(text);
            out.reasoning_content = as_noted("reasoning_content").then(text);
            return;
        }
        let shown: String = thoughts.iter().filter(|part| is_worded(part)).filter_map(|part| text_of(part)).collect();
        let lost = !thoughts.iter().all(|part| is_worded(part));
        let as_text = as_noted("reasoning_content") || as_noted("reasoning");
        let written = content || plain || as_text;
        self.dropped.name_if(lost || (!written && !thoughts.is_empty()), "reasoning");
        if content || plain {
            let said = (!shown.is_empty() || as_text).then_some(shown);
            (out.reasoning_content, out.reasoning) = if content { (said, None) } else { (None, said) };
            return;
        }
        out.reasoning_content = as_noted("reasoning_content").then(|| shown.clone());
        out.reasoning = as_noted("reasoning").then_some(shown);
    }
}

/// Whether a thought can be carried by its words: it has no proof of another dialect's.
fn is_worded(part: &Part) -> bool {
    part.signature.as_ref().is_none_or(|signature| signature.by == OWN)
}

fn text_of(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Thinking { text, .. } => Some(text),
        _ => None,
    }
}

/// Refuses what has no place, by name.
pub(super) fn unplaced(what: &str, place: Place) -> Failure {
    unsayable(format!("{what} at {place} cannot be said to this model's provider"), place.to_string())
}

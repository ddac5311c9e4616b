//! The conversation: turns of the user and of the model, and what stands above them.

use std::borrow::Cow;
use std::collections::HashMap;

use ir::chat::message::{Content, Document, Message, Part, Role, Source, ToolResult};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use super::super::super::generation::Generation;
use super::super::super::media;
use super::super::super::wire::{self, Known, Members};
use super::{Dropped, refused, result};

/// What Google takes in the place of a signature of a call that another model made: "skip the validation"
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>, under "FAQs"; the same on Vertex AI). From the third
/// generation on, the first call of every step of the current turn needs a signature.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Writes the messages: what stands above the conversation, and the conversation.
pub(super) fn encode<'a>(
    messages: &'a [Message],
    generation: Generation,
    dropped: &mut Dropped,
) -> Result<(Option<wire::Content<'a>>, Vec<wire::Content<'a>>), Failure> {
    let mut writer = Writer { generation, dropped, names: names(messages), turns: Vec::new(), media: Vec::new() };
    let mut system = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        writer.message(index, message, &mut system)?;
    }
    writer.flush_media();
    let mut turns = writer.turns;
    if generation.is_third() {
        excuse_foreign_calls(&mut turns);
    }
    let mut contents: Vec<wire::Content<'a>> = turns.into_iter().map(|turn| turn.content).collect();
    let system = (!system.is_empty()).then(|| wire::Content { parts: system, ..wire::Content::default() });
    if contents.is_empty() {
        // Gemini wants a user; a prompt that is nothing but a system prompt is one to it.
        let Some(alone) = system else { return Err(Failure::invalid("messages", "there is no message with content")) };
        contents.push(wire::Content { role: Some("user"), ..alone });
        return Ok((None, contents));
    }
    Ok((system, contents))
}

/// Returns the tool of every call, by the call's id.
fn names(messages: &[Message]) -> HashMap<&str, &str> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| match &part.content {
        Content::ToolCall(call) if !call.id.is_empty() => Some((call.id.as_str(), call.name.as_str())),
        _ => None,
    });
    calls.collect()
}

/// What a content is, for the two rules on neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Model,
    Results,
    /// Media of results: not a new turn.
    Media,
}

struct Turn<'a> {
    kind: Kind,
    content: wire::Content<'a>,
}

struct Writer<'a, 'd> {
    generation: Generation,
    dropped: &'d mut Dropped,
    names: HashMap<&'a str, &'a str>,
    turns: Vec<Turn<'a>>,
    /// Media of the results so far, which follow them.
    media: Vec<wire::Part<'a>>,
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, index: usize, message: &'a Message, system: &mut Vec<wire::Part<'a>>) -> Result<(), Failure> {
        self.dropped.foreign(&message.extras, Dialect::Gemini);
        if message.name.is_some() {
            self.dropped.name("name");
        }
        let (mut results, mut parts) = (Vec::new(), Vec::new());
        for (at, part) in message.parts.iter().enumerate() {
            let place = Place { message: index, part: at };
            match (&part.content, message.role) {
                (Content::ToolResult(result), _) => results.push(self.result(place, part, result)?),
                (Content::Text { .. }, Role::System | Role::Developer) => self.part(place, part, system)?,
                (_, Role::System | Role::Developer) => {
                    return Err(refused(place.name(), "this model takes nothing but text in a system prompt"));
                }
                _ => self.part(place, part, &mut parts)?,
            }
        }
        let extras = Members::of(&message.extras, "");
        let content = |role, parts, extras| wire::Content { role: Some(role), parts, extras };
        match message.role {
            Role::System | Role::Developer => {}
            Role::Assistant => self.push(Kind::Model, content("model", or_blank(parts), extras)),
            Role::User | Role::Tool => {
                let answered = !results.is_empty();
                if answered {
                    self.push(Kind::Results, content("user", results, Members::default()));
                }
                if !answered || !parts.is_empty() {
                    self.push(Kind::User, content("user", or_blank(parts), extras));
                }
            }
        }
        Ok(())
    }

    /// Adds a turn. The results of one turn stand together, because Gemini counts them against the calls; and a turn of
    /// the model is one, because a call must follow the user's turn.
    fn push(&mut self, kind: Kind, content: wire::Content<'a>) {
        if kind != Kind::Results {
            self.flush_media();
        }
        match self.turns.last_mut().filter(|last| last.kind == kind && kind != Kind::User) {
            Some(last) => {
                last.content.parts.extend(content.parts);
                last.content.extras.append(content.extras);
            }
            None => self.turns.push(Turn { kind, content }),
        }
    }

    fn flush_media(&mut self) {
        let parts = std::mem::take(&mut self.media);
        if !parts.is_empty() {
            let content = wire::Content { role: Some("user"), parts, ..wire::Content::default() };
            self.turns.push(Turn { kind: Kind::Media, content });
        }
    }

    /// Writes a part that is no tool result.
    fn part(&mut self, place: Place, part: &'a Part, out: &mut Vec<wire::Part<'a>>) -> Result<(), Failure> {
        self.dropped.foreign(&part.extras, Dialect::Gemini);
        if part.cache_control.is_some() {
            self.dropped.name("cache_control");
        }
        let signature = part.signature.as_ref().filter(|signature| signature.by == Dialect::Gemini);
        let mut known = Known {
            thought_signature: signature.map(|signature| signature.text.as_str()),
            extras: Members::of(&part.extras, ""),
            ..Known::default()
        };
        match &part.content {
            Content::Text { text, citations } => {
                if !citations.is_empty() {
                    self.dropped.name("citations");
                }
                known.text = Some(text.into());
            }
            Content::Refusal(text) => known.text = Some(text.into()),
            Content::Redacted => {
                self.dropped.name("reasoning");
                return Ok(());
            }
            Content::Thinking { text, .. } => {
                if part.signature.is_some() && signature.is_none() {
                    self.dropped.name("reasoning");
                    return Ok(());
                }
                known.thought = true;
                known.text = (!text.is_empty()).then(|| text.into());
            }
            Content::Image { source, detail } => {
                if detail.is_some() {
                    self.dropped.name("detail");
                }
                return self.source(place, part, source, known, out);
            }
            Content::Audio(source) | Content::Video(source) => return self.source(place, part, source, known, out),
            Content::Document(document) => return self.document(place, part, document, known, out),
            Content::ToolCall(call) => known.function_call = Some(wire::FunctionCall::of(call, &part.extras)),
            Content::Foreign { dialect: Dialect::Gemini, block } => {
                out.push(wire::Part::Whole(block));
                return Ok(());
            }
            Content::Foreign { dialect, .. } => {
                let message = format!("a part that only `{}` knows cannot be sent to this model", dialect.name());
                return Err(refused(place.name(), message));
            }
            Content::ToolResult(_) => return Err(refused(place.name(), "a tool result cannot stand here")),
        }
        out.push(wire::Part::Known(Box::new(known)));
        Ok(())
    }

    fn document(
        &mut self,
        place: Place,
        part: &'a Part,
        document: &'a Document,
        known: Known<'a>,
        out: &mut Vec<wire::Part<'a>>,
    ) -> Result<(), Failure> {
        if document.title.is_some() {
            self.dropped.name("title");
        }
        if document.citations == Some(true) {
            self.dropped.name("citations");
        }
        if let Some(context) = &document.context {
            out.push(text(context));
        }
        self.source(place, part, &document.source, known, out)
    }

    /// Writes data: here, or where the provider finds it.
    fn source(
        &mut self,
        place: Place,
        part: &'a Part,
        source: &'a Source,
        mut known: Known<'a>,
        out: &mut Vec<wire::Part<'a>>,
    ) -> Result<(), Failure> {
        match source {
            Source::Base64 { media_type, data } => {
                let extras = Members::of(&part.extras, "inlineData.");
                known.inline_data = Some(wire::InlineData { mime_type: media_type, data, extras });
            }
            Source::Url(uri) | Source::File(uri) => {
                let extras = Members::of(&part.extras, "fileData.");
                let own = part.extras.noted(Dialect::Gemini, "fileData.mimeType");
                if own.is_none() && !media::is_known(uri) {
                    let what = if matches!(source, Source::File(_)) { "file" } else { "address" };
                    let message = format!("this provider does not know the {what} `{uri}`: send the data itself");
                    return Err(refused(place.name(), message));
                }
                let mime_type = match own {
                    Some(own) => Some(own.clone()).filter(|own| own.as_str() != "\"\""),
                    None => media::media_type(uri).map(|media_type| Json::of(&media_type)),
                };
                known.file_data = Some(wire::FileData { file_uri: whole_uri(uri), mime_type, extras });
            }
            Source::Text(text) => known.text = Some(text.into()),
            Source::Parts(parts) => {
                for inner in parts {
                    self.part(place, inner, out)?;
                }
                return Ok(());
            }
        }
        out.push(wire::Part::Known(Box::new(known)));
        Ok(())
    }

    /// Writes the result of a call. Media that a result cannot hold follow in a content of their own.
    fn result(&mut self, place: Place, part: &'a Part, answer: &'a ToolResult) -> Result<wire::Part<'a>, Failure> {
        self.dropped.foreign(&part.extras, Dialect::Gemini);
        if part.cache_control.is_some() {
            self.dropped.name("cache_control");
        }
        let name = answer.name.as_deref().or_else(|| self.names.get(answer.call_id.as_str()).copied());
        let Some(name) = name else {
            let message = format!("the tool result answers the call `{}`, which is not there", answer.call_id);
            return Err(Failure::invalid(&place.name(), message));
        };
        let written = result::write(answer);
        let mut inside = Vec::new();
        for (_, media) in written.media {
            if self.generation.is_third() && result::takes(media) {
                self.part(place, media, &mut inside)?;
            } else {
                let mut outside = std::mem::take(&mut self.media);
                let done = self.part(place, media, &mut outside);
                self.media = outside;
                done?;
            }
        }
        let response = wire::FunctionResponse {
            id: &answer.call_id,
            name,
            response: written.response,
            parts: inside,
            extras: Members::of(&part.extras, "functionResponse."),
        };
        let known =
            Known { function_response: Some(response), extras: Members::of(&part.extras, ""), ..Known::default() };
        Ok(wire::Part::Known(Box::new(known)))
    }
}

/// Where a part stands in the caller's request.
#[derive(Clone, Copy)]
struct Place {
    message: usize,
    part: usize,
}

impl Place {
    fn name(self) -> String {
        format!("messages[{}].content[{}]", self.message, self.part)
    }
}

fn text(text: &str) -> wire::Part<'_> {
    wire::Part::Known(Box::new(Known { text: Some(text.into()), ..Known::default() }))
}

/// Gemini wants a part in every content, and takes an empty text.
fn or_blank(parts: Vec<wire::Part<'_>>) -> Vec<wire::Part<'_>> {
    if parts.is_empty() { vec![text("")] } else { parts }
}

/// Returns the address of a file that is known by its name.
fn whole_uri(uri: &str) -> Cow<'_, str> {
    match uri.starts_with("files/") {
        true => Cow::Owned(format!("https://generativelanguage.googleapis.com/v1beta/{uri}")),
        false => Cow::Borrowed(uri),
    }
}

/// Gives the first call of every step of the current turn a signature, if it has none.
fn excuse_foreign_calls(turns: &mut [Turn<'_>]) {
    let asked = turns.iter().rposition(|turn| turn.kind == Kind::User).unwrap_or(0);
    for turn in turns.iter_mut().skip(asked).filter(|turn| turn.kind == Kind::Model) {
        let first = turn.content.parts.iter_mut().find_map(|part| match part {
            wire::Part::Known(known) if known.function_call.is_some() => Some(known),
            _ => None,
        });
        if let Some(first) = first {
            first.thought_signature.get_or_insert(NO_SIGNATURE);
        }
    }
}

//! The conversation as Cohere wants it: tool results are messages of their own, before what else their message says,
//! and what the model thought before it called tools is its plan.

use std::borrow::Cow;

use ir::chat::message::{Content, Document, Message, Part, Role, Source, ToolCall};
use ir::failure::Failure;
use ir::json::Json;

use super::{OURS, refused};
use crate::carry::{Dropped, Own};
use crate::cohere::wire::{self, Block, Kind};

/// Writes the messages, and adds the user's text files to the documents.
pub(super) fn messages<'a>(
    messages: &'a [Message],
    documents: &mut Vec<Json>,
    dropped: &mut Dropped,
) -> Result<Vec<wire::Message<'a>>, Failure> {
    let mut out = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        dropped.foreign(&message.extras, OURS);
        dropped.name_if(message.name.is_some(), "name");
        let mut writer = Writer::new(message.role, documents, dropped);
        for (at, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{index}].content[{at}]");
            match &part.content {
                Content::ToolResult(result) => {
                    writer.common(part);
                    writer.dropped.name_if(result.is_error == Some(true), "is_error");
                    let mut inner = Writer::new(Role::Tool, writer.documents, writer.dropped);
                    for (at, part) in result.parts.iter().enumerate() {
                        inner.part(part, &format!("{place}.content[{at}]"))?;
                    }
                    let mut written = inner.message(Own::of(&part.extras, OURS));
                    written.tool_call_id = Some(&result.call_id);
                    out.push(written);
                }
                Content::ToolCall(call) => writer.call(part, call, &place)?,
                _ => writer.part(part, &place)?,
            }
        }
        let results = message.parts.iter().any(|part| matches!(part.content, Content::ToolResult(_)));
        if !results || !writer.blocks.is_empty() || !writer.calls.is_empty() {
            out.push(writer.message(Own::of(&message.extras, OURS)));
        }
    }
    Ok(out)
}

/// Collects the parts of one message.
struct Writer<'a, 'd> {
    role: Role,
    blocks: Vec<Block<'a>>,
    calls: Vec<wire::ToolCall<'a>>,
    documents: &'d mut Vec<Json>,
    dropped: &'d mut Dropped,
}

impl<'a, 'd> Writer<'a, 'd> {
    fn new(role: Role, documents: &'d mut Vec<Json>, dropped: &'d mut Dropped) -> Self {
        Self { role, blocks: Vec::new(), calls: Vec::new(), documents, dropped }
    }

    fn common(&mut self, part: &Part) {
        self.dropped.foreign(&part.extras, OURS);
        self.dropped.name_if(part.cache_control.is_some(), "cache_control");
    }

    fn part(&mut self, part: &'a Part, place: &str) -> Result<(), Failure> {
        self.common(part);
        let mut own = Own::of(&part.extras, OURS);
        let kind = match (&part.content, self.role) {
            (Content::Text { text, citations }, _) => {
                self.dropped.name_if(!citations.is_empty(), "citations");
                Kind::Text { text }
            }
            (Content::Refusal(text), _) => Kind::Text { text },
            // A thought is plain text here: one with a proof is another provider's.
            (Content::Thinking { text, .. }, Role::Assistant) if part.signature.is_none() => {
                Kind::Thinking { thinking: text }
            }
            (Content::Thinking { .. } | Content::Redacted, _) => {
                self.dropped.name("reasoning");
                return Ok(());
            }
            (Content::Image { source, detail }, Role::User) => {
                let url = match source {
                    Source::Url(url) => Cow::Borrowed(url.as_str()),
                    Source::Base64 { media_type, data } => Cow::Owned(format!("data:{media_type};base64,{data}")),
                    _ => return Err(refused(place, "Cohere takes pictures only as base64 or by address")),
                };
                Kind::ImageUrl { image_url: wire::ImageUrl { url, detail: detail.as_deref() } }
            }
            (Content::Image { .. }, _) => return Err(refused(place, "Cohere takes pictures only from the user")),
            (Content::Document(document), Role::User) => {
                let document = self.document(document, own.take("id"), place)?;
                self.documents.push(Json::of(&document));
                return Ok(());
            }
            (Content::Document(document), Role::Tool) => {
                Kind::Document { document: self.document(document, own.take("id"), place)? }
            }
            (Content::Document(_), _) => return Err(refused(place, "Cohere takes documents from the user and tools")),
            (Content::Audio(_), _) => return Err(refused(place, "Cohere takes no audio")),
            (Content::Video(_), _) => return Err(refused(place, "Cohere takes no video")),
            (Content::ToolCall(_) | Content::ToolResult(_), _) => {
                return Err(refused(place, "a tool call or result cannot stand inside a tool result"));
            }
            (Content::Foreign { dialect: OURS, block }, _) => {
                self.blocks.push(Block::Own(block));
                return Ok(());
            }
            (Content::Foreign { dialect, .. }, _) => {
                return Err(refused(place, format!("Cohere does not know this part of `{}`", dialect.name())));
            }
        };
        self.blocks.push(Block::Known { kind, own });
        Ok(())
    }

    fn document<'b>(
        &mut self,
        document: &'b Document,
        id: Option<&'b Json>,
        place: &str,
    ) -> Result<wire::Document<'b>, Failure> {
        let not_text = || refused(place, "Cohere takes documents only as text");
        let text = match &document.source {
            Source::Text(text) => Cow::Borrowed(text.as_str()),
            Source::Parts(parts) => {
                let texts = parts.iter().map(|part| match &part.content {
                    Content::Text { text, .. } => Ok(text.as_str()),
                    _ => Err(not_text()),
                });
                Cow::Owned(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
            }
            Source::Url(_) | Source::Base64 { .. } | Source::File(_) => return Err(not_text()),
        };
        self.dropped.name_if(document.citations == Some(false), "citations");
        let (title, context) = (document.title.as_deref(), document.context.as_deref());
        Ok(wire::Document { id, data: wire::DocumentData { title, context, text } })
    }

    fn call(&mut self, part: &'a Part, call: &'a ToolCall, place: &str) -> Result<(), Failure> {
        self.common(part);
        if call.custom {
            return Err(refused(place, "Cohere knows no custom tools"));
        }
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let function = wire::Call { name: &call.name, arguments };
        self.calls.push(wire::ToolCall { id: &call.id, kind: "function", function, own: Own::of(&part.extras, OURS) });
        Ok(())
    }

    fn message(mut self, own: Own<'a>) -> wire::Message<'a> {
        let role = match self.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let tool_plan = if self.calls.is_empty() { None } else { plan(&mut self.blocks) };
        let content = match self.blocks.as_slice() {
            [] if self.calls.is_empty() => Some(wire::Content::Text("")),
            [] => None,
            [Block::Known { kind: Kind::Text { text }, own }] if own.is_empty() => Some(wire::Content::Text(text)),
            _ => Some(wire::Content::Blocks(self.blocks)),
        };
        wire::Message { role, content, tool_plan, tool_calls: self.calls, tool_call_id: None, own }
    }
}

/// Takes the thoughts out of the blocks. Models that think say it as a block and others as a plan; the plan is the word
/// that both take back.
fn plan<'a>(blocks: &mut Vec<Block<'a>>) -> Option<Cow<'a, str>> {
    let mut thoughts = Vec::new();
    blocks.retain(|block| match block {
        Block::Known { kind: Kind::Thinking { thinking }, .. } => {
            thoughts.push(*thinking);
            false
        }
        _ => true,
    });
    match thoughts.as_slice() {
        [] => None,
        [one] => Some(Cow::Borrowed(*one)),
        several => Some(Cow::Owned(several.join("\n"))),
    }
}

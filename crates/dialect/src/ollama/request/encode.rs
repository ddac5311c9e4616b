//! A request as Ollama wants it.
//!
//! What it cannot say and the answer depends on is refused: pictures that are not base64, sound, films, files, tools of
//! other dialects, and a tool choice that forces a call: a caller who forces one reads the call and would find text.
//! `"none"` can be said: the tools are left out.

use std::borrow::Cow;
use std::collections::HashMap;

use ir::chat::message::{Content, Message, Part, Role, Source, ToolCall, ToolResult};
use ir::chat::request::{Effort, Format, Function, Reasoning, Request, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};
use ir::json::Json;

use crate::carry::{Dropped, Own};
use crate::json::object::{Object, Path};
use crate::ollama::wire;
use crate::translate::{Callee, Encoded};

const OURS: Dialect = Dialect::Ollama;

/// Writes a request.
///
/// # Errors
/// When it holds what Ollama cannot say and the answer depends on.
pub fn encode(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    let mut dropped = Dropped::default();
    name_what_is_left_out(request, &mut dropped);
    let mut own = Own::of(&request.extras, OURS);
    let options = options(request, own.take_under("options."));
    let body = wire::Chat {
        model: callee.model,
        messages: messages(&request.messages, &mut dropped)?,
        tools: tools(request, &mut dropped)?,
        format: format(request, &mut dropped),
        options,
        stream: request.stream,
        think: request.reasoning.as_ref().and_then(think),
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs.and_then(|logprobs| logprobs.top),
        own,
    };
    // Serialising into a vector cannot fail.
    Ok(Encoded { body: serde_json::to_vec(&body).unwrap_or_default(), dropped: dropped.into_names() })
}

fn name_what_is_left_out(request: &Request, dropped: &mut Dropped) {
    dropped.foreign(&request.extras, OURS);
    dropped.name_if(request.max_tokens == Some(0), "max_tokens");
    dropped.name_if(request.choices.is_some_and(|choices| choices > 1), "n");
    dropped.name_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    dropped.name_if(request.service_tier.is_some(), "service_tier");
    dropped.name_if(request.user.is_some(), "user");
    if let Some(reasoning) = &request.reasoning {
        dropped.foreign(&reasoning.extras, OURS);
        dropped.name_if(reasoning.visible == Some(false), "reasoning.visible");
    }
}

fn options<'a>(request: &'a Request, own: Own<'a>) -> wire::Options<'a> {
    let sampling = &request.sampling;
    wire::Options {
        // None at all is without end there.
        num_predict: request.max_tokens.map(|tokens| tokens.max(1)),
        temperature: sampling.temperature.as_ref(),
        top_p: sampling.top_p.as_ref(),
        top_k: sampling.top_k.as_ref(),
        frequency_penalty: sampling.frequency_penalty.as_ref(),
        presence_penalty: sampling.presence_penalty.as_ref(),
        seed: sampling.seed.as_ref(),
        stop: &request.stop,
        own,
    }
}

/// A model that knows no levels takes any for `true`. `max` is newer than the other levels, so only `max` asks for it.
fn think(reasoning: &Reasoning) -> Option<wire::Think> {
    if reasoning.enabled == Some(false) {
        return Some(wire::Think::Whether(false));
    }
    let effort = reasoning.effort.or_else(|| reasoning.budget_tokens.map(Effort::of_budget));
    match effort {
        None => reasoning.enabled.map(wire::Think::Whether),
        Some(Effort::None) => Some(wire::Think::Whether(false)),
        Some(Effort::Minimal | Effort::Low) => Some(wire::Think::Level("low")),
        Some(Effort::Medium) => Some(wire::Think::Level("medium")),
        Some(Effort::High | Effort::XHigh) => Some(wire::Think::Level("high")),
        Some(Effort::Max) => Some(wire::Think::Level("max")),
    }
}

fn format<'a>(request: &'a Request, dropped: &mut Dropped) -> Option<wire::Format<'a>> {
    match request.format.as_ref()? {
        Format::Text => None,
        Format::JsonObject => Some(wire::Format::Json("json")),
        Format::JsonSchema(schema) => {
            // The name is a label that no model reads, and the server always holds the model to the schema.
            dropped.name_if(schema.description.is_some(), "response_format.json_schema.description");
            Some(schema.schema.as_ref().map_or(wire::Format::Json("json"), wire::Format::Schema))
        }
    }
}

fn tools<'a>(request: &'a Request, dropped: &mut Dropped) -> Result<Vec<wire::Tool<'a>>, Failure> {
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => return Ok(Vec::new()),
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Foreign { .. }) => {
            return Err(refused(
                "tool_choice",
                "Ollama cannot force a tool call: `tool_choice` may be `auto` or `none`",
            ));
        }
    }
    let tools = request.tools.iter().enumerate();
    tools
        .map(|(index, tool)| match tool {
            Tool::Function(function) => Ok(self::function(function, dropped)),
            Tool::Foreign { dialect: OURS, tool } => Ok(wire::Tool::Own(tool)),
            Tool::Foreign { dialect, .. } => Err(refused(
                format!("tools[{index}]"),
                format!("Ollama only knows functions, not a tool of `{}`", dialect.name()),
            )),
        })
        .collect()
}

fn function<'a>(function: &'a Function, dropped: &mut Dropped) -> wire::Tool<'a> {
    dropped.foreign(&function.extras, OURS);
    dropped.name_if(function.strict == Some(true), "strict");
    dropped.name_if(function.cache_control.is_some(), "cache_control");
    let none = || Json::parse(r#"{"type":"object","properties":{}}"#).unwrap_or_else(|| Json::of(&()));
    wire::Tool::Function {
        kind: "function",
        function: wire::Function {
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.parameters.as_ref().map_or_else(|| Cow::Owned(none()), Cow::Borrowed),
            own: Own::of(&function.extras, OURS),
        },
    }
}

fn messages<'a>(messages: &'a [Message], dropped: &mut Dropped) -> Result<Vec<wire::Message<'a>>, Failure> {
    let mut out = Vec::with_capacity(messages.len());
    let mut names: HashMap<&str, &str> = HashMap::new();
    for (index, message) in messages.iter().enumerate() {
        dropped.foreign(&message.extras, OURS);
        dropped.name_if(message.name.is_some(), "name");
        let mut writer = Writer::new(message, dropped);
        for (at, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{index}].content[{at}]");
            match &part.content {
                Content::ToolCall(call) => {
                    if !call.id.is_empty() {
                        names.insert(&call.id, &call.name);
                    }
                    writer.call(part, call, &place)?;
                }
                Content::ToolResult(result) => {
                    let name = result.name.as_deref().or_else(|| names.get(&*result.call_id).copied());
                    out.push(tool_message(message, part, result, name, &place, writer.dropped)?);
                }
                _ => writer.part(part, &place)?,
            }
        }
        out.extend(writer.finish());
    }
    Ok(out)
}

/// Tool results are messages of their own, and come before what else the message says.
fn tool_message<'a>(
    message: &'a Message,
    part: &Part,
    result: &'a ToolResult,
    name: Option<&'a str>,
    place: &str,
    dropped: &mut Dropped,
) -> Result<wire::Message<'a>, Failure> {
    common(part, dropped);
    dropped.name_if(result.is_error == Some(true), "is_error");
    let mut writer = Writer::new(message, dropped);
    for (at, inner) in result.parts.iter().enumerate() {
        writer.part(inner, &format!("{place}.content[{at}]"))?;
    }
    let mut written = writer.message();
    written.role = "tool";
    written.tool_name = name;
    written.tool_call_id = Some(&*result.call_id).filter(|id| !id.is_empty());
    written.own = if message.role == Role::Tool { Own::of(&message.extras, OURS) } else { Own::default() };
    Ok(written)
}

fn common(part: &Part, dropped: &mut Dropped) {
    dropped.foreign(&part.extras, OURS);
    dropped.name_if(part.cache_control.is_some(), "cache_control");
}

/// Joins the parts of one message.
struct Writer<'a, 'd> {
    message: &'a Message,
    texts: Vec<&'a str>,
    thoughts: Vec<&'a str>,
    images: Vec<&'a str>,
    calls: Vec<wire::ToolCall<'a>>,
    dropped: &'d mut Dropped,
}

impl<'a, 'd> Writer<'a, 'd> {
    fn new(message: &'a Message, dropped: &'d mut Dropped) -> Self {
        Self { message, texts: Vec::new(), thoughts: Vec::new(), images: Vec::new(), calls: Vec::new(), dropped }
    }

    fn part(&mut self, part: &'a Part, place: &str) -> Result<(), Failure> {
        common(part, self.dropped);
        match &part.content {
            Content::Text { text, citations } => {
                self.dropped.name_if(!citations.is_empty(), "citations");
                self.texts.push(text);
            }
            Content::Refusal(text) => self.texts.push(text),
            // A thought is plain text here: one with a proof is another provider's.
            Content::Thinking { text, .. } if part.signature.is_none() => self.thoughts.push(text),
            Content::Thinking { .. } | Content::Redacted => self.dropped.name("reasoning"),
            Content::Image { source: Source::Base64 { data, .. }, detail } => {
                self.dropped.name_if(detail.is_some(), "detail");
                self.images.push(data);
            }
            Content::Image { .. } => return Err(refused(place, "Ollama takes pictures only as base64")),
            Content::Audio(_) => return Err(refused(place, "Ollama takes no audio")),
            Content::Video(_) => return Err(refused(place, "Ollama takes no video")),
            Content::Document(_) => return Err(refused(place, "Ollama takes no documents")),
            Content::ToolCall(_) | Content::ToolResult(_) => {
                return Err(refused(place, "a tool call or result cannot stand inside a tool result"));
            }
            Content::Foreign { dialect, .. } => {
                return Err(refused(place, format!("Ollama does not know this part of `{}`", dialect.name())));
            }
        }
        Ok(())
    }

    fn call(&mut self, part: &'a Part, call: &'a ToolCall, place: &str) -> Result<(), Failure> {
        common(part, self.dropped);
        if call.custom {
            return Err(refused(place, "Ollama knows no custom tools"));
        }
        let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let object = Object::read(text, Path::default()).ok().and_then(|_| Json::parse(text));
        let arguments = object
            .ok_or_else(|| Failure::invalid(place, "for Ollama a tool call's arguments must be a JSON object"))?;
        let mut own = Own::of(&part.extras, OURS);
        self.calls.push(wire::ToolCall {
            id: Some(&*call.id).filter(|id| !id.is_empty()),
            own: own.take_under("call."),
            function: wire::Call { name: &call.name, arguments, own },
        });
        Ok(())
    }

    /// Returns the message, unless its parts were tool results only.
    fn finish(self) -> Option<wire::Message<'a>> {
        let results = self.message.parts.iter().any(|part| matches!(part.content, Content::ToolResult(_)));
        let says = !(self.texts.is_empty() && self.thoughts.is_empty() && self.images.is_empty());
        (says || !self.calls.is_empty() || !results).then(|| self.message())
    }

    fn message(self) -> wire::Message<'a> {
        let role = match self.message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        // An answer that was cut into parts (by citations) is one text; what others say in parts are paragraphs.
        let between = if role == "assistant" { "" } else { "\n" };
        wire::Message {
            role,
            content: joined(&self.texts, between).unwrap_or_default(),
            thinking: joined(&self.thoughts, "\n").filter(|text| !text.is_empty()),
            images: self.images,
            tool_calls: self.calls,
            own: Own::of(&self.message.extras, OURS),
            ..wire::Message::default()
        }
    }
}

fn joined<'a>(texts: &[&'a str], between: &str) -> Option<Cow<'a, str>> {
    match texts {
        [] => None,
        [text] => Some(Cow::Borrowed(*text)),
        texts => Some(Cow::Owned(texts.join(between))),
    }
}

fn refused(place: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(place)
}

#[cfg(test)]
mod tests;

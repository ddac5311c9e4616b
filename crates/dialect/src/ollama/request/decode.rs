//! What a caller asks in Ollama's dialect.
//!
//! It is read for callers that speak it, and so that what is written can be checked against recorded traffic.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Message, Part, Role, Source, ToolCall, ToolResult};
use ir::chat::request::{Effort, Format, Function, Logprobs, Reasoning, Request, Schema, Tool};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, elements, string};
use crate::ollama::wire;

const OURS: Dialect = Dialect::Ollama;

/// Reads a request. The model is the router's affair.
///
/// # Errors
/// When it is not JSON, or a member is not what it must be.
pub fn decode(body: &str) -> Result<Request, Failure> {
    Ok(request(body)?)
}

fn request(body: &str) -> Result<Request, Wrong> {
    let mut object = Object::read(body, Path::default())?;
    object.take("model");
    let mut request = Request {
        stream: object.boolean("stream")?.unwrap_or(true),
        reasoning: think(&mut object)?,
        format: format(&mut object)?,
        logprobs: logprobs(&mut object)?,
        ..Request::default()
    };
    for message in object.objects("messages")? {
        request.messages.push(self::message(message)?);
    }
    let path = object.path().member("tools");
    for (index, text) in object.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(text, path.element(index))?);
    }
    if let Some(options) = object.object("options")? {
        self::options(options, &mut request)?;
    }
    keep(object, OURS, "", &mut request.extras);
    Ok(request)
}

fn think(object: &mut Object<'_>) -> Result<Option<Reasoning>, Wrong> {
    let Some(value) = object.take("think") else { return Ok(None) };
    let (enabled, effort) = match (value, string(value).as_deref().and_then(Effort::parse)) {
        ("true", _) => (Some(true), None),
        ("false", _) => (Some(false), None),
        (_, Some(effort)) => (None, Some(effort)),
        _ => return Err(object.wrong("think", "a boolean or one of \"low\", \"medium\", \"high\" and \"max\"")),
    };
    Ok(Some(Reasoning { enabled, effort, ..Reasoning::default() }))
}

/// Clients that were compiled from structs send an empty format for none.
fn format(object: &mut Object<'_>) -> Result<Option<Format>, Wrong> {
    let Some(value) = object.take("format") else { return Ok(None) };
    match value {
        "\"\"" => Ok(None),
        "\"json\"" => Ok(Some(Format::JsonObject)),
        _ => match Json::parse(value).filter(|_| value.starts_with('{')) {
            Some(schema) => Ok(Some(Format::JsonSchema(Schema { schema: Some(schema), ..Schema::default() }))),
            None => Err(object.wrong("format", "\"json\" or a schema")),
        },
    }
}

fn logprobs(object: &mut Object<'_>) -> Result<Option<Logprobs>, Wrong> {
    let (asked, top) = (object.boolean("logprobs")?, object.integer("top_logprobs")?);
    Ok((asked == Some(true)).then_some(Logprobs { top }))
}

/// Options that only Ollama has are kept as `options.num_ctx` and so on. A limit below zero means none, or as much as
/// the context holds, which only Ollama can say.
fn options(mut options: Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    if !options.peek("num_predict").is_some_and(|limit| limit.starts_with('-')) {
        request.max_tokens = options.integer("num_predict")?;
    }
    request.sampling.temperature = options.number("temperature")?;
    request.sampling.top_p = options.number("top_p")?;
    request.sampling.top_k = options.number("top_k")?;
    request.sampling.frequency_penalty = options.number("frequency_penalty")?;
    request.sampling.presence_penalty = options.number("presence_penalty")?;
    request.sampling.seed = options.number("seed")?;
    if let Some(stop) = options.take("stop") {
        let words = string(stop).map(|word| vec![word]);
        let words = words.or_else(|| elements(stop).ok()?.into_iter().map(string).collect());
        request.stop = words.ok_or_else(|| options.wrong("stop", "a string or an array of strings"))?;
    }
    keep(options, OURS, "options.", &mut request.extras);
    Ok(())
}

/// A tool that is more than a function is carried whole.
fn tool(text: &str, path: Path) -> Result<Tool, Wrong> {
    let mut object = Object::read(text, path)?;
    let kind = object.text("type")?;
    let function = object.object("function")?;
    let plain = kind.as_deref().is_none_or(|kind| kind == "function") && object.leftovers().next().is_none();
    let Some(mut inner) = function.filter(|_| plain) else {
        let tool = Json::parse(text).ok_or(Wrong::Form { path, expected: "an object" })?;
        return Ok(Tool::Foreign { dialect: OURS, tool });
    };
    let mut function = Function {
        name: inner.need_text("name")?,
        description: inner.text("description")?,
        parameters: inner.json("parameters"),
        ..Function::default()
    };
    keep(inner, OURS, "", &mut function.extras);
    Ok(Tool::Function(function))
}

fn message(mut object: Object<'_>) -> Result<Message, Wrong> {
    let role = match object.need_text("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(object.wrong("role", "one of \"system\", \"user\", \"assistant\" and \"tool\"")),
    };
    let mut parts = Vec::new();
    if let Some(text) = object.text("thinking")?.filter(|text| !text.is_empty()) {
        parts.push(Part::new(Content::Thinking { text, id: None }));
    }
    parts.extend(object.text("content")?.filter(|text| !text.is_empty()).map(Part::text));
    for image in object.list("images")?.unwrap_or_default() {
        let data = string(image).ok_or_else(|| object.wrong("images", "an array of base64 texts"))?;
        let source = Source::Base64 { media_type: wire::media_type(&data).to_owned(), data };
        parts.push(Part::new(Content::Image { source, detail: None }));
    }
    for call in object.objects("tool_calls")? {
        parts.push(self::call(call)?);
    }
    if role == Role::Tool {
        let call_id = object.text("tool_call_id")?.unwrap_or_default();
        let result = ToolResult { call_id, name: object.text("tool_name")?, parts, is_error: None };
        parts = vec![Part::new(Content::ToolResult(result))];
    }
    let mut extras = Extras::default();
    keep(object, OURS, "", &mut extras);
    Ok(Message { role, parts, name: None, extras })
}

fn call(mut object: Object<'_>) -> Result<Part, Wrong> {
    let id = object.text("id")?.unwrap_or_default();
    let path = object.path().member("function");
    let mut function = object.object("function")?.ok_or(Wrong::Missing(path))?;
    let arguments = function.take("arguments").unwrap_or("{}").to_owned();
    let call = ToolCall { id, name: function.need_text("name")?, arguments, custom: false };
    let mut part = Part::new(Content::ToolCall(call));
    keep(function, OURS, "", &mut part.extras);
    object.take("type");
    keep(object, OURS, "call.", &mut part.extras);
    Ok(part)
}

#[cfg(test)]
mod tests;

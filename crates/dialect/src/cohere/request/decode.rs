//! What is asked in Cohere's dialect. No caller is served in it: it is read so that what is written can be checked
//! against recorded traffic.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Message, Part, Role, Source, ToolCall, ToolResult};
use ir::chat::request::{Format, Function, Logprobs, Reasoning, Request, Schema, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, string};

const OURS: Dialect = Dialect::Cohere;

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
        stream: object.boolean("stream")?.unwrap_or(false),
        tool_choice: tool_choice(&mut object)?,
        reasoning: thinking(&mut object)?,
        format: object.object("response_format")?.map(format).transpose()?,
        max_tokens: object.integer("max_tokens")?,
        logprobs: (object.boolean("logprobs")? == Some(true)).then_some(Logprobs { top: None }),
        ..Request::default()
    };
    request.sampling.temperature = object.number("temperature")?;
    request.sampling.top_p = object.number("p")?;
    request.sampling.top_k = object.number("k")?;
    request.sampling.frequency_penalty = object.number("frequency_penalty")?;
    request.sampling.presence_penalty = object.number("presence_penalty")?;
    request.sampling.seed = object.number("seed")?;
    let stop = object.list("stop_sequences")?.unwrap_or_default().into_iter().map(string).collect::<Option<_>>();
    request.stop = stop.ok_or_else(|| object.wrong("stop_sequences", "an array of strings"))?;
    let path = object.path().member("tools");
    let tools = object.list("tools")?.unwrap_or_default();
    let strict = if tools.is_empty() { None } else { object.boolean("strict_tools")? };
    for (index, text) in tools.into_iter().enumerate() {
        request.tools.push(tool(text, strict, path.element(index))?);
    }
    for message in object.objects("messages")? {
        request.messages.push(self::message(message)?);
    }
    keep(object, OURS, "", &mut request.extras);
    Ok(request)
}

fn tool_choice(object: &mut Object<'_>) -> Result<Option<ToolChoice>, Wrong> {
    // The provider takes either case.
    match object.text("tool_choice")?.map(|choice| choice.to_ascii_uppercase()).as_deref() {
        None => Ok(None),
        Some("REQUIRED") => Ok(Some(ToolChoice::Required)),
        Some("NONE") => Ok(Some(ToolChoice::None)),
        Some(_) => Err(object.wrong("tool_choice", "\"REQUIRED\" or \"NONE\"")),
    }
}

fn thinking(object: &mut Object<'_>) -> Result<Option<Reasoning>, Wrong> {
    let Some(mut thinking) = object.object("thinking")? else { return Ok(None) };
    let enabled = match thinking.need_text("type")?.as_str() {
        "enabled" => true,
        "disabled" => false,
        _ => return Err(thinking.wrong("type", "\"enabled\" or \"disabled\"")),
    };
    let budget_tokens = thinking.integer("token_budget")?;
    Ok(Some(Reasoning { enabled: Some(enabled), budget_tokens, ..Reasoning::default() }))
}

/// The schema stands in `json_schema`; `schema` is its older name, and the type `json_schema` is taken, too.
fn format(mut format: Object<'_>) -> Result<Format, Wrong> {
    let schema = format.json("json_schema").or_else(|| format.json("schema"));
    match (format.need_text("type")?.as_str(), schema) {
        ("text", _) => Ok(Format::Text),
        ("json_object" | "json_schema", None) => Ok(Format::JsonObject),
        ("json_object" | "json_schema", schema) => Ok(Format::JsonSchema(Schema { schema, ..Schema::default() })),
        _ => Err(format.wrong("type", "\"text\" or \"json_object\"")),
    }
}

/// A tool that is more than a function is carried whole.
fn tool(text: &str, strict: Option<bool>, path: Path) -> Result<Tool, Wrong> {
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
        strict,
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
    if let Some(text) = object.text("tool_plan")?.filter(|text| !text.is_empty()) {
        parts.push(Part::new(Content::Thinking { text, id: None }));
    }
    if let Some(text) = object.peek("content").and_then(string) {
        object.take("content");
        parts.push(Part::text(text));
    } else {
        let path = object.path().member("content");
        for (index, text) in object.list("content")?.unwrap_or_default().into_iter().enumerate() {
            parts.push(block(text, path.element(index))?);
        }
    }
    for call in object.objects("tool_calls")? {
        parts.push(self::call(call)?);
    }
    if role == Role::Tool {
        let result = ToolResult { call_id: object.need_text("tool_call_id")?, name: None, parts, is_error: None };
        parts = vec![Part::new(Content::ToolResult(result))];
        if let Some(part) = parts.first_mut() {
            keep(object, OURS, "", &mut part.extras);
        }
        return Ok(Message { role, parts, name: None, extras: Extras::default() });
    }
    let mut extras = Extras::default();
    keep(object, OURS, "", &mut extras);
    Ok(Message { role, parts, name: None, extras })
}

fn block(text: &str, path: Path) -> Result<Part, Wrong> {
    let mut block = Object::read(text, path)?;
    let foreign = || Json::parse(text).map(|block| Part::new(Content::Foreign { dialect: OURS, block }));
    let content = match block.need_text("type")?.as_str() {
        "text" => Content::Text { text: block.need_text("text")?, citations: Vec::new() },
        "thinking" => Content::Thinking { text: block.need_text("thinking")?, id: None },
        "image_url" => {
            let path = path.member("image_url");
            let mut image = block.object("image_url")?.ok_or(Wrong::Missing(path))?;
            Content::Image { source: source(image.need_text("url")?), detail: image.text("detail")? }
        }
        "document" => match block.object("document")?.map(document).transpose()?.flatten() {
            Some(part) => return Ok(part),
            None => return foreign().ok_or(Wrong::Form { path, expected: "an object" }),
        },
        _ => return foreign().ok_or(Wrong::Form { path, expected: "an object" }),
    };
    let mut part = Part::new(content);
    keep(block, OURS, "", &mut part.extras);
    Ok(part)
}

fn source(url: String) -> Source {
    let base64 = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match base64 {
        Some((media_type, data)) => Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() },
        None => Source::Url(url),
    }
}

/// A document that is a text with a title. One with other data is only Cohere's to understand.
fn document(mut document: Object<'_>) -> Result<Option<Part>, Wrong> {
    let id = document.json("id");
    let Some(mut data) = document.object("data")? else { return Ok(None) };
    let (text, title) = (data.text("text").ok().flatten(), data.text("title").ok().flatten());
    let more = data.leftovers().next().is_some() || document.leftovers().next().is_some();
    let Some(text) = text.filter(|_| !more) else { return Ok(None) };
    let document = Document { source: Source::Text(text), title, context: None, citations: None };
    let mut part = Part::new(Content::Document(document));
    if let Some(id) = id {
        part.extras.push(OURS, "id", id);
    }
    Ok(Some(part))
}

fn call(mut object: Object<'_>) -> Result<Part, Wrong> {
    let path = object.path().member("function");
    let mut function = object.object("function")?.ok_or(Wrong::Missing(path))?;
    let (name, arguments) = (function.need_text("name")?, function.text("arguments")?.unwrap_or_default());
    let call = ToolCall { id: object.need_text("id")?, name, arguments, custom: false };
    object.take("type");
    let mut part = Part::new(Content::ToolCall(call));
    keep(object, OURS, "", &mut part.extras);
    Ok(part)
}

#[cfg(test)]
mod tests;

//! From the wire to the canonical request.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Message, Part, Role};
use ir::chat::request::{Effort, Format, Function, Logprobs, Reasoning, Request, Schema, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use crate::json::object::{Object, Path, Wrong, elements, string};
use crate::openai_responses::item::{self, Item, keep, note, rest};

/// What asks for the log probabilities of the answer
/// (<https://platform.openai.com/docs/api-reference/responses/create>, `include`).
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a request. `instructions` become the first system message.
///
/// # Errors
/// A 400 that names the field.
pub fn decode(body: &str) -> Result<Request, Failure> {
    // What is carried whole must be JSON to the letter, and the scanner lets control characters in strings pass.
    if body.bytes().any(|byte| byte < b' ')
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(body)
    {
        return Err(Failure::invalid("", format!("the request body is not valid JSON: {error}")));
    }
    Ok(read(Object::read(body, Path::default())?)?)
}

fn read(mut body: Object<'_>) -> Result<Request, Wrong> {
    body.take("model");
    let has_tools = body.peek("tools").is_some();
    let mut request = Request {
        tools: tools(&mut body)?,
        tool_choice: body.take("tool_choice").map(tool_choice),
        parallel_tool_calls: body.boolean("parallel_tool_calls")?,
        max_tokens: body.integer("max_output_tokens")?,
        logprobs: logprobs(&mut body)?,
        service_tier: body.text("service_tier")?,
        user: body.text("user")?,
        ..Request::default()
    };
    if has_tools && request.tools.is_empty() {
        note(&mut request.extras, note::NO_TOOLS);
    }
    match body.boolean("stream")? {
        Some(true) => request.stream = true,
        Some(false) => note(&mut request.extras, note::NO_STREAM),
        None => {}
    }
    request.sampling.temperature = body.number("temperature")?;
    request.sampling.top_p = body.number("top_p")?;
    if let Some(text) = body.text("instructions")? {
        let mut extras = Extras::default();
        note(&mut extras, note::INSTRUCTIONS);
        request.messages.push(message(Role::System, vec![Part::text(text)], extras));
    }
    input(&mut body, &mut request.messages)?;
    if let Some(mut reasoning) = body.object("reasoning")? {
        request.reasoning = Some(read_reasoning(&mut reasoning)?);
        if let Some(read) = &mut request.reasoning {
            reasoning.leftovers().for_each(|(name, value)| keep(&mut read.extras, name, value));
        }
    }
    if let Some(text) = body.object("text")? {
        read_text(text, &mut request)?;
    }
    body.leftovers().for_each(|(name, value)| keep(&mut request.extras, name, value));
    Ok(request)
}

fn message(role: Role, parts: Vec<Part>, extras: Extras) -> Message {
    Message { role, parts, name: None, extras }
}

fn input(body: &mut Object<'_>, messages: &mut Vec<Message>) -> Result<(), Wrong> {
    if let Some(text) = body.peek("input").and_then(string) {
        body.take("input");
        let mut extras = Extras::default();
        note(&mut extras, note::WHOLE);
        messages.push(message(Role::User, vec![Part::text(text)], extras));
        return Ok(());
    }
    let path = body.path().member("input");
    for (index, text) in body.list("input")?.unwrap_or_default().into_iter().enumerate() {
        match item::read(text, path.element(index))? {
            Item::Message { role: Role::Assistant, parts, extras } => said(messages, parts, &extras, text),
            Item::Message { role, parts, extras } => messages.push(message(role, parts, extras)),
            Item::Piece(part) => piece(messages, part),
            // Without its call nothing says any more that the tool is a custom one: the item is carried whole.
            Item::Answer { part, custom: true } if !answers_custom(messages, &part) => {
                piece(messages, Part::new(item::foreign(text)));
            }
            Item::Answer { part, .. } => messages.push(message(Role::Tool, vec![part], Extras::default())),
        }
    }
    Ok(())
}

/// Adds to the model's turn, or begins one.
fn piece(messages: &mut Vec<Message>, part: Part) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.parts.push(part),
        _ => messages.push(message(Role::Assistant, vec![part], Extras::default())),
    }
}

/// Adds what the model said. A second message in a row begins a new turn.
fn said(messages: &mut Vec<Message>, mut parts: Vec<Part>, beside: &Extras, text: &str) {
    if parts.iter().any(|part| matches!(part.content, Content::Foreign { .. })) {
        // In the model's turn a foreign part is an item.
        return piece(messages, Part::new(item::foreign(text)));
    }
    if parts.is_empty() {
        // What stands beside the content needs a part to be kept with.
        parts.push(Part::text(""));
    }
    item::keep_beside(&mut parts, beside);
    let says = |part: &Part| matches!(part.content, Content::Text { .. } | Content::Refusal(_));
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant && !last.parts.iter().any(says) => {
            last.parts.append(&mut parts);
        }
        _ => messages.push(message(Role::Assistant, parts, Extras::default())),
    }
}

/// Whether an answer is to a call of a custom tool that stands before it.
fn answers_custom(messages: &[Message], answer: &Part) -> bool {
    let Content::ToolResult(answer) = &answer.content else { return false };
    let mut parts = messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(&part.content, Content::ToolCall(call) if call.custom && call.id == answer.call_id))
}

fn tools(body: &mut Object<'_>) -> Result<Vec<Tool>, Wrong> {
    let path = body.path().member("tools");
    let list = body.list("tools")?.unwrap_or_default();
    list.into_iter().enumerate().map(|(index, text)| tool(text, path.element(index))).collect()
}

fn tool(text: &str, path: Path) -> Result<Tool, Wrong> {
    let mut tool = Object::read(text, path)?;
    if tool.peek("type").and_then(string).as_deref() != Some("function") {
        return Ok(Tool::Foreign { dialect: Dialect::OpenaiResponses, tool: json(text) });
    }
    tool.take("type");
    Ok(Tool::Function(Function {
        name: tool.need_text("name")?,
        description: tool.text("description")?,
        parameters: tool.json("parameters"),
        strict: tool.boolean("strict")?,
        cache_control: None,
        extras: rest(tool),
    }))
}

fn tool_choice(text: &str) -> ToolChoice {
    match string(text).as_deref() {
        Some("auto") => return ToolChoice::Auto,
        Some("none") => return ToolChoice::None,
        Some("required") => return ToolChoice::Required,
        _ => {}
    }
    let function = || {
        let mut choice = Object::read(text, Path::default()).ok()?;
        let function = choice.take("type").and_then(string).is_some_and(|kind| kind == "function");
        let name = choice.take("name").and_then(string)?;
        (function && choice.leftovers().next().is_none()).then_some(ToolChoice::Function(name))
    };
    function().unwrap_or_else(|| ToolChoice::Foreign { dialect: Dialect::OpenaiResponses, choice: json(text) })
}

fn json(text: &str) -> Json {
    // The text stood in a body that was read: it is JSON.
    Json::parse(text).unwrap_or_else(|| Json::of(&()))
}

fn logprobs(body: &mut Object<'_>) -> Result<Option<Logprobs>, Wrong> {
    let include = body.peek("include").and_then(|list| elements(list).ok()).unwrap_or_default();
    let asked = include.into_iter().any(|name| string(name).is_some_and(|name| name == LOGPROBS));
    let top = body.integer("top_logprobs")?;
    Ok((asked || top.is_some()).then_some(Logprobs { top }))
}

fn read_reasoning(reasoning: &mut Object<'_>) -> Result<Reasoning, Wrong> {
    let mut read = Reasoning::default();
    if let Some(text) = reasoning.take("effort") {
        match string(text).as_deref().and_then(Effort::parse) {
            Some(effort) => read.effort = Some(effort),
            None => keep(&mut read.extras, "effort", text),
        }
    }
    if let Some(text) = reasoning.take("summary") {
        read.visible = Some(true);
        if string(text).as_deref() != Some("auto") {
            keep(&mut read.extras, "summary", text);
        }
    }
    Ok(read)
}

/// Reads `text`. What has no word of its own keeps its path as its name, `text.verbosity`.
fn read_text(mut text: Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    let path = text.path().member("format");
    if let Some(whole) = text.take("format") {
        let mut format = Object::read(whole, path)?;
        request.format = match format.take("type").and_then(string).as_deref() {
            Some("text") => Some(Format::Text),
            Some("json_object") => Some(Format::JsonObject),
            Some("json_schema") => Some(Format::JsonSchema(Schema {
                name: format.text("name")?,
                description: format.text("description")?,
                schema: format.json("schema"),
                strict: format.boolean("strict")?,
            })),
            _ => None,
        };
        if request.format.is_none() || format.leftovers().next().is_some() {
            keep(&mut request.extras, "text.format", whole);
        }
    }
    text.leftovers().for_each(|(name, value)| keep(&mut request.extras, format!("text.{name}"), value));
    Ok(())
}

//! From a messages request to the canonical one. Every member is taken or carried as an extra; nothing is lost.

use ir::chat::extras::Extras;
use ir::chat::message::{Message, Role};
use ir::chat::request::{Effort, Format, Function, Reasoning, Request, Schema, Tool, ToolChoice};
use ir::failure::Failure;
use ir::json::Json;

use crate::anthropic::wire::{DIALECT, block};
use crate::json::object::{Object, Path, Wrong, string};

/// Reads a request body: <https://docs.claude.com/en/api/messages>.
///
/// # Errors
/// A 400 that names what is malformed.
pub fn decode(body: &str) -> Result<Request, Failure> {
    let mut object = Object::read(body, Path::default())?;
    object.take("model");
    let stream = object.boolean("stream")?;
    let mut request = Request {
        stream: stream.unwrap_or(false),
        max_tokens: object.integer("max_tokens")?,
        service_tier: object.text("service_tier")?,
        ..Request::default()
    };
    request.messages = messages(&mut object)?;
    let texts = object.list("tools")?;
    if stream == Some(false) {
        note(&mut request.extras, "stream");
    }
    if texts.as_ref().is_some_and(Vec::is_empty) {
        note(&mut request.extras, "tools");
    }
    let path = object.path().member("tools");
    for (at, text) in texts.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(text, path.element(at))?);
    }
    tool_choice(&mut object, &mut request)?;
    request.sampling.temperature = object.number("temperature")?;
    request.sampling.top_p = object.number("top_p")?;
    request.sampling.top_k = object.number("top_k")?;
    let path = object.path().member("stop_sequences");
    for (at, text) in object.list("stop_sequences")?.unwrap_or_default().into_iter().enumerate() {
        let stop = string(text).ok_or(Wrong::Form { path: path.element(at), expected: "a string" })?;
        request.stop.push(stop);
    }
    reasoning(&mut object, &mut request)?;
    format(&mut object, &mut request)?;
    if let Some(mut metadata) = object.object("metadata")? {
        request.user = metadata.text("user_id")?;
        block::carry(metadata, "metadata.", &mut request.extras);
    }
    block::carry(object, "", &mut request.extras);
    Ok(request)
}

/// Reads `system`, which becomes the first message, and `messages`.
fn messages(object: &mut Object<'_>) -> Result<Vec<Message>, Wrong> {
    let path = object.path().member("messages");
    if object.peek("messages").is_none() {
        return Err(Wrong::Missing(path));
    }
    let mut messages = Vec::new();
    if object.peek("system").is_some() {
        let mut extras = Extras::default();
        let parts = block::content(object, "system", &mut extras)?;
        messages.push(Message { role: Role::System, parts, name: None, extras });
    }
    for mut message in object.objects("messages")? {
        let mut extras = Extras::default();
        let role = match message.need_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => {
                // A system message in the conversation is not the system prompt: it is written back where it stood.
                // https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
                note(&mut extras, "role");
                Role::System
            }
            _ => return Err(message.wrong("role", "`user`, `assistant` or `system`")),
        };
        let parts = block::content(&mut message, "content", &mut extras)?;
        block::carry(message, "", &mut extras);
        messages.push(Message { role, parts, name: None, extras });
    }
    Ok(messages)
}

fn tool(text: &str, path: Path) -> Result<Tool, Wrong> {
    let mut tool = Object::read(text, path)?;
    match tool.take("type").and_then(string).as_deref() {
        None | Some("custom") => {}
        // A tool of Anthropic's own (web search, bash, computer use, MCP): only Anthropic knows what it means.
        Some(_) => {
            let tool = Json::parse(text).unwrap_or_else(|| Json::of(&()));
            return Ok(Tool::Foreign { dialect: DIALECT, tool });
        }
    }
    let mut function = Function {
        name: tool.need_text("name")?,
        description: tool.text("description")?,
        parameters: tool.json("input_schema"),
        strict: tool.boolean("strict")?,
        cache_control: tool.json("cache_control"),
        extras: Extras::default(),
    };
    block::carry(tool, "", &mut function.extras);
    Ok(Tool::Function(function))
}

fn tool_choice(object: &mut Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    let Some(text) = object.peek("tool_choice") else { return Ok(()) };
    let Some(mut choice) = object.object("tool_choice")? else { return Ok(()) };
    let serial = choice.boolean("disable_parallel_tool_use")?;
    let kind = choice.need_text("type")?;
    let name = choice.text("name")?;
    let found = match (kind.as_str(), name) {
        ("auto", None) => Some(ToolChoice::Auto),
        ("any", None) => Some(ToolChoice::Required),
        ("none", None) => Some(ToolChoice::None),
        ("tool", Some(name)) => Some(ToolChoice::Function(name)),
        ("tool", None) => return Err(Wrong::Missing(choice.path().member("name"))),
        _ => None,
    };
    match found.filter(|_| choice.leftovers().next().is_none()) {
        Some(found) => {
            request.tool_choice = Some(found);
            request.parallel_tool_calls = serial.map(|serial| !serial);
        }
        None => {
            let choice = Json::parse(text).unwrap_or_else(|| Json::of(&()));
            request.tool_choice = Some(ToolChoice::Foreign { dialect: DIALECT, choice });
        }
    }
    Ok(())
}

/// Notes how something was written.
fn note(extras: &mut Extras, name: &'static str) {
    extras.note(DIALECT, name, Json::of(&true));
}

/// Reads `thinking` and `output_config.effort`. An effort without `thinking` tells a model that thinks by itself how
/// hard, and an older one how much to write: it is noted that nothing was said of thinking.
fn reasoning(object: &mut Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    let config = object.peek("output_config").map(|text| Object::read(text, object.path().member("output_config")));
    let effort = match config.transpose()? {
        Some(mut config) => config.text("effort")?,
        None => None,
    };
    let mut reasoning = Reasoning { effort: effort.as_deref().and_then(Effort::parse), ..Reasoning::default() };
    if let Some(effort) = effort.filter(|_| reasoning.effort.is_none()) {
        request.extras.push(DIALECT, "output_config.effort", Json::of(&effort));
    }
    let Some(text) = object.take("thinking") else {
        if reasoning.effort.is_some() {
            note(&mut reasoning.extras, "effort");
            request.reasoning = Some(reasoning);
        }
        return Ok(());
    };
    let mut thinking = Object::read(text, object.path().member("thinking"))?;
    match thinking.need_text("type")?.as_str() {
        "enabled" => {
            reasoning.enabled = Some(true);
            reasoning.budget_tokens = thinking.integer("budget_tokens")?;
        }
        "adaptive" => reasoning.enabled = Some(true),
        "disabled" => reasoning.enabled = Some(false),
        _ => {
            // A mode that came later: it is thought, and what kind is written back as it is.
            reasoning.enabled = Some(true);
            request.extras.push(DIALECT, "thinking", Json::parse(text).unwrap_or_else(|| Json::of(&())));
        }
    }
    match thinking.peek("display") {
        Some("\"summarized\"") => reasoning.visible = Some(true),
        Some("\"omitted\"") => reasoning.visible = Some(false),
        _ => {}
    }
    if reasoning.visible.is_some() {
        thinking.take("display");
    }
    if request.extras.get(DIALECT, "thinking").is_none() {
        block::carry(thinking, "", &mut reasoning.extras);
    }
    request.reasoning = Some(reasoning);
    Ok(())
}

/// Reads `output_config.format` and its older name, `output_format`.
fn format(object: &mut Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut text = object.peek("output_format");
    let mut format = object.object("output_format")?;
    if format.is_some() {
        note(&mut request.extras, "output_format");
    }
    if let Some(mut config) = object.object("output_config")? {
        config.take("effort");
        text = config.peek("format").or(text);
        format = config.object("format")?.or(format);
        block::carry(config, "output_config.", &mut request.extras);
    }
    if let Some(mut format) = format {
        if format.need_text("type")? != "json_schema" {
            return Err(format.wrong("type", "`json_schema`"));
        }
        let schema = format.json("schema").ok_or(Wrong::Missing(format.path().member("schema")))?;
        request.format = Some(Format::JsonSchema(Schema { schema: Some(schema), ..Schema::default() }));
        if format.leftovers().next().is_some()
            && let Some(whole) = text.and_then(Json::parse)
        {
            request.extras.push(DIALECT, "output_config.format", whole);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

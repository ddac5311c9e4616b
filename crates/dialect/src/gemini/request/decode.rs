//! A request, read.
//!
//! Names are taken in camel case and in snake case, as protobuf's JSON allows. What nobody takes is an extra, under its
//! path from the body: `safetySettings`, `generationConfig.speechConfig`.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Message, Part, Role};
use ir::chat::request::{Effort, Format, Function, Logprobs, Reasoning, Request, Schema, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use super::super::part::{self, leftovers};
use super::super::schema;
use crate::json::object::{Object, Path, Wrong, elements, string};

/// Reads the body of a request. Whether a stream is asked for stands in the path of the URL, so that the caller of this
/// function sets `stream`; a `model` in the body is passed over for the same reason.
///
/// # Errors
/// A 400 that names the member: text that is no JSON object, a member of the wrong type, an unknown role.
pub fn decode(body: &str) -> Result<Request, Failure> {
    let mut object = Object::read(body, Path::default())?.in_camel_case()?;
    let mut request = Request::default();
    object.take("model");
    if let Some(system) = object.object("systemInstruction")? {
        request.messages.push(content(system, Some(Role::System))?);
    }
    for turn in object.objects("contents")? {
        request.messages.push(content(turn, None)?);
    }
    for tool in object.objects("tools")? {
        tools(tool, &mut request.tools)?;
    }
    if let Some(config) = object.object("toolConfig")? {
        tool_config(config, &mut request)?;
    }
    if let Some(config) = object.object("generationConfig")? {
        generation_config(config, &mut request)?;
    }
    leftovers(object, "", &mut request.extras);
    Ok(request)
}

fn content(object: Object<'_>, role: Option<Role>) -> Result<Message, Failure> {
    let mut object = object.in_camel_case()?;
    let said = object.text("role")?;
    let path = object.path().member("parts");
    let parts = match object.take("parts") {
        None => Vec::new(),
        // One part may stand for a list of one.
        Some(one) if one.starts_with('{') => vec![part::decode(one, path)?],
        Some(list) => {
            let list = elements(list).map_err(Wrong::Json)?.into_iter().enumerate();
            list.map(|(index, text)| part::decode(text, path.element(index))).collect::<Result<_, _>>()?
        }
    };
    let results = |part: &Part| matches!(part.content, Content::ToolResult(_));
    let role = match (role, said.as_deref()) {
        (Some(role), _) => role,
        (None, Some("model")) => Role::Assistant,
        (None, Some("user" | "function" | "tool") | None) => {
            if !parts.is_empty() && parts.iter().all(results) {
                Role::Tool
            } else {
                Role::User
            }
        }
        (None, Some(other)) => {
            let param = object.path().member("role").to_string();
            return Err(Failure::invalid(&param, format!("the role `{other}` is not known: it is `user` or `model`")));
        }
    };
    let mut extras = Extras::default();
    leftovers(object, "", &mut extras);
    Ok(Message { role, parts, name: None, extras })
}

/// Reads the tools of one entry: functions, and each tool of the provider's for itself.
fn tools(object: Object<'_>, out: &mut Vec<Tool>) -> Result<(), Wrong> {
    let mut object = object.in_camel_case()?;
    for declared in object.objects("functionDeclarations")? {
        out.push(Tool::Function(function(declared)?));
    }
    for (name, value) in object.leftovers() {
        let name = Json::of(&name);
        if let Some(tool) = Json::parse(&format!("{{{}:{value}}}", name.as_str())) {
            out.push(Tool::Foreign { dialect: Dialect::Gemini, tool });
        }
    }
    Ok(())
}

/// Reads a function. A schema in Gemini's own form is noted beside the JSON Schema that it amounts to.
fn function(object: Object<'_>) -> Result<Function, Wrong> {
    let mut object = object.in_camel_case()?;
    let mut function = Function {
        name: object.need_text("name")?,
        description: object.text("description")?,
        parameters: object.json("parametersJsonSchema"),
        ..Function::default()
    };
    if function.parameters.is_none()
        && let Some(own) = object.json("parameters")
    {
        function.parameters = schema::to_json_schema(own.as_str());
        function.extras.note(Dialect::Gemini, "parameters", own);
    }
    leftovers(object, "", &mut function.extras);
    Ok(function)
}

fn tool_config(config: Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut config = config.in_camel_case()?;
    let path = config.path().member("functionCallingConfig");
    if let Some(whole) = config.take("functionCallingConfig") {
        tool_choice(whole, path, request)?;
    }
    leftovers(config, "toolConfig.", &mut request.extras);
    Ok(())
}

/// Reads the choice of tools. `VALIDATED` is `AUTO` with a promise about the arguments, and a list of all functions is
/// no choice: how they were said is noted.
fn tool_choice(whole: &str, path: Path, request: &mut Request) -> Result<(), Wrong> {
    let mut calling = Object::read(whole, path)?.in_camel_case()?;
    let mode = calling.text("mode")?.map(|mode| mode.to_ascii_uppercase());
    let names = calling.list("allowedFunctionNames")?.unwrap_or_default();
    let names: Vec<String> = names.into_iter().filter_map(string).collect();
    let all = request.tools.iter().all(|tool| match tool {
        Tool::Function(function) => names.contains(&function.name),
        Tool::Foreign { .. } => true,
    });
    let json = Json::parse(whole).unwrap_or_else(|| Json::of(&()));
    let (choice, noted) = match (mode.as_deref(), names.as_slice()) {
        _ if calling.leftovers().next().is_some() => (None, false),
        (Some("AUTO"), []) => (Some(ToolChoice::Auto), false),
        (Some("VALIDATED"), []) => (Some(ToolChoice::Auto), true),
        (Some("NONE"), []) => (Some(ToolChoice::None), false),
        (Some("ANY"), []) => (Some(ToolChoice::Required), false),
        (Some("ANY"), [name]) => (Some(ToolChoice::Function(name.clone())), false),
        (Some("ANY"), _) if all => (Some(ToolChoice::Required), true),
        _ => (None, false),
    };
    if noted {
        request.extras.note(Dialect::Gemini, "toolConfig.functionCallingConfig", json.clone());
    }
    request.tool_choice = Some(choice.unwrap_or(ToolChoice::Foreign { dialect: Dialect::Gemini, choice: json }));
    Ok(())
}

fn generation_config(config: Object<'_>, request: &mut Request) -> Result<(), Wrong> {
    let mut config = config.in_camel_case()?;
    request.sampling.temperature = config.number("temperature")?;
    request.sampling.top_p = config.number("topP")?;
    request.sampling.top_k = config.number("topK")?;
    request.sampling.presence_penalty = config.number("presencePenalty")?;
    request.sampling.frequency_penalty = config.number("frequencyPenalty")?;
    request.sampling.seed = config.number("seed")?;
    request.max_tokens = config.integer("maxOutputTokens")?;
    request.choices = config.integer("candidateCount")?;
    for text in config.list("stopSequences")?.unwrap_or_default() {
        let stop = string(text);
        request.stop.push(stop.ok_or_else(|| config.wrong("stopSequences", "an array of strings"))?);
    }
    if config.peek("responseLogprobs") == Some("true") {
        config.take("responseLogprobs");
        request.logprobs = Some(Logprobs { top: config.integer("logprobs")? });
    }
    request.format = format(&mut config, &mut request.extras);
    if let Some(thinking) = config.object("thinkingConfig")? {
        request.reasoning = Some(reasoning(thinking)?);
    }
    leftovers(config, "generationConfig.", &mut request.extras);
    Ok(())
}

/// Reads the form of the answer. A schema in Gemini's own form is noted beside the JSON Schema that it amounts to; a form
/// that is no other dialect's (`text/x.enum`) stays where it is.
fn format(config: &mut Object<'_>, extras: &mut Extras) -> Option<Format> {
    match config.peek("responseMimeType").and_then(string).as_deref() {
        Some("text/plain") => {
            config.take("responseMimeType");
            return Some(Format::Text);
        }
        Some("application/json") => config.take("responseMimeType"),
        _ => return None,
    };
    let schema = match config.json("responseSchema") {
        Some(own) => {
            let schema = schema::to_json_schema(own.as_str());
            extras.note(Dialect::Gemini, "generationConfig.responseSchema", own);
            schema
        }
        None => config.json("responseJsonSchema").or_else(|| config.json("_responseJsonSchema")),
    };
    Some(match schema {
        Some(schema) => Format::JsonSchema(Schema { schema: Some(schema), ..Schema::default() }),
        None => Format::JsonObject,
    })
}

fn reasoning(thinking: Object<'_>) -> Result<Reasoning, Wrong> {
    let mut thinking = thinking.in_camel_case()?;
    let mut reasoning = Reasoning { visible: thinking.boolean("includeThoughts")?, ..Reasoning::default() };
    if thinking.peek("thinkingBudget") == Some("-1") {
        thinking.take("thinkingBudget");
        reasoning.enabled = Some(true);
    }
    reasoning.budget_tokens = thinking.integer("thinkingBudget")?;
    if reasoning.budget_tokens == Some(0) {
        reasoning.enabled = Some(false);
    }
    let level = thinking.peek("thinkingLevel").and_then(string);
    if let Some(effort) = level.and_then(|level| Effort::parse(&level.to_ascii_lowercase())) {
        thinking.take("thinkingLevel");
        reasoning.effort = Some(effort);
    }
    leftovers(thinking, "thinkingConfig.", &mut reasoning.extras);
    Ok(reasoning)
}

#[cfg(test)]
mod tests;

//! A chat completion request, read into the canonical vocabulary.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>, and what its vendors add to it. What is said in
//! another way than we would (a list of one, an older name) is noted, so that the same dialect writes it alike.

mod message;
mod part;

use ir::chat::extras::Extras;
use ir::chat::request::{Effort, Format, Function, Logprobs, Reasoning, Request, Sampling, Schema, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use crate::carry::keep;
use crate::json::object::{Object, Path, Wrong, elements, string};

const OWN: Dialect = Dialect::OpenaiChat;

/// Reads a request body. The model is passed over: it is the router's.
///
/// # Errors
/// A 400 that names the field: a body that is not a JSON object, a member of the wrong type, no messages.
pub fn decode(body: &str) -> Result<Request, Failure> {
    Ok(request(Object::read(body, Path::default())?)?)
}

fn request(mut object: Object<'_>) -> Result<Request, Wrong> {
    object.take("model");
    if object.peek("messages").is_none() {
        return Err(Wrong::Missing(object.path().member("messages")));
    }
    let mut extras = Extras::default();
    let extra = &mut extras;
    let mut request = Request {
        messages: message::all(&mut object)?,
        tools: tools(&mut object)?,
        tool_choice: tool_choice(&mut object, extra)?,
        parallel_tool_calls: object.boolean("parallel_tool_calls")?,
        max_tokens: max_tokens(&mut object, extra)?,
        sampling: sampling(&mut object, extra)?,
        stop: stop(&mut object, extra)?,
        choices: object.integer("n")?,
        logprobs: logprobs(&mut object, extra)?,
        format: format(&mut object, extra)?,
        reasoning: reasoning(&mut object, extra)?,
        service_tier: object.text("service_tier")?,
        user: object.text("user")?,
        ..Request::default()
    };
    if let Some(stream) = object.boolean("stream")? {
        request.stream = stream;
        note(extra, "stream");
    }
    if let Some(mut options) = object.object("stream_options")? {
        let usage = options.boolean("include_usage")?;
        request.stream_usage = usage.unwrap_or(false);
        keep(options, OWN, "stream_options.", extra);
        extra.note(OWN, "stream_options", Json::of(&usage));
    }
    keep(object, OWN, "", extra);
    request.extras = extras;
    Ok(request)
}

/// Notes how something was written.
fn note(extras: &mut Extras, name: &'static str) {
    extras.note(OWN, name, Json::of(&true));
}

fn max_tokens(object: &mut Object<'_>, extras: &mut Extras) -> Result<Option<u64>, Wrong> {
    let (older, newer) = (object.integer("max_tokens")?, object.integer("max_completion_tokens")?);
    if older.is_some() {
        note(extras, if newer.is_some() { "both limits" } else { "max_tokens" });
    }
    Ok(older.into_iter().chain(newer).min())
}

fn sampling(object: &mut Object<'_>, extras: &mut Extras) -> Result<Sampling, Wrong> {
    let mut sampling = Sampling {
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.number("top_k")?,
        frequency_penalty: object.number("frequency_penalty")?,
        presence_penalty: object.number("presence_penalty")?,
        seed: object.number("seed")?,
    };
    if sampling.top_k.is_some() {
        note(extras, "top_k");
    }
    if sampling.seed.is_none() {
        sampling.seed = object.number("random_seed")?;
        if sampling.seed.is_some() {
            note(extras, "random_seed");
        }
    }
    Ok(sampling)
}

fn stop(object: &mut Object<'_>, extras: &mut Extras) -> Result<Vec<String>, Wrong> {
    let Some(value) = object.take("stop") else { return Ok(Vec::new()) };
    if let Some(one) = string(value) {
        note(extras, "stop");
        return Ok(vec![one]);
    }
    let list = elements(value).ok().and_then(|list| list.into_iter().map(string).collect::<Option<Vec<_>>>());
    let list = list.ok_or_else(|| object.wrong("stop", "a string or an array of strings"))?;
    if list.is_empty() {
        note(extras, "no stop");
    }
    Ok(list)
}

fn logprobs(object: &mut Object<'_>, extras: &mut Extras) -> Result<Option<Logprobs>, Wrong> {
    match object.peek("logprobs") {
        None => Ok(None),
        Some("true") => {
            object.take("logprobs");
            Ok(Some(Logprobs { top: object.integer("top_logprobs")? }))
        }
        Some("false") => {
            object.take("logprobs");
            note(extras, "no logprobs");
            Ok(None)
        }
        // Together: how many alternatives.
        Some(_) => {
            let top = object.integer("logprobs").map_err(|_| object.wrong("logprobs", "a boolean"))?;
            note(extras, "logprobs");
            Ok(Some(Logprobs { top }))
        }
    }
}

fn format(object: &mut Object<'_>, extras: &mut Extras) -> Result<Option<Format>, Wrong> {
    let whole = object.peek("response_format");
    let Some(mut format) = object.object("response_format")? else { return Ok(None) };
    let beside = format.json("schema");
    let found = match (format.text("type")?.as_deref(), &beside) {
        (Some("text"), None) => Format::Text,
        (Some("json_object"), None) => Format::JsonObject,
        // llama.cpp and Together: the schema stands beside the type.
        (Some(kind @ ("json_object" | "json_schema")), Some(_)) => {
            note(extras, if kind == "json_object" { "schema of an object" } else { "schema beside" });
            Format::JsonSchema(Schema { schema: beside, ..Schema::default() })
        }
        (Some("json_schema"), None) => {
            let schema = format.object("json_schema")?;
            Format::JsonSchema(schema.map(|schema| json_schema(schema, extras)).transpose()?.unwrap_or_default())
        }
        _ => {
            extras.push(OWN, "response_format", Json::of(&whole.and_then(Json::parse)));
            return Ok(None);
        }
    };
    keep(format, OWN, "response_format.", extras);
    Ok(Some(found))
}

fn json_schema(mut object: Object<'_>, extras: &mut Extras) -> Result<Schema, Wrong> {
    let mut schema = Schema {
        name: object.text("name")?,
        description: object.text("description")?,
        schema: object.json("schema"),
        strict: object.boolean("strict")?,
    };
    if schema.name.is_none() {
        note(extras, "unnamed schema");
    }
    if schema.schema.is_none() && (object.peek("type").is_some() || object.peek("properties").is_some()) {
        // Groq takes the schema without a name of its own, too.
        let members = object.leftovers().map(|(name, value)| format!("{}:{value}", Json::of(&name).as_str()));
        schema.schema = Json::parse(&format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
        note(extras, "bare schema");
    } else {
        keep(object, OWN, "json_schema.", extras);
    }
    Ok(schema)
}

fn reasoning(object: &mut Object<'_>, extras: &mut Extras) -> Result<Option<Reasoning>, Wrong> {
    let mut reasoning = Reasoning::default();
    let mut said = false;
    if let Some(word) = object.text("reasoning_effort")? {
        reasoning.effort = Effort::parse(&word);
        said = reasoning.effort.is_some();
        note(extras, "reasoning_effort");
        if !said {
            extras.push(OWN, "reasoning_effort", Json::of(&word));
        }
    }
    if let Some(mut inner) = object.object("reasoning")? {
        said = true;
        note(extras, "reasoning");
        if let Some(word) = inner.text("effort")? {
            let effort = Effort::parse(&word).ok_or_else(|| inner.wrong("effort", "an effort that is known"))?;
            reasoning.effort = Some(effort);
        }
        reasoning.enabled = inner.boolean("enabled")?;
        reasoning.budget_tokens = inner.integer("max_tokens")?;
        reasoning.visible = inner.boolean("exclude")?.map(|exclude| !exclude);
        keep(inner, OWN, "reasoning.", extras);
    }
    Ok(said.then_some(reasoning))
}

fn tools(object: &mut Object<'_>) -> Result<Vec<Tool>, Wrong> {
    let path = object.path().member("tools");
    let list = object.list("tools")?.unwrap_or_default();
    let mut tools: Vec<Tool> =
        list.into_iter().enumerate().map(|(at, text)| tool(text, path.element(at))).collect::<Result<_, _>>()?;
    for legacy in object.objects("functions")? {
        let mut found = function(legacy, "")?;
        note(&mut found.extras, "functions");
        tools.push(Tool::Function(found));
    }
    Ok(tools)
}

fn tool(text: &str, path: Path) -> Result<Tool, Wrong> {
    let mut object = Object::read(text, path)?;
    let kind = object.text("type")?;
    if !matches!(kind.as_deref(), Some("function") | None) {
        return match Json::parse(text) {
            Some(tool) => Ok(Tool::Foreign { dialect: OWN, tool }),
            None => Err(object.wrong("type", "a type of tool")),
        };
    }
    let inner = object.object("function")?.ok_or(Wrong::Missing(path.member("function")))?;
    let mut found = function(inner, "function.")?;
    if kind.is_none() {
        note(&mut found.extras, "untyped");
    }
    if let Some(cache) = object.json("cache_control") {
        found.cache_control = Some(cache);
        note(&mut found.extras, "cache_control");
    }
    keep(object, OWN, "", &mut found.extras);
    Ok(Tool::Function(found))
}

fn function(mut object: Object<'_>, prefix: &str) -> Result<Function, Wrong> {
    let mut found = Function {
        name: object.need_text("name")?,
        description: object.text("description")?,
        parameters: object.json("parameters"),
        strict: object.boolean("strict")?,
        ..Function::default()
    };
    keep(object, OWN, prefix, &mut found.extras);
    Ok(found)
}

fn tool_choice(object: &mut Object<'_>, extras: &mut Extras) -> Result<Option<ToolChoice>, Wrong> {
    let (name, value) = match (object.take("tool_choice"), object.take("function_call")) {
        (Some(value), _) => ("tool_choice", value),
        (None, Some(value)) => {
            note(extras, "function_call");
            ("function_call", value)
        }
        (None, None) => return Ok(None),
    };
    let choice = match string(value).as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Required,
        // Mistral's word for the same.
        Some("any") => {
            note(extras, "any");
            ToolChoice::Required
        }
        Some(_) => return Err(object.wrong(name, "auto, none, required or an object")),
        None => {
            let mut whole = Object::read(value, object.path().member(name))?;
            match (whole.peek("type"), whole.object("function").ok().flatten(), name) {
                (Some("\"function\""), Some(mut function), "tool_choice") => {
                    ToolChoice::Function(function.need_text("name")?)
                }
                (_, _, "function_call") => ToolChoice::Function(whole.need_text("name")?),
                _ => match Json::parse(value) {
                    Some(choice) => ToolChoice::Foreign { dialect: OWN, choice },
                    None => return Err(object.wrong(name, "auto, none, required or an object")),
                },
            }
        }
    };
    Ok(Some(choice))
}

#[cfg(test)]
mod tests;

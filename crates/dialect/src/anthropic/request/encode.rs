//! From the canonical request to a messages request.
//!
//! Anthropic refuses what it does not know, and what a model does not know (`model`): a request of another dialect is
//! cut to that. What only tunes is dropped by name; what the answer depends on is refused by name.
//!
//! | canonical | here |
//! |---|---|
//! | no output limit | the model's, else 4,096: `max_tokens` is required |
//! | temperature above 1 | 1, and named |
//! | stop sequences of white space | dropped: Anthropic refuses them |
//! | any JSON object as the answer | an instruction, and `response_format` named: a schema must list its members |
//! | several answers | refused |
//! | effort | `output_config.effort`, or a budget (`encode/thinking`) |

mod messages;
mod schema;
mod thinking;

use std::borrow::Cow;

use ir::chat::request::{Format, Function, Request, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};
use ir::json::Json;
use serde::Serialize;

use crate::anthropic::model::{Model, Sampling};
use crate::anthropic::wire::{Body, DIALECT, Members};
use crate::carry::Dropped;
use crate::json::object::{Object, Path};
use crate::translate::{Callee, Encoded};

/// The output limit where neither the request nor the catalogue knows one.
const MAX_TOKENS: u64 = 4_096;

/// What takes the place of OpenAI's JSON mode.
const JSON_INSTRUCTION: &str = "Answer with one valid JSON object and nothing else: no other text, no code fence.";

/// The longest `metadata.user_id`.
const MAX_USER_CHARACTERS: usize = 512;

/// Writes a request body: <https://docs.claude.com/en/api/messages>.
///
/// # Errors
/// A 400 that names what Anthropic has no word for and the answer depends on.
pub fn encode(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(unsupported("n", "Anthropic's models give one answer to a request"));
    }
    let model = Model::of(callee.model);
    let noted = |name| request.extras.noted(DIALECT, name).is_some();
    let mut dropped = Dropped::default();
    let max_tokens = request.max_tokens.or(callee.max_output_tokens).unwrap_or(MAX_TOKENS);
    let messages::Conversation { mut system, is_list, messages, mid_loop } =
        messages::encode(&request.messages, &mut dropped)?;
    if is_json_mode(request) {
        dropped.name("response_format");
        system.push(messages::text(JSON_INSTRUCTION));
    }
    let tool_choice = tool_choice(request, model)?;
    let thought = thinking::encode(request, model, max_tokens, mid_loop, &mut dropped);
    let sampling = sampling(request, model, thought.is_on(), &mut dropped);
    let tools = request.tools.iter().enumerate().map(|(at, tool)| wire_tool(tool, at, model, &mut dropped));
    let tools: Vec<WireTool<'_>> = tools.collect::<Result<_, _>>()?;
    let format = format(request, model, &mut dropped)?;
    let (output_format, format) = if noted("output_format") { (format, None) } else { (None, format) };
    let wire = Wire {
        model: callee.model,
        max_tokens,
        system: (!system.is_empty()).then(|| Body::of(system, is_list)),
        messages,
        tools: (!tools.is_empty() || noted("tools")).then_some(tools),
        tool_choice,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: stop(request, &mut dropped),
        stream: (request.stream || noted("stream")).then_some(request.stream),
        thinking: thought.config,
        output_config: output_config(request, thought.effort, format),
        output_format,
        metadata: metadata(request, &mut dropped),
        service_tier: service_tier(request, &mut dropped),
        extras: Members::of(&request.extras).except(&["thinking"]),
    };
    drop_the_rest(request, &mut dropped);
    let body = serde_json::to_vec(&wire).map_err(|error| {
        Failure::new(Code::InternalError, Fault::Gateway, "the request could not be written")
            .with_detail(error.to_string())
    })?;
    Ok(Encoded { body, dropped: dropped.into_names() })
}

#[derive(Serialize)]
struct Wire<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<Body<'a>>,
    messages: Vec<messages::Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Vec<WireTool<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Cow<'a, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<thinking::Config<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_format: Option<WireFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(flatten)]
    extras: Members<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Raw(&'a Json),
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Cow<'a, Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Json>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireChoice<'a> {
    Raw(&'a Json),
    Choice {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WireFormat<'a>>,
    #[serde(flatten)]
    extras: Members<'a>,
}

#[derive(Serialize)]
struct WireFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Cow<'a, Json>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(flatten)]
    extras: Members<'a>,
}

/// Returns the refusal of what the answer depends on.
fn unsupported(param: &str, message: impl Into<String>) -> Failure {
    Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(param)
}

/// Names what only tunes and has no place here.
fn drop_the_rest(request: &Request, dropped: &mut Dropped) {
    let sampling = &request.sampling;
    for (name, present) in [
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("logprobs", request.logprobs.is_some()),
    ] {
        if present {
            dropped.name(name);
        }
    }
    if let Some(reasoning) = &request.reasoning {
        dropped.foreign(&reasoning.extras, DIALECT);
    }
    dropped.foreign(&request.extras, DIALECT);
}

#[derive(Default)]
struct Sampled<'a> {
    temperature: Option<Cow<'a, Json>>,
    top_p: Option<&'a Json>,
    top_k: Option<&'a Json>,
}

/// Returns how to sample. With thinking, and on the models after Claude 4.6, only what changes nothing is accepted;
/// from Claude 4.1 on, temperature or nucleus.
fn sampling<'a>(request: &'a Request, model: Model, thinks: bool, dropped: &mut Dropped) -> Sampled<'a> {
    let asked = &request.sampling;
    let number = |json: &Json| json.as_str().parse::<f64>().unwrap_or_default();
    let fixed = thinks || model.sampling == Sampling::Fixed;
    let nucleus = if model.sampling == Sampling::Fixed { 0.99 } else { 0.95 };
    let mut found = Sampled::default();
    match &asked.temperature {
        Some(value) if number(value) > 1.0 => {
            dropped.name("temperature");
            found.temperature = (!fixed).then(|| Cow::Owned(Json::of(&1)));
        }
        Some(value) if fixed && number(value) < 1.0 => dropped.name("temperature"),
        value => found.temperature = value.as_ref().map(Cow::Borrowed),
    }
    match &asked.top_p {
        Some(value) if fixed && number(value) < nucleus => dropped.name("top_p"),
        Some(_) if found.temperature.is_some() && model.sampling != Sampling::Free => dropped.name("top_p"),
        value => found.top_p = value.as_ref(),
    }
    match &asked.top_k {
        Some(_) if fixed => dropped.name("top_k"),
        value => found.top_k = value.as_ref(),
    }
    found
}

fn stop<'a>(request: &'a Request, dropped: &mut Dropped) -> Vec<&'a str> {
    let (stop, blank): (Vec<&str>, Vec<&str>) =
        request.stop.iter().map(String::as_str).partition(|stop| !stop.trim().is_empty());
    if !blank.is_empty() {
        dropped.name("stop");
    }
    stop
}

/// Returns the tool choice. It is nothing without tools, which Anthropic refuses; a forced call is refused by the
/// models that always think.
fn tool_choice(request: &Request, model: Model) -> Result<Option<WireChoice<'_>>, Failure> {
    let serial = request.parallel_tool_calls.map(|parallel| !parallel);
    let choice =
        |kind, name, disable_parallel_tool_use| Some(WireChoice::Choice { kind, name, disable_parallel_tool_use });
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
    if request.tools.is_empty() && !forced {
        return Ok(None);
    }
    if forced && !model.forced_tools {
        return Err(unsupported("tool_choice", "the model cannot be made to call a tool: its choice must be `auto`"));
    }
    Ok(match &request.tool_choice {
        None => serial.filter(|serial| *serial).and_then(|serial| choice("auto", None, Some(serial))),
        Some(ToolChoice::Auto) => choice("auto", None, serial),
        Some(ToolChoice::None) => choice("none", None, None),
        Some(ToolChoice::Required) => choice("any", None, serial),
        Some(ToolChoice::Function(name)) => choice("tool", Some(name.as_str()), serial),
        Some(ToolChoice::Foreign { dialect: Dialect::Anthropic, choice }) => Some(WireChoice::Raw(choice)),
        Some(ToolChoice::Foreign { dialect, .. }) => {
            let message = format!("this choice of tools is known to `{}` only", dialect.name());
            return Err(unsupported("tool_choice", message));
        }
    })
}

fn wire_tool<'a>(tool: &'a Tool, at: usize, model: Model, dropped: &mut Dropped) -> Result<WireTool<'a>, Failure> {
    match tool {
        Tool::Function(function) => Ok(wire_function(function, model, dropped)),
        Tool::Foreign { dialect: Dialect::Anthropic, tool } => Ok(WireTool::Raw(tool)),
        Tool::Foreign { dialect, .. } => {
            let message = format!("this tool is known to `{}` only", dialect.name());
            Err(unsupported(&format!("tools[{at}]"), message))
        }
    }
}

fn wire_function<'a>(function: &'a Function, model: Model, dropped: &mut Dropped) -> WireTool<'a> {
    dropped.foreign(&function.extras, DIALECT);
    if function.strict.is_some() && !model.structured {
        dropped.name("strict");
    }
    WireTool::Function {
        name: &function.name,
        description: function.description.as_deref(),
        input_schema: input_schema(function.parameters.as_ref()),
        strict: function.strict.filter(|_| model.structured),
        cache_control: function.cache_control.as_ref(),
        extras: Members::of(&function.extras),
    }
}

/// Returns a tool's schema. Its type must be said to be `object`; OpenAI lets it be understood.
fn input_schema(parameters: Option<&Json>) -> Cow<'_, Json> {
    const NOTHING: &str = r#"{"type":"object","properties":{}}"#;
    let Some(schema) = parameters else {
        return Cow::Owned(Json::parse(NOTHING).unwrap_or_else(|| Json::of(&())));
    };
    let untyped = Object::read(schema.as_str(), Path::default()).is_ok_and(|schema| schema.peek("type").is_none());
    let rest = schema.as_str().strip_prefix('{').filter(|_| untyped).map(str::trim_start);
    let typed = rest.and_then(|rest| {
        let comma = if rest.starts_with('}') { "" } else { "," };
        Json::parse(&format!("{{\"type\":\"object\"{comma}{rest}"))
    });
    typed.map_or(Cow::Borrowed(schema), Cow::Owned)
}

/// Whether any JSON object is asked for; a schema that says nothing asks for the same.
fn is_json_mode(request: &Request) -> bool {
    match &request.format {
        Some(Format::JsonObject) => true,
        Some(Format::JsonSchema(schema)) => schema.schema.is_none(),
        Some(Format::Text) | None => false,
    }
}

/// Returns the schema that the answer must follow.
fn format<'a>(request: &'a Request, model: Model, dropped: &mut Dropped) -> Result<Option<WireFormat<'a>>, Failure> {
    let whole = request.extras.get(DIALECT, "output_config.format").is_some();
    let Some(Format::JsonSchema(asked)) = request.format.as_ref().filter(|_| !whole) else { return Ok(None) };
    let Some(schema) = &asked.schema else { return Ok(None) };
    if !model.structured {
        return Err(unsupported("response_format", "the model cannot be held to a JSON schema"));
    }
    if asked.description.is_some() {
        dropped.name("response_format.json_schema.description");
    }
    // Its name says nothing to the model, and `strict` is how Anthropic always is.
    Ok(Some(WireFormat { kind: "json_schema", schema: schema::closed(schema) }))
}

fn output_config<'a>(
    request: &'a Request,
    effort: Option<&'static str>,
    format: Option<WireFormat<'a>>,
) -> Option<OutputConfig<'a>> {
    let extras = Members::inside(&request.extras, "output_config.");
    let nothing = effort.is_none() && format.is_none() && extras.is_empty();
    (!nothing).then_some(OutputConfig { effort, format, extras })
}

fn metadata<'a>(request: &'a Request, dropped: &mut Dropped) -> Option<Metadata<'a>> {
    let extras = Members::inside(&request.extras, "metadata.");
    let user_id = request.user.as_deref().filter(|user| user.chars().count() <= MAX_USER_CHARACTERS);
    if user_id.is_none() && request.user.is_some() {
        dropped.name("user");
    }
    (user_id.is_some() || !extras.is_empty()).then_some(Metadata { user_id, extras })
}

/// Returns the tier of service: Anthropic's words, and OpenAI's `default`, which means the same as `standard_only`.
fn service_tier<'a>(request: &'a Request, dropped: &mut Dropped) -> Option<&'a str> {
    match request.service_tier.as_deref()? {
        tier @ ("auto" | "standard_only") => Some(tier),
        "default" => Some("standard_only"),
        _ => {
            dropped.name("service_tier");
            None
        }
    }
}

#[cfg(test)]
mod tests;

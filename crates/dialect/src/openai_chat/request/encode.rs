//! A canonical request, written as a chat completion request:
//! <https://platform.openai.com/docs/api-reference/chat/create>.
//!
//! What was noted by this dialect's decoder is written as it had been; everything else as OpenAI's schema wants it and
//! the vendor's quirks say.

pub(super) mod ids;
mod message;
mod part;

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part};
use ir::chat::request::{Effort, Format, Function, Reasoning, Request, Tool, ToolChoice};
use ir::dialect::{Dialect, Quirk};
use ir::failure::{Code, Failure, Fault};
use ir::json::Json;

use crate::carry::Dropped;
use crate::openai_chat::request::refused;
use crate::openai_chat::wire::request::{self as wire, inside, own};
use crate::translate::{Callee, Encoded};

const OWN: Dialect = Dialect::OpenaiChat;

/// Writes a request.
///
/// # Errors
/// A 400 that names what the answer depends on and this dialect cannot say: a part, a document source or a tool that
/// only another dialect knows.
pub fn encode(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    let mut dropped = Dropped::default();
    dropped.foreign(&request.extras, OWN);
    let messages = message::all(&request.messages, callee, &mut dropped)?;
    let (mut tools, mut functions) = (Vec::new(), Vec::new());
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) if noted(&function.extras, "functions") && !callee.refuses("functions") => {
                functions.push(function_of(function, ""));
            }
            tool => tools.push(tool_of(tool, at, callee, &mut dropped)?),
        }
    }
    let older = noted(&request.extras, "function_call") && !callee.refuses("function_call");
    let any = noted(&request.extras, "any");
    let choice = request.tool_choice.as_ref().map(|choice| tool_choice(choice, older, any)).transpose()?;
    let (tool_choice, function_call) = if older { (None, choice) } else { (choice, None) };
    let sampling = &request.sampling;
    if sampling.top_k.is_some() && !noted(&request.extras, "top_k") {
        dropped.name("top_k");
    }
    let (seed, random_seed) = if callee.has(Quirk::RandomSeed) || noted(&request.extras, "random_seed") {
        (None, sampling.seed.as_ref())
    } else {
        (sampling.seed.as_ref(), None)
    };
    let (max_tokens, max_completion_tokens) = limits(request, callee);
    let (reasoning_effort, reasoning) = reasoning(request, callee, &mut dropped);
    let body = wire::Request {
        model: callee.model,
        messages,
        tools,
        functions,
        tool_choice,
        function_call,
        parallel_tool_calls: request.parallel_tool_calls,
        stream: (request.stream || noted(&request.extras, "stream")).then_some(request.stream),
        stream_options: stream_options(request, callee),
        max_tokens,
        max_completion_tokens,
        temperature: temperature(sampling.temperature.as_ref(), callee, &mut dropped),
        top_p: sampling.top_p.as_ref(),
        top_k: sampling.top_k.as_ref().filter(|_| noted(&request.extras, "top_k")),
        frequency_penalty: sampling.frequency_penalty.as_ref(),
        presence_penalty: sampling.presence_penalty.as_ref(),
        seed,
        random_seed,
        stop: stop(request),
        n: request.choices,
        logprobs: logprobs(request),
        top_logprobs: request.logprobs.filter(|_| !noted(&request.extras, "logprobs")).and_then(|asked| asked.top),
        response_format: request.format.as_ref().map(|format| response_format(format, &request.extras)),
        reasoning_effort,
        reasoning,
        service_tier: request.service_tier.as_deref().map(service_tier),
        user: request.user.as_deref(),
        extras: own(&request.extras),
    };
    // Serialising strings and carried JSON into a vector cannot fail.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    if callee.refuses.is_empty() {
        return Ok(Encoded { body, dropped: dropped.into_names() });
    }
    let body = refused::without(body.into(), callee.refuses, &mut dropped)?.concat();
    Ok(Encoded { body, dropped: dropped.into_names() })
}

/// Returns the temperature; one that is too high for the vendor goes as the highest, and is named.
fn temperature<'a>(asked: Option<&'a Json>, callee: &Callee<'_>, dropped: &mut Dropped) -> Option<Cow<'a, Json>> {
    let high = |asked: &Json| asked.as_str().parse::<f64>().is_ok_and(|asked| asked > 1.5);
    if callee.has(Quirk::LowTemperature) && asked.is_some_and(high) {
        dropped.name("temperature");
        return Json::parse("1.5").map(Cow::Owned);
    }
    asked.map(Cow::Borrowed)
}

/// Names what is not said of a part that is written.
fn name_lost(part: &Part, keeps_cache: bool, dropped: &mut Dropped) {
    dropped.foreign(&part.extras, OWN);
    dropped.name_if(part.cache_control.is_some() && !keeps_cache, "cache_control");
    dropped.name_if(part.signature.is_some() && !noted(&part.extras, "extra_content"), "reasoning");
    let is_cited = matches!(&part.content, Content::Text { citations, .. } if !citations.is_empty());
    dropped.name_if(is_cited, "citations");
}

/// Whether this dialect's decoder noted a way of writing.
fn noted(extras: &Extras, name: &str) -> bool {
    extras.noted(OWN, name).is_some()
}

fn unsayable(message: impl Into<String>, param: impl Into<String>) -> Failure {
    Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(param)
}

fn limits(request: &Request, callee: &Callee<'_>) -> (Option<u64>, Option<u64>) {
    let limit = request.max_tokens;
    if callee.has(Quirk::MaxTokens) || noted(&request.extras, "max_tokens") {
        return (limit, None);
    }
    (limit.filter(|_| noted(&request.extras, "both limits")), limit)
}

fn stream_options<'a>(request: &'a Request, callee: &Callee<'_>) -> Option<wire::StreamOptions<'a>> {
    let extras = inside(&request.extras, "stream_options.");
    if callee.ask_usage && request.stream {
        return Some(wire::StreamOptions { include_usage: Some(true), extras });
    }
    // A provider that is not asked for usage refuses the whole member, so that it is left out of streams; outside of
    // them it is the caller's affair.
    let noted = request.extras.noted(OWN, "stream_options").filter(|_| !request.stream)?;
    let include_usage = (noted.as_str() != "null").then_some(request.stream_usage);
    Some(wire::StreamOptions { include_usage, extras })
}

fn stop(request: &Request) -> Option<wire::Stop<'_>> {
    match request.stop.as_slice() {
        [] if !noted(&request.extras, "no stop") => None,
        [one] if noted(&request.extras, "stop") => Some(wire::Stop::One(one)),
        list => Some(wire::Stop::List(list)),
    }
}

fn logprobs(request: &Request) -> Option<wire::Logprobs> {
    match request.logprobs {
        Some(asked) if noted(&request.extras, "logprobs") => Some(wire::Logprobs::Number(asked.top.unwrap_or(0))),
        Some(_) => Some(wire::Logprobs::Flag(true)),
        None => noted(&request.extras, "no logprobs").then_some(wire::Logprobs::Flag(false)),
    }
}

/// Anthropic's `standard_only` is what OpenAI calls `default`: <https://docs.claude.com/en/api/service-tiers>.
fn service_tier(tier: &str) -> &str {
    if tier == "standard_only" { "default" } else { tier }
}

fn response_format<'a>(format: &'a Format, extras: &'a Extras) -> wire::Format<'a> {
    let plain =
        |kind| wire::Format { kind, json_schema: None, schema: None, extras: inside(extras, "response_format.") };
    let schema = match format {
        Format::Text => return plain("text"),
        Format::JsonObject => return plain("json_object"),
        Format::JsonSchema(schema) => schema,
    };
    for (note, kind) in [("schema of an object", "json_object"), ("schema beside", "json_schema")] {
        if noted(extras, note) {
            return wire::Format { schema: schema.schema.as_ref(), ..plain(kind) };
        }
    }
    let bare = schema.schema.as_ref().filter(|_| noted(extras, "bare schema")).map(wire::Splat);
    // OpenAI wants a name.
    let made = (!noted(extras, "unnamed schema")).then_some("answer");
    let json_schema = wire::Schema {
        name: schema.name.as_deref().or(made),
        description: schema.description.as_deref(),
        schema: schema.schema.as_ref().filter(|_| bare.is_none()),
        strict: schema.strict,
        bare,
        extras: inside(extras, "json_schema."),
    };
    wire::Format { json_schema: Some(json_schema), ..plain("json_schema") }
}

/// Returns the effort, or the whole for OpenRouter, whose vendors take more than a word.
fn reasoning<'a>(
    request: &'a Request,
    callee: &Callee<'_>,
    dropped: &mut Dropped,
) -> (Option<&'static str>, Option<wire::Reasoning<'a>>) {
    let Some(asked) = &request.reasoning else { return (None, None) };
    dropped.foreign(&asked.extras, OWN);
    let as_word = noted(&request.extras, "reasoning_effort");
    let as_object = noted(&request.extras, "reasoning") && !callee.refuses("reasoning");
    if as_object || (!as_word && callee.has(Quirk::ReasoningDetails)) {
        let effort = asked.effort.map(Effort::name);
        let object = wire::Reasoning {
            enabled: asked.enabled,
            effort: effort.filter(|_| !as_word),
            max_tokens: asked.budget_tokens,
            exclude: asked.visible.map(|visible| !visible),
            extras: inside(&request.extras, "reasoning."),
        };
        return (effort.filter(|_| as_word), Some(object));
    }
    (effort(asked, callee, dropped).map(Effort::name), None)
}

fn effort(asked: &Reasoning, callee: &Callee<'_>, dropped: &mut Dropped) -> Option<Effort> {
    let mut effort = asked.effort.or_else(|| asked.budget_tokens.map(Effort::of_budget));
    if callee.has(Quirk::NoneOrHighEffort)
        && effort.is_some_and(|effort| !matches!(effort, Effort::None | Effort::High))
    {
        dropped.name("reasoning_effort");
        effort = Some(Effort::High);
    }
    // A model that does not think refuses even the word for "not at all".
    if asked.visible == Some(true) || (effort.is_none() && asked.enabled == Some(false)) {
        dropped.name("reasoning");
    }
    effort
}

fn tool_of<'a>(
    tool: &'a Tool,
    at: usize,
    callee: &Callee<'_>,
    dropped: &mut Dropped,
) -> Result<wire::Tool<'a>, Failure> {
    match tool {
        Tool::Function(function) => {
            dropped.foreign(&function.extras, OWN);
            let keeps = callee.has(Quirk::CacheControl) || noted(&function.extras, "cache_control");
            if function.cache_control.is_some() && !keeps {
                dropped.name("cache_control");
            }
            Ok(wire::Tool::Known {
                kind: (!noted(&function.extras, "untyped")).then_some("function"),
                function: function_of(function, "function."),
                cache_control: function.cache_control.as_ref().filter(|_| keeps),
                extras: own(&function.extras),
            })
        }
        Tool::Foreign { dialect: Dialect::OpenaiChat, tool } => Ok(wire::Tool::Raw(tool)),
        Tool::Foreign { dialect, .. } => Err(unsayable(
            format!("this model's provider does not know the tool at tools[{at}], which only {} has", dialect.name()),
            format!("tools[{at}]"),
        )),
    }
}

fn function_of<'a>(function: &'a Function, prefix: &'static str) -> wire::Function<'a> {
    wire::Function {
        name: &function.name,
        description: function.description.as_deref(),
        parameters: function.parameters.as_ref(),
        strict: function.strict,
        extras: inside(&function.extras, prefix),
    }
}

/// Writes a tool choice: `older` as `function_call`, `any` in Mistral's word for `required`.
fn tool_choice(choice: &ToolChoice, older: bool, any: bool) -> Result<wire::Choice<'_>, Failure> {
    Ok(match choice {
        ToolChoice::Auto => wire::Choice::Word("auto"),
        ToolChoice::None => wire::Choice::Word("none"),
        ToolChoice::Required if any => wire::Choice::Word("any"),
        ToolChoice::Required => wire::Choice::Word("required"),
        ToolChoice::Function(name) if older => wire::Choice::Named(wire::Named { name }),
        ToolChoice::Function(name) => wire::Choice::Function { kind: "function", function: wire::Named { name } },
        ToolChoice::Foreign { dialect: Dialect::OpenaiChat, choice } => wire::Choice::Raw(choice),
        ToolChoice::Foreign { dialect, .. } => {
            let message =
                format!("this model's provider does not know the tool choice, which only {} has", dialect.name());
            return Err(unsayable(message, "tool_choice"));
        }
    })
}

#[cfg(test)]
mod tests;

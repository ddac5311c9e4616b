//! A request as Cohere wants it.
//!
//! What it cannot say and the answer depends on is refused: sound, films, files that are not text, pictures outside the
//! user's messages, parts and tools of other dialects. A text file of the user's goes among the documents, which is how
//! Cohere cites. One function that must be called is said by leaving out the others. Sampling that is outside Cohere's
//! range is brought to its edge, and named.

mod messages;

use std::borrow::Cow;

use ir::chat::request::{Effort, Format, Function, Logprobs, Reasoning, Request, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};
use ir::json::Json;

use self::messages::messages;
use crate::carry::{Dropped, Own};
use crate::cohere::wire;
use crate::json::object::elements;
use crate::translate::{Callee, Encoded};

const OURS: Dialect = Dialect::Cohere;

/// What a model can write that says nothing of its limit.
const USUAL_OUTPUT_TOKENS: u64 = 32_000;

/// Writes a request.
///
/// # Errors
/// When it holds what Cohere cannot say and the answer depends on.
pub fn encode(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    let mut dropped = Dropped::default();
    name_what_is_left_out(request, &mut dropped);
    let mut own = Own::of(&request.extras, OURS);
    let told = own.take("documents").and_then(|list| elements(list.as_str()).ok()).unwrap_or_default();
    let mut documents: Vec<Json> = told.into_iter().filter_map(Json::parse).collect();
    let sampling = &request.sampling;
    let body = wire::Chat {
        model: callee.model,
        messages: messages(&request.messages, &mut documents, &mut dropped)?,
        stream: request.stream,
        documents,
        tools: tools(request, &mut dropped)?,
        tool_choice: tool_choice(request)?,
        strict_tools: strict_tools(request, &mut dropped),
        response_format: request.format.as_ref().map(|format| response_format(format, &mut dropped)),
        thinking: request.reasoning.as_ref().and_then(|reasoning| thinking(reasoning, request, callee)),
        max_tokens: request.max_tokens,
        stop_sequences: &request.stop,
        temperature: within(sampling.temperature.as_ref(), "temperature", 0.0, 1.0, &mut dropped),
        p: within(sampling.top_p.as_ref(), "top_p", 0.01, 0.99, &mut dropped),
        k: within(sampling.top_k.as_ref(), "top_k", 0.0, 500.0, &mut dropped),
        frequency_penalty: within(sampling.frequency_penalty.as_ref(), "frequency_penalty", 0.0, 1.0, &mut dropped),
        presence_penalty: within(sampling.presence_penalty.as_ref(), "presence_penalty", 0.0, 1.0, &mut dropped),
        seed: sampling.seed.as_ref().filter(|seed| !is_negative(seed)),
        logprobs: request.logprobs.map(|_| true),
        own,
    };
    // Serialising into a vector cannot fail.
    Ok(Encoded { body: serde_json::to_vec(&body).unwrap_or_default(), dropped: dropped.into_names() })
}

fn name_what_is_left_out(request: &Request, dropped: &mut Dropped) {
    dropped.foreign(&request.extras, OURS);
    dropped.name_if(request.choices.is_some_and(|choices| choices > 1), "n");
    dropped.name_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    dropped.name_if(request.service_tier.is_some(), "service_tier");
    dropped.name_if(request.user.is_some(), "user");
    dropped.name_if(request.sampling.seed.as_ref().is_some_and(is_negative), "seed");
    dropped.name_if(matches!(request.logprobs, Some(Logprobs { top: Some(1..) })), "top_logprobs");
    if let Some(reasoning) = &request.reasoning {
        dropped.foreign(&reasoning.extras, OURS);
        dropped.name_if(reasoning.visible == Some(false), "reasoning.visible");
    }
}

fn is_negative(number: &Json) -> bool {
    number.as_str().starts_with('-')
}

/// Brings a number into Cohere's range; one that was outside is named.
fn within<'a>(
    number: Option<&'a Json>,
    name: &str,
    least: f64,
    most: f64,
    dropped: &mut Dropped,
) -> Option<Cow<'a, Json>> {
    let number = number?;
    let value = number.as_str().parse::<f64>().ok()?;
    if (least..=most).contains(&value) {
        return Some(Cow::Borrowed(number));
    }
    dropped.name(name);
    let edge = if value < least { least } else { most };
    Json::parse(&edge.to_string()).map(Cow::Owned)
}

fn tools<'a>(request: &'a Request, dropped: &mut Dropped) -> Result<Vec<wire::Tool<'a>>, Failure> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        match (tool, &request.tool_choice) {
            (Tool::Function(function), Some(ToolChoice::Function(chosen))) if function.name != *chosen => {}
            (Tool::Function(function), _) => tools.push(self::function(function, dropped)),
            (Tool::Foreign { dialect: OURS, tool }, _) => tools.push(wire::Tool::Own(tool)),
            (Tool::Foreign { dialect, .. }, _) => {
                let message = format!("Cohere only knows functions, not a tool of `{}`", dialect.name());
                return Err(refused(format!("tools[{index}]"), message));
            }
        }
    }
    Ok(tools)
}

fn function<'a>(function: &'a Function, dropped: &mut Dropped) -> wire::Tool<'a> {
    dropped.foreign(&function.extras, OURS);
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

/// A choice without tools chooses nothing.
fn tool_choice(request: &Request) -> Result<Option<&'static str>, Failure> {
    let is = |tool: &Tool, name: &str| matches!(tool, Tool::Function(function) if function.name == name);
    match &request.tool_choice {
        Some(ToolChoice::Foreign { dialect, .. }) => {
            Err(refused("tool_choice", format!("Cohere does not know this `tool_choice` of `{}`", dialect.name())))
        }
        Some(ToolChoice::Function(name)) if !request.tools.iter().any(|tool| is(tool, name)) => {
            Err(Failure::invalid("tool_choice", format!("`tool_choice` names `{name}`, which is not among the tools")))
        }
        Some(ToolChoice::Function(_) | ToolChoice::Required) => Ok(Some("REQUIRED")),
        Some(ToolChoice::None) if !request.tools.is_empty() => Ok(Some("NONE")),
        None | Some(ToolChoice::Auto | ToolChoice::None) => Ok(None),
    }
}

/// Cohere holds the model to all schemas or to none.
fn strict_tools(request: &Request, dropped: &mut Dropped) -> Option<bool> {
    let mut strict = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(function.strict),
        Tool::Foreign { .. } => None,
    });
    let first = strict.next()?;
    if strict.any(|other| other != first) {
        dropped.name("strict");
        return None;
    }
    first
}

fn response_format<'a>(format: &'a Format, dropped: &mut Dropped) -> wire::ResponseFormat<'a> {
    let (kind, json_schema) = match format {
        Format::Text => ("text", None),
        Format::JsonObject => ("json_object", None),
        Format::JsonSchema(schema) => {
            // The name is a label that no model reads, and Cohere always holds the model to the schema.
            dropped.name_if(schema.description.is_some(), "response_format.json_schema.description");
            ("json_object", schema.schema.as_ref())
        }
    };
    wire::ResponseFormat { kind, json_schema }
}

/// Cohere counts tokens of thought: an effort is a share of what the model may write.
fn thinking(reasoning: &Reasoning, request: &Request, callee: &Callee<'_>) -> Option<wire::Thinking> {
    let most = request.max_tokens.or(callee.max_output_tokens).unwrap_or(USUAL_OUTPUT_TOKENS);
    let effort = reasoning.effort.map(|effort| effort.budget_tokens(most));
    let token_budget = reasoning.budget_tokens.or(effort);
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None) || token_budget == Some(0);
    match off {
        true => Some(wire::Thinking { kind: "disabled", token_budget: None }),
        false if token_budget.is_none() && reasoning.enabled.is_none() => None,
        false => Some(wire::Thinking { kind: "enabled", token_budget }),
    }
}

fn refused(place: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(place)
}

#[cfg(test)]
mod tests;

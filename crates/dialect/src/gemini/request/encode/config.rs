//! Tools, and how the answer is made.

use ir::chat::request::{Effort, Format, Reasoning, Request, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::Failure;
use ir::json::Json;

use super::super::super::generation::Generation;
use super::super::super::wire::{self, Members};
use super::{Dropped, refused};

/// More stop sequences are refused (<https://ai.google.dev/api/generate-content#generationconfig>).
const MAX_STOP_SEQUENCES: usize = 5;

/// Writes the tools: all functions in one, where the first of them stands.
pub(super) fn tools<'a>(tools: &'a [Tool], dropped: &mut Dropped) -> Result<Vec<wire::Tool<'a>>, Failure> {
    let mut out = Vec::new();
    let mut functions = Vec::new();
    let mut place = None;
    for (index, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                place.get_or_insert(out.len());
                dropped.foreign(&function.extras, Dialect::Gemini);
                if function.strict == Some(true) {
                    dropped.name("strict");
                }
                if function.cache_control.is_some() {
                    dropped.name("cache_control");
                }
                // A schema that came in Gemini's own form goes back in it.
                let own = function.extras.noted(Dialect::Gemini, "parameters");
                functions.push(wire::Function {
                    name: &function.name,
                    description: function.description.as_deref(),
                    parameters: own,
                    parameters_json_schema: function.parameters.as_ref().filter(|_| own.is_none()),
                    extras: Members::of(&function.extras, ""),
                });
            }
            Tool::Foreign { dialect: Dialect::Gemini, tool } => out.push(wire::Tool::Whole(tool)),
            Tool::Foreign { dialect, .. } => {
                let message = format!("a tool that only `{}` knows cannot be offered to this model", dialect.name());
                return Err(refused(format!("tools[{index}]"), message));
            }
        }
    }
    if let Some(place) = place {
        out.insert(place, wire::Tool::Functions { function_declarations: functions });
    }
    Ok(out)
}

/// Writes the choice of tools.
pub(super) fn tool_config(request: &Request) -> Result<Option<wire::ToolConfig<'_>>, Failure> {
    let mode = |mode| wire::Calling::Mode { mode, allowed_function_names: None };
    let noted = request.extras.noted(Dialect::Gemini, "toolConfig.functionCallingConfig");
    let calling = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto | ToolChoice::Required) if noted.is_some() => noted.map(wire::Calling::Whole),
        Some(ToolChoice::Auto) => Some(mode("AUTO")),
        Some(ToolChoice::None) => Some(mode("NONE")),
        Some(ToolChoice::Required) => Some(mode("ANY")),
        Some(ToolChoice::Function(name)) => {
            Some(wire::Calling::Mode { mode: "ANY", allowed_function_names: Some([name.as_str()]) })
        }
        Some(ToolChoice::Foreign { dialect: Dialect::Gemini, choice }) => Some(wire::Calling::Whole(choice)),
        Some(ToolChoice::Foreign { dialect, .. }) => {
            let message = format!("a tool choice that only `{}` knows cannot be sent to this model", dialect.name());
            return Err(refused("tool_choice", message));
        }
    };
    let config =
        wire::ToolConfig { function_calling_config: calling, extras: Members::of(&request.extras, "toolConfig.") };
    Ok((config.function_calling_config.is_some() || !config.extras.is_empty()).then_some(config))
}

/// Writes how the answer is made; `None` when nothing is said about it.
pub(super) fn generation_config<'a>(
    request: &'a Request,
    generation: Generation,
    dropped: &mut Dropped,
) -> Option<wire::GenerationConfig<'a>> {
    let sampling = &request.sampling;
    let mut config = wire::GenerationConfig {
        temperature: sampling.temperature.as_ref(),
        top_p: sampling.top_p.as_ref(),
        top_k: sampling.top_k.as_ref(),
        presence_penalty: sampling.presence_penalty.as_ref(),
        frequency_penalty: sampling.frequency_penalty.as_ref(),
        seed: sampling.seed.as_ref().filter(|seed| is_int32(seed)),
        max_output_tokens: request.max_tokens,
        candidate_count: request.choices,
        stop_sequences: request.stop.get(..MAX_STOP_SEQUENCES).unwrap_or(&request.stop),
        response_logprobs: request.logprobs.map(|_| true),
        logprobs: request.logprobs.and_then(|logprobs| logprobs.top),
        thinking_config: request
            .reasoning
            .as_ref()
            .and_then(|reasoning| thinking_config(reasoning, generation, dropped)),
        extras: Members::of(&request.extras, "generationConfig."),
        ..wire::GenerationConfig::default()
    };
    if config.seed.is_none() && sampling.seed.is_some() {
        dropped.name("seed");
    }
    if request.stop.len() > MAX_STOP_SEQUENCES {
        dropped.name("stop");
    }
    match &request.format {
        None => {}
        Some(Format::Text) => config.response_mime_type = Some("text/plain"),
        Some(Format::JsonObject) => config.response_mime_type = Some("application/json"),
        Some(Format::JsonSchema(schema)) => {
            config.response_mime_type = Some("application/json");
            config.response_schema = request.extras.noted(Dialect::Gemini, "generationConfig.responseSchema");
            config.response_json_schema = schema.schema.as_ref().filter(|_| config.response_schema.is_none());
        }
    }
    let said = serde_json::to_string(&config).is_ok_and(|text| text != "{}");
    said.then_some(config)
}

/// Writes how much it thinks. A budget is said as it is, within the model's bounds; a word becomes what Google itself
/// makes of it (<https://ai.google.dev/gemini-api/docs/openai#thinking>): a budget for 2.5, a level from 3 on. What
/// cannot be turned off is turned down.
fn thinking_config<'a>(
    reasoning: &'a Reasoning,
    generation: Generation,
    dropped: &mut Dropped,
) -> Option<wire::ThinkingConfig<'a>> {
    dropped.foreign(&reasoning.extras, Dialect::Gemini);
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    if !generation.thinks() {
        if !off {
            dropped.name("reasoning");
        }
        return None;
    }
    let (least, most) = generation.budgets();
    let mut config = wire::ThinkingConfig {
        include_thoughts: reasoning.visible,
        extras: Members::of(&reasoning.extras, "thinkingConfig."),
        ..wire::ThinkingConfig::default()
    };
    let effort = if off { Some(Effort::None) } else { reasoning.effort };
    match (reasoning.budget_tokens, effort) {
        (Some(budget), _) => config.thinking_budget = i64::try_from(budget.clamp(least, most)).ok(),
        (None, Some(effort)) if generation.is_third() => config.thinking_level = Some(level(effort, generation)),
        (None, Some(effort)) => {
            let budget = match effort {
                Effort::None => 0,
                Effort::Minimal | Effort::Low => 1_024,
                Effort::Medium => 8_192,
                Effort::High => 24_576,
                Effort::XHigh | Effort::Max => most,
            };
            config.thinking_budget = i64::try_from(budget.clamp(least, most)).ok();
        }
        // As much as it likes; the third generation does so unasked.
        (None, None) if reasoning.enabled == Some(true) && !generation.is_third() => config.thinking_budget = Some(-1),
        (None, None) => {}
    }
    let said = config.include_thoughts.is_some()
        || config.thinking_budget.is_some()
        || config.thinking_level.is_some()
        || !config.extras.is_empty();
    said.then_some(config)
}

fn level(effort: Effort, generation: Generation) -> &'static str {
    let (least, middle) = generation.levels();
    match effort {
        Effort::None | Effort::Minimal => least,
        Effort::Low => "low",
        Effort::Medium => middle,
        Effort::High | Effort::XHigh | Effort::Max => "high",
    }
}

/// Whether a seed is one that Gemini takes.
fn is_int32(seed: &Json) -> bool {
    seed.as_str().parse::<i32>().is_ok()
}

//! From the canonical request to the wire.
//!
//! <https://platform.openai.com/docs/api-reference/responses/create>,
//! <https://platform.openai.com/docs/guides/migrate-to-responses>

mod input;

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Message, Role};
use ir::chat::request::{Effort, Format, Function, Request, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::failure::{Code, Failure, Fault};
use ir::json::Json;

use super::decode::LOGPROBS;
use crate::carry::Dropped;
use crate::json::object::{elements, string};
use crate::openai_responses::item::{note, noted};
use crate::openai_responses::wire::{self, Body, Members};
use crate::translate::{Callee, Encoded};

/// The least output limit that is taken.
pub(crate) const LEAST_OUTPUT_TOKENS: u64 = 16;

/// What brings reasoning back in a form that can be sent again.
const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

/// Parameters that both of `OpenAI`'s dialects have under one name and with one meaning.
const SHARED: [&str; 4] = ["metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

/// Writes a request of another surface. Nothing of it is kept at the provider: `store` is false, and the reasoning
/// comes back encrypted so that the caller can bring it again.
///
/// # Errors
/// A 400 for what the answer depends on and this dialect cannot say.
pub fn encode(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    write(request, callee, false)
}

/// Writes a request that came in this dialect: nothing is said that the caller did not say.
///
/// # Errors
/// As [`encode`].
pub fn encode_again(request: &Request, callee: &Callee<'_>) -> Result<Encoded, Failure> {
    write(request, callee, true)
}

fn write(request: &Request, callee: &Callee<'_>, again: bool) -> Result<Encoded, Failure> {
    let mut dropped = Dropped::default();
    refuse(request)?;
    drop_tuning(request, &mut dropped);
    let (instructions, messages) = instructions(&request.messages, again);
    let first = request.messages.len() - messages.len();
    let extras = &request.extras;
    let verbosity = extras.get(Dialect::OpenaiChat, "verbosity");
    let mut members = own(extras).filter(|(name, _)| !is_ours(name, again)).collect::<Vec<_>>();
    for extra in SHARED {
        members.extend(extras.get(Dialect::OpenaiChat, extra).map(|value| (extra, value)));
    }
    let carried = |name: &&str| !SHARED.contains(name) && *name != "verbosity";
    extras.foreign_to(Dialect::OpenaiResponses).filter(carried).for_each(|name| dropped.name(name));
    let body = Body {
        model: callee.model,
        instructions,
        input: input::input(messages, first, again, &mut dropped)?,
        tools: (!request.tools.is_empty() || noted(extras, note::NO_TOOLS))
            .then(|| tools(&request.tools, again, &mut dropped))
            .transpose()?,
        tool_choice: request.tool_choice.as_ref().map(tool_choice).transpose()?,
        parallel_tool_calls: request.parallel_tool_calls,
        max_output_tokens: limit(request.max_tokens, again, &mut dropped),
        reasoning: reasoning(request, &mut dropped),
        text: text(request, verbosity, again),
        temperature: request.sampling.temperature.as_ref(),
        top_p: request.sampling.top_p.as_ref(),
        top_logprobs: request.logprobs.and_then(|logprobs| logprobs.top),
        service_tier: request.service_tier.as_deref(),
        user: request.user.as_deref(),
        include: if again { Vec::new() } else { include(request) },
        store: (!again && extras.get(Dialect::OpenaiResponses, "store").is_none()).then_some(false),
        stream: (request.stream || noted(extras, note::NO_STREAM)).then_some(request.stream),
        members: Members(members),
    };
    // Strings, numbers and JSON values can always be written.
    Ok(Encoded { body: serde_json::to_vec(&body).unwrap_or_default(), dropped: dropped.into_names() })
}

/// Returns the members of this dialect.
fn own(extras: &Extras) -> impl Iterator<Item = (&str, &Json)> {
    extras.of(Dialect::OpenaiResponses)
}

/// Whether a member is written at a place of its own.
fn is_ours(name: &str, again: bool) -> bool {
    name.starts_with("text.") || !again && name == "include"
}

fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::new(Code::UnsupportedParameter, Fault::Caller, message).with_param(param)
}

fn refuse(request: &Request) -> Result<(), Failure> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(unsupported("n", "the model gives one answer at a time: `n` must be 1"));
    }
    if request.extras.get(Dialect::OpenaiChat, "audio").is_some() {
        return Err(unsupported("audio", "the model cannot answer with sound: leave `audio` out"));
    }
    Ok(())
}

fn drop_tuning(request: &Request, dropped: &mut Dropped) {
    let sampling = &request.sampling;
    for (name, said) in [
        ("stop", !request.stop.is_empty()),
        ("top_k", sampling.top_k.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
    ] {
        if said {
            dropped.name(name);
        }
    }
}

/// Takes the first system message, if it came as instructions or can stand as such: it is plain text, and a
/// conversation follows (instructions alone are refused).
fn instructions(messages: &[Message], again: bool) -> (Option<&str>, &[Message]) {
    let [first, rest @ ..] = messages else { return (None, messages) };
    let plain = || first.role == Role::System && first.name.is_none() && first.extras.is_empty() && !rest.is_empty();
    let [part] = first.parts.as_slice() else { return (None, messages) };
    match &part.content {
        Content::Text { text, .. }
            if noted(&first.extras, note::INSTRUCTIONS)
                || !again && plain() && part.cache_control.is_none() && part.extras.is_empty() =>
        {
            (Some(text), rest)
        }
        _ => (None, messages),
    }
}

fn limit(asked: Option<u64>, again: bool, dropped: &mut Dropped) -> Option<u64> {
    if !again && asked.is_some_and(|asked| asked < LEAST_OUTPUT_TOKENS) {
        dropped.name("max_tokens");
        return Some(LEAST_OUTPUT_TOKENS);
    }
    asked
}

fn tools<'a>(tools: &'a [Tool], again: bool, dropped: &mut Dropped) -> Result<Vec<wire::Tool<'a>>, Failure> {
    let tool = |(index, tool): (usize, &'a Tool)| match tool {
        Tool::Function(function) => Ok(self::function(function, again, dropped)),
        Tool::Foreign { dialect: Dialect::OpenaiResponses, tool } => Ok(wire::Tool::Foreign(tool)),
        Tool::Foreign { dialect, .. } => {
            let message = format!("the model does not have this tool of the dialect {}", dialect.name());
            Err(unsupported(format!("tools[{index}]"), message))
        }
    };
    tools.iter().enumerate().map(tool).collect()
}

/// Writes a function. Here a function is strict unless it says otherwise, elsewhere it is not; and one without
/// parameters takes none.
fn function<'a>(function: &'a Function, again: bool, dropped: &mut Dropped) -> wire::Tool<'a> {
    if function.cache_control.is_some() {
        dropped.name("cache_control");
    }
    dropped.foreign(&function.extras, Dialect::OpenaiResponses);
    let none = || Json::parse(r#"{"type":"object","properties":{}}"#).filter(|_| !again).map(Cow::Owned);
    wire::Tool::Function {
        name: &function.name,
        description: function.description.as_deref(),
        parameters: function.parameters.as_ref().map(Cow::Borrowed).or_else(none),
        strict: function.strict.or((!again).then_some(false)),
        members: Members(own(&function.extras).collect()),
    }
}

fn tool_choice(choice: &ToolChoice) -> Result<wire::ToolChoice<'_>, Failure> {
    Ok(match choice {
        ToolChoice::Auto => wire::ToolChoice::Word("auto"),
        ToolChoice::None => wire::ToolChoice::Word("none"),
        ToolChoice::Required => wire::ToolChoice::Word("required"),
        ToolChoice::Function(name) => wire::ToolChoice::Function { kind: "function", name },
        ToolChoice::Foreign { dialect: Dialect::OpenaiResponses, choice } => wire::ToolChoice::Foreign(choice),
        ToolChoice::Foreign { dialect, .. } => {
            let message = format!("this choice of the dialect {} cannot be said to the model", dialect.name());
            return Err(unsupported("tool_choice", message));
        }
    })
}

fn reasoning<'a>(request: &'a Request, dropped: &mut Dropped) -> Option<wire::Reasoning<'a>> {
    let reasoning = request.reasoning.as_ref()?;
    dropped.foreign(&reasoning.extras, Dialect::OpenaiResponses);
    let members: Vec<_> = own(&reasoning.extras).collect();
    let said = |name| members.iter().any(|(known, _)| *known == name);
    let of_budget = || reasoning.budget_tokens.map(Effort::of_budget);
    let none = (reasoning.enabled == Some(false)).then_some(Effort::None);
    Some(wire::Reasoning {
        effort: none.or(reasoning.effort).or_else(of_budget).map(Effort::name).filter(|_| !said("effort")),
        summary: reasoning.visible.filter(|visible| *visible && !said("summary")).map(|_| "auto"),
        members: Members(members),
    })
}

fn text<'a>(request: &'a Request, verbosity: Option<&'a Json>, again: bool) -> Option<wire::Text<'a>> {
    let kept = own(&request.extras).filter_map(|(name, value)| Some((name.strip_prefix("text.")?, value)));
    let mut members: Vec<_> = kept.collect();
    members.extend(verbosity.map(|verbosity| ("verbosity", verbosity)));
    let format = request.format.as_ref().filter(|_| !members.iter().any(|(name, _)| *name == "format"));
    let format = format.map(|format| match format {
        Format::Text => wire::Format::Text,
        Format::JsonObject => wire::Format::JsonObject,
        Format::JsonSchema(schema) => wire::Format::JsonSchema {
            name: schema.name.as_deref().or((!again).then_some("answer")),
            description: schema.description.as_deref(),
            schema: schema.schema.as_ref().map(Cow::Borrowed).or_else(|| (!again).then(|| Cow::Owned(empty()))),
            strict: schema.strict,
        },
    });
    (format.is_some() || !members.is_empty()).then_some(wire::Text { format, members: Members(members) })
}

/// A schema that allows everything.
fn empty() -> Json {
    Json::of(&std::collections::BTreeMap::<&str, ()>::new())
}

/// Returns what is asked for beside the answer: what the caller wants, and what the canonical answer needs.
fn include(request: &Request) -> Vec<Json> {
    let said = request.extras.get(Dialect::OpenaiResponses, "include").map_or("[]", Json::as_str);
    let mut include: Vec<Json> = elements(said).unwrap_or_default().into_iter().filter_map(Json::parse).collect();
    let logprobs = request.logprobs.map(|_| LOGPROBS);
    for name in [ENCRYPTED_REASONING].into_iter().chain(logprobs) {
        if !include.iter().any(|known| string(known.as_str()).as_deref() == Some(name)) {
            include.push(Json::of(&name));
        }
    }
    include
}

//! How much a model shall think, in the words that the model knows.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting>: a budget is at least 1,024 tokens
//! and less than `max_tokens`; it goes with no forced tool call, and with no loop of tool calls that began without a
//! thought. Adaptive thinking goes with both (recorded: a forced call on Claude Opus 4.6).

use ir::chat::request::{Effort, Reasoning, Request, ToolChoice};
use ir::json::Json;
use serde::Serialize;

use super::Dropped;
use crate::anthropic::model::{Model, Thinking};
use crate::anthropic::wire::{DIALECT, Members};

/// The least budget.
const MIN_BUDGET: u64 = 1_024;

/// What is written.
#[derive(Default)]
pub(super) struct Thought<'a> {
    /// `thinking`
    pub config: Option<Config<'a>>,
    /// `output_config.effort`
    pub effort: Option<&'static str>,
}

/// `thinking`
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Config<'a> {
    /// A mode that is carried whole.
    Raw(&'a Json),
    /// A known mode.
    Known {
        /// `enabled`, `adaptive`, `disabled` or `between_tools`.
        #[serde(rename = "type")]
        kind: &'static str,
        /// The budget of `enabled`.
        #[serde(skip_serializing_if = "Option::is_none")]
        budget_tokens: Option<u64>,
        /// Whether thoughts are shown.
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
        #[serde(flatten)]
        extras: Members<'a>,
    },
}

impl Thought<'_> {
    /// Whether the model is told to think.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.config, None | Some(Config::Known { kind: "disabled", .. }))
    }
}

/// Returns how much a model shall think. `mid_loop`: the last answer is a tool call without a thought before it.
pub(super) fn encode<'a>(
    request: &'a Request,
    model: Model,
    max_tokens: u64,
    mid_loop: bool,
    dropped: &mut Dropped,
) -> Thought<'a> {
    let Some(asked) = &request.reasoning else { return Thought::default() };
    let word = |effort: Option<Effort>| {
        effort.filter(|effort| *effort != Effort::None).and_then(|effort| model.effort(effort)).map(Effort::name)
    };
    let effort = word(asked.effort);
    if asked.extras.noted(DIALECT, "effort").is_some() {
        // Anthropic's own caller said how hard, and nothing of thinking.
        if effort.is_none() {
            dropped.name("output_config.effort");
        }
        return Thought { config: None, effort };
    }
    if let Some(raw) = request.extras.get(DIALECT, "thinking") {
        return Thought { config: Some(Config::Raw(raw)), effort };
    }
    if is_off(asked) {
        return match model.off {
            _ if model.thinking == Thinking::Never => Thought::default(),
            Some(kind) => Thought { config: Some(known(kind, None, asked)), effort },
            None => {
                dropped.name("reasoning_effort");
                Thought { config: None, effort: effort.or(word(Some(Effort::Low))) }
            }
        };
    }
    let by_budget = match model.thinking {
        Thinking::Never => {
            dropped.name("reasoning_effort");
            return Thought::default();
        }
        Thinking::Budget => true,
        Thinking::Either => asked.budget_tokens.is_some(),
        Thinking::Adaptive => false,
    };
    if !by_budget {
        let effort = effort.or_else(|| word(asked.budget_tokens.map(Effort::of_budget)));
        let said = asked.enabled.is_some() || asked.visible.is_some() || !model.thinks_by_default;
        return Thought { config: said.then(|| known("adaptive", None, asked)), effort };
    }
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Function(_)));
    let wanted =
        asked.budget_tokens.unwrap_or_else(|| asked.effort.unwrap_or(Effort::Medium).budget_tokens(max_tokens));
    let budget = wanted.max(MIN_BUDGET).min(max_tokens.saturating_sub(1));
    if forced || mid_loop || budget < MIN_BUDGET {
        dropped.name("reasoning_effort");
        return Thought { config: None, effort };
    }
    Thought { config: Some(known("enabled", Some(budget), asked)), effort }
}

fn is_off(asked: &Reasoning) -> bool {
    asked.enabled == Some(false) || asked.effort == Some(Effort::None) || asked.budget_tokens == Some(0)
}

fn known<'a>(kind: &'static str, budget_tokens: Option<u64>, asked: &'a Reasoning) -> Config<'a> {
    let display = asked
        .visible
        .filter(|_| matches!(kind, "enabled" | "adaptive"))
        .map(|visible| if visible { "summarized" } else { "omitted" });
    Config::Known { kind, budget_tokens, display, extras: Members::of(&asked.extras) }
}

//! What a model answers, whole.

use super::extras::Extras;
use super::message::Part;
use crate::json::Json;
use crate::usage::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The provider's id of the completion; empty where it has none.
    pub id: String,
    /// The provider's name of the model that answered; empty where it says none.
    pub model: String,
    /// When it was made, Unix seconds.
    pub created: Option<u64>,
    /// The answers; one unless more were asked for.
    pub choices: Vec<Choice>,
    /// What was consumed; `None` when it is not reported, or cannot be believed.
    pub usage: Option<Usage>,
    /// The tier of service that was given.
    pub service_tier: Option<String>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its number, from 0.
    pub index: u32,
    /// What is said, in order: thoughts, text, tool calls.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Finish,
    /// The log probabilities, in OpenAI's shape.
    pub logprobs: Option<Json>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was complete.
    Stop,
    /// One of the stop sequences came; which, where the dialect says it.
    StopSequence(Option<String>),
    /// The output limit was reached.
    Length,
    /// The context window was full.
    ContextWindow,
    /// Tools are to be called.
    ToolCalls,
    /// The provider's filter stepped in.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// A long turn was paused, to be gone on with (Anthropic's `pause_turn`).
    Pause,
    /// A reason that no other dialect knows, in the provider's word.
    Other(String),
}

//! What is asked of a model.

use super::extras::Extras;
use super::message::{Content, Message, Part, Source};
use crate::dialect::Dialect;
use crate::json::Json;

/// A request. The model is not part of it: which one answers is the router's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The conversation. System prompts stand where they stood, most often first.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// Whether usage is asked for at the end of the stream (OpenAI).
    pub stream_usage: bool,
    /// The most output tokens.
    pub max_tokens: Option<u64>,
    /// How it samples. Decimals keep their digits.
    pub sampling: Sampling,
    /// Where it stops.
    pub stop: Vec<String>,
    /// How many answers.
    pub choices: Option<u64>,
    /// Whether the log probabilities of the output tokens are asked for, and how many alternatives.
    pub logprobs: Option<Logprobs>,
    /// The form of the answer.
    pub format: Option<Format>,
    /// How much it thinks.
    pub reasoning: Option<Reasoning>,
    /// The tier of service, in the caller's dialect.
    pub service_tier: Option<String>,
    /// An opaque name of the end user.
    pub user: Option<String>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

/// How a model samples: JSON numbers, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    /// Temperature.
    pub temperature: Option<Json>,
    /// Nucleus sampling.
    pub top_p: Option<Json>,
    /// The k likeliest tokens.
    pub top_k: Option<Json>,
    /// Penalty on how often a token occurred.
    pub frequency_penalty: Option<Json>,
    /// Penalty on whether it occurred.
    pub presence_penalty: Option<Json>,
    /// The seed.
    pub seed: Option<Json>,
}

/// Log probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logprobs {
    /// How many alternatives per token.
    pub top: Option<u64>,
}

/// A tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// A function that the caller runs.
    Function(Function),
    /// A tool that only its dialect knows (a provider's own web search, a custom grammar): its whole JSON.
    Foreign {
        /// The dialect that knows it.
        dialect: Dialect,
        /// The tool.
        tool: Json,
    },
}

/// A function that the caller runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// Its parameters, a JSON Schema.
    pub parameters: Option<Json>,
    /// Whether the arguments must follow the schema to the letter.
    pub strict: Option<bool>,
    /// Up to here the prompt may be cached: Anthropic's `cache_control` value.
    pub cache_control: Option<Json>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

/// Whether tools may, must or must not be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// Not at all.
    None,
    /// At least one.
    Required,
    /// This function.
    Function(String),
    /// A choice that only its dialect can say (`allowed_tools`): its whole JSON.
    Foreign {
        /// The dialect that knows it.
        dialect: Dialect,
        /// The choice.
        choice: Json,
    },
}

/// The form of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text, said explicitly.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema(Schema),
}

/// A schema for the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Its name; some dialects want one.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The schema.
    pub schema: Option<Json>,
    /// Whether the answer must follow it to the letter.
    pub strict: Option<bool>,
}

/// How much a model thinks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// `Some(false)`: not at all. `Some(true)`: it does, how much is its own affair.
    pub enabled: Option<bool>,
    /// How hard.
    pub effort: Option<Effort>,
    /// The most tokens of thought.
    pub budget_tokens: Option<u64>,
    /// Whether thoughts are shown: Anthropic's `display`, OpenAI's `summary`, Gemini's `includeThoughts`.
    pub visible: Option<bool>,
    /// What only its dialect can say of it.
    pub extras: Extras,
}

/// How hard a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// Little.
    Low,
    /// Middling.
    Medium,
    /// Much.
    High,
    /// More.
    XHigh,
    /// As much as it can.
    Max,
}

impl Effort {
    /// Every effort, least first.
    pub const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// Returns the word that OpenAI, Anthropic and OpenRouter use.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Returns the effort that a word names.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }

    /// Returns a budget of thought for a model that counts tokens instead: a share of the output limit, and at least
    /// 1,024 tokens, which is Anthropic's least. The shares are OpenRouter's
    /// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
    pub fn budget_tokens(self, max_tokens: u64) -> u64 {
        let percent = match self {
            Self::None => return 0,
            Self::Minimal => 10,
            Self::Low => 20,
            Self::Medium => 50,
            Self::High => 80,
            Self::XHigh | Self::Max => 95,
        };
        (max_tokens.saturating_mul(percent) / 100).max(1_024)
    }

    /// Returns the effort nearest to a budget, for a model that wants a word: the reverse of [`Effort::budget_tokens`]
    /// for a model with an output limit of 32,000 tokens.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=4_800 => Self::Minimal,
            4_801..=11_200 => Self::Low,
            11_201..=20_800 => Self::Medium,
            20_801..=28_000 => Self::High,
            _ => Self::XHigh,
        }
    }
}

impl Request {
    /// Calls `visit` with every source of data in the conversation, those inside tool results and documents too.
    pub fn each_source(&mut self, visit: &mut impl FnMut(&mut Source)) {
        for message in &mut self.messages {
            each_source(&mut message.parts, visit);
        }
    }
}

fn each_source(parts: &mut [Part], visit: &mut impl FnMut(&mut Source)) {
    for part in parts {
        let source = match &mut part.content {
            Content::Image { source, .. } | Content::Audio(source) | Content::Video(source) => source,
            Content::Document(document) => &mut document.source,
            Content::ToolResult(result) => {
                each_source(&mut result.parts, visit);
                continue;
            }
            _ => continue,
        };
        match source {
            Source::Parts(parts) => each_source(parts, visit),
            source => visit(source),
        }
    }
}

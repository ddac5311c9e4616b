//! What a model answers, as it comes.
//!
//! A part is opened, grows by deltas and is closed. Parts have numbers of their own in each choice, from 0 in the order
//! in which they are opened. A decoder closes a part when it opens the next; a provider that goes back to an earlier
//! part (interleaved tool calls) yields deltas of a closed part, which an encoder sends on under that part's number.

use super::extras::Extras;
use super::message::{Citation, Signature};
use super::response::Finish;
use crate::dialect::Dialect;
use crate::json::Json;
use crate::usage::Usage;

/// One step of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer begins. It comes once, first.
    Started(Started),
    /// A part begins.
    Opened {
        /// The choice.
        choice: u32,
        /// The part's number.
        part: u32,
        /// What it is.
        opening: Opening,
    },
    /// A part grows.
    Delta {
        /// The choice.
        choice: u32,
        /// The part's number.
        part: u32,
        /// By what.
        delta: Delta,
    },
    /// A part is complete.
    Closed {
        /// The choice.
        choice: u32,
        /// The part's number.
        part: u32,
    },
    /// Log probabilities of what came, in OpenAI's shape.
    Logprobs {
        /// The choice.
        choice: u32,
        /// `{"content": […], "refusal": …}`
        logprobs: Json,
    },
    /// A choice is complete; every part of it is closed.
    Finished {
        /// The choice.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// What was consumed so far; the last report counts.
    Usage(Usage),
    /// What only one dialect can say of the whole answer (a search's results, say).
    Extras(Extras),
}

/// How an answer begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// The provider's id of the completion; empty where it has none.
    pub id: String,
    /// The provider's name of the model; empty where it says none.
    pub model: String,
    /// Unix seconds.
    pub created: Option<u64>,
    /// The tier of service that is given.
    pub service_tier: Option<String>,
    /// What is known of the usage already (Anthropic's input tokens).
    pub usage: Option<Usage>,
}

/// What a part is that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Text.
    Text,
    /// Reasoning that is shown.
    Thinking {
        /// The provider's id of it.
        id: Option<String>,
    },
    /// Reasoning that is hidden; its data comes as a signature.
    Redacted,
    /// The model declines.
    Refusal,
    /// A tool call.
    ToolCall {
        /// Its id; empty where the dialect has none.
        id: String,
        /// The tool.
        name: String,
        /// Whether its input is plain text.
        custom: bool,
    },
    /// A picture or sound that the model made: base64 follows as [`Delta::Data`].
    Media {
        /// Such as `audio/pcm16` or `image/png`.
        media_type: String,
    },
    /// A block that only its dialect knows, whole.
    Foreign {
        /// The dialect.
        dialect: Dialect,
        /// The block.
        block: Json,
    },
}

/// What a part grows by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// More text: of text, thinking or a refusal.
    Text(String),
    /// More of a tool call's arguments.
    Arguments(String),
    /// The proof of the part, whole.
    Signature(Signature),
    /// What its text is taken from.
    Citation(Citation),
    /// More base64.
    Data(String),
    /// A delta that only its dialect knows, whole (a server tool's input).
    Foreign {
        /// The dialect.
        dialect: Dialect,
        /// The delta.
        delta: Json,
    },
}

//! The ways through the house: which dialect the caller speaks, which one the provider speaks, and what lies between.
//!
//! Where both speak the same, bytes are spliced; where they do not, they are translated through `ir::chat`. This is the
//! only place where dialects are told apart.

pub mod asked;
pub mod count;
pub mod opening;
pub mod proofs;
pub mod reply;
pub mod stream;
mod user;
pub mod weight;
mod whole;
mod words;

use ir::dialect::Dialect;
use ir::failure::{ErrorTypes, Failure};
use ir::id::RequestId;
use ir::report::Report;
use ir::surface;

use crate::translate::Decode;
use crate::{anthropic, cohere, gemini, ollama, openai_chat, openai_responses};

/// What callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `POST /v1/chat/completions`
    OpenaiChat,
    /// `POST /v1/messages`
    AnthropicMessages,
    /// `POST /v1/messages/count_tokens`
    AnthropicCount,
}

impl Surface {
    /// Returns its name in the request log.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => surface::OPENAI_CHAT,
            Self::AnthropicMessages => surface::ANTHROPIC_MESSAGES,
            Self::AnthropicCount => "anthropic.count_tokens",
        }
    }

    /// Returns the name, one of [`ir::surface::NAMES`], of the right that a key needs to call it.
    pub fn right(self) -> &'static str {
        match self {
            Self::OpenaiChat => surface::OPENAI_CHAT,
            // Who may ask may know what asking would cost, and nobody else.
            Self::AnthropicMessages | Self::AnthropicCount => surface::ANTHROPIC_MESSAGES,
        }
    }

    /// Returns the dialect that is spoken there.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenaiChat => Dialect::OpenaiChat,
            Self::AnthropicMessages | Self::AnthropicCount => Dialect::Anthropic,
        }
    }

    /// Returns the status of an error reply: the failure's own, but that Anthropic has one for an overloaded provider.
    pub fn status(self, failure: &Failure) -> u16 {
        match self {
            Self::AnthropicMessages | Self::AnthropicCount if failure.overloaded => 529,
            _ => failure.status,
        }
    }

    /// Returns the body of an error reply. Anthropic's surface has Anthropic's types, whatever the environment's are.
    pub fn render(self, failure: &Failure, types: &ErrorTypes, request: RequestId) -> Vec<u8> {
        match self {
            Self::OpenaiChat => openai_chat::error::render(failure, types),
            Self::AnthropicMessages | Self::AnthropicCount => anthropic::error::render(failure, request),
        }
    }

    /// Returns the event that ends a stream which failed after its first content. No end marker follows it.
    pub fn render_event(self, failure: &Failure, types: &ErrorTypes, request: RequestId) -> Vec<u8> {
        match self {
            Self::OpenaiChat => openai_chat::error::render_event(failure, types),
            Self::AnthropicMessages | Self::AnthropicCount => anthropic::error::render_event(failure, request),
        }
    }
}

/// Fewer output tokens than this may be asked for, and are more with providers of some dialects.
pub const LEAST_OUTPUT: u64 = openai_responses::request::encode::LEAST_OUTPUT_TOKENS;

/// Returns the least output tokens that providers of a dialect are asked for.
pub fn least_output(dialect: Dialect) -> u64 {
    match dialect {
        Dialect::OpenaiResponses => LEAST_OUTPUT,
        Dialect::Ollama => 1,
        Dialect::OpenaiChat | Dialect::Anthropic | Dialect::Gemini | Dialect::Cohere => 0,
    }
}

/// Reads a provider's error body.
pub fn read_error(dialect: Dialect, body: &[u8]) -> Report {
    let body = opening::unmarked(body);
    match dialect {
        Dialect::OpenaiChat => openai_chat::error::read(body),
        Dialect::OpenaiResponses => openai_responses::error::read(body),
        Dialect::Anthropic => anthropic::error::read(body),
        Dialect::Gemini => gemini::error::read(body),
        Dialect::Ollama => ollama::error::read(body),
        Dialect::Cohere => cohere::error::read(body),
    }
}

/// Returns what reads the streams of a dialect. `seed` is for ids of tool calls that have none.
fn decoder(dialect: Dialect, seed: &str) -> Box<dyn Decode> {
    match dialect {
        Dialect::OpenaiChat => Box::new(openai_chat::stream::decode::Decoder::new(seed)),
        Dialect::OpenaiResponses => Box::new(openai_responses::stream::decode::Decoder::new(seed)),
        Dialect::Anthropic => Box::new(anthropic::stream::decode::Decoder::new(seed)),
        Dialect::Gemini => Box::new(gemini::stream::decode::Decoder::new(seed)),
        Dialect::Ollama => Box::new(ollama::stream::decode::Decoder::new(seed)),
        Dialect::Cohere => Box::new(cohere::stream::decode::Decoder::new(seed)),
    }
}

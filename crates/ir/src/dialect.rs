//! The wire formats that are known, by name.

use serde::{Deserialize, Serialize};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI Chat Completions: <https://platform.openai.com/docs/api-reference/chat>.
    OpenaiChat,
    /// OpenAI Responses: <https://platform.openai.com/docs/api-reference/responses>.
    OpenaiResponses,
    /// Anthropic Messages: <https://docs.claude.com/en/api/messages>.
    Anthropic,
    /// Gemini generateContent: <https://ai.google.dev/api/generate-content>.
    Gemini,
    /// Ollama chat: <https://docs.ollama.com/api/chat>.
    Ollama,
    /// Cohere v2 chat: <https://docs.cohere.com/reference/chat>.
    Cohere,
}

impl Dialect {
    /// Returns the name used in configuration, documentation and the request log.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Cohere => "cohere",
        }
    }
}

/// Where a vendor of a known dialect departs from it. The list is closed: a quirk is added here together with the
/// code that honours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// OpenAI Chat: the output limit is called `max_tokens`; `max_completion_tokens` is not known.
    MaxTokens,
    /// OpenAI Chat: there is no role `developer`; such messages go as `system`.
    NoDeveloperRole,
    /// OpenAI Chat: the seed is called `random_seed` (Mistral).
    RandomSeed,
    /// OpenAI Chat: tool call ids are nine letters or digits (Mistral).
    NineCharacterToolIds,
    /// OpenAI Chat: `tool_choice: "required"` is spelled `"any"` (Mistral).
    ToolChoiceAny,
    /// OpenAI Chat: thoughts are sent back as `reasoning_content` (DeepSeek and the servers that follow it).
    ReasoningContent,
    /// OpenAI Chat: thoughts are sent back as `reasoning_details` (OpenRouter).
    ReasoningDetails,
    /// OpenAI Chat: Anthropic's `cache_control` is understood on content parts and tools (OpenRouter).
    CacheControl,
}

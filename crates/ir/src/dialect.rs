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

/// Where a vendor of a known dialect spells something otherwise. The list is closed: a quirk is added here together with
/// the code that honours it. What a vendor refuses outright is data of its row (`refuses`), not a quirk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// OpenAI Chat: the output limit is called `max_tokens`; `max_completion_tokens` is refused or ignored.
    MaxTokens,
    /// OpenAI Chat: the seed is called `random_seed` (Mistral).
    RandomSeed,
    /// OpenAI Chat: there is no role `developer`; such messages go as `system`.
    NoDeveloperRole,
    /// OpenAI Chat: messages have no `name`, but those of tools (Mistral).
    NoNames,
    /// OpenAI Chat: tool call ids are nine letters or digits (Mistral).
    NineCharacterToolIds,
    /// OpenAI Chat: documents go as `document_url`, or as a bare `file_id` (Mistral).
    DocumentUrl,
    /// OpenAI Chat: the temperature is at most 1.5; a higher one goes as 1.5.
    LowTemperature,
    /// OpenAI Chat: `reasoning_effort` is `none` or `high`; whatever lies between goes as `high` (Mistral).
    NoneOrHighEffort,
    /// OpenAI Chat: thoughts are sent back as `reasoning_content` (DeepSeek and the servers that follow it).
    ReasoningContent,
    /// OpenAI Chat: thoughts are sent back as `reasoning` (Cerebras).
    Reasoning,
    /// OpenAI Chat: thoughts are sent back as parts of the content (Mistral).
    ReasoningParts,
    /// OpenAI Chat: thoughts are sent back as `reasoning_details` (OpenRouter).
    ReasoningDetails,
    /// OpenAI Chat: Anthropic's `cache_control` is understood on content parts and tools (OpenRouter).
    CacheControl,
}

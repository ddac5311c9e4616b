//! The names of the surfaces: what a key's right to call one is spelled as, and what the request log shows.

/// `POST /v1/chat/completions`
pub const OPENAI_CHAT: &str = "openai.chat";

/// `POST /v1/messages`, and the counting of its tokens.
pub const ANTHROPIC_MESSAGES: &str = "anthropic.messages";

/// Every surface that a key can be allowed to call.
pub const NAMES: [&str; 2] = [OPENAI_CHAT, ANTHROPIC_MESSAGES];

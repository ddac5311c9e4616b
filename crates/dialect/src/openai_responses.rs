//! OpenAI Responses: <https://platform.openai.com/docs/api-reference/responses>.
//!
//! A conversation is a flat list of items. What the model said in one turn stands there as several (reasoning, a
//! message, calls) and is one message in the canonical vocabulary; an item that only this dialect knows (a provider's
//! own search, a compaction) is a foreign part of it.

pub mod error;
mod item;
pub mod request;
pub mod response;
pub mod stream;
mod wire;

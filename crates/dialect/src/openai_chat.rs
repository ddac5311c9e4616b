//! OpenAI Chat Completions: <https://platform.openai.com/docs/api-reference/chat>.
//!
//! The splice lane stands in `request`, `response` and `stream`; the translate lane in the files below them.

pub mod error;
mod finish;
mod reasoning;
pub mod request;
pub mod response;
mod said;
pub mod stream;
mod usage;
mod wire;

//! Ollama chat: <https://docs.ollama.com/api/chat>.
//!
//! What is peculiar to it: a stream is lines of JSON and is the default; sampling stands in `options`; pictures are
//! base64 beside the text and never addresses; a tool call's arguments are an object; a call has no id on older
//! servers; and a tool cannot be forced.

pub mod error;
pub mod request;
pub mod response;
pub mod stream;
mod wire;

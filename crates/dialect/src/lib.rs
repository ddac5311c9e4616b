//! Wire formats, without IO: what a request asks for, what an answer says, and where bytes may be patched.
//!
//! A dialect folder holds the same files as every other (`request response stream error`) and imports no other
//! dialect. Where the caller and the provider speak the same one, bytes are never re-encoded: requests, replies and
//! events are spliced, that is, cut at known offsets and put together again around what we add. Where they do not,
//! they are translated through `ir::chat`.

pub mod anthropic;
mod carry;
pub mod cohere;
pub mod frames;
pub mod gemini;
pub mod guard;
pub mod json;
pub mod lane;
pub mod meta;
pub mod ollama;
pub mod openai_chat;
pub mod openai_responses;
pub mod passed;
pub mod splice;
pub mod sse;
pub mod translate;

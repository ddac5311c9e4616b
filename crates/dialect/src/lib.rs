//! Wire formats, without IO: what a request asks for, what an answer says, and where bytes may be patched.
//!
//! A dialect folder holds the same files as every other (`request response stream error`) and imports no other
//! dialect. Bytes that need no change are never re-encoded: requests, replies and events are spliced, that is, cut at
//! known offsets and put together again around what we add.

pub mod json;
pub mod meta;
pub mod openai_chat;
pub mod splice;
pub mod sse;

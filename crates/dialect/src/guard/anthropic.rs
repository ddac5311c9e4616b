//! Anthropic Messages: where texts stand in requests, in replies and in the events of a stream.

pub mod reply;
pub mod request;
mod said;
pub mod stream;

//! OpenAI Chat Completions: where texts stand in requests, in replies and in the chunks of a stream.

mod reading;
pub mod reply;
pub mod request;
pub mod stream;

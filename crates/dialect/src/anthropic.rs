//! Anthropic Messages: <https://docs.claude.com/en/api/messages>.

pub mod error;
mod model;
mod report;
pub mod request;
pub mod response;
mod said;
pub mod stream;
mod usage;
mod wire;

//! Anthropic Messages: <https://docs.claude.com/en/api/messages>.

mod report;
pub mod request;
pub mod response;
pub mod stream;
mod usage;

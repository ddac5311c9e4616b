//! How guards act on requests, replies and streams: where their texts stand, and what is held, cut, rewritten and added.
//!
//! What is guarded is the text that a caller reads, refusals included; thoughts and the arguments of tool calls are not.
//! The rules are elsewhere: a [`Watch`] judges one choice. Where nothing is found, every byte stays as it came.

pub mod anthropic;
pub mod canonical;
mod hold;
pub mod openai_chat;
mod prompt;
mod said;
pub mod stream;

/// One text of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// The text, unescaped.
    pub text: &'a str,
    /// Whether it is the first of its message.
    pub starts: bool,
    /// Whether the user says it: not the system, the model or a tool.
    pub by_user: bool,
}

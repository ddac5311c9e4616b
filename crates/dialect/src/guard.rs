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
mod template;

use bytes::Bytes;
use ir::chat::response::Response;
use ir::guard::{Blocked, Watch};

use self::openai_chat::reply::Reading;

/// Judges whole replies. Every watch that has seen nothing is one.
pub trait ReplyGuard {
    /// Judges the body of a chat completion. See [`openai_chat::reply::judge`].
    ///
    /// # Errors
    /// When it is blocked.
    fn chat(&self, body: Bytes) -> Result<Bytes, Blocked>;

    /// Judges the body of a chat completion by what it says. See [`openai_chat::reply::judge_read`].
    ///
    /// # Errors
    /// When it is blocked.
    fn chat_read(&self, body: Bytes, reading: &Reading) -> Result<Bytes, Blocked>;

    /// Judges the body of a message. See [`anthropic::reply::judge`].
    ///
    /// # Errors
    /// When it is blocked.
    fn messages(&self, body: Bytes) -> Result<Bytes, Blocked>;

    /// Judges an answer in the canonical vocabulary. See [`canonical::reply::judge`].
    ///
    /// # Errors
    /// When it is blocked.
    fn canonical(&self, response: &mut Response) -> Result<(), Blocked>;
}

impl<W: Watch + Clone> ReplyGuard for W {
    fn chat(&self, body: Bytes) -> Result<Bytes, Blocked> {
        openai_chat::reply::judge(body, self)
    }

    fn chat_read(&self, body: Bytes, reading: &Reading) -> Result<Bytes, Blocked> {
        openai_chat::reply::judge_read(body, reading, self)
    }

    fn messages(&self, body: Bytes) -> Result<Bytes, Blocked> {
        anthropic::reply::judge(body, self)
    }

    fn canonical(&self, response: &mut Response) -> Result<(), Blocked> {
        canonical::reply::judge(response, self)
    }
}

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

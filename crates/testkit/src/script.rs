//! What a provider does with one request, step by step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::data;

/// One step.
#[derive(Clone)]
pub enum Step {
    /// Sends these bytes at once.
    Send(Bytes),
    /// Sends these bytes in segments of a size, each read by the gateway on its own.
    Cut(Bytes, usize),
    /// Sends these bytes over and over until the gateway is gone.
    Flood(Bytes),
    /// Lets time pass.
    Wait(Duration),
    /// Waits until it is told to go on.
    Until(Arc<Notify>),
    /// Calls something.
    Do(Arc<dyn Fn() + Send + Sync>),
    /// Answers with what was asked: the content is the request's body.
    Echo,
    /// Never does anything again.
    Stall,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

/// How a provider treats one connection and the request on it.
#[derive(Clone, Debug)]
pub enum Script {
    /// It refuses the connection.
    Refuse,
    /// The connection never stands.
    Unreachable,
    /// The connector panics.
    Panic,
    /// It takes the request and makes these steps. A connection stays open after them.
    Steps(Vec<Step>),
}

impl Script {
    /// Starts a script without steps.
    pub fn new() -> Self {
        Self::Steps(Vec::new())
    }

    /// Answers with a completion.
    pub fn chat(content: &str) -> Self {
        Self::json(200, &data::completion(content))
    }

    /// Answers with JSON.
    pub fn json(status: u16, body: &str) -> Self {
        Self::answer(status, "content-type: application/json\r\n", body)
    }

    /// Answers with an error in OpenAI's form.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &data::error(message))
    }

    /// Answers with a status, header lines (each with its line end) and a body of declared length.
    pub fn answer(status: u16, fields: &str, body: &str) -> Self {
        let length = body.len();
        Self::new().send(format!("HTTP/1.1 {status} X\r\n{fields}content-length: {length}\r\n\r\n{body}"))
    }

    /// Begins a stream: its head. What follows is sent as chunks.
    pub fn stream() -> Self {
        Self::new().send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    }

    /// Answers with a whole stream of these contents.
    pub fn streamed(contents: &[&str]) -> Self {
        Self::stream().chunk(data::stream(contents)).end()
    }

    /// Sends bytes as they are.
    #[must_use]
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Sends bytes in segments.
    #[must_use]
    pub fn cut(self, bytes: impl Into<Bytes>, size: usize) -> Self {
        self.step(Step::Cut(bytes.into(), size))
    }

    /// Sends one chunk of a stream.
    #[must_use]
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send(chunk(bytes.as_ref()))
    }

    /// Ends a stream's body.
    #[must_use]
    pub fn end(self) -> Self {
        self.send("0\r\n\r\n")
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        match &mut self {
            Self::Steps(steps) => steps.push(step),
            Self::Refuse | Self::Unreachable | Self::Panic => panic!("without a connection there are no steps"),
        }
        self
    }

    /// Never does anything again.
    #[must_use]
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Closes the connection.
    #[must_use]
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Lets time pass.
    #[must_use]
    pub fn wait(self, seconds: u64) -> Self {
        self.step(Step::Wait(Duration::from_secs(seconds)))
    }

    /// Waits until told.
    #[must_use]
    pub fn until(self, told: &Arc<Notify>) -> Self {
        self.step(Step::Until(Arc::clone(told)))
    }

    /// Answers with what was asked.
    pub fn echo() -> Self {
        Self::new().step(Step::Echo)
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns bytes as one chunk of a body.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

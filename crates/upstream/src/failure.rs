//! Why an attempt failed: what broke, whether another target may help, whether the same target may be asked again.

use std::fmt;
use std::time::Duration;

use ir::failure::Failure;
use ir::report::Report;
use net::h1::ResponseHead;

/// What broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No connection: refused, unreachable, no such name, TLS.
    Connect,
    /// It did not answer in time.
    Timeout,
    /// The connection broke before the answer's first content.
    Broken,
    /// What came is no answer: not HTTP, not JSON, an error with status 200.
    Malformed,
    /// 408.
    RequestTimeout,
    /// 409.
    Conflict,
    /// 429.
    RateLimited,
    /// 401, 403: the operator's credential was refused.
    Auth,
    /// 402: the operator's account has no credit.
    Payment,
    /// 404: it does not know the model or the path.
    NotFound,
    /// The prompt does not fit into the model's context.
    ContextLength,
    /// The provider's content filter refused the prompt.
    ContentFilter,
    /// Any other 4xx: the request is wrong.
    Rejected,
    /// 529, or it says that it is overloaded.
    Overloaded,
    /// It points back at this gateway, directly or through others.
    Loop,
    /// The request asks for what this provider cannot be told; it was not asked.
    Unsupported,
    /// 500 to 599, and what is neither success nor error (redirects).
    Server,
}

impl Class {
    /// Returns the name that the log uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Malformed => "malformed",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Auth => "auth",
            Self::Payment => "payment",
            Self::NotFound => "not_found",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::Rejected => "rejected",
            Self::Overloaded => "overloaded",
            Self::Loop => "loop",
            Self::Unsupported => "unsupported",
            Self::Server => "server_error",
        }
    }

    /// Whether the same target may be asked again: only where it failed without judging the request, and did not say
    /// how long to stay away.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Connect | Self::Broken | Self::Malformed | Self::Overloaded | Self::Server)
    }
}

/// A failed attempt.
#[derive(Clone, Debug)]
pub struct AttemptFailure {
    /// What broke.
    pub class: Class,
    /// The provider's status, when it answered.
    pub status: Option<u16>,
    /// What it said; boxed, because failures are rare and results are everywhere.
    pub report: Box<Report>,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The log's text for what broke below HTTP.
    pub detail: Box<str>,
    /// Our own refusal, where the provider was not asked.
    pub refusal: Option<Box<Failure>>,
    /// What it said of its own limits, names and values.
    pub limits: Box<[(Box<str>, Box<str>)]>,
}

impl AttemptFailure {
    /// Returns a failure below or outside the provider's own error report.
    pub fn new(class: Class, detail: impl Into<Box<str>>) -> Self {
        Self {
            class,
            status: None,
            report: Box::default(),
            retry_after: None,
            detail: detail.into(),
            refusal: None,
            limits: Box::default(),
        }
    }

    /// Adds to the log's text how an answer is compressed that could not be read: none was asked to be.
    #[must_use]
    pub fn compressed(self, head: &ResponseHead) -> Self {
        let coding = head.get("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"));
        match coding {
            Some(coding) => {
                let coding: String = coding.chars().take(32).collect();
                let detail = format!("{} (it says that it is compressed, as {coding:?}, unasked)", self.detail);
                Self { detail: detail.into(), ..self }
            }
            None => self,
        }
    }

    /// Returns the failure of an attempt that was not made.
    pub fn refused(failure: Failure) -> Self {
        Self { refusal: Some(Box::new(failure.clone())), ..Self::new(Class::Unsupported, failure.message) }
    }
}

impl fmt::Display for AttemptFailure {
    /// Prints the line for the log, such as `server_error: status 500: upstream said …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.name())?;
        if let Some(status) = self.status {
            write!(f, ": status {status}")?;
        }
        for text in [Some(&*self.detail), self.report.message.as_deref()].into_iter().flatten() {
            if !text.is_empty() {
                write!(f, ": {text}")?;
            }
        }
        Ok(())
    }
}

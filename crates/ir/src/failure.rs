//! Failures: what broke, whose fault it is, what the caller is told and what the log is told.
//!
//! The codes and their HTTP statuses are the product's contract (`error.code` on OpenAI surfaces,
//! `x-crossway-error-code` on every surface). How a surface renders them is the surface's business.

use std::sync::Arc;
use std::time::Duration;

/// The stable codes of an error reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each code is described by its name, its status and docs/errors.md")]
pub enum Code {
    InvalidRequest,
    UnknownModel,
    UnsupportedParameter,
    ContextLengthExceeded,
    GuardrailBlocked,
    InvalidApiKey,
    RevokedApiKey,
    ExpiredApiKey,
    ModelNotAllowed,
    ProviderNotAllowed,
    EnvironmentMismatch,
    KeyDisabled,
    NetworkNotAllowed,
    SurfaceNotAllowed,
    ModelDisabled,
    FeatureDisabled,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    IdempotencyInProgress,
    IdempotencyOutcomeUnknown,
    IdempotencyNotReplayable,
    IdempotencyKeyReused,
    RequestTooLarge,
    UnsupportedMediaType,
    HeadersTooLarge,
    RateLimited,
    ConcurrencyLimited,
    BudgetExceeded,
    InsufficientCredits,
    AccountSuspended,
    InternalError,
    UpstreamError,
    UpstreamAuthError,
    UpstreamUnavailable,
    UpstreamTimeout,
    UpstreamStreamAborted,
    DependencyUnavailable,
    LoopDetected,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 39] = [
        Self::InvalidRequest,
        Self::UnknownModel,
        Self::UnsupportedParameter,
        Self::ContextLengthExceeded,
        Self::GuardrailBlocked,
        Self::InvalidApiKey,
        Self::RevokedApiKey,
        Self::ExpiredApiKey,
        Self::ModelNotAllowed,
        Self::ProviderNotAllowed,
        Self::EnvironmentMismatch,
        Self::KeyDisabled,
        Self::NetworkNotAllowed,
        Self::SurfaceNotAllowed,
        Self::ModelDisabled,
        Self::FeatureDisabled,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::IdempotencyInProgress,
        Self::IdempotencyOutcomeUnknown,
        Self::IdempotencyNotReplayable,
        Self::IdempotencyKeyReused,
        Self::RequestTooLarge,
        Self::UnsupportedMediaType,
        Self::HeadersTooLarge,
        Self::RateLimited,
        Self::ConcurrencyLimited,
        Self::BudgetExceeded,
        Self::InsufficientCredits,
        Self::AccountSuspended,
        Self::InternalError,
        Self::UpstreamError,
        Self::UpstreamAuthError,
        Self::UpstreamUnavailable,
        Self::UpstreamTimeout,
        Self::UpstreamStreamAborted,
        Self::DependencyUnavailable,
        Self::LoopDetected,
    ];

    /// Returns the code as it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnknownModel => "unknown_model",
            Self::UnsupportedParameter => "unsupported_parameter",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::GuardrailBlocked => "guardrail_blocked",
            Self::InvalidApiKey => "invalid_api_key",
            Self::RevokedApiKey => "revoked_api_key",
            Self::ExpiredApiKey => "expired_api_key",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ProviderNotAllowed => "provider_not_allowed",
            Self::EnvironmentMismatch => "environment_mismatch",
            Self::KeyDisabled => "key_disabled",
            Self::NetworkNotAllowed => "network_not_allowed",
            Self::SurfaceNotAllowed => "surface_not_allowed",
            Self::ModelDisabled => "model_disabled",
            Self::FeatureDisabled => "feature_disabled",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::IdempotencyOutcomeUnknown => "idempotency_outcome_unknown",
            Self::IdempotencyNotReplayable => "idempotency_not_replayable",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::BudgetExceeded => "budget_exceeded",
            Self::InsufficientCredits => "insufficient_credits",
            Self::AccountSuspended => "account_suspended",
            Self::InternalError => "internal_error",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamAuthError => "upstream_auth_error",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamStreamAborted => "upstream_stream_aborted",
            Self::DependencyUnavailable => "dependency_unavailable",
            Self::LoopDetected => "loop_detected",
        }
    }

    /// Returns the HTTP status that always goes with the code.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest
            | Self::UnknownModel
            | Self::UnsupportedParameter
            | Self::ContextLengthExceeded
            | Self::GuardrailBlocked => 400,
            Self::InvalidApiKey | Self::RevokedApiKey | Self::ExpiredApiKey => 401,
            Self::ModelNotAllowed
            | Self::ProviderNotAllowed
            | Self::EnvironmentMismatch
            | Self::KeyDisabled
            | Self::NetworkNotAllowed
            | Self::SurfaceNotAllowed
            | Self::ModelDisabled
            | Self::FeatureDisabled
            | Self::AccountSuspended => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::IdempotencyInProgress | Self::IdempotencyOutcomeUnknown | Self::IdempotencyNotReplayable => 409,
            Self::RequestTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::IdempotencyKeyReused => 422,
            Self::RateLimited | Self::ConcurrencyLimited | Self::BudgetExceeded | Self::InsufficientCredits => 429,
            Self::HeadersTooLarge => 431,
            Self::InternalError => 500,
            Self::UpstreamError | Self::UpstreamAuthError | Self::UpstreamStreamAborted | Self::LoopDetected => 502,
            Self::UpstreamUnavailable | Self::DependencyUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}

/// Which words the `type` of an error has on OpenAI surfaces: an environment chooses them, for the sake of the clients
/// it already has. The stable codes are the same everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ErrorTypes {
    /// OpenAI's, which the gateway Computeboard has too: `invalid_request_error`, `authentication_error`, …
    #[default]
    Computeboard,
    /// Those of the gateway `RouterLink`: `unauthorized`, `forbidden`, …, each behind a prefix.
    Routerlink {
        /// The prefix, such as `crossway_`.
        prefix: Arc<str>,
    },
}

/// Whose fault a failure is. It decides who is told, and whether a target is blamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller sent something that cannot be served as it stands.
    Caller,
    /// The operator's configuration or credential is wrong.
    Operator,
    /// The provider failed.
    Provider,
    /// We failed.
    Gateway,
}

/// A failure on its way to a caller and to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code; it fixes the status, unless `status` says otherwise.
    pub code: Code,
    /// The HTTP status: the code's own, or a provider's status of the same class that is passed on (409, 422, …).
    pub status: u16,
    /// Whose fault it is.
    pub fault: Fault,
    /// What the caller reads: lower risk, no secret, no internal name.
    pub message: String,
    /// What the operator reads in the log, when there is more to say.
    pub detail: Option<String>,
    /// The field of the request that is wrong, for a 400.
    pub param: Option<String>,
    /// How long the caller should wait before it tries again.
    pub retry_after: Option<Duration>,
    /// What `x-should-retry` says to the caller's SDK, where the status would mislead it.
    pub should_retry: Option<bool>,
    /// Whether the provider says that it is overloaded, or what the gateway itself depends on is away: Anthropic's surface
    /// has a status of its own for it.
    pub overloaded: bool,
    /// What the provider said of its own limits, names and values, as it said it.
    pub limits: Box<[(Box<str>, Box<str>)]>,
}

impl Failure {
    /// Returns a failure with the code's own status and nothing but a message.
    pub fn new(code: Code, fault: Fault, message: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            fault,
            message: message.into(),
            detail: None,
            param: None,
            retry_after: None,
            should_retry: None,
            overloaded: code == Code::DependencyUnavailable,
            limits: Box::default(),
        }
    }

    /// Returns a 400 that names the wrong field.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, Fault::Caller, message).with_param(param)
    }

    /// Names the wrong field.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says that trying again does not help.
    #[must_use]
    pub fn hopeless(mut self) -> Self {
        self.should_retry = Some(false);
        self
    }

    /// Says when the caller should try again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

//! Errors of the admin API: `{"error":{"code","message","field","request_id","hint"}}`, and `problems` where there are
//! several at once.

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use control::refusal::Refusal;
use ir::id::RequestId;
use serde::Serialize;

/// What kind of error it is. The name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// 400: the request is not valid; `field` says where.
    InvalidRequest,
    /// 401: nobody, or nobody who is known.
    Unauthorized,
    /// 403: the role does not allow it.
    PermissionDenied,
    /// 404: there is no such thing, or none that the caller may see.
    NotFound,
    /// 405: the path does not take the method; `Allow` says which it takes.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    RequestTimeout,
    /// 409: the state of the thing does not allow it.
    Conflict,
    /// 409: another resource of the kind has the name.
    NameTaken,
    /// 409: something refers to it.
    InUse,
    /// 409: the configuration file says it.
    ReadOnly,
    /// 412: it was changed since; `ETag` has the current version.
    VersionConflict,
    /// 413: the body is too large.
    RequestTooLarge,
    /// 415: the body is not JSON.
    UnsupportedMediaType,
    /// 429: too many requests; `Retry-After` says how long to wait.
    RateLimited,
    /// 500: a fault of the gateway.
    InternalError,
    /// 503: a database is away or busy; `Retry-After` says how long to wait.
    DependencyUnavailable,
}

impl Code {
    /// Every code, by status.
    pub const ALL: [Self; 16] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::PermissionDenied,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::NameTaken,
        Self::InUse,
        Self::ReadOnly,
        Self::VersionConflict,
        Self::RequestTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::InternalError,
        Self::DependencyUnavailable,
    ];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::NameTaken => "name_taken",
            Self::InUse => "in_use",
            Self::ReadOnly => "read_only",
            Self::VersionConflict => "version_conflict",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::InternalError => "internal_error",
            Self::DependencyUnavailable => "dependency_unavailable",
        }
    }

    /// Returns the status of the reply.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict | Self::NameTaken | Self::InUse | Self::ReadOnly => StatusCode::CONFLICT,
            Self::VersionConflict => StatusCode::PRECONDITION_FAILED,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::DependencyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns what it means, for the documents.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid; `field` says where.",
            Self::Unauthorized => "The credential is missing or wrong.",
            Self::PermissionDenied => "The role does not allow it.",
            Self::NotFound => "There is no such thing, or none that the caller may see.",
            Self::MethodNotAllowed => "The path does not take this method; `Allow` says which it takes.",
            Self::RequestTimeout => "The body did not arrive in time.",
            Self::Conflict => "The state of the thing does not allow it.",
            Self::NameTaken => "Another resource of the kind has the name.",
            Self::InUse => "Something refers to it, so that it cannot be deleted.",
            Self::ReadOnly => "The configuration file says it: it is changed there.",
            Self::VersionConflict => "It was changed since it was read; `ETag` has the version that it has now.",
            Self::RequestTooLarge => "The body is larger than this route takes.",
            Self::UnsupportedMediaType => "The body is not declared as JSON.",
            Self::RateLimited => "Too many requests; `Retry-After` says how many seconds to wait.",
            Self::InternalError => "A fault of the gateway; quote the `request_id`.",
            Self::DependencyUnavailable => "A database is away or busy; `Retry-After` says how many seconds to wait.",
        }
    }
}

/// One of several faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which document it is about, such as `default/providers/openai` or `document 3`, where several were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The member, such as `spec.base_url`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line, where the request was a file.
    pub line: Option<usize>,
}

/// What an administrator is told instead of an answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Said>);

#[derive(Clone, Debug)]
struct Said {
    code: Code,
    message: String,
    field: Option<String>,
    hint: Option<String>,
    problems: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// How long to stay away while a database is away, in seconds.
const AWAY_SECONDS: u64 = 1;

impl Problem {
    /// Returns an error. The message is lower case, without a final stop, and never repeats what may be a secret.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Said { code, message, field: None, hint: None, problems: Vec::new(), headers: Vec::new() }))
    }

    /// Adds the member or parameter that is blamed.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says that the member that is blamed is one of another.
    #[must_use]
    pub fn below(mut self, place: &str) -> Self {
        let field = self.0.field.take();
        self.0.field = Some(field.map_or_else(|| place.to_owned(), |field| format!("{place}.{field}")));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Returns what it says.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the member or parameter that is blamed.
    pub fn blamed(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// Returns what to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// 400 about a member or parameter.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message).field(field)
    }

    /// 405 with the methods that the path takes.
    pub fn method_not_allowed(allow: &str) -> Self {
        let problem = Self::new(Code::MethodNotAllowed, format!("this path takes {allow}"));
        match HeaderValue::from_str(allow) {
            Ok(value) => problem.header(ALLOW, value),
            Err(_) => problem,
        }
    }

    /// 401.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthorized, message)
            .hint("send the admin token as `Authorization: Bearer …`, or sign in")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"crossway admin\""))
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    /// 429 with the wait.
    pub fn rate_limited(message: impl Into<String>, wait: std::time::Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        Self::new(Code::RateLimited, message)
            .hint(format!("wait {seconds} s"))
            .header(RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)))
    }

    /// 413; the rest of the body is not read, so that the connection ends.
    pub fn too_large(limit_bytes: usize) -> Self {
        Self::new(Code::RequestTooLarge, format!("the body is larger than {limit_bytes} bytes"))
            .header(CONNECTION, HeaderValue::from_static("close"))
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::InternalError, message).hint("quote the request id when you report it")
    }

    /// 503: something that it needs is away or busy.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::DependencyUnavailable, message).header(RETRY_AFTER, HeaderValue::from(AWAY_SECONDS))
    }

    /// What a database said about a query of the request log.
    pub fn store(error: &store::StoreError) -> Self {
        match error {
            store::StoreError::BadCursor => return Self::invalid("cursor", error.to_string()),
            store::StoreError::TooBroad(why) => return Self::new(Code::InvalidRequest, *why),
            _ => {}
        }
        tracing::warn!(component = "admin", error = %error, "A query failed");
        Self::unavailable("the request log cannot be read now")
    }

    /// Returns the body of the reply.
    pub(super) fn body(&self, id: RequestId) -> Vec<u8> {
        let (said, request_id) = (&*self.0, id.to_string());
        let error = Shown {
            code: said.code.name(),
            message: &said.message,
            field: said.field.as_deref(),
            request_id: &request_id,
            hint: said.hint.as_deref(),
            problems: &said.problems,
        };
        serde_json::to_vec(&Envelope { error }).unwrap_or_default()
    }

    /// Returns the reply.
    pub fn render(self, id: RequestId) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body(id)));
        let said = *self.0;
        *response.status_mut() = said.code.status();
        let headers: &mut HeaderMap = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        said.headers.into_iter().for_each(|(name, value)| _ = headers.append(name, value));
        response
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Shown<'a>,
}

#[derive(Serialize)]
struct Shown<'a> {
    code: &'static str,
    message: &'a str,
    field: Option<&'a str>,
    request_id: &'a str,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    problems: &'a [Fault],
}

/// Returns what is told to somebody who sent several documents: each fault with the document that it is about.
pub(super) fn of_documents(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Invalid(problems) => invalid(problems, true),
        other => other.into(),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::not_found(message),
            Refusal::Forbidden(_) => Self::forbidden(message),
            Refusal::Stale { current } => stale(current),
            Refusal::NameTaken(_) => Self::new(Code::NameTaken, message).field("name"),
            Refusal::InUse { .. } => {
                Self::new(Code::InUse, message).hint("change or delete what uses it, then delete it")
            }
            Refusal::ReadOnly { .. } => Self::new(Code::ReadOnly, message),
            Refusal::Invalid(problems) => invalid(problems, false),
            Refusal::BadParameter { field, .. } => Self::invalid(&field, message),
            Refusal::Conflict(_) => Self::new(Code::Conflict, message),
            Refusal::Unavailable(error) => {
                tracing::warn!(component = "admin", error = %error, "The control database cannot be used");
                let problem = Self::unavailable(message);
                match error.advice() {
                    Some(advice) => problem.hint(advice),
                    None => problem,
                }
            }
        }
    }
}

fn stale(current: u64) -> Problem {
    let problem =
        Problem::new(Code::VersionConflict, format!("it was changed by somebody else: it has version {current} now"))
            .hint("read it again, and send If-Match with its ETag");
    match HeaderValue::from_str(&format!("\"{current}\"")) {
        Ok(etag) => problem.header(ETAG, etag),
        Err(_) => problem,
    }
}

/// The first fault stands in the usual members, and all of them are listed when there are several.
fn invalid(problems: Vec<policy::problem::Problem>, of_documents: bool) -> Problem {
    let faults: Vec<Fault> = problems
        .into_iter()
        .map(|problem| Fault {
            document: of_documents.then(|| problem.file.to_string()),
            path: problem.path,
            message: problem.message,
            hint: problem.hint,
            line: problem.line,
        })
        .collect();
    let mut problem = match faults.first() {
        Some(first) => Problem::new(Code::InvalidRequest, &first.message),
        None => Problem::new(Code::InvalidRequest, "not valid"),
    };
    if let Some(first) = faults.first() {
        problem.0.field = (!first.path.is_empty()).then(|| first.path.clone());
        problem.0.hint.clone_from(&first.hint);
    }
    if of_documents || faults.len() > 1 {
        problem.0.problems = faults;
    }
    problem
}

//! A refusal as an HTTP reply, in the shape of the surface that was called.

use dialect::lane::Surface;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ir::dialect::Dialect;
use ir::failure::{Code, Failure};
use ir::id::RequestId;

use super::Refusal;
use crate::body::ReplyBody;
use crate::gateway::Gateway;
use crate::stage::dispatch::rate_limits;
use crate::stage::reply::{ANTHROPIC_REQUEST_ID, ATTEMPTS, REQUEST_ID, id_value};

/// The stable code of an error, on every surface.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-crossway-error-code");

/// What OpenAI's and Anthropic's SDKs ask before they look at the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

impl Refusal {
    /// Renders it, in the words of the caller's environment or, where that is not known, of the default one.
    pub fn render(&self, gateway: &Gateway, surface: Surface) -> Response<ReplyBody> {
        let failure = &self.failure;
        let types = self.types.clone().unwrap_or_else(|| gateway.default_error_types());
        // What the path takes is said by `Allow`: it is no field of the request.
        let nameless =
            (failure.code == Code::MethodNotAllowed).then(|| Failure { param: None, ..Failure::clone(failure) });
        let body = surface.render(nameless.as_ref().unwrap_or(failure), &types, self.id);
        let mut response = Response::new(ReplyBody::full(body));
        let status = surface.status(failure);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        label(headers, surface, self.id);
        headers.insert(ERROR_CODE, HeaderValue::from_static(failure.code.name()));
        if self.attempts > 0 {
            headers.insert(ATTEMPTS, HeaderValue::from(self.attempts));
        }
        if let Some(wait) = failure.retry_after {
            // Whole seconds, rounded up: a caller that comes back earlier is refused again.
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1_000) as u64));
        }
        if let Some(should) = failure.should_retry {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(if should { "true" } else { "false" }));
        }
        for (name, value) in rate_limits::of_failure(failure, surface.dialect()) {
            headers.append(name, value);
        }
        if let Some(standing) = &self.standing {
            standing.write(headers);
        }
        if failure.code == Code::MethodNotAllowed {
            let allowed = failure.param.as_deref().and_then(|param| HeaderValue::from_str(param).ok());
            headers.insert(ALLOW, allowed.unwrap_or(HeaderValue::from_static("GET, POST")));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Puts on what every JSON reply bears that is no answer of a model.
pub fn label(headers: &mut HeaderMap, surface: Surface, id: RequestId) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, id_value(id));
    if surface.dialect() == Dialect::Anthropic {
        headers.insert(ANTHROPIC_REQUEST_ID, id_value(id));
    }
}

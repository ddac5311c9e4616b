//! Errors of the admin API: `{"error":{"code","message","field","request_id","hint"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use ir::id::RequestId;
use serde_json::json;

/// What an administrator is told.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
    hint: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, hint: None }
    }

    pub(super) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", message) }
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        let hint = Some("send it as `Authorization: Bearer …`");
        Self { hint, ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message) }
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn internal(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    pub(super) fn store(error: &store::StoreError) -> Self {
        if let store::StoreError::BadCursor = error {
            return Self::invalid("cursor", error.to_string());
        }
        tracing::warn!(component = "admin", error = %error, "A query failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "dependency_unavailable", "the request log cannot be read now")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Not tied to a request of the data plane: an id for the operator to quote.
        let id = RequestId(fastrand_id()).to_string();
        let body = json!({"error": {
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "request_id": id,
            "hint": self.hint,
        }});
        let mut response = (self.status, Json(body)).into_response();
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }
}

fn fastrand_id() -> [u8; 16] {
    fastrand::u128(..).to_be_bytes()
}

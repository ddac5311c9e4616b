//! Both surfaces as one: the same question asked in either dialect, and the contract that every error keeps.

use serde_json::{Value, json};

use crate::client::{Client, Reply};
use crate::gateway::Gateway;

/// Who asks: which surface is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// `POST /v1/chat/completions`
    Openai,
    /// `POST /v1/messages`
    Anthropic,
}

/// What a caller is told instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status of the reply.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What it says.
    pub message: String,
    /// The field that is blamed; Anthropic's shape has no place for it.
    pub param: Option<String>,
}

impl Told {
    /// Returns status and code, for comparing.
    pub fn verdict(&self) -> (u16, &str) {
        (self.status, &self.code)
    }
}

impl Caller {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Openai, Self::Anthropic];

    /// Returns the request line, without the version.
    pub fn line(self) -> &'static str {
        match self {
            Self::Openai => "POST /v1/chat/completions",
            Self::Anthropic => "POST /v1/messages",
        }
    }

    /// Returns the header lines of a usual request, in the way of each vendor's SDK.
    pub fn fields(self, gateway: &Gateway) -> String {
        match self {
            Self::Openai => gateway.fields(),
            Self::Anthropic => format!(
                "x-api-key: {}\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n",
                gateway.secret
            ),
        }
    }

    /// Returns a request that every provider can answer.
    pub fn request(self, stream: bool) -> Value {
        let mut request = json!({ "model": "m", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] });
        if stream {
            request["stream"] = json!(true);
        }
        request
    }

    /// Returns the part of a message that names a picture by its URL.
    pub fn picture(self, url: &str) -> Value {
        match self {
            Self::Openai => json!({ "type": "image_url", "image_url": { "url": url } }),
            Self::Anthropic => json!({ "type": "image", "source": { "type": "url", "url": url } }),
        }
    }

    /// Sends a request on a new connection, with further header lines.
    pub async fn begin(self, gateway: &Gateway, fields: &str, body: &Value) -> Client {
        let mut client = gateway.client();
        let fields = self.fields(gateway) + fields;
        client.request(self.line(), &fields, body.to_string().as_bytes()).await;
        client
    }

    /// Asks, with further header lines.
    pub async fn ask(self, gateway: &Gateway, fields: &str, body: &Value) -> Reply {
        self.begin(gateway, fields, body).await.reply().await
    }

    /// Reads an error, after checking the contract of this surface: shape, type, code, request id.
    pub fn told(self, reply: &Reply) -> Told {
        assert!(reply.status >= 400, "{}: {}", reply.status, reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let id = reply.header("x-request-id").expect("a request id");
        assert!(id.starts_with("req_") && id.len() == 36, "{id}");
        let code = reply.header("x-crossway-error-code").expect("a code").to_owned();
        let body = reply.json();
        if self == Self::Anthropic {
            assert_eq!(reply.header("request-id"), Some(id));
            assert_eq!(body["request_id"], id);
        } else {
            assert_eq!(reply.header("request-id"), None);
            assert_eq!(body["error"]["code"], code.as_str());
        }
        let (message, param) = self.said(&body, reply.status);
        Told { status: reply.status, code, message, param }
    }

    /// Reads an error object; its type must be the one of a status.
    pub fn said(self, body: &Value, status: u16) -> (String, Option<String>) {
        let members = |value: &Value| -> Vec<String> {
            value.as_object().unwrap_or_else(|| panic!("an object: {body}")).keys().cloned().collect()
        };
        let error = &body["error"];
        match self {
            Self::Openai => {
                assert_eq!(members(body), ["error"]);
                assert_eq!(members(error), ["message", "type", "param", "code"]);
            }
            Self::Anthropic => {
                assert_eq!(members(body), ["type", "error", "request_id"]);
                assert_eq!(members(error), ["type", "message"]);
                assert_eq!(body["type"], "error");
            }
        }
        assert_eq!(error["type"], self.kind(status), "{body}");
        let message = error["message"].as_str().expect("a message").to_owned();
        assert!(!message.is_empty());
        (message, error["param"].as_str().map(str::to_owned))
    }

    /// The `type` that goes with a status (section E of the specification).
    fn kind(self, status: u16) -> &'static str {
        match (self, status) {
            (_, 401) => "authentication_error",
            (_, 403) => "permission_error",
            (_, 404) => "not_found_error",
            (_, 429) => "rate_limit_error",
            (Self::Anthropic, 408 | 504) => "timeout_error",
            (Self::Anthropic, 413) => "request_too_large",
            (Self::Anthropic, 529) => "overloaded_error",
            (_, 400..=499) => "invalid_request_error",
            (Self::Openai, _) => "server_error",
            (Self::Anthropic, _) => "api_error",
        }
    }
}

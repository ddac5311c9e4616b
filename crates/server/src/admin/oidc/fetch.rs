//! Calls to an OpenID provider: bounded in size and time, without redirects. What a provider says is not repeated but
//! for its error codes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use control::oidc::OidcError;
use control::oidc::discovery::Discovery;
use control::oidc::flow::Open;
use net::connector::Connector;
use net::deadline::after;
use net::h1::Connection;
use net::url_guard::check;
use policy::secret::Secret;
use policy::spec::oidc::Oidc;
use serde::Deserialize;
use tokio::time::timeout_at;
use url::form_urlencoded::{Serializer, byte_serialize};

/// The largest answer, in bytes.
const MAX_BYTES: usize = 512 << 10;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest code of an error that is repeated, in characters.
const MAX_CODE: usize = 64;

/// What a code becomes.
pub(super) struct Tokens {
    /// Who it is.
    pub(super) id_token: Secret,
    /// With which more can be asked.
    pub(super) access_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: Option<Secret>,
    access_token: Option<Secret>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Denied {
    error: String,
}

/// Gets a document.
///
/// # Errors
/// [`OidcError::Provider`].
pub(super) async fn get_json(
    connector: &dyn Connector,
    url: &str,
    bearer: Option<&Secret>,
) -> Result<Bytes, OidcError> {
    let authorization = match bearer {
        Some(token) if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) => {
            format!("authorization: Bearer {}\r\n", token.expose())
        }
        Some(_) => return Err(OidcError::provider("its access token is malformed")),
        None => String::new(),
    };
    match call(connector, "GET", url, &authorization, Bytes::new()).await? {
        (200, body) => Ok(body),
        (status, _) => Err(OidcError::provider(format!("it answered with status {status}"))),
    }
}

/// Turns a code into tokens (RFC 6749 section 4.1.3).
///
/// # Errors
/// [`OidcError::Refused`] when the provider does not take the code, else [`OidcError::Provider`].
pub(super) async fn exchange(
    connector: &dyn Connector,
    provider: &Discovery,
    settings: &Oidc,
    open: &Open,
    code: &Secret,
) -> Result<Tokens, OidcError> {
    let (fields, form) = question(provider, settings, open, code);
    let (status, body) = call(connector, "POST", provider.token_endpoint.as_str(), &fields, form).await?;
    if status != 200 {
        let denied: Denied = serde_json::from_slice(&body).unwrap_or_default();
        return Err(match printable(&denied.error) {
            code if code.is_empty() => OidcError::provider(format!("it answered with status {status}")),
            code => OidcError::Refused(code),
        });
    }
    let granted: Granted =
        serde_json::from_slice(&body).map_err(|_| OidcError::provider("its token answer is not one"))?;
    let id_token = granted.id_token.ok_or_else(|| OidcError::provider("its token answer holds no ID token"))?;
    Ok(Tokens { id_token, access_token: granted.access_token })
}

/// Returns header lines and body of the question: what binds the code, and who asks.
fn question(provider: &Discovery, settings: &Oidc, open: &Open, code: &Secret) -> (String, Bytes) {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.expose())
        .append_pair("redirect_uri", &open.redirect_uri)
        .append_pair("code_verifier", open.verifier.expose());
    let mut fields = "content-type: application/x-www-form-urlencoded\r\n".to_owned();
    match &settings.client_secret {
        Some(secret) if provider.secret_in_body => {
            form.append_pair("client_id", &settings.client_id).append_pair("client_secret", secret.expose());
        }
        Some(secret) => {
            fields.push_str("authorization: Basic ");
            fields.push_str(&basic(&settings.client_id, secret));
            fields.push_str("\r\n");
        }
        None => _ = form.append_pair("client_id", &settings.client_id),
    }
    (fields, Bytes::from(form.finish()))
}

/// Both parts are written as in a form before they are joined (RFC 6749 section 2.3.1).
fn basic(id: &str, secret: &Secret) -> String {
    let form = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    STANDARD.encode(format!("{}:{}", form(id), form(secret.expose())))
}

async fn call(
    connector: &dyn Connector,
    method: &str,
    url: &str,
    fields: &str,
    body: Bytes,
) -> Result<(u16, Bytes), OidcError> {
    match timeout_at(after(DEADLINE), exchange_once(connector, method, url, fields, body)).await {
        Ok(answered) => answered,
        Err(_) => Err(OidcError::provider("it did not answer in time")),
    }
}

async fn exchange_once(
    connector: &dyn Connector,
    method: &str,
    url: &str,
    fields: &str,
    body: Bytes,
) -> Result<(u16, Bytes), OidcError> {
    let checked = check(url, true).map_err(|refused| OidcError::provider(refused.to_string()))?;
    let io = connector.connect(&checked.origin).await;
    let io = io.map_err(|error| OidcError::provider(format!("no connection: {error}")))?;
    let mut connection = Connection::new(io);
    let head = format!(
        "{method} {} HTTP/1.1\r\nhost: {}\r\nuser-agent: crossway\r\naccept: application/json\r\n\
         accept-encoding: identity\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n",
        checked.target,
        checked.host,
        body.len()
    );
    let broken = |_| OidcError::provider("its answer could not be read");
    connection.send(head.as_bytes(), &[body]).await.map_err(broken)?;
    let head = connection.head().await.map_err(broken)?;
    let body = connection.collect(MAX_BYTES).await.map_err(broken)?;
    Ok((head.status, body))
}

/// Returns the code of an error, when it is one: words, and nothing that a page could make of it.
pub(super) fn printable(code: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    code.chars().filter(|c| word(*c)).take(MAX_CODE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_written_as_in_a_form() {
        let check = |id: &str, secret: &str, expect: &str| {
            let decoded = STANDARD.decode(basic(id, &Secret::new(secret))).unwrap();
            assert_eq!(String::from_utf8(decoded).unwrap(), expect);
        };
        check("client", "secret", "client:secret");
        check("a:b", "c d+é%", "a%3Ab:c+d%2B%C3%A9%25");
    }

    #[test]
    fn codes_of_errors_are_words() {
        assert_eq!(printable("access_denied"), "access_denied");
        assert_eq!(printable("<script>alert(1)</script>"), "scriptalert1script");
        assert_eq!(printable(&"x".repeat(100)).len(), 64);
    }
}

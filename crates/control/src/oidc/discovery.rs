//! What a provider says of itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;
use url::Url;

use super::OidcError;

/// Where a provider's endpoints are. They have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The issuer, exactly as the settings have it.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where a code becomes a token.
    pub token_endpoint: Url,
    /// Where the keys are.
    pub jwks_uri: Url,
    /// Where more can be asked about somebody.
    pub userinfo_endpoint: Option<Url>,
    /// Whether the client's secret goes into the body, because the provider takes it nowhere else.
    pub secret_in_body: bool,
    /// Whether every answer names the issuer (RFC 9207).
    pub names_issuer: bool,
}

#[derive(Deserialize)]
struct Raw {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Returns the address of an issuer's document.
pub fn address(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Reads the document of an issuer.
///
/// # Errors
/// [`OidcError::Provider`] when it is malformed, is that of another issuer, or names an endpoint that is not http(s), or
/// not https although the issuer is.
pub fn read(issuer: &str, document: &[u8]) -> Result<Discovery, OidcError> {
    let raw: Raw = serde_json::from_slice(document)
        .map_err(|_| OidcError::provider("its discovery document is not one, or lacks an endpoint"))?;
    if raw.issuer != issuer {
        return Err(OidcError::provider("its discovery document is that of another issuer"));
    }
    let methods = raw.token_endpoint_auth_methods_supported.unwrap_or_default();
    let takes = |method: &str| methods.iter().any(|other| other == method);
    let endpoint = |text: &str| endpoint(issuer, text);
    Ok(Discovery {
        authorization_endpoint: endpoint(&raw.authorization_endpoint)?,
        token_endpoint: endpoint(&raw.token_endpoint)?,
        jwks_uri: endpoint(&raw.jwks_uri)?,
        userinfo_endpoint: raw.userinfo_endpoint.as_deref().map(endpoint).transpose()?,
        secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
        names_issuer: raw.authorization_response_iss_parameter_supported,
        issuer: raw.issuer,
    })
}

fn endpoint(issuer: &str, text: &str) -> Result<Url, OidcError> {
    let secure = issuer.starts_with("https:");
    let url = Url::parse(text).map_err(|_| OidcError::provider("an endpoint in its discovery document is no URL"))?;
    let good = match url.scheme() {
        "https" => true,
        "http" => !secure,
        _ => false,
    };
    if good { Ok(url) } else { Err(OidcError::provider("an endpoint in its discovery document is not https")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(issuer: &str) -> Value {
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
        })
    }

    fn check(issuer: &str, document: &Value) -> Result<Discovery, OidcError> {
        read(issuer, document.to_string().as_bytes())
    }

    #[test]
    fn a_document_is_read() {
        let found = check("https://i.test", &document("https://i.test")).unwrap();
        assert_eq!(found.token_endpoint.as_str(), "https://i.test/token");
        assert_eq!((found.userinfo_endpoint, found.secret_in_body, found.names_issuer), (None, false, false));
        assert_eq!(address("https://i.test/"), "https://i.test/.well-known/openid-configuration");
        assert_eq!(address("https://i.test/realms/x"), "https://i.test/realms/x/.well-known/openid-configuration");
        let mut post = document("http://127.0.0.1:9");
        post["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
        post["authorization_response_iss_parameter_supported"] = json!(true);
        let found = check("http://127.0.0.1:9", &post).unwrap();
        assert!(found.secret_in_body && found.names_issuer);
    }

    #[test]
    fn what_another_issuer_says_is_refused() {
        for issuer in ["https://evil.test", "https://i.test/", "https://I.test", "http://i.test"] {
            assert!(check("https://i.test", &document(issuer)).is_err(), "{issuer}");
        }
    }

    #[test]
    fn endpoints_are_as_safe_as_their_issuer() {
        for endpoint in ["http://i.test/token", "file:///etc/passwd", "javascript:alert(1)", "/token", ""] {
            for member in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
                let mut wrong = document("https://i.test");
                wrong[member] = json!(endpoint);
                assert!(check("https://i.test", &wrong).is_err(), "{member} {endpoint}");
            }
        }
        for text in ["", "{}", "[]", "<html>"] {
            assert!(read("https://i.test", text.as_bytes()).is_err(), "{text}");
        }
    }
}

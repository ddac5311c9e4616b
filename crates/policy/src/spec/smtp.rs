//! How email is sent: `[smtp]` of `crossway.toml`.

use serde::Deserialize;

use super::literal::Literal;
use crate::secret::Secret;

/// How email is sent, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpSpec {
    /// The server's name or address.
    pub host: Option<String>,
    /// Its port; by default 587 for `starttls`, 465 for `tls`, 25 for `none`.
    pub port: Option<Literal>,
    /// `starttls`, `tls` or `none`; `starttls` by default.
    pub tls: Option<String>,
    /// Who signs in; nobody when it is absent.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// Whom email comes from: an address, or a name with an address in angle brackets.
    pub from: Option<String>,
}

impl SmtpSpec {
    /// The fields and their environment variables.
    pub const VARIABLES: [(&'static str, &'static str); 6] = [
        ("host", "CROSSWAY_SMTP_HOST"),
        ("port", "CROSSWAY_SMTP_PORT"),
        ("tls", "CROSSWAY_SMTP_TLS"),
        ("user", "CROSSWAY_SMTP_USER"),
        ("password", "CROSSWAY_SMTP_PASSWORD"),
        ("from", "CROSSWAY_SMTP_FROM"),
    ];

    /// Sets a field from text. An unknown field changes nothing.
    pub fn set(&mut self, field: &str, value: String) {
        match field {
            "host" => self.host = Some(value),
            "port" => self.port = Some(Literal(value)),
            "tls" => self.tls = Some(value),
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "from" => self.from = Some(value),
            _ => debug_assert!(false, "{field} is not a setting of smtp"),
        }
    }
}

/// How email is sent, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// Who signs in, and their password.
    pub login: Option<(String, Secret)>,
    /// The name of whom email comes from; may be empty.
    pub from_name: String,
    /// Their address.
    pub from: String,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// It is not.
    None,
    /// After a greeting in clear; without encryption nothing is sent.
    StartTls,
    /// From its first byte.
    Tls,
}

//! The settings of the process: the top of `crossway.toml`, and `CROSSWAY_…` variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::literal::Literal;
use super::oidc::Oidc;
use super::smtp::Smtp;
use crate::secret::Secret;
use crate::snapshot::Network;

/// The settings of the process, as written.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsSpec {
    /// Where state is kept.
    pub data_dir: Option<String>,
    /// Where the data plane listens.
    pub listen: Option<String>,
    /// Where the admin API, the console, health and metrics listen.
    pub admin_listen: Option<String>,
    /// Where gRPC listens.
    pub grpc_listen: Option<String>,
    /// A bearer token with operator rights on the admin API.
    pub admin_token: Option<Secret>,
    /// The key that encrypts credentials at rest.
    pub master_key: Option<Secret>,
    /// The database. It may hold a password.
    pub database_url: Option<Secret>,
    /// Redis. It may hold a password.
    pub redis_url: Option<Secret>,
    /// The log filter.
    pub log: Option<String>,
    /// Who may come without a key.
    pub anonymous: Option<String>,
    /// How long a shutdown waits for requests in flight.
    pub grace: Option<String>,
    /// How long a shutdown accepts connections on after readiness is over.
    pub drain_delay: Option<String>,
    /// The largest request body.
    pub request_body_limit: Option<Literal>,
    /// Whether callers may name private addresses where the gateway fetches a URL for them.
    pub fetch_private: Option<Literal>,
    /// Whether webhooks may have private addresses.
    pub webhooks_private: Option<Literal>,
    /// Where people reach the admin side, when a proxy stands before it.
    pub public_url: Option<String>,
    /// A file with authorities that are trusted beside the system's.
    pub ca_file: Option<String>,
    /// The proxies whose `X-Forwarded-For` counts: addresses and networks, with commas between them.
    pub trusted_proxies: Option<String>,
}

impl SettingsSpec {
    /// The fields and their environment variables.
    pub const VARIABLES: [(&'static str, &'static str); 18] = [
        ("data_dir", "CROSSWAY_DATA_DIR"),
        ("listen", "CROSSWAY_LISTEN"),
        ("admin_listen", "CROSSWAY_ADMIN_LISTEN"),
        ("grpc_listen", "CROSSWAY_GRPC_LISTEN"),
        ("admin_token", "CROSSWAY_ADMIN_TOKEN"),
        ("master_key", "CROSSWAY_MASTER_KEY"),
        ("database_url", "CROSSWAY_DATABASE_URL"),
        ("redis_url", "CROSSWAY_REDIS_URL"),
        ("log", "CROSSWAY_LOG"),
        ("anonymous", "CROSSWAY_ANONYMOUS"),
        ("grace", "CROSSWAY_GRACE"),
        ("drain_delay", "CROSSWAY_DRAIN_DELAY"),
        ("request_body_limit", "CROSSWAY_REQUEST_BODY_LIMIT"),
        ("fetch_private", "CROSSWAY_FETCH_PRIVATE"),
        ("webhooks_private", "CROSSWAY_WEBHOOKS_PRIVATE"),
        ("public_url", "CROSSWAY_PUBLIC_URL"),
        ("ca_file", "CROSSWAY_CA_FILE"),
        ("trusted_proxies", "CROSSWAY_TRUSTED_PROXIES"),
    ];

    /// Sets a field from text. An unknown field changes nothing.
    pub fn set(&mut self, field: &str, value: String) {
        match field {
            "data_dir" => self.data_dir = Some(value),
            "listen" => self.listen = Some(value),
            "admin_listen" => self.admin_listen = Some(value),
            "grpc_listen" => self.grpc_listen = Some(value),
            "admin_token" => self.admin_token = Some(Secret::new(value)),
            "master_key" => self.master_key = Some(Secret::new(value)),
            "database_url" => self.database_url = Some(Secret::new(value)),
            "redis_url" => self.redis_url = Some(Secret::new(value)),
            "log" => self.log = Some(value),
            "anonymous" => self.anonymous = Some(value),
            "grace" => self.grace = Some(value),
            "drain_delay" => self.drain_delay = Some(value),
            "request_body_limit" => self.request_body_limit = Some(Literal(value)),
            "fetch_private" => self.fetch_private = Some(Literal(value)),
            "webhooks_private" => self.webhooks_private = Some(Literal(value)),
            "public_url" => self.public_url = Some(value),
            "ca_file" => self.ca_file = Some(value),
            "trusted_proxies" => self.trusted_proxies = Some(value),
            _ => debug_assert!(false, "{field} is not a setting"),
        }
    }
}

/// The settings of the process, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where state is kept.
    pub data_dir: PathBuf,
    /// Where the data plane listens.
    pub listen: SocketAddr,
    /// Where the admin API, the console, health and metrics listen.
    pub admin_listen: SocketAddr,
    /// Where gRPC listens.
    pub grpc_listen: SocketAddr,
    /// A bearer token with operator rights on the admin API; `None` for no token access. Never empty.
    pub admin_token: Option<Secret>,
    /// The key that encrypts credentials at rest; `None` to generate one into the data directory. Never empty.
    pub master_key: Option<Secret>,
    /// The log filter: a level, or `target=level` items separated by commas.
    pub log: String,
    /// Who may come without a key.
    pub anonymous: Anonymous,
    /// How long a shutdown waits for requests in flight.
    pub grace: Duration,
    /// How long a shutdown accepts connections on after readiness is over.
    pub drain_delay: Duration,
    /// The largest request body, in bytes.
    pub request_body_limit_bytes: u64,
    /// Whether callers may name private addresses where the gateway fetches a URL for them.
    pub fetch_private: bool,
    /// Whether webhooks may have private addresses.
    pub webhooks_private: bool,
    /// Where people reach the admin side, without a slash at its end; `None` when it is where it listens.
    pub public_url: Option<String>,
    /// A file with authorities, in PEM, that are trusted beside the system's; `None` for those alone.
    pub ca_file: Option<PathBuf>,
    /// The proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    /// How people sign in through an OpenID provider; `None` when they do not.
    pub oidc: Option<Oidc>,
    /// How email is sent; `None` when none is.
    pub smtp: Option<Smtp>,
}

/// Who may come without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Nobody.
    Off,
    /// Callers on the same machine.
    Loopback,
    /// Everybody.
    All,
}

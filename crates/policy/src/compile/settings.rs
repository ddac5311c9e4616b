//! The settings of the process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::oidc::compile_oidc;
use super::smtp::compile_smtp;
use crate::problem::{Origin, Problem, did_you_mean};
use crate::secret::Secret;
use crate::snapshot::Network;
use crate::spec::Entry;
use crate::spec::literal::Literal;
use crate::spec::oidc::OidcSpec;
use crate::spec::settings::{Anonymous, Settings, SettingsSpec};
use crate::spec::smtp::SmtpSpec;

/// What was written about the process, and where.
#[derive(Clone, Debug, Default)]
pub struct SettingsSource {
    /// What was written.
    pub spec: SettingsSpec,
    /// Where the file says it.
    pub origin: Origin,
    /// The fields that come from environment variables, and which ones.
    pub variables: BTreeMap<&'static str, &'static str>,
    /// How people sign in through an OpenID provider.
    pub oidc: Option<Entry<OidcSpec>>,
    /// How email is sent.
    pub smtp: Option<Entry<SmtpSpec>>,
}

impl SettingsSource {
    fn problem(&self, field: &str, message: &str) -> Option<Problem> {
        match self.variables.get(field) {
            Some(variable) => Some(Problem::new("environment", *variable, message)),
            None if self.origin.is_broken(field) => None,
            None => Some(self.origin.problem(field, message)),
        }
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks the settings. Faulty ones are reported and replaced by their defaults.
pub fn compile_settings(source: &SettingsSource, problems: &mut Vec<Problem>) -> Settings {
    let spec = &source.spec;
    let oidc = source.oidc.as_ref().and_then(|entry| compile_oidc(entry, problems));
    let smtp = compile_smtp(source, problems);
    let mut check = Check { source, problems };
    let settings = Settings {
        data_dir: PathBuf::from(spec.data_dir.as_deref().unwrap_or("./crossway-data")),
        listen: check.address("listen", spec.listen.as_deref(), 8080),
        admin_listen: check.address("admin_listen", spec.admin_listen.as_deref(), 8081),
        grpc_listen: check.address("grpc_listen", spec.grpc_listen.as_deref(), 8082),
        admin_token: check.secret("admin_token", spec.admin_token.as_ref()),
        master_key: check.secret("master_key", spec.master_key.as_ref()),
        log: check.log(spec.log.as_deref()),
        anonymous: check.anonymous(spec.anonymous.as_deref()),
        grace: check.within_a_day("grace", spec.grace.as_deref(), Duration::from_secs(30)),
        drain_delay: check.within_a_day("drain_delay", spec.drain_delay.as_deref(), Duration::ZERO),
        request_body_limit_bytes: check.body_limit(spec.request_body_limit.as_ref()),
        fetch_private: check.switch("fetch_private", spec.fetch_private.as_ref()),
        webhooks_private: check.switch("webhooks_private", spec.webhooks_private.as_ref()),
        public_url: check.public_url(spec.public_url.as_deref()),
        trusted_proxies: check.networks("trusted_proxies", spec.trusted_proxies.as_deref()),
        ca_file: spec.ca_file.as_deref().map(PathBuf::from),
        oidc,
        smtp,
    };
    check.data_dir(spec.data_dir.as_deref());
    check.database(spec.database_url.as_ref());
    if spec.ca_file.as_deref().is_some_and(|path| path.trim().is_empty()) {
        check.report("ca_file", "empty", Some("leave it out to trust the system's authorities alone".to_owned()));
    }
    if spec.redis_url.as_ref().is_some_and(|url| !url.expose().trim().is_empty()) {
        check.report("redis_url", "Redis is not supported yet", Some("leave it out: one node needs none".to_owned()));
    }
    check.distinct_addresses(&settings);
    settings
}

struct Check<'a> {
    source: &'a SettingsSource,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, field: &str, message: &str, hint: Option<String>) {
        self.problems.extend(self.source.problem(field, message).map(|problem| problem.maybe_hint(hint)));
    }

    fn address(&mut self, field: &str, text: Option<&str>, port: u16) -> SocketAddr {
        let usual = SocketAddr::from(([127, 0, 0, 1], port));
        let Some(text) = text else { return usual };
        let named = text.trim().strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        named.as_deref().unwrap_or(text.trim()).parse().unwrap_or_else(|_| {
            self.report(field, "not an IP address and a port", Some(format!("write it like 127.0.0.1:{port}")));
            usual
        })
    }

    fn public_url(&mut self, text: Option<&str>) -> Option<String> {
        let text = text?.trim().trim_end_matches('/');
        let good = Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
        });
        if !good {
            self.report(
                "public_url",
                "not an http or https URL",
                Some("write it like https://gateway.example.com".into()),
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// Two listeners on one address would fail later, with a worse message. Port 0 means any free port.
    fn distinct_addresses(&mut self, settings: &Settings) {
        let all = [
            ("listen", settings.listen),
            ("admin_listen", settings.admin_listen),
            ("grpc_listen", settings.grpc_listen),
        ];
        for (index, (field, address)) in all.iter().enumerate() {
            let taken = all.iter().take(index).find(|(_, other)| other == address && address.port() != 0);
            if let Some((other, _)) = taken {
                self.report(field, &format!("the same address as {other}"), None);
            }
        }
    }

    /// A secret that is set but empty is a mistake: it must not silently mean "no protection".
    fn secret(&mut self, field: &str, secret: Option<&Secret>) -> Option<Secret> {
        let text = secret?.expose().trim();
        if text.is_empty() {
            self.report(field, "set but empty", Some("unset it to have none".to_owned()));
            return None;
        }
        Some(Secret::new(text))
    }

    /// A folder that is called `~` is nobody's wish: it is the shell that knows what it stands for.
    fn data_dir(&mut self, path: Option<&str>) {
        let Some(path) = path else { return };
        if path.trim().is_empty() {
            self.report("data_dir", "empty", None);
        } else if path == "~" || path.starts_with("~/") {
            self.report("data_dir", "`~` stands for no folder here", Some("write the whole path".to_owned()));
        }
    }

    /// There are several databases, and they have their places in the data directory: another place would be ignored.
    fn database(&mut self, url: Option<&Secret>) {
        let Some(text) = url.map(|url| url.expose().trim()) else { return };
        let message = match text.strip_prefix("sqlite:") {
            Some("" | "//") => return,
            Some(_) => "the databases lie in the data directory",
            None if text.is_empty() => return,
            None if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                "PostgreSQL is not supported yet"
            }
            None => "not a database address",
        };
        let hint = "leave it out, or write sqlite: alone; data_dir says where state is kept";
        self.report("database_url", message, Some(hint.to_owned()));
    }

    fn log(&mut self, text: Option<&str>) -> String {
        let text = text.unwrap_or("info").trim();
        for item in text.split(',').map(str::trim) {
            let level = item.rsplit_once('=').map_or(item, |(_, level)| level).to_ascii_lowercase();
            if !LEVELS.contains(&level.as_str()) {
                let hint = did_you_mean(&level, LEVELS).unwrap_or_else(|| format!("known: {}", LEVELS.join(", ")));
                self.report("log", "not a log level", Some(hint));
            }
        }
        text.to_owned()
    }

    fn anonymous(&mut self, text: Option<&str>) -> Anonymous {
        match text.unwrap_or("off").trim() {
            "off" => Anonymous::Off,
            "loopback" => Anonymous::Loopback,
            "all" => Anonymous::All,
            _ => {
                self.report("anonymous", "not off, loopback or all", None);
                Anonymous::Off
            }
        }
    }

    fn within_a_day(&mut self, field: &str, text: Option<&str>, usual: Duration) -> Duration {
        let Some(text) = text else { return usual };
        let duration = parse_duration(text).filter(|duration| *duration <= Duration::from_secs(86_400));
        duration.unwrap_or_else(|| {
            self.report(field, "not a duration of at most a day", Some("write it like 30s or 5m".to_owned()));
            usual
        })
    }

    fn networks(&mut self, field: &str, text: Option<&str>) -> Vec<Network> {
        let mut found = Vec::new();
        for one in text.unwrap_or_default().split(',').map(str::trim).filter(|one| !one.is_empty()) {
            match Network::parse(one) {
                Ok(network) => found.push(network),
                Err(fault) => {
                    let (message, hint) = fault.told();
                    self.report(field, message, Some(hint));
                }
            }
        }
        found
    }

    fn switch(&mut self, field: &str, text: Option<&Literal>) -> bool {
        match text.map(|text| text.0.trim()) {
            None | Some("false" | "off" | "0") => false,
            Some("true" | "on" | "1") => true,
            Some(_) => {
                self.report(field, "neither true nor false", None);
                false
            }
        }
    }

    fn body_limit(&mut self, text: Option<&Literal>) -> u64 {
        let usual = 32 << 20;
        let Some(Literal(text)) = text else { return usual };
        let size = parse_size(text).filter(|size| (1 << 10..=1 << 30).contains(size));
        size.unwrap_or_else(|| {
            let hint = "write it like 33554432 or 32MiB".to_owned();
            self.report("request_body_limit", "not a size between 1 KiB and 1 GiB", Some(hint));
            usual
        })
    }
}

/// Reads a duration: a whole number and `ms`, `s`, `m` or `h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = digits.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// Reads a size in bytes: a whole number, and `KiB`, `MiB` or `GiB` if need be.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().ok()?;
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(parse_duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
        for text in ["", "30", "s", "-1s", "1.5s", "1d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(parse_size("1024"), Some(1024));
        assert_eq!(parse_size("32MiB"), Some(32 << 20));
        assert_eq!(parse_size("1 GiB"), Some(1 << 30));
        for text in ["", "MiB", "1.5MiB", "1MB", "-1", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}

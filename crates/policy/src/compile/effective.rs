//! The settings as they are in effect, and who said each: for people who wonder why. Secrets are only said to be set.

use super::settings::SettingsSource;
use crate::spec::settings::{Anonymous, Settings, SettingsSpec};

/// One setting in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name in the file.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Whether it may hold a secret.
    pub secret: bool,
    /// Whether somebody set it.
    pub set: bool,
    /// Its value; `None` for a secret, and for what is not set and has no default.
    pub value: Option<String>,
    /// Who said it: `default`, `environment`, or the file, with the line where it is known.
    pub source: String,
}

/// Returns every setting, in the order of the documents.
pub fn effective(source: &SettingsSource, settings: &Settings) -> Vec<Effective> {
    let one = |(name, variable): (&'static str, &'static str)| {
        let set = is_set(&source.spec, name);
        let secret = matches!(name, "admin_token" | "master_key" | "database_url" | "redis_url");
        let said_by = match (source.variables.contains_key(name), set) {
            (true, _) => "environment".to_owned(),
            (false, true) => match source.origin.lines.get(name) {
                Some(line) => format!("{}:{line}", source.origin.file),
                None => source.origin.file.to_string(),
            },
            (false, false) => "default".to_owned(),
        };
        let value = if secret { None } else { value(settings, &source.spec, name) };
        Effective { name, variable, secret, set, value, source: said_by }
    };
    SettingsSpec::VARIABLES.into_iter().map(one).collect()
}

fn is_set(spec: &SettingsSpec, name: &str) -> bool {
    match name {
        "data_dir" => spec.data_dir.is_some(),
        "listen" => spec.listen.is_some(),
        "admin_listen" => spec.admin_listen.is_some(),
        "grpc_listen" => spec.grpc_listen.is_some(),
        "admin_token" => spec.admin_token.is_some(),
        "master_key" => spec.master_key.is_some(),
        "database_url" => spec.database_url.is_some(),
        "redis_url" => spec.redis_url.is_some(),
        "log" => spec.log.is_some(),
        "anonymous" => spec.anonymous.is_some(),
        "grace" => spec.grace.is_some(),
        "drain_delay" => spec.drain_delay.is_some(),
        "request_body_limit" => spec.request_body_limit.is_some(),
        "fetch_private" => spec.fetch_private.is_some(),
        "webhooks_private" => spec.webhooks_private.is_some(),
        "public_url" => spec.public_url.is_some(),
        "ca_file" => spec.ca_file.is_some(),
        "trusted_proxies" => spec.trusted_proxies.is_some(),
        _ => false,
    }
}

fn value(settings: &Settings, spec: &SettingsSpec, name: &str) -> Option<String> {
    Some(match name {
        "data_dir" => settings.data_dir.display().to_string(),
        "listen" => settings.listen.to_string(),
        "admin_listen" => settings.admin_listen.to_string(),
        "grpc_listen" => settings.grpc_listen.to_string(),
        "log" => settings.log.clone(),
        "anonymous" => match settings.anonymous {
            Anonymous::Off => "off",
            Anonymous::Loopback => "loopback",
            Anonymous::All => "all",
        }
        .to_owned(),
        "grace" => spec.grace.clone().unwrap_or_else(|| format!("{}s", settings.grace.as_secs())),
        "drain_delay" => spec.drain_delay.clone().unwrap_or_else(|| format!("{}s", settings.drain_delay.as_secs())),
        "request_body_limit" => settings.request_body_limit_bytes.to_string(),
        "fetch_private" => settings.fetch_private.to_string(),
        "webhooks_private" => settings.webhooks_private.to_string(),
        "public_url" => return settings.public_url.clone(),
        "ca_file" => return settings.ca_file.as_ref().map(|path| path.display().to_string()),
        "trusted_proxies" => settings.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::load::read_text;
    use crate::spec::settings::SettingsSpec;

    #[test]
    fn every_setting_says_where_it_comes_from_and_no_secret_is_said() {
        let text = "listen = \"0.0.0.0:9000\"\nadmin_token = \"canary-1\"\n";
        let variables = |name: &str| match name {
            "CROSSWAY_GRACE" => Some("45s".to_owned()),
            "CROSSWAY_MASTER_KEY" => Some("canary-2".to_owned()),
            _ => None,
        };
        let written = read_text("crossway.toml", text, &variables, false).unwrap();
        let names: Vec<&str> = written.effective.iter().map(|setting| setting.name).collect();
        assert_eq!(names, SettingsSpec::VARIABLES.map(|(name, _)| name));
        let check = |name: &str, set: bool, value: Option<&str>, source: &str| {
            let found = written.effective.iter().find(|setting| setting.name == name).unwrap();
            assert_eq!((found.set, found.value.as_deref(), &*found.source), (set, value, source), "{name}");
        };
        check("listen", true, Some("0.0.0.0:9000"), "crossway.toml:1");
        check("admin_token", true, None, "crossway.toml:2");
        check("grace", true, Some("45s"), "environment");
        check("master_key", true, None, "environment");
        check("admin_listen", false, Some("127.0.0.1:8081"), "default");
        check("redis_url", false, None, "default");
        assert!(!format!("{:?}", written.effective).contains("canary"));
    }
}

//! The environment variables: settings of the process, credentials and addresses of providers.
//!
//! `OPENAI_BASE_URL` is never read: it belongs to the SDKs and may well point at Crossway itself.

use catalog::load::Vendors;
use catalog::vendor::Vendor;

use super::Lookup;
use crate::compile::settings::SettingsSource;
use crate::problem::{Origin, Problem, nearest};
use crate::secret::Secret;
use crate::spec::Entry;
use crate::spec::provider::ProviderSpec;
use crate::spec::settings::SettingsSpec;
use crate::spec::smtp::SmtpSpec;

/// Vendors whose variables come first, in the order in which failover tries them; the others follow alphabetically.
const FIRST: [&str; 9] =
    ["openai", "anthropic", "gemini", "mistral", "cohere", "together", "perplexity", "azure", "ollama"];

/// What the origins of environment variables are called.
const FILE: &str = "environment";

/// What the variables of Crossway begin with.
const PREFIX: &str = "CROSSWAY_";

/// Variables that the command line and the SDKs' users read; a start does not.
const OF_CLIENTS: [&str; 4] = ["CROSSWAY_ADMIN_URL", "CROSSWAY_API_KEY", "CROSSWAY_MANAGEMENT_KEY", "CROSSWAY_URL"];

/// Warns of variables that are nearly named like one that is read. Others that begin like ours may be somebody's own.
pub fn misspelt<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Problem> {
    let settings = SettingsSpec::VARIABLES.iter().chain(&SmtpSpec::VARIABLES).map(|(_, variable)| *variable);
    let known: Vec<&str> = settings.chain(OF_CLIENTS).filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let ours = names.into_iter().filter(|name| !name.ends_with("_BASE_URL"));
    ours.filter_map(|name| {
        let own = name.strip_prefix(PREFIX).filter(|own| !known.contains(own))?;
        let near = nearest(own, known.iter().copied())?;
        let hint = format!("did you mean {PREFIX}{near}?");
        Some(Problem::new(FILE, name, "no such variable is read").hint(hint).warning())
    })
    .collect()
}

/// Lets variables override the settings of the file. An empty variable counts as unset, except for a secret, where it
/// is most likely a mistake and is reported later.
pub fn apply_settings(source: &mut SettingsSource, env: Lookup<'_>) {
    for (field, variable) in SettingsSpec::VARIABLES {
        let secret = matches!(field, "admin_token" | "master_key");
        if let Some(value) = env(variable).filter(|value| secret || !value.trim().is_empty()) {
            source.spec.set(field, value);
            source.variables.insert(field, variable);
        }
    }
    for (field, variable) in SmtpSpec::VARIABLES {
        if let Some(value) = env(variable).filter(|value| field == "password" || !value.trim().is_empty()) {
            let smtp = source.smtp.get_or_insert_with(|| Entry {
                name: "smtp".to_owned(),
                spec: SmtpSpec::default(),
                origin: Origin::new(FILE, "smtp"),
            });
            smtp.spec.set(field, value);
            smtp.origin.broken.remove(field);
            smtp.origin.lines.remove(field);
        }
    }
}

/// Lets variables complete, override and add providers.
pub fn apply_providers(
    providers: &mut Vec<Entry<ProviderSpec>>,
    vendors: &Vendors,
    env: Lookup<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut ordered: Vec<&Vendor> = vendors.iter().map(AsRef::as_ref).collect();
    ordered.sort_by_key(|vendor| FIRST.iter().position(|kind| *kind == &*vendor.kind).unwrap_or(FIRST.len()));
    for vendor in ordered {
        apply_vendor(providers, vendor, env, problems);
    }
    for entry in providers.iter_mut() {
        let variable = base_url_variable(&entry.name);
        if let Some(value) = variable_of(env, &variable) {
            entry.spec.base_url = Some(value);
            entry.origin.lines.remove("base_url");
            entry.origin.broken.remove("base_url");
            entry.origin.variables.insert("base_url".to_owned(), variable);
        }
    }
    // A table of a Config.toml with `apiKey = ""` and no variable that fills it is no provider.
    providers.retain(|entry| {
        let credential = entry.spec.api_key.is_some() || !entry.spec.credentials.is_empty();
        !entry.spec.needs_credential || credential || entry.origin.is_broken("api_key")
    });
}

/// Returns the variable that overrides the address of a provider.
pub fn base_url_variable(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("CROSSWAY_{name}_BASE_URL")
}

fn variable_of(env: Lookup<'_>, name: &str) -> Option<String> {
    env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Applies one vendor's variables. The variable overrides the provider that is named like the vendor, else completes
/// those of its kind that have no credential, else makes a provider.
fn apply_vendor(
    providers: &mut Vec<Entry<ProviderSpec>>,
    vendor: &Vendor,
    env: Lookup<'_>,
    problems: &mut Vec<Problem>,
) {
    let kind: &str = &vendor.kind;
    let variable = vendor.credential_env.as_deref().unwrap_or_default();
    let key = variable_of(env, variable).map(Secret::new);
    let host = (kind == "ollama").then(|| variable_of(env, "OLLAMA_HOST")).flatten().map(|host| ollama_url(&host));
    if let Some(entry) = providers.iter_mut().find(|entry| entry.name == kind) {
        if entry.spec.kind.as_deref().is_none_or(|own| own == kind) {
            override_credential(entry, key);
            entry.spec.base_url = host.or(entry.spec.base_url.take());
        }
        return;
    }
    let mut found = false;
    for entry in providers.iter_mut().filter(|entry| entry.spec.kind.as_deref() == Some(kind)) {
        found = true;
        if entry.spec.api_key.is_none() && entry.spec.credentials.is_empty() {
            override_credential(entry, key.clone());
        }
    }
    let address = variable_of(env, &base_url_variable(kind));
    let local = vendor.credential_optional && kind != "demo" && (host.is_some() || address.is_some());
    if found || (key.is_none() && !local) {
        return;
    }
    if vendor.base_url.is_none() && address.is_none() {
        let message = format!("ignored, because {} has no address", vendor.title);
        let hint = format!("set {}", base_url_variable(kind));
        problems.push(Problem::new(FILE, variable, message).hint(hint).warning());
        return;
    }
    let origin = Origin::new(FILE, format!("providers.{kind}"));
    let spec = ProviderSpec { kind: Some(kind.to_owned()), base_url: host, api_key: key, ..ProviderSpec::default() };
    providers.push(Entry { name: kind.to_owned(), spec, origin });
}

fn override_credential(entry: &mut Entry<ProviderSpec>, key: Option<Secret>) {
    let Some(key) = key else { return };
    entry.spec.api_key = Some(key);
    entry.spec.credentials.clear();
    entry.origin.lines.remove("api_key");
    entry.origin.broken.retain(|field| field != "api_key" && !field.starts_with("credentials"));
}

/// Reads `OLLAMA_HOST` as Ollama does: `host`, `host:port` or a URL. A server that listens on every address is reached
/// on this machine. <https://docs.ollama.com/faq#how-can-i-expose-ollama-on-my-network>
fn ollama_url(host: &str) -> String {
    let host = host.trim_end_matches('/');
    let (scheme, rest) = match host.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, host),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.replace("0.0.0.0", "127.0.0.1");
    let after_brackets = authority.rsplit(']').next().unwrap_or(&authority);
    let port = if scheme.is_some() || after_brackets.contains(':') { "" } else { ":11434" };
    format!("{}://{authority}{port}{path}", scheme.unwrap_or("http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expect: &str) {
        assert_eq!(ollama_url(host), expect, "{host}");
    }

    #[test]
    fn warns_of_names_that_are_nearly_ours() {
        let names =
            ["CROSSWAY_LISTN", "CROSSWAY_LISTEN", "CROSSWAY_HOST", "CROSSWAY_LOG_BASE_URL", "CROSSWAY_URL", "LISTN"];
        let warnings: Vec<String> = misspelt(names).iter().map(ToString::to_string).collect();
        let expect = "environment: warning: CROSSWAY_LISTN: no such variable is read (did you mean CROSSWAY_LISTEN?)";
        assert_eq!(warnings, [expect]);
        assert!(misspelt(OF_CLIENTS).is_empty());
    }

    #[test]
    fn reads_ollama_host() {
        check("gpu", "http://gpu:11434");
        check("gpu:9000", "http://gpu:9000");
        check("0.0.0.0", "http://127.0.0.1:11434");
        check("http://gpu:9000/", "http://gpu:9000");
        check("https://ollama.example/api/v1", "https://ollama.example/api/v1");
        check("[::1]", "http://[::1]:11434");
        check("[::1]:5", "http://[::1]:5");
    }

    #[test]
    fn names_address_variables() {
        assert_eq!(base_url_variable("openai"), "CROSSWAY_OPENAI_BASE_URL");
        assert_eq!(base_url_variable("my-vllm.2"), "CROSSWAY_MY_VLLM_2_BASE_URL");
    }
}

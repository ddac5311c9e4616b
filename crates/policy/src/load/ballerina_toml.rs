//! The configuration file of the Ballerina AI gateway: `Config.toml`.
//!
//! One table per provider, with the addresses that its documentation prints; they are brought to the form that our
//! vendors want. The configured model answers every request, whatever the client asks for, as it does there.

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use url::Url;

use super::document::{Document, Table};
use super::{Lookup, Parsed};
use crate::compile::settings::SettingsSource;
use crate::problem::{Origin, Problem};
use crate::secret::Secret;
use crate::spec::provider::ProviderSpec;
use crate::spec::settings::SettingsSpec;
use crate::spec::{Entry, Specs};

/// The tables and the vendors that they configure.
const PROVIDERS: [(&str, &str); 6] = [
    ("openAIConfig", "openai"),
    ("anthropicConfig", "anthropic"),
    ("geminiConfig", "gemini"),
    ("ollamaConfig", "ollama"),
    ("mistralConfig", "mistral"),
    ("cohereConfig", "cohere"),
];

const LOGGING: &str = "defaultLoggingConfig";

/// A provider's table.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct ProviderTable {
    api_key: Option<Secret>,
    model: Option<String>,
    endpoint: Option<String>,
}

/// The table of log shipping.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct LoggingTable {
    enable_elastic_search: bool,
    elastic_search_endpoint: Option<String>,
    elastic_api_key: Option<Secret>,
    enable_splunk: bool,
    splunk_endpoint: Option<String>,
    splunk_token: Option<Secret>,
    enable_datadog: bool,
    datadog_endpoint: Option<String>,
    datadog_api_key: Option<Secret>,
}

/// Returns whether a file is written in this vocabulary: it uses one of its tables, or it bears the name and has none
/// of Crossway's own.
pub fn is_ballerina(name: &str, text: &str) -> bool {
    let (root, _) = DeTable::parse_recoverable(text);
    if root.get_ref().keys().any(|key| is_table(key.get_ref())) {
        return true;
    }
    let own = ["providers", "models", "fallbacks", "routes", "environment", "guardrails", "prompts", "limits", "plans"];
    let named = name.rsplit(['/', '\\']).next() == Some("Config.toml");
    named && !own.iter().any(|key| root.get_ref().contains_key(*key))
}

fn is_table(key: &str) -> bool {
    key == LOGGING || PROVIDERS.iter().any(|(table, _)| *table == key)
}

/// Reads a file. Everything that is wrong with its form is in the result's problems.
pub fn parse(name: &str, text: &str, env: Lookup<'_>) -> Parsed {
    let (mut document, root) = Document::parse(name, text, env);
    let Some(mut root) = root else {
        return Parsed { problems: document.problems, ..Parsed::default() };
    };
    let mut specs = Specs::default();
    for (table, kind) in PROVIDERS {
        if let Some((span, value)) = document.take_table(&mut root, table) {
            let origin = document.origin(table, Some(span));
            let entry = provider(&mut document, value, origin, kind);
            specs.providers.push(entry);
        }
    }
    // Failover follows the order of the file.
    specs.providers.sort_by_key(|entry| entry.origin.line);
    if let Some((span, value)) = document.take_table(&mut root, LOGGING) {
        let mut origin = document.origin(LOGGING, Some(span));
        logging(&mut document, value, &mut origin);
    }
    rest(&mut document, root);
    let spec = SettingsSpec { anonymous: Some("loopback".to_owned()), ..SettingsSpec::default() };
    let settings = SettingsSource { spec, origin: document.origin("", None), ..SettingsSource::default() };
    Parsed { settings, specs, problems: document.problems }
}

fn provider(document: &mut Document<'_>, table: Table<'_>, mut origin: Origin, kind: &str) -> Entry<ProviderSpec> {
    let raw: ProviderTable = document.entry(table, &mut origin);
    let renamed = [("api_key", "apiKey"), ("default_model", "model"), ("base_url", "endpoint")];
    for (ours, theirs) in renamed {
        if let Some(line) = origin.lines.get(theirs).copied() {
            origin.lines.insert(ours.to_owned(), line);
        }
        origin.renamed.insert(ours.to_owned(), theirs.to_owned());
        if origin.broken.contains(theirs) {
            origin.broken.insert(ours.to_owned());
        }
    }
    let given = |text: &String| !text.trim().is_empty();
    let spec = ProviderSpec {
        kind: Some(kind.to_owned()),
        base_url: raw.endpoint.filter(given).map(|endpoint| normalise_endpoint(kind, &endpoint)),
        api_key: raw.api_key.filter(|key| !key.expose().trim().is_empty()),
        default_model: raw.model.filter(given),
        force_default_model: true,
        adopt_default_model: true,
        needs_credential: kind != "ollama",
        ..ProviderSpec::default()
    };
    Entry { name: kind.to_owned(), spec, origin }
}

/// Adds `/v1` where the addresses of the Ballerina gateway's documentation leave it out. Addresses of the vendors with
/// interfaces of their own are brought to form with all others, when they are compiled.
fn normalise_endpoint(kind: &str, endpoint: &str) -> String {
    let trimmed = endpoint.trim().trim_end_matches('/');
    let Ok(mut url) = Url::parse(trimmed) else { return trimmed.to_owned() };
    if !matches!((kind, url.path().trim_end_matches('/')), ("openai" | "mistral", "" | "/api")) {
        return trimmed.to_owned();
    }
    url.set_path("/v1");
    url.to_string()
}

/// Checks the table of log shipping, which does nothing yet.
fn logging(document: &mut Document<'_>, table: Table<'_>, origin: &mut Origin) {
    let raw: LoggingTable = document.entry(table, origin);
    let targets = [
        ("enableElasticSearch", raw.enable_elastic_search, "elasticSearchEndpoint", raw.elastic_search_endpoint),
        ("enableSplunk", raw.enable_splunk, "splunkEndpoint", raw.splunk_endpoint),
        ("enableDatadog", raw.enable_datadog, "datadogEndpoint", raw.datadog_endpoint),
    ];
    for (switch, enabled, field, endpoint) in targets {
        let endpoint = endpoint.unwrap_or_default();
        let valid = Url::parse(&endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        let wrong = if endpoint.is_empty() { enabled } else { !valid };
        if wrong && !origin.is_broken(field) {
            document.problems.push(origin.problem(field, "not an http or https URL"));
        }
        if enabled {
            let message = "log shipping is not available yet: logs go to standard error";
            document.problems.push(origin.problem(switch, message).warning());
        }
    }
    // Accepted, so that a file that works there loads here; nothing uses them yet.
    drop((raw.elastic_api_key, raw.splunk_token, raw.datadog_api_key));
}

/// Reports what is left at the top of the file. Settings of Ballerina's own modules are ignored with a warning.
fn rest(document: &mut Document<'_>, root: Table<'_>) {
    let names = PROVIDERS.iter().map(|(table, _)| *table).chain([LOGGING]);
    for (key, value) in root {
        let name: &str = key.get_ref();
        let origin = document.origin(name, Some(key.span()));
        let module = matches!(value.get_ref(), DeValue::Table(_)) && matches!(name, "ballerina" | "ballerinax");
        let problem: Problem = if module {
            origin.problem("", "settings of Ballerina's modules are ignored").warning()
        } else {
            let hint = crate::problem::did_you_mean(name, names.clone());
            origin.problem("", "unknown setting").maybe_hint(hint)
        };
        document.problems.push(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, endpoint: &str, expect: &str) {
        assert_eq!(normalise_endpoint(kind, endpoint), expect);
    }

    #[test]
    fn endpoints_become_ours() {
        check("openai", "https://api.openai.com", "https://api.openai.com/v1");
        check("openai", "https://api.openai.com/v1/", "https://api.openai.com/v1");
        check("mistral", "https://api.mistral.ai", "https://api.mistral.ai/v1");
        check("openai", "http://10.0.0.7:9/prefix/v3", "http://10.0.0.7:9/prefix/v3");
        check("openai", "not a url", "not a url");
    }
}

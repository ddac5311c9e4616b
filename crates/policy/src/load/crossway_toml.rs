//! Crossway's own configuration file.

use toml::de::DeValue;

use super::document::{Document, Table};
use super::{Lookup, Parsed};
use crate::compile::settings::SettingsSource;
use crate::problem::Origin;
use crate::spec::limit::LimitSpec;
use crate::spec::provider::{CredentialSpec, ProviderSpec};
use crate::spec::{Entry, Specs};

/// The sections of the file; everything else at its top is a setting of the process.
const SECTIONS: [&str; 11] = [
    "environment",
    "providers",
    "models",
    "fallbacks",
    "routes",
    "guardrails",
    "prompts",
    "limits",
    "plans",
    "oidc",
    "smtp",
];

/// Reads a file. Everything that is wrong with its form is in the result's problems.
pub fn parse(name: &str, text: &str, env: Lookup<'_>) -> Parsed {
    let (mut document, root) = Document::parse(name, text, env);
    let Some(mut root) = root else {
        return Parsed { problems: document.problems, ..Parsed::default() };
    };
    let specs = Specs {
        environment: environment(&mut document, &mut root),
        providers: providers(&mut document, &mut root),
        models: list(&mut document, &mut root, "models"),
        fallbacks: list(&mut document, &mut root, "fallbacks"),
        routes: named(&mut document, &mut root, "routes"),
        guardrails: named(&mut document, &mut root, "guardrails"),
        prompts: named(&mut document, &mut root, "prompts"),
        byok: Vec::new(),
        teams: Vec::new(),
        limits: limits(&mut document, &mut root),
        plans: named(&mut document, &mut root, "plans"),
        webhooks: Vec::new(),
        alerts: Vec::new(),
    };
    let (oidc, smtp) = (single(&mut document, &mut root, "oidc"), single(&mut document, &mut root, "smtp"));
    let mut origin = document.origin("", None);
    let spec = document.entry_among(root, &mut origin, &SECTIONS);
    let settings = SettingsSource { spec, origin, oidc, smtp, ..SettingsSource::default() };
    Parsed { settings, specs, problems: document.problems }
}

fn environment<T: serde::de::DeserializeOwned + Default>(
    document: &mut Document<'_>,
    root: &mut Table<'_>,
) -> Entry<T> {
    let Some((span, table)) = document.take_table(root, "environment") else { return Entry::default() };
    let mut origin = document.origin("environment", Some(span));
    let spec = document.entry(table, &mut origin);
    Entry { name: "default".to_owned(), spec, origin }
}

/// Reads a table that is there once: `[oidc]`.
fn single<T: serde::de::DeserializeOwned + Default>(
    document: &mut Document<'_>,
    root: &mut Table<'_>,
    key: &str,
) -> Option<Entry<T>> {
    let (span, table) = document.take_table(root, key)?;
    let mut origin = document.origin(key, Some(span));
    let spec = document.entry(table, &mut origin);
    Some(Entry { name: key.to_owned(), spec, origin })
}

fn providers(document: &mut Document<'_>, root: &mut Table<'_>) -> Vec<Entry<ProviderSpec>> {
    let mut found = Vec::new();
    for (name, span, table) in document.take_tables(root, "providers") {
        let mut origin = document.origin(&format!("providers.{name}"), Some(span));
        let spec = provider(document, table, &mut origin);
        found.push(Entry { name, spec, origin });
    }
    found
}

/// Reads a provider; its credentials one by one, so that each one's faults are reported.
fn provider(document: &mut Document<'_>, mut table: Table<'_>, origin: &mut Origin) -> ProviderSpec {
    let listed = matches!(table.get("credentials").map(toml::Spanned::get_ref), Some(DeValue::Array(_)));
    let credentials = if listed { table.remove("credentials") } else { None };
    let mut spec: ProviderSpec = document.entry(table, origin);
    let Some(credentials) = credentials else { return spec };
    origin.lines.insert("credentials".to_owned(), document.line(&credentials.span()));
    let DeValue::Array(list) = credentials.into_inner() else { return spec };
    if list.is_empty() {
        document.problems.push(origin.problem("credentials", "empty").hint("leave it out, or add a credential"));
    }
    for (index, item) in list.into_iter().enumerate() {
        let path = format!("credentials[{index}]");
        let mut own = document.origin(&format!("{}.{path}", origin.path), Some(item.span()));
        origin.lines.insert(path.clone(), document.line(&item.span()));
        let span = item.span();
        match item.into_inner() {
            DeValue::Table(table) => spec.credentials.push(document.entry::<CredentialSpec>(table, &mut own)),
            other => {
                document.wrong_type(&own.path, &span, "a table with value and weight", &other);
                own.broken.insert("value".to_owned());
                spec.credentials.push(CredentialSpec::default());
            }
        }
        origin.lines.extend(own.lines.into_iter().map(|(field, line)| (format!("{path}.{field}"), line)));
        origin.broken.extend(own.broken.into_iter().map(|field| format!("{path}.{field}")));
    }
    spec
}

/// Reads a table of named entries: `[guardrails.NAME]`.
fn named<T: serde::de::DeserializeOwned + Default>(
    document: &mut Document<'_>,
    root: &mut Table<'_>,
    key: &str,
) -> Vec<Entry<T>> {
    let mut found = Vec::new();
    for (name, span, table) in document.take_tables(root, key) {
        let mut origin = document.origin(&format!("{key}.{name}"), Some(span));
        let spec = document.entry(table, &mut origin);
        found.push(Entry { name, spec, origin });
    }
    found
}

/// Reads the limits. They have no names of their own, but by their place.
fn limits(document: &mut Document<'_>, root: &mut Table<'_>) -> Vec<Entry<LimitSpec>> {
    let mut limits = list(document, root, "limits");
    for (index, entry) in limits.iter_mut().enumerate() {
        entry.name = format!("limit-{}", index + 1);
    }
    limits
}

fn list<T: serde::de::DeserializeOwned + Default>(
    document: &mut Document<'_>,
    root: &mut Table<'_>,
    key: &str,
) -> Vec<Entry<T>> {
    let mut found = Vec::new();
    for (index, (span, table)) in document.take_list(root, key).into_iter().enumerate() {
        let mut origin = document.origin(&format!("{key}[{index}]"), Some(span));
        let spec = document.entry(table, &mut origin);
        found.push(Entry { name: String::new(), spec, origin });
    }
    found
}

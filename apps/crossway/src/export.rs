//! `crossway export`: what is configured, as resource files.
//!
//! Secrets are not in them, for a gateway shows none. A file without a secret leaves the stored one as it is, so that
//! applying an export to the same gateway changes nothing; a comment says what another gateway needs.

use std::fs::{self, File};
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policy::load::resources::kind::Kind;
use policy::load::resources::write::{Writable, toml, yaml};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::Failure;
use crate::remote::{Remote, ServerArgs};

/// What stands in the name of a file as it is.
const FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// How long a name of a file gets, without what says its form: file systems allow 255 bytes with that.
const LONGEST_FILE_NAME: usize = 200;

/// What files are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// YAML: any number of resources in one text
    Yaml,
    /// TOML: one resource in a file
    Toml,
}

#[derive(Debug, Deserialize)]
struct Exported {
    documents: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    kind: String,
    #[serde(default)]
    environment: String,
    name: Option<String>,
    spec: Map<String, Value>,
}

/// Writes what a gateway has to stdout, or one file a resource into a folder.
///
/// # Errors
/// When the gateway cannot be asked, or a file cannot be written.
pub fn export(
    server: &ServerArgs,
    environment: Option<&str>,
    to: Option<&Path>,
    format: Format,
) -> Result<ExitCode, Failure> {
    if to.is_none() && format == Format::Toml {
        return Err("a TOML file holds one resource: name a folder with -o, or leave --format out".into());
    }
    let resources = ask(&server.remote()?, environment)?;
    let Some(folder) = to else {
        let texts: Vec<String> = resources.iter().map(|resource| resource.text(Format::Yaml)).collect();
        write!(stdout(), "{}", texts.join("---\n"))?;
        return Ok(ExitCode::SUCCESS);
    };
    for resource in &resources {
        write_file(&folder.join(resource.path(format)), &resource.text(format))?;
    }
    let count = resources.len();
    writeln!(stdout(), "{count} resource{} in {}", if count == 1 { "" } else { "s" }, folder.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Asks for everything, and puts it in an order that does not depend on when it was made.
fn ask(remote: &Remote, environment: Option<&str>) -> Result<Vec<Resource>, Failure> {
    let path = match environment {
        Some(name) => format!("/admin/v1/export?environment={}", utf8_percent_encode(name, NON_ALPHANUMERIC)),
        None => "/admin/v1/export".to_owned(),
    };
    let body = remote.get(&path)?.success()?;
    let exported: Exported = serde_json::from_value(body)
        .map_err(|_| "the gateway's answer cannot be understood: it is of another version")?;
    let mut resources = exported.documents;
    let rank = |resource: &Resource| Kind::ALL.iter().position(|kind| Some(*kind) == Kind::parse(&resource.kind));
    resources.sort_by_cached_key(|resource| (resource.environment.clone(), rank(resource), resource.name.clone()));
    Ok(resources)
}

impl Resource {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.environment)
    }

    fn path(&self, format: Format) -> PathBuf {
        let end = if format == Format::Yaml { "yaml" } else { "toml" };
        let environment = if self.environment.is_empty() { self.name() } else { &self.environment };
        [safe(environment), safe(&self.kind), format!("{}.{end}", safe(self.name()))].iter().collect()
    }

    fn text(&self, format: Format) -> String {
        let kind = Kind::parse(&self.kind);
        let (mut spec, mut comments, mut variables) = (self.spec.clone(), Vec::new(), Vec::new());
        if kind == Some(Kind::Provider) {
            comments = secrets_of(self.name(), &spec);
            if format == Format::Toml {
                variables = headers_as_variables(self.name(), &mut spec);
            }
        }
        let writable = Writable {
            kind: kind.map_or(&self.kind, |kind| kind.name()),
            environment: (kind != Some(Kind::Environment)).then_some(self.environment.as_str()),
            name: self.name(),
            spec: &spec,
            comments: &comments,
        };
        let text = if format == Format::Yaml { yaml(&writable) } else { toml(&writable) };
        // What is meant as a variable was written so that it would stay text.
        variables
            .iter()
            .fold(text, |text, variable| text.replace(&format!("\"${variable}\""), &format!("\"{variable}\"")))
    }
}

/// Returns what is to be said about a provider's secrets.
fn secrets_of(name: &str, spec: &Map<String, Value>) -> Vec<String> {
    let mut wanted = Vec::new();
    let credentials = spec.get("credentials").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, credential) in credentials.iter().enumerate() {
        let label =
            credential.get("name").and_then(Value::as_str).map_or_else(|| (index + 1).to_string(), str::to_owned);
        wanted.push(format!("credentials[{index}].value: ${{{}}}", variable_name(&[name, "KEY", &label])));
    }
    if wanted.is_empty() {
        wanted.push(format!("api_key: ${{{}}}", variable_name(&[name, "API", "KEY"])));
    }
    let headers = spec.get("headers").and_then(Value::as_object).into_iter().flatten();
    wanted.extend(headers.map(|(header, _)| format!("headers.{header}: ${{{}}}", variable_name(&[name, header]))));
    let first = "Stored secrets stay as they are. A gateway that does not have them yet needs in spec:".to_owned();
    std::iter::once(first).chain(wanted.into_iter().map(|line| format!("  {line}"))).collect()
}

/// Gives headers whose value is not shown a variable, for TOML cannot say that one stays as it is.
fn headers_as_variables(name: &str, spec: &mut Map<String, Value>) -> Vec<String> {
    let mut variables = Vec::new();
    for (header, value) in spec.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten() {
        if value.is_null() {
            let variable = format!("${{{}}}", variable_name(&[name, header]));
            *value = Value::String(variable.clone());
            variables.push(variable);
        }
    }
    variables
}

fn variable_name(parts: &[&str]) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    parts.join("_").chars().map(upper).collect()
}

/// Returns a name as that of a file: no separators, not hidden, and no longer than file systems allow.
fn safe(name: &str) -> String {
    let mut escaped = utf8_percent_encode(name, FILE_NAME).to_string();
    if escaped.len() > LONGEST_FILE_NAME {
        // It is ASCII. What is cut off is told apart by its hash (FNV-1a); the file says the whole name.
        escaped.truncate(LONGEST_FILE_NAME - 17);
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        escaped.push_str(&format!("~{hash:016x}"));
    }
    match escaped.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => escaped,
    }
}

/// Writes a file beside its place and puts it there, so that nobody reads half of it.
fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| -> Failure { format!("cannot write {}: {error}", path.display()).into() };
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let beside = path.with_added_extension("partial");
    let written = File::create(&beside).and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| fs::rename(&beside, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use policy::load::resources::parse;
    use serde_json::json;

    use super::*;

    fn resource(value: Value) -> Resource {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_export_is_read_back_and_says_what_is_secret() {
        let provider = resource(json!({
            "kind": "providers", "environment": "default", "name": "my-up",
            "spec": {"kind": "openai", "credentials": [{"weight": 2}], "headers": {"X-Team": null}},
        }));
        let text = provider.text(Format::Yaml);
        assert!(
            text.contains("#   credentials[0].value: ${MY_UP_KEY_1}\n#   headers.X-Team: ${MY_UP_X_TEAM}\n"),
            "{text}"
        );
        let read = parse("a.yaml", &text, &|_| None);
        assert_eq!(read.documents.first().map(|document| &document.spec), Some(&provider.spec), "{:?}", read.problems);
        let text = provider.text(Format::Toml);
        assert!(
            text.contains("headers = { X-Team = \"$${MY_UP_X_TEAM}\" }") || text.contains("${MY_UP_X_TEAM}"),
            "{text}"
        );
    }

    #[test]
    fn files_stay_in_their_folder() {
        let path = |kind: &str, environment: &str, name: &str| {
            resource(json!({"kind": kind, "environment": environment, "name": name, "spec": {}})).path(Format::Yaml)
        };
        assert_eq!(path("keys", "default", "a b/../c"), Path::new("default/keys/a%20b%2F..%2Fc.yaml"));
        assert_eq!(path("keys", "..", "..").display().to_string(), "%2E./keys/%2E..yaml");
        let long = |end: &str| path("keys", "default", &format!("{}{end}", "鍵".repeat(127)));
        let name = long("a").file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.len() <= 230 && name.starts_with("%E9%8D%B5") && name.ends_with(".yaml"), "{name}");
        assert_ne!(long("a"), long("b"));
        assert_eq!(path("environments", "", "staging"), Path::new("staging/environments/staging.yaml"));
    }
}

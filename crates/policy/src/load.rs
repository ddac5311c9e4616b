//! Reads the configuration file and the environment, merges them, and compiles the result.
//!
//! Precedence: environment variables, then the file, then defaults. Faults of every part are reported together.

pub mod ballerina_toml;
pub mod crossway_toml;
pub mod document;
pub mod environment;
mod fields;
pub mod resources;
pub mod together;

use std::fs;
use std::path::{Path, PathBuf};

use catalog::load::Vendors;
use catalog::model::Catalogue;

use crate::compile::settings::SettingsSource;
use crate::compile::{compile, settings};
use crate::problem::{Origin, Problem, Severity};
use crate::snapshot::Snapshot;
use crate::spec::provider::ProviderSpec;
use crate::spec::settings::Settings;
use crate::spec::{Entry, Specs};

/// Looks up an environment variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The largest configuration file that is read.
const FILE_LIMIT_BYTES: u64 = 16 << 20;

/// A configuration that can be served.
#[derive(Debug)]
pub struct Loaded {
    /// The settings of the process.
    pub settings: Settings,
    /// The environment `default`.
    pub snapshot: Snapshot,
    /// What is worth knowing.
    pub warnings: Vec<Problem>,
    /// The files that were read.
    pub sources: Vec<PathBuf>,
    /// How many enabled providers were configured; the demo that stands in for none does not count.
    pub providers_configured: usize,
}

/// What one configuration file says.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The settings of the process.
    pub settings: SettingsSource,
    /// The environment.
    pub specs: Specs,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
}

/// Reads a configuration: the named file, else `crossway.toml` or `Config.toml` in the working directory, if there.
/// `demo` adds the demo provider, which also stands in when no provider is configured.
///
/// # Errors
/// With every problem, warnings included, when there is an error among them.
pub fn load(config: Option<&Path>, cwd: &Path, env: Lookup<'_>, demo: bool) -> Result<Loaded, Vec<Problem>> {
    finish(gather(config, cwd, env), env, demo)
}

/// What was read, before it is compiled.
struct Gathered {
    parsed: Parsed,
    sources: Vec<PathBuf>,
    problems: Vec<Problem>,
}

/// Reads the configuration file.
fn gather(config: Option<&Path>, cwd: &Path, env: Lookup<'_>) -> Gathered {
    let mut problems = Vec::new();
    let path = match config {
        Some(path) => Some((cwd.join(path), path.display().to_string())),
        None => find(cwd, &mut problems),
    };
    let text = path.as_ref().and_then(|(path, name)| read(path, name, &mut problems));
    let mut parsed = match (&path, &text) {
        (Some((_, name)), Some(text)) => parse(name, text, env),
        _ => Parsed::default(),
    };
    problems.append(&mut parsed.problems);
    let sources = path.into_iter().filter(|_| text.is_some()).map(|(path, _)| path).collect();
    Gathered { parsed, sources, problems }
}

/// Reads a configuration from text, as [`load`] does from a file of that name.
///
/// # Errors
/// With every problem, warnings included, when there is an error among them.
pub fn load_text(name: &str, text: &str, env: Lookup<'_>, demo: bool) -> Result<Loaded, Vec<Problem>> {
    let mut parsed = parse(name, text, env);
    let problems = std::mem::take(&mut parsed.problems);
    finish(Gathered { parsed, sources: vec![PathBuf::from(name)], problems }, env, demo)
}

/// Reads the text of a configuration file: Ballerina's vocabulary when it uses it, else Crossway's.
pub fn parse(name: &str, text: &str, env: Lookup<'_>) -> Parsed {
    if ballerina_toml::is_ballerina(name, text) {
        ballerina_toml::parse(name, text, env)
    } else {
        crossway_toml::parse(name, text, env)
    }
}

/// Adds the environment and the demo, and compiles.
fn finish(gathered: Gathered, env: Lookup<'_>, demo: bool) -> Result<Loaded, Vec<Problem>> {
    let Gathered { parsed, sources, mut problems } = gathered;
    let (vendors, catalogue) = (Vendors::builtin(), Catalogue::builtin());
    let Parsed { settings: mut source, mut specs, .. } = parsed;
    environment::apply_settings(&mut source, env);
    environment::apply_providers(&mut specs.providers, &vendors, env, &mut problems);
    // A provider of a broken file may be missing here because of its fault, which is reported.
    let broken = problems.iter().any(|problem| problem.severity == Severity::Error);
    let providers_configured = specs.providers.iter().filter(|entry| entry.spec.enabled != Some(false)).count();
    add_demo(&mut specs.providers, demo, providers_configured == 0 && !broken, &mut problems);
    let settings = settings::compile_settings(&source, &mut problems);
    match compile(&specs, &vendors, &catalogue) {
        Ok(compiled) if !problems.iter().any(|problem| problem.severity == Severity::Error) => {
            problems.extend(compiled.warnings);
            Ok(Loaded { settings, snapshot: compiled.snapshot, warnings: problems, sources, providers_configured })
        }
        Ok(compiled) => {
            problems.extend(compiled.warnings);
            Err(problems)
        }
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// Adds the demo provider when it is asked for, or when nothing else is there.
fn add_demo(providers: &mut Vec<Entry<ProviderSpec>>, asked: bool, alone: bool, problems: &mut Vec<Problem>) {
    if !asked && !alone {
        return;
    }
    if !asked {
        let message = "no provider is configured: only the demo provider answers, with made-up text";
        let hint = "set OPENAI_API_KEY or another provider's variable, or write crossway.toml";
        problems.push(Problem::new("environment", "", message).hint(hint).warning());
    }
    if providers.iter().any(|entry| entry.name == "demo" && entry.spec.enabled != Some(false)) {
        return;
    }
    providers.retain(|entry| entry.name != "demo");
    let spec = ProviderSpec { kind: Some("demo".to_owned()), ..ProviderSpec::default() };
    providers.push(Entry { name: "demo".to_owned(), spec, origin: Origin::new("environment", "providers.demo") });
}

/// Finds the configuration file of a folder.
fn find(cwd: &Path, problems: &mut Vec<Problem>) -> Option<(PathBuf, String)> {
    let there = |name: &str| Some((cwd.join(name), name.to_owned())).filter(|(path, _)| path.is_file());
    match (there("crossway.toml"), there("Config.toml")) {
        (Some(own), Some(_)) => {
            let message = "ignored, because crossway.toml is there too";
            problems.push(Problem::new("Config.toml", "", message).warning());
            Some(own)
        }
        (own, other) => own.or(other),
    }
}

/// Reads a file, or says why not.
fn read(path: &Path, name: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let read = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_LIMIT_BYTES => Err(("larger than 16 MiB".to_owned(), None)),
        Ok(_) => fs::read(path).map_err(|error| (error.kind().to_string(), None)),
        Err(error) => Err((error.kind().to_string(), None)),
    };
    match read.and_then(in_utf8) {
        Ok(text) => Some(text),
        Err((why, line)) => {
            problems.push(Problem::new(name, "", format!("cannot be read: {why}")).at(line));
            None
        }
    }
}

/// Returns bytes as text, or what is wrong with them and on which line.
fn in_utf8(bytes: Vec<u8>) -> Result<String, (String, Option<usize>)> {
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        ("not UTF-8".to_owned(), Some(before.filter(|byte| **byte == b'\n').count() + 1))
    })
}

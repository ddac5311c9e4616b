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

use crate::compile::effective::{Effective, effective};
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

/// What a configuration says, before it is compiled.
#[derive(Clone, Debug)]
pub struct Written {
    /// The settings of the process.
    pub settings: Settings,
    /// The same for people: who said what.
    pub effective: Vec<Effective>,
    /// The environment `default`, as the file and the variables say it.
    pub specs: Specs,
    /// Whether the demo provider among them only stands in, because no other is there.
    pub stand_in: bool,
    /// What is worth knowing.
    pub warnings: Vec<Problem>,
    /// The files that were read.
    pub sources: Vec<PathBuf>,
    /// How many enabled providers were configured; the demo that stands in for none does not count.
    pub providers_configured: usize,
}

/// Reads a configuration and compiles it, as [`read`] and [`compile`] do.
///
/// # Errors
/// With every problem, warnings included, when there is an error among them.
pub fn load(config: Option<&Path>, cwd: &Path, env: Lookup<'_>, demo: bool) -> Result<Loaded, Vec<Problem>> {
    let (written, problems) = read_file(config, cwd, env, demo);
    compiled(written, problems)
}

/// Reads a configuration from text, as [`load`] does from a file of that name.
///
/// # Errors
/// With every problem, warnings included, when there is an error among them.
pub fn load_text(name: &str, text: &str, env: Lookup<'_>, demo: bool) -> Result<Loaded, Vec<Problem>> {
    let (written, problems) = read_given(name, text, env, demo);
    compiled(written, problems)
}

/// Reads a configuration: the named file, else `crossway.toml` or `Config.toml` in the working directory, if there.
/// `demo` adds the demo provider, which also stands in when no provider is configured.
///
/// # Errors
/// With every problem that can be told without what else is configured, when there is an error among them.
pub fn read(config: Option<&Path>, cwd: &Path, env: Lookup<'_>, demo: bool) -> Result<Written, Vec<Problem>> {
    let (written, problems) = read_file(config, cwd, env, demo);
    sound(written, problems)
}

/// Reads a configuration from text, as [`read`] does from a file of that name.
///
/// # Errors
/// As [`read`].
pub fn read_text(name: &str, text: &str, env: Lookup<'_>, demo: bool) -> Result<Written, Vec<Problem>> {
    let (written, problems) = read_given(name, text, env, demo);
    sound(written, problems)
}

fn read_file(config: Option<&Path>, cwd: &Path, env: Lookup<'_>, demo: bool) -> (Written, Vec<Problem>) {
    let mut problems = Vec::new();
    let path = match config {
        Some(path) => Some((cwd.join(path), path.display().to_string())),
        None => find(cwd, &mut problems),
    };
    let text = path.as_ref().and_then(|(path, name)| text_of(path, name, &mut problems));
    let mut parsed = match (&path, &text) {
        (Some((_, name)), Some(text)) => parse(name, text, env),
        _ => Parsed::default(),
    };
    problems.append(&mut parsed.problems);
    let sources = path.into_iter().filter(|_| text.is_some()).map(|(path, _)| path).collect();
    complete(parsed, sources, problems, env, demo)
}

fn read_given(name: &str, text: &str, env: Lookup<'_>, demo: bool) -> (Written, Vec<Problem>) {
    let mut parsed = parse(name, text, env);
    let problems = std::mem::take(&mut parsed.problems);
    complete(parsed, vec![PathBuf::from(name)], problems, env, demo)
}

/// The warning where the demo provider stands in.
pub const NO_PROVIDER: &str = "no provider is configured: only the demo provider answers, with made-up text";

fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// Returns what was written when it can be used; else every problem, those of compiling it included.
fn sound(written: Written, problems: Vec<Problem>) -> Result<Written, Vec<Problem>> {
    if has_errors(&problems) {
        return Err(compiled(written, problems).err().unwrap_or_default());
    }
    Ok(Written { warnings: problems, ..written })
}

fn compiled(written: Written, mut problems: Vec<Problem>) -> Result<Loaded, Vec<Problem>> {
    if written.stand_in {
        let hint = "set OPENAI_API_KEY or another provider's variable, or write crossway.toml";
        problems.push(Problem::new("environment", "", NO_PROVIDER).hint(hint).warning());
    }
    match compile(&written.specs, &Vendors::builtin(), &Catalogue::builtin()) {
        Ok(compiled) if !has_errors(&problems) => {
            problems.extend(compiled.warnings);
            let Written { settings, sources, providers_configured, .. } = written;
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

/// Reads the text of a configuration file: Ballerina's vocabulary when it uses it, else Crossway's.
pub fn parse(name: &str, text: &str, env: Lookup<'_>) -> Parsed {
    if ballerina_toml::is_ballerina(name, text) {
        ballerina_toml::parse(name, text, env)
    } else {
        crossway_toml::parse(name, text, env)
    }
}

/// Adds the environment and the demo.
fn complete(
    parsed: Parsed,
    sources: Vec<PathBuf>,
    mut problems: Vec<Problem>,
    env: Lookup<'_>,
    demo: bool,
) -> (Written, Vec<Problem>) {
    let Parsed { settings: mut source, mut specs, .. } = parsed;
    environment::apply_settings(&mut source, env);
    environment::apply_providers(&mut specs.providers, &Vendors::builtin(), env, &mut problems);
    // A provider of a broken file may be missing here because of its fault, which is reported.
    let broken = has_errors(&problems);
    let providers_configured = specs.providers.iter().filter(|entry| entry.spec.enabled != Some(false)).count();
    let stand_in = !demo && providers_configured == 0 && !broken;
    if demo || stand_in {
        add_demo(&mut specs.providers);
    }
    let settings = settings::compile_settings(&source, &mut problems);
    let (effective, warnings) = (effective(&source, &settings), Vec::new());
    (Written { settings, effective, specs, stand_in, warnings, sources, providers_configured }, problems)
}

/// Adds the demo provider, unless it is there.
fn add_demo(providers: &mut Vec<Entry<ProviderSpec>>) {
    if providers.iter().any(|entry| entry.name == "demo" && entry.spec.enabled != Some(false)) {
        return;
    }
    providers.retain(|entry| entry.name != "demo");
    let spec = ProviderSpec { kind: Some("demo".to_owned()), ..ProviderSpec::default() };
    providers.push(Entry { name: "demo".to_owned(), spec, origin: Origin::new("environment", "providers.demo") });
}

/// Finds the configuration file of a folder. What has its name and cannot be read as a file, such as the folder that a
/// container makes of a missing one, or a link that leads nowhere, is found too: it is not to be passed over in silence.
fn find(cwd: &Path, problems: &mut Vec<Problem>) -> Option<(PathBuf, String)> {
    let there =
        |name: &str| Some((cwd.join(name), name.to_owned())).filter(|(path, _)| fs::symlink_metadata(path).is_ok());
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
fn text_of(path: &Path, name: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let read = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_LIMIT_BYTES => Err(("larger than 16 MiB".to_owned(), None)),
        Ok(_) => fs::read(path).map_err(|error| (why_not(&error), None)),
        Err(error) => Err((why_not(&error), None)),
    };
    match read.and_then(in_utf8) {
        Ok(text) => Some(text),
        Err((why, line)) => {
            problems.push(Problem::new(name, "", format!("cannot be read: {why}")).at(line));
            None
        }
    }
}

/// Says in plain words why a file cannot be read.
fn why_not(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "its permissions do not allow it".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        other => other.to_string(),
    }
}

/// Returns bytes as text, or what is wrong with them and on which line.
fn in_utf8(bytes: Vec<u8>) -> Result<String, (String, Option<usize>)> {
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        ("not UTF-8".to_owned(), Some(before.filter(|byte| **byte == b'\n').count() + 1))
    })
}

//! Checks a configuration file and resource files as one: what a server would say that has nothing else.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use ir::id::ResourceId;

use super::resources::kind::{Kind, Typed};
use super::resources::{Document, Resources};
use super::{Loaded, Lookup, compiled, read_file};
use crate::compile::compile;
use crate::compile::key::{KeyIdentity, compile_key};
use crate::compile::team::check_team;
use crate::problem::{Origin, Problem, did_you_mean};
use crate::snapshot::KeyStatus;
use crate::spec::{Entry, Specs};

/// The environment that the configuration file describes.
const DEFAULT: &str = "default";

/// Reads the configuration as [`super::load`] does, adds resources to it, and compiles every environment.
///
/// # Errors
/// With every problem, warnings included, when there is an error among them.
pub fn load_with(
    config: Option<&Path>,
    cwd: &Path,
    env: Lookup<'_>,
    mut resources: Resources,
) -> Result<Loaded, Vec<Problem>> {
    let (mut written, mut problems) = read_file(config, cwd, env, false);
    problems.append(&mut resources.problems);
    let environments = by_environment(resources.documents.iter().chain(&resources.faulty));
    for (name, documents) in &environments {
        check_people(name, documents, &mut problems);
        if *name == DEFAULT {
            add(documents, &mut written.specs, &mut problems);
        } else {
            check_alone(name, documents, &mut problems);
        }
    }
    if written.stand_in && resources.documents.iter().chain(&resources.faulty).any(is_used_provider) {
        written.specs.providers.retain(|entry| entry.name != "demo");
        written.stand_in = false;
    }
    if written.settings.smtp.is_none() {
        resources.documents.iter().for_each(|document| check_email(document, &mut problems));
    }
    compiled(written, problems)
}

/// Warns of an alert that names email addresses, where nothing says how email is sent.
fn check_email(document: &Document, problems: &mut Vec<Problem>) {
    let Typed::Alert(spec) = &document.typed else { return };
    if spec.emails.is_empty() || spec.enabled == Some(false) {
        return;
    }
    let problem = document.origin.problem("emails", "no email can be sent: no [smtp] is configured");
    problems.push(
        problem.hint("write [smtp] into crossway.toml, or set CROSSWAY_SMTP_HOST and CROSSWAY_SMTP_FROM").warning(),
    );
}

/// Returns whether a document is a provider that the demo need not stand in for.
fn is_used_provider(document: &Document) -> bool {
    let Typed::Provider(spec) = &document.typed else { return false };
    document.environment == DEFAULT && spec.enabled != Some(false)
}

fn by_environment<'a>(documents: impl Iterator<Item = &'a Document>) -> BTreeMap<&'a str, Vec<&'a Document>> {
    let mut found: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    for document in documents {
        found.entry(document.environment.as_str()).or_default().push(document);
    }
    found
}

/// Adds resources to what the configuration file says, which nothing else may change.
fn add(documents: &[&Document], specs: &mut Specs, problems: &mut Vec<Problem>) {
    let written = written(specs);
    for document in documents {
        match written.iter().find(|(kind, name, _)| *kind == document.kind && *name == document.name) {
            Some((.., origin)) => {
                let message = format!("it comes from {}", origin.file);
                problems.push(document.origin.problem("", message).hint("change it there, or take it out of there"));
            }
            None => document.add_to(specs),
        }
    }
}

/// Returns the kinds and names of what a configuration file says.
fn written(specs: &Specs) -> Vec<(Kind, String, Origin)> {
    fn all<'a, T>(
        kind: Kind,
        entries: &'a [Entry<T>],
        name: fn(&'a Entry<T>) -> Option<&'a str>,
    ) -> Vec<(Kind, String, Origin)> {
        let named = entries.iter().filter_map(|entry| Some((kind, name(entry)?.to_owned(), entry.origin.clone())));
        named.collect()
    }
    let mut found = all(Kind::Provider, &specs.providers, |entry| Some(&entry.name));
    found.extend(all(Kind::Model, &specs.models, |entry| entry.spec.slug.as_deref()));
    found.extend(all(Kind::Fallback, &specs.fallbacks, |entry| entry.spec.model.as_deref()));
    found.extend(all(Kind::Route, &specs.routes, |entry| Some(&entry.name)));
    found.extend(all(Kind::Guardrail, &specs.guardrails, |entry| Some(&entry.name)));
    found.extend(all(Kind::Prompt, &specs.prompts, |entry| Some(&entry.name)));
    found.extend(all(Kind::Limit, &specs.limits, |entry| Some(&entry.name)));
    found.extend(all(Kind::Plan, &specs.plans, |entry| Some(&entry.name)));
    if specs.environment.origin.line.is_some() {
        found.push((Kind::Environment, DEFAULT.to_owned(), specs.environment.origin.clone()));
    }
    found
}

/// Compiles an environment that the configuration file does not describe.
fn check_alone(name: &str, documents: &[&Document], problems: &mut Vec<Problem>) {
    if !documents.iter().any(|document| document.kind == Kind::Environment)
        && let Some(first) = documents.first()
    {
        let message = format!("no file describes the environment {name}");
        let problem = Problem::new(first.origin.file.clone(), "environment", message).at(first.origin.line).warning();
        problems.push(problem.hint("it has to exist on the server"));
    }
    let mut specs = Specs::default();
    for document in documents {
        document.add_to(&mut specs);
    }
    match compile(&specs, &Vendors::builtin(), &Catalogue::builtin()) {
        Ok(compiled) => problems.extend(compiled.warnings),
        Err(more) => problems.extend(more),
    }
}

/// Checks teams and keys, and warns of keys whose team no file describes. Which providers and models a key may name is
/// the server's to say: it may have more of them than the files.
fn check_people(environment: &str, documents: &[&Document], problems: &mut Vec<Problem>) {
    let teams: HashSet<&str> = documents
        .iter()
        .filter(|document| document.kind == Kind::Team)
        .map(|document| document.name.as_str())
        .collect();
    for document in documents {
        match &document.typed {
            Typed::Team(spec) => problems.extend(check_team(&entry(document, spec))),
            Typed::Key(spec) => {
                let (environment, status) = (Arc::from(environment), KeyStatus::Active);
                let identity = KeyIdentity { id: ResourceId([0; 16]), environment, status, now_unix_ms: 0 };
                problems.extend(compile_key(&entry(document, &**spec), identity, None).1);
                if let Some(team) = spec.team.as_deref().filter(|team| !teams.contains(team)) {
                    let hint = did_you_mean(team, teams.iter().copied());
                    let hint = hint.unwrap_or_else(|| "it has to exist on the server".to_owned());
                    problems.push(document.origin.problem("team", "no file describes this team").hint(hint).warning());
                }
            }
            _ => {}
        }
    }
}

fn entry<T: Clone>(document: &Document, spec: &T) -> Entry<T> {
    Entry { name: document.name.clone(), spec: spec.clone(), origin: document.origin.clone() }
}

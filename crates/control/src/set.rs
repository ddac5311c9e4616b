//! Everything that is said about one environment, and what it compiles to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use policy::compile::compile;
use policy::problem::{Problem, Severity};
use policy::snapshot::Snapshot;
use policy::spec::Specs;
use store::seal::MasterKey;

use crate::document::Document;
use crate::files::Files;
use crate::kind::ENVIRONMENTS;
use crate::plane::webhooks::{self, AddressCheck};

/// What compiling needs beside the documents.
pub(crate) struct Tools {
    pub(crate) master: MasterKey,
    pub(crate) vendors: Arc<Vendors>,
    pub(crate) catalogue: Arc<Catalogue>,
    /// Whether events may be sent to an address.
    pub(crate) addresses: Box<AddressCheck>,
}

/// The documents of an environment, its own settings among them.
pub(crate) type Documents = BTreeMap<(&'static str, String), Arc<Document>>;

/// An environment as it stands.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    /// What is stored.
    pub(crate) documents: Documents,
    /// What requests see: the last set that was good; `None` when there never was one.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// What is wrong with the stored set; empty when it is what requests see.
    pub(crate) problems: Vec<Problem>,
    /// What is worth knowing about it.
    pub(crate) warnings: Vec<Problem>,
}

/// What a set of documents compiles to.
pub(crate) struct Outcome {
    /// The environment; `None` when there are errors.
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl Outcome {
    /// Returns the errors that are not among those.
    pub(crate) fn new_errors(&self, old: &[Problem]) -> Vec<Problem> {
        self.errors.iter().filter(|error| !old.contains(error)).cloned().collect()
    }
}

/// Compiles an environment. A document whose name the configuration file has too is hidden by it.
pub(crate) fn compile_set(name: &str, documents: &Documents, files: Option<&Files>, tools: &Tools) -> Outcome {
    let mut problems = Vec::new();
    let files = files.map(|files| (files, files.specs(documents)));
    let hidden =
        |kind: &'static str, name: &str| files.as_ref().is_some_and(|(files, _)| files.hides(documents, kind, name));
    let mut specs = Specs::default();
    let mut in_order: Vec<&Arc<Document>> = documents.values().collect();
    // Failover follows the order in which providers were made.
    in_order.sort_by_key(|document| document.id);
    for document in in_order {
        if hidden(document.kind.plural, &document.name) {
            let message = "the configuration file has a resource of this name, which is used instead";
            // The environment `default` is made at the first start, and says nothing until somebody does.
            if document.kind.plural == ENVIRONMENTS && document.spec.is_empty() {
                continue;
            }
            problems.push(Problem::new(document.label(), "", message).warning());
            continue;
        }
        document.add_to(&mut specs, &tools.master, &mut problems);
    }
    let mut specs = match files {
        Some((_, written)) => merge(written, specs),
        None => specs,
    };
    webhooks::check(&specs, &*tools.addresses, &mut problems);
    specs.environment.name = name.to_owned();
    let (snapshot, more) = match compile(&specs, &tools.vendors, &tools.catalogue) {
        Ok(mut compiled) => {
            compiled.snapshot.environment.id = documents.get(&settings_key(name)).map(|settings| settings.id);
            (Some(compiled.snapshot), compiled.warnings)
        }
        Err(problems) => (None, problems),
    };
    problems.extend(more);
    let (errors, warnings): (Vec<Problem>, Vec<Problem>) =
        problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    Outcome { snapshot: snapshot.filter(|_| errors.is_empty()), errors, warnings }
}

/// Puts what a file says before what is stored.
fn merge(mut written: Specs, stored: Specs) -> Specs {
    if written.environment.origin.file.is_empty() {
        written.environment = stored.environment;
    }
    written.providers.extend(stored.providers);
    written.models.extend(stored.models);
    written.fallbacks.extend(stored.fallbacks);
    written.routes.extend(stored.routes);
    written.guardrails.extend(stored.guardrails);
    written.prompts.extend(stored.prompts);
    written.limits.extend(stored.limits);
    written.plans.extend(stored.plans);
    written.teams.extend(stored.teams);
    written.webhooks.extend(stored.webhooks);
    written.alerts.extend(stored.alerts);
    written.byok.extend(stored.byok);
    written
}

/// Kinds without which an environment is less, but not less careful. A faulty guardrail or setting is not left out.
const DISPENSABLE: [&str; 6] = ["providers", "models", "fallbacks", "webhooks", "alerts", "byok"];

/// Compiles an environment for a start, when there is no earlier set to keep: stored documents that are faulty are left
/// out until the rest is good. The errors are all of them; the snapshot is `None` when nothing can be left out.
pub(crate) fn compile_what_is_good(name: &str, documents: &Documents, files: Option<&Files>, tools: &Tools) -> Outcome {
    let mut outcome = compile_set(name, documents, files, tools);
    let (mut left, mut errors) = (documents.clone(), outcome.errors.clone());
    while outcome.snapshot.is_none() {
        let faulty: BTreeSet<&str> = errors.iter().map(|error| &*error.file).collect();
        let before = left.len();
        left.retain(|(kind, _), document| !DISPENSABLE.contains(kind) || !faulty.contains(document.label().as_str()));
        if left.len() == before {
            return outcome;
        }
        let next = compile_set(name, &left, files, tools);
        outcome.snapshot = next.snapshot;
        errors = next.errors;
        outcome
            .errors
            .extend(errors.iter().filter(|error| !outcome.errors.contains(error)).cloned().collect::<Vec<_>>());
    }
    outcome
}

/// Returns the key under which an environment's own settings are among its documents.
pub(crate) fn settings_key(name: &str) -> (&'static str, String) {
    (ENVIRONMENTS, name.to_owned())
}

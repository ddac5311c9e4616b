//! What others changed: another process in the database, an operator in the configuration file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use policy::problem::Problem;
use policy::spec::Specs;
use store::resources::ResourceReader;
use store::resources::row::{Changed, Changes};

use super::verbs::environment_of;
use super::{Plane, State};
use crate::document::Document;
use crate::files::{FILE_ENVIRONMENT, Files};
use crate::keys;
use crate::kind::{self, KEYS};
use crate::publish::Change;
use crate::refusal::Refusal;
use crate::set::{Documents, Environment, compile_set, compile_what_is_good, settings_key};

/// How many changes are told at once when there are many.
const BATCH: usize = 4_096;

impl Plane {
    /// Puts into effect what other processes have changed. It costs one small query when there is nothing: call it a
    /// few times a second.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn refresh(&self) -> Result<(), Refusal> {
        if self.reader().sequence()? == self.look().sequence {
            return Ok(());
        }
        let writer = self.writer();
        self.catch_up(&**writer)
    }

    /// Puts another configuration file into effect, whole or not at all.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with everything that is wrong; what was in effect stays.
    pub fn reload(&self, written: Specs, stand_in: bool) -> Result<(), Refusal> {
        let _writer = self.writer();
        let (files, outcome, documents) = {
            let state = self.look();
            let files = Files::new(written, stand_in, &state.files, self.clock.unix_ms());
            let current = state.environments.get(FILE_ENVIRONMENT).cloned().unwrap_or_default();
            let outcome = compile_set(FILE_ENVIRONMENT, &current.documents, Some(&files), &self.tools);
            let new = outcome.new_errors(&current.problems);
            if !new.is_empty() {
                return Err(Refusal::Invalid([new, outcome.warnings].concat()));
            }
            (files, outcome, current.documents)
        };
        let published = outcome.snapshot.clone();
        {
            let mut state = self.change();
            state.files = files;
            state.refused_file.clear();
            let environment = state.environments.entry(FILE_ENVIRONMENT.to_owned()).or_default();
            environment.documents = documents;
            environment.snapshot = outcome.snapshot.map(Arc::new).or(environment.snapshot.take());
            environment.problems = outcome.errors;
            environment.warnings = outcome.warnings;
        }
        self.tell(published.map(|snapshot| Change::Environment(Box::new(snapshot))).into_iter().collect());
        Ok(())
    }

    /// Notes why a newer configuration file is not in effect, for as long as it is not. [`Plane::problems`] says it too.
    pub fn refuse_file(&self, problems: Vec<Problem>) {
        self.change().refused_file = problems;
    }

    /// Reads what changed since the state was read. The caller holds the writer.
    pub(super) fn catch_up(&self, reader: &dyn ResourceReader) -> Result<(), Refusal> {
        let known = self.look().sequence;
        // The number is read first: what is changed after it is read again next time.
        let sequence = reader.sequence()?;
        match reader.changes_after(known)? {
            Changes::Everything => {
                self.read_everything(reader, true)?;
            }
            Changes::Those(changed) => self.read_these(reader, &changed)?,
        }
        self.change().sequence = sequence;
        Ok(())
    }

    /// Reads everything, and puts it into effect. The caller holds the writer. At a start, what is faulty is left out.
    pub(super) fn read_everything(&self, reader: &dyn ResourceReader, running: bool) -> Result<(), Refusal> {
        let documents = by_environment(reader.all_but_keys()?);
        let mut changes = Vec::new();
        {
            let mut state = self.change();
            let gone: Vec<String> =
                state.environments.keys().filter(|name| !documents.contains_key(*name)).cloned().collect();
            for name in gone {
                state.environments.remove(&name);
                changes.push(Change::EnvironmentGone(name));
            }
            for (name, documents) in documents {
                changes.extend(self.renew(&mut state, &name, documents, running));
            }
        }
        self.tell(changes);
        self.read_all_keys(reader)
    }

    /// Compiles every key. What the data plane knows and the database does not is gone.
    fn read_all_keys(&self, reader: &dyn ResourceReader) -> Result<(), Refusal> {
        let mut gone = self.told_keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut batch = Vec::with_capacity(BATCH);
        let state = self.look();
        reader.each_key(&mut |row, secrets| {
            gone.remove(&row.id);
            let (key, _) = keys::compile(&row, state.environments.get(&row.environment));
            batch.push(keys::change(key, &secrets));
            if batch.len() == BATCH {
                self.tell(std::mem::take(&mut batch));
            }
        })?;
        batch.extend(gone.into_iter().map(Change::KeyGone));
        self.tell(batch);
        Ok(())
    }

    fn read_these(&self, reader: &dyn ResourceReader, changed: &[Changed]) -> Result<(), Refusal> {
        let mut changes = Vec::new();
        let plain: Vec<&Changed> = changed.iter().filter(|changed| changed.kind != KEYS).collect();
        if !plain.is_empty() {
            // They are few: all are read, and those environments are compiled that are different.
            let documents = by_environment(reader.all_but_keys()?);
            let mut state = self.change();
            let names: BTreeSet<String> = state.environments.keys().chain(documents.keys()).cloned().collect();
            for name in names {
                match documents.get(&name) {
                    None => {
                        state.environments.remove(&name);
                        changes.push(Change::EnvironmentGone(name));
                    }
                    Some(documents) if differs(&state, &name, documents) => {
                        changes.extend(self.renew(&mut state, &name, documents.clone(), true));
                    }
                    Some(_) => {}
                }
            }
        }
        let state = self.look();
        for changed in changed.iter().filter(|changed| changed.kind == KEYS) {
            match reader.by_id(changed.id)? {
                None => changes.push(Change::KeyGone(changed.id)),
                Some(row) => {
                    let (key, _) = keys::compile(&row, state.environments.get(&row.environment));
                    changes.push(keys::change(key, &reader.secrets_of(row.id)?));
                }
            }
        }
        drop(state);
        self.tell(changes);
        Ok(())
    }

    /// Takes over the documents of an environment and returns what requests are to see, if that is new and good.
    fn renew(&self, state: &mut State, name: &str, documents: Documents, running: bool) -> Option<Change> {
        let before = state.environments.remove(name).unwrap_or_default();
        let files = state.files_of(name);
        let outcome = if running && before.snapshot.is_some() {
            compile_set(name, &documents, files, &self.tools)
        } else {
            compile_what_is_good(name, &documents, files, &self.tools)
        };
        for problem in &outcome.errors {
            tracing::error!(component = "control", environment = name, "{problem}");
        }
        let change = outcome.snapshot.clone().map(|snapshot| Change::Environment(Box::new(snapshot)));
        let environment = Environment {
            documents,
            snapshot: outcome.snapshot.map(Arc::new).or(before.snapshot),
            problems: outcome.errors,
            warnings: outcome.warnings,
        };
        state.environments.insert(name.to_owned(), environment);
        change
    }

    /// Returns the faults of the configuration file itself, which stop a start.
    pub(super) fn faults_of_file(&self) -> Vec<Problem> {
        let state = self.look();
        let Some(environment) = state.environments.get(FILE_ENVIRONMENT) else { return Vec::new() };
        let stored: BTreeSet<String> = environment.documents.values().map(|document| document.label()).collect();
        environment.problems.iter().filter(|problem| !stored.contains(&*problem.file)).cloned().collect()
    }
}

/// Sorts documents by the environment that they say something about. One without settings is not there.
fn by_environment(rows: Vec<store::resources::row::Row>) -> BTreeMap<String, Documents> {
    let mut found: BTreeMap<String, Documents> = BTreeMap::new();
    for row in rows {
        let Some(kind) = kind::kind(&row.kind) else {
            tracing::warn!(component = "control", kind = %row.kind, "A stored resource is of a kind that is not known");
            continue;
        };
        let environment = environment_of(kind, &row).to_owned();
        let document = Document::of_row(kind, row);
        found.entry(environment).or_default().insert(super::write::key_of(&document), Arc::new(document));
    }
    found.retain(|name, documents| documents.contains_key(&settings_key(name)));
    found
}

/// Returns whether stored documents are other than those that are known.
fn differs(state: &State, name: &str, documents: &Documents) -> bool {
    let Some(known) = state.environments.get(name) else { return true };
    let versions = |documents: &Documents| -> Vec<(store::resources::row::Changed, u64)> {
        documents
            .values()
            .map(|document| {
                let changed = Changed {
                    environment: document.environment.clone(),
                    kind: document.kind.plural.to_owned(),
                    id: document.id,
                };
                (changed, document.version)
            })
            .collect()
    };
    versions(&known.documents) != versions(documents)
}

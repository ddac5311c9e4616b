//! The one path of every change: plan, compile what would be, refuse or commit, put into effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::problem::Problem;
use policy::snapshot::{CompiledKey, Snapshot};
use serde_json::Value;
use store::resources::row::{AuditRow, Row, SecretRow};
use store::resources::{ResourceReader, Transaction};

use super::{Plane, State};
use crate::actor::Actor;
use crate::document::Document;
use crate::keys;
use crate::kind::{ENVIRONMENTS, KEYS, Kind};
use crate::publish::Change;
use crate::refusal::Refusal;
use crate::set::{Documents, Environment, compile_set, settings_key};

/// What a call wants to change, worked out against what is stored.
pub(super) struct Plan<R> {
    pub(super) edits: Vec<Edit>,
    pub(super) keys: Vec<KeyEdit>,
    /// What is wrong with it: then it is not done.
    pub(super) problems: Vec<Problem>,
    /// What the caller gets when it is done.
    pub(super) answer: R,
}

/// What would be.
#[derive(Debug)]
pub struct Foreseen {
    /// The environment.
    pub snapshot: Arc<Snapshot>,
    /// The keys that would be new or others than they are.
    pub keys: Vec<CompiledKey>,
}

impl<R> Plan<R> {
    /// Returns a plan that changes nothing yet.
    pub(super) fn new(answer: R) -> Self {
        Self { edits: Vec::new(), keys: Vec::new(), problems: Vec::new(), answer }
    }
}

/// A document that is made, changed or removed.
pub(super) struct Edit {
    pub(super) action: &'static str,
    pub(super) before: Option<Arc<Document>>,
    pub(super) after: Option<Arc<Document>>,
}

impl Edit {
    /// Returns the document, as it will be or was.
    pub(super) fn document(&self) -> Option<&Arc<Document>> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

/// A key that is made, changed or removed.
pub(super) struct KeyEdit {
    pub(super) action: &'static str,
    pub(super) before: Option<Row>,
    pub(super) after: Option<Row>,
    /// Its secrets after it.
    pub(super) secrets: Vec<SecretRow>,
    /// Whether what it says is checked; what takes rights away is not.
    pub(super) checked: bool,
}

/// What would be.
struct Prospect {
    /// The environments that change; `None` for one that is removed.
    environments: BTreeMap<String, Option<Environment>>,
    changes: Vec<Change>,
}

/// How often a write looks again because another process was faster.
const ATTEMPTS: usize = 8;

impl Plane {
    /// Makes a change: the plan is worked out inside the database's transaction, against what is stored.
    ///
    /// # Errors
    /// What the plan refuses, what is not valid, and when the database cannot be used. Then nothing was changed.
    pub(super) fn write<R>(
        &self,
        actor: &Actor,
        dry_run: bool,
        mut plan: impl FnMut(&State, &dyn ResourceReader) -> Result<Plan<R>, Refusal>,
    ) -> Result<R, Refusal> {
        let mut writer = self.writer();
        for _ in 0..ATTEMPTS {
            let mut transaction = writer.begin()?;
            if transaction.sequence()? != self.look().sequence {
                drop(transaction);
                self.catch_up(&**writer)?;
                continue;
            }
            let (plan, prospect) = {
                let state = self.look();
                let plan = plan(&state, &*transaction)?;
                let prospect = self.prospect(&state, &*transaction, &plan)?;
                (plan, prospect)
            };
            if dry_run {
                return Ok(plan.answer);
            }
            self.put_down(actor, &mut *transaction, &plan)?;
            let sequence = transaction.commit()?;
            self.put_into_effect(sequence, prospect);
            return Ok(plan.answer);
        }
        Err(Refusal::Conflict("another process changes the configuration all the time: try again".to_owned()))
    }

    /// Works out a change and returns what an environment would be after it, and the keys that would be others. Nothing is
    /// changed.
    ///
    /// # Errors
    /// As [`Plane::write`]; [`Refusal::NotFound`] when there would be no such environment.
    pub(super) fn foresee<R>(
        &self,
        environment: &str,
        mut plan: impl FnMut(&State, &dyn ResourceReader) -> Result<Plan<R>, Refusal>,
    ) -> Result<Foreseen, Refusal> {
        let mut writer = self.writer();
        for _ in 0..ATTEMPTS {
            let transaction = writer.begin()?;
            if transaction.sequence()? != self.look().sequence {
                drop(transaction);
                self.catch_up(&**writer)?;
                continue;
            }
            let state = self.look();
            let plan = plan(&state, &*transaction)?;
            let mut prospect = self.prospect(&state, &*transaction, &plan)?;
            let current = || state.environments.get(environment).cloned();
            let found = prospect.environments.remove(environment).unwrap_or_else(current);
            let missing = || Refusal::NotFound(format!("there is no environment {environment} that works"));
            let snapshot = found.and_then(|found| found.snapshot).ok_or_else(missing)?;
            let key = |change| if let Change::Key { key, .. } = change { Some(*key) } else { None };
            return Ok(Foreseen { snapshot, keys: prospect.changes.into_iter().filter_map(key).collect() });
        }
        Err(Refusal::Conflict("another process changes the configuration all the time: try again".to_owned()))
    }

    /// Compiles what would be.
    fn prospect<R>(&self, state: &State, reader: &dyn ResourceReader, plan: &Plan<R>) -> Result<Prospect, Refusal> {
        let mut touched: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
        for edit in &plan.edits {
            if let Some(document) = edit.document() {
                touched.entry(document.about()).or_default().push(edit);
            }
        }
        let mut prospect = Prospect { environments: BTreeMap::new(), changes: Vec::new() };
        let mut problems = plan.problems.clone();
        for (name, edits) in touched {
            self.prospect_of(state, reader, name, &edits, &mut prospect, &mut problems)?;
        }
        for edit in &plan.keys {
            self.prospect_of_key(state, edit, &mut prospect, &mut problems);
        }
        for document in plan.edits.iter().filter_map(|edit| edit.after.as_ref()) {
            check_named(document, plan, &prospect, reader, &mut problems)?;
        }
        if problems.is_empty() { Ok(prospect) } else { Err(Refusal::Invalid(problems)) }
    }

    fn prospect_of(
        &self,
        state: &State,
        reader: &dyn ResourceReader,
        name: &str,
        edits: &[&Edit],
        prospect: &mut Prospect,
        problems: &mut Vec<Problem>,
    ) -> Result<(), Refusal> {
        let current = state.environments.get(name).cloned().unwrap_or_default();
        let mut documents: Documents = current.documents.clone();
        for edit in edits {
            match (&edit.before, &edit.after) {
                (_, Some(after)) => _ = documents.insert(key_of(after), Arc::clone(after)),
                (Some(before), None) => _ = documents.remove(&key_of(before)),
                (None, None) => {}
            }
        }
        if !documents.contains_key(&settings_key(name)) {
            prospect.environments.insert(name.to_owned(), None);
            prospect.changes.push(Change::EnvironmentGone(name.to_owned()));
            return Ok(());
        }
        let files = state.files_of(name);
        let outcome = compile_set(name, &documents, files, &self.tools);
        for edit in edits {
            if let (Some(before), None) = (&edit.before, &edit.after) {
                super::edit::check_unused(before, &documents, files, outcome.snapshot.as_ref(), reader)?;
            }
        }
        let labels: Vec<String> =
            edits.iter().filter_map(|edit| edit.document()).map(|document| document.label()).collect();
        let blamed =
            |problem: &&Problem| !current.problems.contains(problem) || labels.iter().any(|l| **l == *problem.file);
        let before = problems.len();
        problems.extend(outcome.errors.iter().filter(blamed).cloned());
        problems.extend(newly_stale(&current.warnings, &outcome.warnings, edits));
        if problems.len() > before {
            // Keys of the same plan are checked against what it would be, as far as that is known.
            let environment = Environment { documents, ..Environment::default() };
            prospect.environments.insert(name.to_owned(), Some(environment));
            return Ok(());
        }
        // Teams are not part of what is compiled.
        let visible = edits.iter().filter_map(|edit| edit.document()).any(|document| document.kind.plural != "teams");
        let snapshot = match outcome.snapshot {
            Some(snapshot) if visible || current.snapshot.is_none() => {
                prospect.changes.push(Change::Environment(Box::new(snapshot.clone())));
                Some(Arc::new(snapshot))
            }
            // What requests see stays as it is.
            _ => current.snapshot,
        };
        let environment = Environment { documents, snapshot, problems: outcome.errors, warnings: outcome.warnings };
        prospect.environments.insert(name.to_owned(), Some(environment));
        Ok(())
    }

    fn prospect_of_key(&self, state: &State, edit: &KeyEdit, prospect: &mut Prospect, problems: &mut Vec<Problem>) {
        let Some(row) = &edit.after else {
            prospect.changes.extend(edit.before.as_ref().map(|row| Change::KeyGone(row.id)));
            return;
        };
        let planned = prospect.environments.get(&row.environment).and_then(Option::as_ref);
        let environment = planned.or_else(|| state.environments.get(&row.environment));
        let (key, found) = keys::compile(row, environment);
        if edit.checked {
            problems.extend(found);
        }
        prospect.changes.push(keys::change(key, &edit.secrets));
    }

    /// Writes the rows, who refers to what, and the audit log.
    fn put_down<R>(&self, actor: &Actor, transaction: &mut dyn Transaction, plan: &Plan<R>) -> Result<(), Refusal> {
        for edit in &plan.edits {
            match (&edit.before, &edit.after) {
                (None, Some(after)) => transaction.insert(&after.row())?,
                (Some(_), Some(after)) => transaction.update(&after.row())?,
                (Some(before), None) => transaction.delete(&before.row())?,
                (None, None) => {}
            }
            if let Some(after) = &edit.after {
                transaction.refer(after.about(), after.id, &after.references())?;
            }
            let shown = |document: &Arc<Document>| Value::Object(document.spec.clone()).to_string();
            let Some(document) = edit.document() else { continue };
            transaction.log(&AuditRow {
                kind: document.kind.plural.to_owned(),
                environment: document.about().to_owned(),
                name: document.name.clone(),
                resource_id: Some(document.id),
                before: edit.before.as_ref().map(shown),
                after: edit.after.as_ref().map(shown),
                ..self.entry(actor, edit.action)
            })?;
        }
        for edit in &plan.keys {
            self.put_key_down(actor, transaction, edit)?;
        }
        Ok(())
    }

    fn put_key_down(&self, actor: &Actor, transaction: &mut dyn Transaction, edit: &KeyEdit) -> Result<(), Refusal> {
        match (&edit.before, &edit.after) {
            (None, Some(after)) => transaction.insert(after)?,
            (Some(_), Some(after)) => transaction.update(after)?,
            (Some(before), None) => transaction.delete(before)?,
            (None, None) => {}
        }
        if let Some(after) = &edit.after {
            transaction.put_secrets(after.id, &edit.secrets)?;
            transaction.refer(&after.environment, after.id, &keys::references(after))?;
        }
        let Some(row) = edit.after.as_ref().or(edit.before.as_ref()) else { return Ok(()) };
        transaction.log(&AuditRow {
            kind: row.kind.clone(),
            environment: row.environment.clone(),
            name: row.name.clone(),
            resource_id: Some(row.id),
            before: edit.before.as_ref().map(|row| row.spec.clone()),
            after: edit.after.as_ref().map(|row| row.spec.clone()),
            ..self.entry(actor, edit.action)
        })?;
        Ok(())
    }

    /// Returns an entry of the audit log that says who and when.
    pub(super) fn entry(&self, actor: &Actor, action: &str) -> AuditRow {
        AuditRow {
            at_ms: self.clock.unix_ms(),
            actor: actor.noted(),
            role: actor.role.name().to_owned(),
            ip: actor.ip.map(|ip| ip.to_string()),
            request_id: actor.request_id.clone(),
            action: action.to_owned(),
            ..AuditRow::default()
        }
    }

    fn put_into_effect(&self, sequence: u64, prospect: Prospect) {
        {
            let mut state = self.change();
            state.sequence = sequence;
            for (name, environment) in prospect.environments {
                match environment {
                    Some(environment) => _ = state.environments.insert(name, environment),
                    None => _ = state.environments.remove(&name),
                }
            }
        }
        self.tell(prospect.changes);
    }
}

/// Returns what forbids to write what is written: it names something that is switched off, and did not before.
fn newly_stale(before: &[Problem], after: &[Problem], edits: &[&Edit]) -> Vec<Problem> {
    let written: Vec<String> =
        edits.iter().filter_map(|edit| edit.after.as_ref()).map(|document| document.label()).collect();
    let stale = |problem: &&Problem| {
        problem.stale && !before.contains(problem) && written.iter().any(|label| **label == *problem.file)
    };
    after.iter().filter(stale).cloned().collect()
}

/// Returns the key under which a document is among those of its environment.
pub(super) fn key_of(document: &Document) -> (&'static str, String) {
    (document.kind.plural, document.name.clone())
}

/// Returns where a document of a kind is stored: an environment belongs to none.
pub(super) fn stored_environment(kind: &Kind, environment: &str) -> String {
    if kind.plural == ENVIRONMENTS { String::new() } else { environment.to_owned() }
}

/// Checks that the teams and keys that a document names are there; the compiler knows everything else.
fn check_named<R>(
    document: &Document,
    plan: &Plan<R>,
    prospect: &Prospect,
    reader: &dyn ResourceReader,
    problems: &mut Vec<Problem>,
) -> Result<(), Refusal> {
    let environment = document.about();
    for reference in document.references() {
        let name = reference.name.as_str();
        let (there, what) = match reference.kind {
            "teams" => {
                let planned = prospect.environments.get(environment).and_then(Option::as_ref);
                let there = |planned: &Environment| planned.documents.contains_key(&("teams", name.to_owned()));
                (planned.is_none_or(there), "team")
            }
            KEYS => {
                let planned = plan.keys.iter().filter_map(|edit| edit.after.as_ref());
                let mut planned = planned.filter(|row| row.environment == environment);
                let there = planned.any(|row| row.name == name) || reader.by_name(KEYS, environment, name)?.is_some();
                (there, "key")
            }
            _ => continue,
        };
        if !there {
            let message = format!("there is no {what} of this name");
            problems.push(Problem::new(document.label(), format!("spec.{}", reference.field), message));
        }
    }
    Ok(())
}

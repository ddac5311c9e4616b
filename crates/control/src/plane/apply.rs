//! A set of documents at once: all of them or none, in any order.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::problem::Problem;
use policy::secret::Secret;
use serde::Serialize;
use serde_json::{Map, Value};
use store::resources::ResourceReader;
use store::resources::row::KeyQuery;

use super::read::Found;
pub use super::write::Foreseen;
use super::write::{Edit, KeyEdit, Plan, stored_environment};
use super::{Plane, State, edit, webhooks};
use crate::actor::Actor;
use crate::document::label;
use crate::files::FILE_ENVIRONMENT;
use crate::keys;
use crate::kind::{ENVIRONMENTS, KEYS, KINDS, Kind, kind, of_singular};
use crate::refusal::Refusal;
use crate::resource::{Draft, Spec};

/// A resource as files hold it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Document {
    /// The plural name of its kind.
    pub kind: String,
    /// The environment it belongs to, `default` when it is empty; its own name, or empty, for an environment.
    pub environment: String,
    /// Its name; some kinds take it from the spec when it is absent.
    pub name: Option<String>,
    /// What it says. Secrets that are absent stay as they are.
    pub spec: Spec,
}

/// What became of a document.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// What was done.
    pub action: Action,
    /// The plural name of its kind.
    pub kind: &'static str,
    /// The environment it belongs to; its own name for an environment.
    pub environment: String,
    /// Its name.
    pub name: String,
    /// The fields that changed.
    pub diff: Vec<Difference>,
    /// The secret of a key that was made, which nobody will see again. It is not serialised.
    #[serde(skip)]
    pub secret: Option<Secret>,
}

/// What was done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was made.
    Create,
    /// It was changed.
    Update,
    /// It says what was there.
    Unchanged,
}

/// A field that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The field, such as `spec.base_url`; `spec` with no values for secrets.
    pub path: String,
    /// What it said; null when it was absent.
    pub before: Value,
    /// What it says; null when it is absent.
    pub after: Value,
}

/// What is planned so far.
type ApplyPlan = Plan<Vec<Applied>>;

impl Plane {
    /// Makes stored resources say what documents say: all of them, or, when anything is wrong, none. Resources that no
    /// document names stay as they are. A dry run returns what would be done.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with every problem of every document.
    pub fn apply(&self, actor: &Actor, documents: Vec<Document>, dry_run: bool) -> Result<Vec<Applied>, Refusal> {
        actor.check_may_configure()?;
        self.write(actor, dry_run, |state, reader| self.plan_all(state, reader, &documents))
    }

    /// Returns what an environment would be with some documents applied, for whoever wants to try it. Nothing is changed.
    ///
    /// # Errors
    /// As [`Plane::apply`]; [`Refusal::NotFound`] for the environment.
    pub fn draft(&self, actor: &Actor, environment: &str, documents: &[Document]) -> Result<Foreseen, Refusal> {
        actor.check_may_configure()?;
        self.foresee(environment, |state, reader| self.plan_all(state, reader, documents))
    }

    fn plan_all(
        &self,
        state: &State,
        reader: &dyn ResourceReader,
        documents: &[Document],
    ) -> Result<ApplyPlan, Refusal> {
        let mut plan = Plan::new(Vec::new());
        let mut seen = BTreeSet::new();
        for (index, document) in documents.iter().enumerate() {
            if let Err(problem) = self.plan(state, reader, documents, document, index, &mut seen, &mut plan)? {
                plan.problems.push(problem);
            }
        }
        Ok(plan)
    }

    /// Returns every stored resource of an environment as documents, its own settings first. Secrets and revoked keys
    /// are not among them. Applying them changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for the environment.
    pub fn export(&self, actor: &Actor, environment: &str) -> Result<Vec<Document>, Refusal> {
        if !actor.sees_all() {
            return Err(Refusal::Forbidden(format!("a {} may not export the configuration", actor.role.name())));
        }
        self.kind_of(environment, KEYS)?;
        let mut exported = Vec::new();
        {
            let state = self.look();
            let stored = state.environments.get(environment).map(|found| &found.documents);
            for kind in &KINDS {
                let own = stored.into_iter().flat_map(|documents| documents.values());
                let mut own: Vec<_> = own.filter(|document| document.kind.plural == kind.plural).collect();
                own.sort_by_key(|document| document.id);
                exported.extend(own.into_iter().map(|document| Document {
                    kind: kind.plural.to_owned(),
                    environment: environment.to_owned(),
                    name: Some(document.name.clone()),
                    spec: document.spec.clone(),
                }));
            }
        }
        let query = KeyQuery { environment: Some(environment.to_owned()), limit: usize::MAX, ..KeyQuery::default() };
        let found = self.reader().keys(&query)?;
        let live = found.into_iter().filter(|(row, _)| row.revoked_at_ms.is_none());
        exported.extend(live.map(|(row, _)| Document {
            kind: KEYS.to_owned(),
            environment: environment.to_owned(),
            spec: keys::shown(&row),
            name: Some(row.name),
        }));
        Ok(exported)
    }

    /// Works out what one document changes; a problem when it cannot be meant.
    #[expect(clippy::too_many_arguments, reason = "one step of a fold over documents")]
    fn plan(
        &self,
        state: &State,
        reader: &dyn ResourceReader,
        all: &[Document],
        document: &Document,
        index: usize,
        seen: &mut BTreeSet<(&'static str, String, String)>,
        plan: &mut ApplyPlan,
    ) -> Result<Result<(), Problem>, Refusal> {
        let at = |field: &str, message: &str| Problem::new(format!("document {}", index + 1), field, message);
        let Some(kind) = kind(&document.kind).or_else(|| of_singular(&document.kind)) else {
            let hint = policy::problem::did_you_mean(&document.kind, KINDS.iter().map(|kind| kind.plural));
            return Ok(Err(at("kind", "there is no such kind").maybe_hint(hint)));
        };
        // As in a file, where it may be left out.
        let written = Some(document.environment.as_str()).filter(|environment| !environment.is_empty());
        let environment = stored_environment(kind, written.unwrap_or(FILE_ENVIRONMENT));
        let draft = Draft { name: document.name.clone(), spec: document.spec.clone() };
        let taken = |name: &str| seen.contains(&(kind.plural, environment.clone(), name.to_owned()));
        let name = match edit::name_of(kind, &environment, &draft, taken) {
            Ok(name) => name,
            Err(Refusal::Invalid(problems)) => {
                return Ok(Err(problems.into_iter().next().unwrap_or_else(|| at("name", "missing"))));
            }
            Err(other) => return Err(other),
        };
        let made = |other: &Document| {
            let is_one =
                other.kind == ENVIRONMENTS || of_singular(&other.kind).is_some_and(|it| it.plural == ENVIRONMENTS);
            is_one && other.name.as_deref() == Some(&environment)
        };
        if !environment.is_empty() && !state.environments.contains_key(&environment) && !all.iter().any(made) {
            return Ok(Err(Problem::new(
                label(kind, &environment, &name),
                "environment",
                "there is no such environment",
            )));
        }
        if !seen.insert((kind.plural, environment.clone(), name.clone())) {
            return Ok(Err(Problem::new(label(kind, &environment, &name), "name", "another document has this name")));
        }
        let target = Target { kind, environment, name, spec: &document.spec };
        if kind.plural == KEYS { self.plan_key(reader, target, plan) } else { self.plan_plain(state, target, plan) }
    }

    fn plan_plain(
        &self,
        state: &State,
        target: Target<'_>,
        plan: &mut ApplyPlan,
    ) -> Result<Result<(), Problem>, Refusal> {
        let Target { kind, environment, name, spec } = &target;
        let now_ms = self.clock.unix_ms();
        let mut made = None;
        let (before, after) = match state.find_taken(kind, environment, name) {
            Some(Found::Filed { entry, .. }) if entry.spec == edit::without_nulls(kind, (*spec).clone()) => {
                plan.answer.push(target.applied(Action::Unchanged, Vec::new()));
                return Ok(Ok(()));
            }
            Some(Found::Filed { entry, .. }) => {
                let message = format!("it comes from {}: change it there", entry.place());
                return Ok(Err(Problem::new(label(kind, environment, name), "", message)));
            }
            Some(Found::Stored(before)) => {
                let after = edit::changed(before, (*spec).clone(), now_ms, &self.tools)?;
                if edit::same(before, &after, &self.tools) {
                    plan.answer.push(target.applied(Action::Unchanged, Vec::new()));
                    return Ok(Ok(()));
                }
                (Some(Arc::clone(before)), after)
            }
            None => {
                let mut spec = (*spec).clone();
                made = webhooks::with_secret(kind, &mut spec)?;
                (None, edit::made(kind, environment, name.clone(), spec, now_ms, &self.tools)?)
            }
        };
        let mut diff = differences(before.as_ref().map(|before| &before.spec), &after.spec);
        if diff.is_empty() && before.is_some() {
            // Only secrets are different, and those are not shown.
            diff.push(Difference { path: "spec".to_owned(), before: Value::Null, after: Value::Null });
        }
        let action = if before.is_some() { Action::Update } else { Action::Create };
        plan.answer.push(Applied { secret: made, ..target.applied(action, diff) });
        plan.edits.push(Edit { action: "apply", before, after: Some(Arc::new(after)) });
        Ok(Ok(()))
    }

    fn plan_key(
        &self,
        reader: &dyn ResourceReader,
        target: Target<'_>,
        plan: &mut ApplyPlan,
    ) -> Result<Result<(), Problem>, Refusal> {
        let now_ms = self.clock.unix_ms();
        let spec = edit::without_nulls(target.kind, target.spec.clone());
        let Some(before) = reader.by_name(KEYS, &target.environment, &target.name)? else {
            let (secret, edit) = self.new_key(&target.environment, target.name.clone(), &spec, now_ms)?;
            let applied = target.applied(Action::Create, differences(None, &spec));
            plan.answer.push(Applied { secret: Some(secret), ..applied });
            plan.keys.push(edit);
            return Ok(Ok(()));
        };
        let shown = keys::shown(&before);
        if shown == spec {
            plan.answer.push(target.applied(Action::Unchanged, Vec::new()));
            return Ok(Ok(()));
        }
        keys::check_stays(&before, &spec)?;
        let after = keys::with_spec(&before, &spec, now_ms);
        let secrets = reader.secrets_of(before.id)?;
        plan.answer.push(target.applied(Action::Update, differences(Some(&shown), &spec)));
        plan.keys.push(KeyEdit { action: "apply", before: Some(before), after: Some(after), secrets, checked: true });
        Ok(Ok(()))
    }
}

/// What a document is about.
struct Target<'a> {
    kind: &'static Kind,
    environment: String,
    name: String,
    spec: &'a Spec,
}

impl Target<'_> {
    fn applied(&self, action: Action, diff: Vec<Difference>) -> Applied {
        let environment = crate::document::about(self.kind, &self.environment, &self.name).to_owned();
        Applied { action, kind: self.kind.plural, environment, name: self.name.clone(), diff, secret: None }
    }
}

/// Returns the fields at the top of two specs that are different.
fn differences(before: Option<&Spec>, after: &Spec) -> Vec<Difference> {
    let empty = Map::new();
    let before = before.unwrap_or(&empty);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |spec: &Spec, name: &String| spec.get(name).cloned().unwrap_or(Value::Null);
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Difference { path: format!("spec.{name}"), before: value(before, name), after: value(after, name) })
        .collect()
}

//! The five verbs. What is special about keys is in `key_verbs`.

use std::sync::Arc;

use store::resources::ResourceReader;
use store::resources::row::Row;

use super::read::Found;
use super::write::{Edit, KeyEdit, Plan, stored_environment};
use super::{Plane, State, edit, owned, webhooks};
use crate::actor::Actor;
use crate::document::Document;
use crate::files::FILE_ENVIRONMENT;
use crate::keys;
use crate::kind::{ENVIRONMENTS, KEYS, Kind, kind, references};
use crate::refusal::Refusal;
use crate::resource::{Created, Draft, Expect, Resource, Spec};

impl Plane {
    /// Creates a resource.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NameTaken`], [`Refusal::NotFound`] for the environment.
    pub fn create(&self, actor: &Actor, environment: &str, kind: &str, draft: Draft) -> Result<Created, Refusal> {
        let kind = self.kind_of(environment, kind)?;
        if kind.plural == KEYS {
            return self.create_key(actor, environment, draft);
        }
        owned::check_may_make(actor, kind)?;
        let mut draft = draft;
        let (name, secret) = self.write(actor, false, |state, reader| {
            owned::bind(actor, kind, environment, None, &mut draft.spec, reader)?;
            let taken = |name: &str| state.is_taken(kind, environment, name);
            let name = edit::name_of(kind, environment, &draft, taken)?;
            if taken(&name) {
                return Err(state.name_taken(kind, environment, &name));
            }
            let mut spec = draft.spec.clone();
            let secret = webhooks::with_secret(kind, &mut spec)?;
            let after = edit::made(kind, environment, name.clone(), spec, self.clock.unix_ms(), &self.tools)?;
            let edit = Edit { action: "create", before: None, after: Some(Arc::new(after)) };
            Ok(Plan { edits: vec![edit], ..Plan::new((name, secret)) })
        })?;
        let resource = self.get(actor, environment, kind.plural, &name)?;
        Ok(Created { resource, secret })
    }

    /// Replaces a resource's spec. Secrets that are absent from it stay as they are; a credential that is listed by
    /// name keeps its value, a header that is null too. `api_key: null` takes it away, and so do listed credentials.
    ///
    /// # Errors
    /// As [`Plane::create`], and [`Refusal::Stale`], [`Refusal::ReadOnly`], [`Refusal::NotFound`].
    pub fn replace(
        &self,
        actor: &Actor,
        environment: &str,
        kind: &str,
        name: &str,
        spec: Spec,
        expect: Expect,
    ) -> Result<Resource, Refusal> {
        self.put(actor, environment, kind, name, expect, "replace", &|_, _| spec.clone())
    }

    /// Merges a patch into a resource's spec (RFC 7396): null clears a member.
    ///
    /// # Errors
    /// As [`Plane::replace`].
    pub fn merge(
        &self,
        actor: &Actor,
        environment: &str,
        kind: &str,
        name: &str,
        patch: Spec,
        expect: Expect,
    ) -> Result<Resource, Refusal> {
        self.put(actor, environment, kind, name, expect, "merge", &|kind, spec| {
            edit::patched(kind, spec, patch.clone())
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the verbs' own, and what tells them apart")]
    fn put(
        &self,
        actor: &Actor,
        environment: &str,
        kind: &str,
        name: &str,
        expect: Expect,
        action: &'static str,
        next: &dyn Fn(&Kind, &Spec) -> Spec,
    ) -> Result<Resource, Refusal> {
        let kind = self.kind_of(environment, kind)?;
        if kind.plural == KEYS {
            return self.put_key(actor, environment, name, expect, action, &|spec| next(kind, spec));
        }
        owned::check_may_change(actor, kind)?;
        let name = self.write(actor, false, |state, reader| {
            let before = state.writable(kind, environment, name, Expect::Any)?;
            owned::check_sees(actor, kind, environment, &before.name, &before.spec, reader)?;
            check_version(before.version, expect)?;
            let mut spec = next(kind, &before.spec);
            owned::bind(actor, kind, environment, Some(&before.spec), &mut spec, reader)?;
            let after = edit::changed(before, spec, self.clock.unix_ms(), &self.tools)?;
            let name = before.name.clone();
            let edit = Edit { action, before: Some(Arc::clone(before)), after: Some(Arc::new(after)) };
            Ok(Plan { edits: vec![edit], ..Plan::new(name) })
        })?;
        self.get(actor, environment, kind.plural, &name)
    }

    /// Deletes a resource; what refers to it forbids that, or forgets it, as its kind's rules say.
    ///
    /// # Errors
    /// [`Refusal::InUse`], [`Refusal::Stale`], [`Refusal::ReadOnly`], [`Refusal::NotFound`].
    pub fn delete(
        &self,
        actor: &Actor,
        environment: &str,
        kind: &str,
        name: &str,
        expect: Expect,
    ) -> Result<(), Refusal> {
        let kind = self.kind_of(environment, kind)?;
        if kind.plural == KEYS {
            return self.delete_key(actor, environment, name, expect);
        }
        owned::check_may_make(actor, kind)?;
        self.write(actor, false, |state, reader| {
            let before = state.writable(kind, environment, name, Expect::Any)?;
            owned::check_sees(actor, kind, environment, &before.name, &before.spec, reader)?;
            owned::check_may_delete(actor, kind, environment, &before.spec, reader)?;
            check_version(before.version, expect)?;
            if kind.plural == ENVIRONMENTS {
                check_empty(&before.name, reader)?;
            }
            let keys = match references::cleared_in_keys(kind) {
                Some(field) => self.keys_without(field, before, reader)?,
                None => Vec::new(),
            };
            let edit = Edit { action: "delete", before: Some(Arc::clone(before)), after: None };
            Ok(Plan { edits: vec![edit], keys, ..Plan::new(()) })
        })
    }

    /// Returns what becomes of the keys that name a thing that goes: they live on without it.
    fn keys_without(&self, field: &str, gone: &Document, reader: &dyn ResourceReader) -> Result<Vec<KeyEdit>, Refusal> {
        let now_ms = self.clock.unix_ms();
        let mut edits = Vec::new();
        for referrer in reader.referrers(gone.about(), gone.kind.plural, &gone.name, usize::MAX)? {
            let Some(before) = reader.by_id(referrer.id)?.filter(|row| row.kind == KEYS) else { continue };
            let mut spec = keys::shown(&before);
            spec.shift_remove(field);
            let after = Some(keys::with_spec(&before, &spec, now_ms));
            let secrets = reader.secrets_of(before.id)?;
            edits.push(KeyEdit { action: "clear_reference", before: Some(before), after, secrets, checked: false });
        }
        Ok(edits)
    }

    /// Returns a kind, if the environment can have resources of it.
    pub(super) fn kind_of(&self, environment: &str, plural: &str) -> Result<&'static Kind, Refusal> {
        let unknown = || Refusal::NotFound(format!("there is no kind of resource `{plural}`"));
        let kind = crate::kind::kind(plural).ok_or_else(unknown)?;
        if (kind.plural == ENVIRONMENTS) != environment.is_empty() {
            return Err(unknown());
        }
        if !environment.is_empty() && !self.look().environments.contains_key(environment) {
            return Err(Refusal::NotFound(format!("there is no environment `{environment}`")));
        }
        Ok(kind)
    }
}

impl State {
    /// Returns a stored document that may be changed by whoever has seen this version.
    pub(super) fn writable<'a>(
        &'a self,
        kind: &'static Kind,
        environment: &'a str,
        name: &'a str,
        expect: Expect,
    ) -> Result<&'a Arc<Document>, Refusal> {
        match self.find(kind, environment, name)? {
            Found::Filed { name, entry, .. } => {
                Err(Refusal::ReadOnly { what: format!("{} {name}", kind.singular), source_file: entry.place() })
            }
            Found::Stored(document) => check_version(document.version, expect).map(|()| document),
        }
    }

    pub(super) fn is_taken(&self, kind: &'static Kind, environment: &str, name: &str) -> bool {
        self.find_taken(kind, environment, name).is_some()
    }

    pub(super) fn name_taken(&self, kind: &'static Kind, environment: &str, name: &str) -> Refusal {
        let what = format!("the name `{name}` is taken by another {}", kind.singular);
        Refusal::NameTaken(match self.find_taken(kind, environment, name) {
            Some(Found::Filed { entry, .. }) => format!("{what}, which comes from {}", entry.place()),
            _ => what,
        })
    }
}

/// Checks that a change is meant for this version.
pub(super) fn check_version(current: u64, expect: Expect) -> Result<(), Refusal> {
    match expect {
        Expect::Version(version) if version != current => Err(Refusal::Stale { current }),
        _ => Ok(()),
    }
}

/// Checks that an environment has no resources, and may go at all.
fn check_empty(name: &str, reader: &dyn ResourceReader) -> Result<(), Refusal> {
    if name == FILE_ENVIRONMENT {
        return Err(Refusal::Conflict(format!("the environment `{name}` always exists")));
    }
    let counts = reader.counts(name)?;
    if counts.is_empty() {
        return Ok(());
    }
    let named = |(plural, count): (String, u64)| match kind(&plural) {
        Some(kind) if count == 1 => format!("1 {}", kind.singular),
        _ => format!("{count} {plural}"),
    };
    let by = counts.into_iter().map(named).collect();
    Err(Refusal::InUse { what: format!("environment {name}"), by })
}

/// Returns the environment under which a stored row is found.
pub(super) fn environment_of<'a>(kind: &Kind, row: &'a Row) -> &'a str {
    if stored_environment(kind, &row.environment).is_empty() { &row.name } else { &row.environment }
}

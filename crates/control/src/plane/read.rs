//! Lists and single resources.

use std::sync::Arc;

use ir::id::ResourceId;
use policy::problem::Problem;
use serde_json::{Map, Value, json};

use super::{Plane, State, owned};
use crate::actor::Actor;
use crate::document::{Document, about, label};
use crate::files::FILE_ENVIRONMENT;
use crate::files::FileEntry;
use crate::kind::{ENVIRONMENTS, KEYS, Kind, ROUTES};
use crate::refusal::Refusal;
use crate::resource::{ListQuery, ManagedBy, Page, Resource, Spec};

/// The most resources on a page.
const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// A resource, wherever it comes from.
pub(super) enum Found<'a> {
    /// The database.
    Stored(&'a Arc<Document>),
    /// The configuration file.
    Filed { kind: &'static Kind, environment: &'a str, name: &'a str, entry: &'a FileEntry },
}

impl Found<'_> {
    fn id(&self) -> ResourceId {
        match self {
            Self::Stored(document) => document.id,
            Self::Filed { entry, .. } => entry.id,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Stored(document) => &document.name,
            Self::Filed { name, .. } => name,
        }
    }

    fn spec(&self) -> &Spec {
        match self {
            Self::Stored(document) => &document.spec,
            Self::Filed { entry, .. } => &entry.spec,
        }
    }
}

impl Plane {
    /// Returns a page of the resources of a kind that the actor may see, oldest first, those of the configuration file
    /// before all others. `environments` is a kind whose environment is empty.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an environment or a kind that does not exist, [`Refusal::BadParameter`] for a bad
    /// cursor, limit or filter.
    pub fn list(
        &self,
        actor: &Actor,
        environment: &str,
        kind: &str,
        query: &ListQuery,
    ) -> Result<Page<Resource>, Refusal> {
        let kind = self.kind_of(environment, kind)?;
        let (limit, after) = page_of(query)?;
        check_filters(kind, query)?;
        if kind.plural == KEYS {
            return self.list_keys(actor, environment, query, limit, after);
        }
        let reader = self.reader();
        let state = self.look();
        let mut found: Vec<Found<'_>> = state.all(kind, environment);
        found.retain(|found| after.is_none_or(|after| found.id() > after) && fits(found, query));
        found.retain(|found| owned::sees(actor, kind, environment, found.name(), found.spec(), &**reader));
        found.sort_by_key(Found::id);
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|last| last.id().to_string());
        Ok(Page { data: found.iter().map(|found| state.resource(found)).collect(), next_cursor })
    }

    /// Returns a resource by its name, else by its id.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for what the actor may not see.
    pub fn get(&self, actor: &Actor, environment: &str, kind: &str, name: &str) -> Result<Resource, Refusal> {
        let kind = self.kind_of(environment, kind)?;
        if kind.plural == KEYS {
            return self.get_key(actor, environment, name);
        }
        let reader = self.reader();
        let state = self.look();
        let found = state.find(kind, environment, name)?;
        owned::check_sees(actor, kind, environment, found.name(), found.spec(), &**reader)?;
        Ok(state.resource(&found))
    }

    /// Returns the names of the environments.
    pub fn environments(&self) -> Vec<String> {
        self.look().environments.keys().cloned().collect()
    }

    /// Returns what is wrong with what is stored about an environment, and what is worth knowing. While there is
    /// anything wrong, requests see the last set that was good.
    pub fn problems(&self, environment: &str) -> Vec<Problem> {
        let state = self.look();
        let mut problems = if environment == FILE_ENVIRONMENT { state.refused_file.clone() } else { Vec::new() };
        if let Some(found) = state.environments.get(environment) {
            problems.extend_from_slice(&found.problems);
            problems.extend_from_slice(&found.warnings);
        }
        problems
    }

    /// Returns whether the demo provider stands in because no other is configured.
    pub fn demo_stands_in(&self) -> bool {
        let state = self.look();
        let documents = state.environments.get(crate::files::FILE_ENVIRONMENT).map(|found| &found.documents);
        documents.is_some_and(|documents| state.files.stands_in(documents))
    }
}

impl State {
    /// Returns every resource of a kind.
    fn all<'a>(&'a self, kind: &'static Kind, environment: &'a str) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        for (name, stored) in
            self.environments.iter().filter(|(name, _)| environment.is_empty() || *name == environment)
        {
            if let Some(files) = self.files_of(name) {
                let entries = files.of_kind(&stored.documents, kind.plural);
                found.extend(entries.map(|(name, entry)| Found::Filed { kind, environment, name, entry }));
            }
            let hidden = |document: &Document| {
                self.files_of(name).is_some_and(|files| files.hides(&stored.documents, kind.plural, &document.name))
            };
            let own = stored.documents.values().filter(|document| document.kind.plural == kind.plural);
            found.extend(own.filter(|document| !hidden(document)).map(Found::Stored));
        }
        found
    }

    /// Returns a resource by its name, else by its id.
    pub(super) fn find<'a>(
        &'a self,
        kind: &'static Kind,
        environment: &'a str,
        name: &'a str,
    ) -> Result<Found<'a>, Refusal> {
        if let Some(found) = self.find_by_name(kind, environment, name) {
            return Ok(found);
        }
        let by_id = ResourceId::parse(name);
        let found = by_id.and_then(|id| self.all(kind, environment).into_iter().find(|found| found.id() == id));
        found.ok_or_else(|| not_found(kind, environment, name))
    }

    pub(super) fn find_by_name<'a>(
        &'a self,
        kind: &'static Kind,
        environment: &'a str,
        name: &'a str,
    ) -> Option<Found<'a>> {
        let about = about(kind, environment, name);
        let stored = &self.environments.get(about)?.documents;
        let entry = self.files_of(about).and_then(|files| files.get(stored, kind.plural, name));
        match entry {
            Some(entry) => Some(Found::Filed { kind, environment, name, entry }),
            None => stored.get(&(kind.plural, name.to_owned())).map(Found::Stored),
        }
    }

    /// Returns a resource that keeps another from being made with its name. The demo that stands in gives way.
    pub(super) fn find_taken<'a>(
        &'a self,
        kind: &'static Kind,
        environment: &'a str,
        name: &'a str,
    ) -> Option<Found<'a>> {
        match self.find_by_name(kind, environment, name) {
            Some(Found::Filed { .. }) if self.files.yields(kind.plural, name) => None,
            found => found,
        }
    }

    /// Returns a resource as it is shown.
    fn resource(&self, found: &Found<'_>) -> Resource {
        match found {
            Found::Stored(document) => Resource {
                id: document.id,
                kind: document.kind.plural,
                environment: document.about().to_owned(),
                name: document.name.clone(),
                version: document.version,
                managed_by: ManagedBy::Api,
                created_at_ms: document.created_at_ms,
                updated_at_ms: document.updated_at_ms,
                spec: document.spec.clone(),
                status: self.status(document.kind, document.about(), &document.name, Some(document)),
            },
            Found::Filed { kind, environment, name, entry } => {
                let about = about(kind, environment, name);
                let mut status = self.status(kind, about, name, None);
                if let Value::Object(status) = &mut status {
                    status.insert("source".to_owned(), entry.place().into());
                }
                Resource {
                    id: entry.id,
                    kind: kind.plural,
                    environment: about.to_owned(),
                    name: (*name).to_owned(),
                    version: entry.version,
                    managed_by: ManagedBy::File,
                    created_at_ms: entry.read_at_ms,
                    updated_at_ms: entry.read_at_ms,
                    spec: entry.spec.clone(),
                    status,
                }
            }
        }
    }

    /// Returns what the gateway says about a resource: what is wrong with it, what is worth knowing, which credentials
    /// are stored.
    fn status(&self, kind: &Kind, environment: &str, name: &str, document: Option<&Document>) -> Value {
        let mut status = Map::new();
        let stored_in = if kind.plural == ENVIRONMENTS { "" } else { environment };
        let label = label(kind, stored_in, name);
        let whole = kind.plural == ENVIRONMENTS;
        let said = |problems: &[Problem]| -> Value {
            problems.iter().filter(|problem| whole || *problem.file == *label).map(problem_json).collect()
        };
        if let Some(found) = self.environments.get(environment) {
            status.insert("problems".to_owned(), said(&found.problems));
            status.insert("warnings".to_owned(), said(&found.warnings));
            if whole {
                status.insert("in_effect".to_owned(), (found.snapshot.is_some() && found.problems.is_empty()).into());
            }
        }
        if kind.plural == ROUTES {
            let found = self.environments.get(environment).and_then(|found| found.snapshot.as_ref());
            status.insert("state".to_owned(), found.map_or("unknown", |found| found.routes.state_of(name)).into());
        }
        if let Some(document) = document.filter(|document| !document.kind.secrets.is_empty()) {
            let stored: Vec<&String> = document.sealed.keys().collect();
            status.insert("secrets".to_owned(), json!(stored));
        }
        Value::Object(status)
    }
}

/// Returns a problem as JSON: what it is about, what is wrong, what to do.
pub(super) fn problem_json(problem: &Problem) -> Value {
    json!({
        "source": &*problem.file, "line": problem.line, "path": problem.path, "message": problem.message,
        "hint": problem.hint,
    })
}

pub(super) fn not_found(kind: &Kind, environment: &str, name: &str) -> Refusal {
    let place = if environment.is_empty() { String::new() } else { format!(" in environment `{environment}`") };
    Refusal::NotFound(format!("there is no {} `{name}`{place}", kind.singular))
}

/// Reads how long a page is and where it begins.
pub(super) fn page_of(query: &ListQuery) -> Result<(usize, Option<ResourceId>), Refusal> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad("limit", "not between 1 and 200"));
    }
    let after = query.cursor.as_deref().map(|cursor| ResourceId::parse(cursor).ok_or_else(bad_cursor)).transpose()?;
    Ok((limit, after))
}

pub(super) fn bad_cursor() -> Refusal {
    bad("cursor", "the cursor is not one that a list returned")
}

pub(super) fn bad(field: &str, message: impl Into<String>) -> Refusal {
    Refusal::BadParameter { field: field.to_owned(), message: message.into() }
}

fn check_filters(kind: &Kind, query: &ListQuery) -> Result<(), Refusal> {
    let unknown = query.filters.keys().find(|filter| !kind.filters.contains(&filter.as_str()));
    match unknown {
        Some(filter) => {
            Err(bad(filter, format!("not a filter of {}: there are {}", kind.plural, kind.filters.join(", "))))
        }
        None => Ok(()),
    }
}

/// Returns whether a resource meets the filters: `q` is a part of the name, the others are fields of the spec.
fn fits(found: &Found<'_>, query: &ListQuery) -> bool {
    query.filters.iter().all(|(filter, value)| match filter.as_str() {
        "q" => found.name().to_lowercase().contains(&value.to_lowercase()),
        field => found.spec().get(field).and_then(Value::as_str) == Some(value.as_str()),
    })
}

//! What is special about keys: their secrets, who may see them, and that they are read from the database.

use std::time::Duration;

use ir::civil::rfc3339;
use ir::id::ResourceId;
use policy::secret::Secret;
use serde_json::{Map, Value, json};
use store::StoreError;
use store::resources::ResourceReader;
use store::resources::row::{KeyQuery, KeyState, Row, SecretRow, SeenBy};
use store::seal;

use super::edit::users_of_key;
use super::read::{bad, not_found};
use super::verbs::check_version;
use super::write::{KeyEdit, Plan};
use super::{KeyTotal, Plane, edit, management, restrain};
use crate::actor::{Actor, Role};
use crate::keys;
use crate::kind::{KEYS, Kind};
use crate::refusal::Refusal;
use crate::resource::{Created, Draft, Expect, ListQuery, ManagedBy, Page, Resource, Spec};

/// The longest time for which an old secret may stay good: a year.
const MAX_GRACE: Duration = Duration::from_secs(366 * 86_400);

/// The most secrets that a key may have at the same time.
const MAX_SECRETS: usize = 10;

impl Plane {
    /// Gives a key a new secret. The old one works for the grace time; zero ends it at once.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] for a revoked key, else as [`Plane::replace`].
    pub fn rotate_key(
        &self,
        actor: &Actor,
        environment: &str,
        name: &str,
        grace: Duration,
        expect: Expect,
    ) -> Result<Created, Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        actor.check_may_change_keys()?;
        if grace > MAX_GRACE {
            return Err(bad("grace", "longer than a year"));
        }
        let (id, secret) = self.write(actor, false, |_, reader| {
            let before = visible(kind, actor, reader, environment, name)?;
            check_version(before.version, expect)?;
            if before.revoked_at_ms.is_some() {
                return Err(Refusal::Conflict(format!(
                    "the key `{}` is revoked for ever: create another",
                    before.name
                )));
            }
            let now_ms = self.clock.unix_ms();
            let until_ms = now_ms.saturating_add(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
            let mut secrets = reader.secrets_of(before.id)?;
            for secret in &mut secrets {
                secret.until_ms = Some(secret.until_ms.map_or(until_ms, |before| before.min(until_ms)));
            }
            secrets.retain(|secret| secret.until_ms.is_some_and(|until| until > now_ms));
            if secrets.len() >= MAX_SECRETS {
                let message =
                    format!("the key `{}` has {MAX_SECRETS} live secrets: rotate it without grace", before.name);
                return Err(Refusal::Conflict(message));
            }
            let (secret, row) = self.new_secret(keys::is_management(&keys::shown(&before)), now_ms)?;
            secrets.insert(0, row);
            let after = Row { version: before.version + 1, updated_at_ms: now_ms, ..before.clone() };
            let id = after.id;
            let edit = KeyEdit { action: "rotate", before: Some(before), after: Some(after), secrets, checked: false };
            Ok(Plan { keys: vec![edit], ..Plan::new((id, secret)) })
        })?;
        Ok(Created { resource: self.get_key(actor, environment, &id.to_string())?, secret: Some(secret) })
    }

    /// Revokes a key for ever: the next request fails, and those in flight are cut off. Doing it again changes nothing.
    ///
    /// # Errors
    /// As [`Plane::replace`].
    pub fn revoke_key(
        &self,
        actor: &Actor,
        environment: &str,
        name: &str,
        expect: Expect,
    ) -> Result<Resource, Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        actor.check_may_change_keys()?;
        let id = self.write(actor, false, |_, reader| {
            let before = visible(kind, actor, reader, environment, name)?;
            check_version(before.version, expect)?;
            let id = before.id;
            if before.revoked_at_ms.is_some() {
                return Ok(Plan::new(id));
            }
            let now_ms = self.clock.unix_ms();
            let after = Row {
                version: before.version + 1,
                updated_at_ms: now_ms,
                revoked_at_ms: Some(now_ms),
                ..before.clone()
            };
            // The secrets stay known, so that their bearers are told that the key was revoked.
            let secrets = reader.secrets_of(id)?;
            let edit = KeyEdit { action: "revoke", before: Some(before), after: Some(after), secrets, checked: false };
            Ok(Plan { keys: vec![edit], ..Plan::new(id) })
        })?;
        self.get_key(actor, environment, &id.to_string())
    }

    /// Returns the key that has a secret with these first characters.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], and [`Refusal::Conflict`] when several keys have such a secret.
    pub fn key_by_prefix(&self, actor: &Actor, environment: &str, prefix: &str) -> Result<Resource, Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        let found = self.reader().keys_by_prefix(environment, prefix)?;
        match found.as_slice() {
            [] => Err(not_found(kind, environment, prefix)),
            [id] => self.get_key(actor, environment, &id.to_string()),
            _ => Err(Refusal::Conflict(format!("several keys start with `{prefix}`: give the name or the id"))),
        }
    }

    pub(super) fn create_key(&self, actor: &Actor, environment: &str, draft: Draft) -> Result<Created, Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        actor.check_may_change_keys()?;
        let mut spec = edit::without_nulls(kind, draft.spec.clone());
        own(actor, environment, &mut spec)?;
        restrain::check(actor, environment, None, &spec)?;
        let (id, secret) = self.write(actor, false, |_, reader| {
            let name = edit::name_of(kind, environment, &draft, |_| false)?;
            if reader.by_name(KEYS, environment, &name)?.is_some() {
                return Err(Refusal::NameTaken(format!("the name `{name}` is taken by another key")));
            }
            let now_ms = self.clock.unix_ms();
            let (secret, edit) = self.new_key(environment, name, &spec, now_ms)?;
            let id = edit.after.as_ref().map_or(ResourceId([0; 16]), |row| row.id);
            Ok(Plan { keys: vec![edit], ..Plan::new((id, secret)) })
        })?;
        Ok(Created { resource: self.get_key(actor, environment, &id.to_string())?, secret: Some(secret) })
    }

    /// Returns a key that is to be, with its secret.
    pub(super) fn new_key(
        &self,
        environment: &str,
        name: String,
        spec: &Spec,
        now_ms: u64,
    ) -> Result<(Secret, KeyEdit), Refusal> {
        let (secret, secret_row) = self.new_secret(keys::is_management(spec), now_ms)?;
        let row = Row {
            kind: KEYS.to_owned(),
            environment: environment.to_owned(),
            id: ResourceId::new(now_ms),
            name,
            version: 1,
            schema: keys::SCHEMA,
            spec: Value::Object(spec.clone()).to_string(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            revoked_at_ms: None,
            labels: keys::labels(spec),
        };
        let secrets = vec![secret_row];
        Ok((secret, KeyEdit { action: "create", before: None, after: Some(row), secrets, checked: true }))
    }

    fn new_secret(&self, management: bool, now_ms: u64) -> Result<(Secret, SecretRow), Refusal> {
        let secret = if management { seal::generate_management_secret() } else { seal::generate_secret() };
        let secret = secret.map_err(StoreError::from)?;
        let row = SecretRow {
            hash: self.tools.master.key_hash(secret.expose()),
            prefix: seal::shown_prefix(&secret),
            created_at_ms: now_ms,
            until_ms: None,
        };
        Ok((secret, row))
    }

    pub(super) fn put_key(
        &self,
        actor: &Actor,
        environment: &str,
        name: &str,
        expect: Expect,
        action: &'static str,
        next: &dyn Fn(&Spec) -> Spec,
    ) -> Result<Resource, Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        actor.check_may_change_keys()?;
        let id = self.write(actor, false, |_, reader| {
            let before = visible(kind, actor, reader, environment, name)?;
            check_version(before.version, expect)?;
            let shown = keys::shown(&before);
            let mut spec = edit::without_nulls(kind, next(&shown));
            keys::check_stays(&before, &spec)?;
            own(actor, environment, &mut spec)?;
            restrain::check(actor, environment, Some(&shown), &spec)?;
            let after = keys::with_spec(&before, &spec, self.clock.unix_ms());
            let (id, secrets) = (after.id, reader.secrets_of(before.id)?);
            let edit = KeyEdit { action, before: Some(before), after: Some(after), secrets, checked: true };
            Ok(Plan { keys: vec![edit], ..Plan::new(id) })
        })?;
        self.get_key(actor, environment, &id.to_string())
    }

    pub(super) fn delete_key(
        &self,
        actor: &Actor,
        environment: &str,
        name: &str,
        expect: Expect,
    ) -> Result<(), Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        actor.check_may_change_keys()?;
        self.write(actor, false, |state, reader| {
            let before = visible(kind, actor, reader, environment, name)?;
            check_version(before.version, expect)?;
            let documents = state.environments.get(environment).map(|environment| &environment.documents);
            let by = documents.map(|documents| users_of_key(documents, &before.name)).unwrap_or_default();
            if !by.is_empty() {
                return Err(Refusal::InUse { what: format!("key {}", before.name), by });
            }
            let edit =
                KeyEdit { action: "delete", before: Some(before), after: None, secrets: Vec::new(), checked: false };
            Ok(Plan { keys: vec![edit], ..Plan::new(()) })
        })
    }

    pub(super) fn get_key(&self, actor: &Actor, environment: &str, name: &str) -> Result<Resource, Refusal> {
        let kind = self.kind_of(environment, KEYS)?;
        let found = {
            let reader = self.reader();
            let row = visible(kind, actor, &**reader, environment, name)?;
            let secrets = reader.secrets_of(row.id)?;
            (row, secrets)
        };
        let mut resources = self.key_resources(vec![found]);
        resources.pop().ok_or_else(|| not_found(kind, environment, name))
    }

    pub(super) fn list_keys(
        &self,
        actor: &Actor,
        environment: &str,
        query: &ListQuery,
        limit: usize,
        after: Option<ResourceId>,
    ) -> Result<Page<Resource>, Refusal> {
        let filter = |name: &str| query.filters.get(name).cloned();
        let state = match filter("status") {
            None => None,
            Some(name) => Some(KeyState::parse(&name).ok_or_else(|| {
                bad("status", format!("not a status: there are {}", KeyState::ALL.map(|(_, name)| name).join(", ")))
            })?),
        };
        let seen_by =
            (!actor.sees_all()).then(|| SeenBy { owner: actor.name.clone(), teams: administered(actor, environment) });
        let query = KeyQuery {
            environment: Some(environment.to_owned()),
            seen_by,
            team: management::team(actor, filter("team"))?,
            owner: filter("owner"),
            state,
            without_management: actor.through.is_some(),
            text: filter("q").filter(|text| !text.is_empty()),
            now_ms: self.clock.unix_ms(),
            after,
            limit: limit + 1,
        };
        let mut found = self.reader().keys(&query)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|(last, _)| last.id.to_string());
        Ok(Page { data: self.key_resources(found), next_cursor })
    }

    fn key_resources(&self, found: Vec<(Row, Vec<SecretRow>)>) -> Vec<Resource> {
        let ids: Vec<ResourceId> = found.iter().map(|(row, _)| row.id).collect();
        let totals = self.key_totals.as_ref().map(|totals| totals(&ids));
        let now_ms = self.clock.unix_ms();
        let resource = |(row, secrets): (Row, Vec<SecretRow>)| {
            let total = totals.as_ref().map(|totals| totals.get(&row.id).copied().unwrap_or_default());
            Resource {
                id: row.id,
                kind: KEYS,
                environment: row.environment.clone(),
                version: row.version,
                managed_by: ManagedBy::Api,
                created_at_ms: row.created_at_ms,
                updated_at_ms: row.updated_at_ms,
                spec: keys::shown(&row),
                status: status(&row, &secrets, total, now_ms),
                name: row.name,
            }
        };
        found.into_iter().map(resource).collect()
    }
}

/// Returns what the gateway says about a key.
fn status(row: &Row, secrets: &[SecretRow], total: Option<KeyTotal>, now_ms: u64) -> Value {
    let mut status = Map::new();
    status.insert("state".to_owned(), KeyState::of(row, now_ms).name().into());
    status.insert("prefix".to_owned(), secrets.first().map_or("", |secret| secret.prefix.as_str()).into());
    let live = secrets.iter().filter(|secret| secret.until_ms.is_none_or(|until| until > now_ms));
    let secrets = live.map(|secret| {
        json!({
            "prefix": secret.prefix,
            "created_at": rfc3339(secret.created_at_ms),
            "until": secret.until_ms.map(rfc3339),
        })
    });
    status.insert("secrets".to_owned(), secrets.collect());
    status.insert("revoked_at".to_owned(), row.revoked_at_ms.map(rfc3339).into());
    if let Some(total) = total {
        status.insert("last_used_at".to_owned(), total.last_used_at_ms.map(rfc3339).into());
        status.insert("requests".to_owned(), total.requests.into());
        status.insert("input_tokens".to_owned(), total.input_tokens.into());
        status.insert("output_tokens".to_owned(), total.output_tokens.into());
        // Exact to the nano-dollar for amounts that a double can hold to that digit.
        status.insert("spend_usd".to_owned(), json!(total.spend.0 as f64 / 1e9));
    }
    Value::Object(status)
}

/// Returns the teams of an environment whose keys somebody manages.
pub(super) fn administered(actor: &Actor, environment: &str) -> Vec<String> {
    let own = actor.teams.iter().filter(|(other, _)| other == environment && actor.role == Role::TeamAdmin);
    own.map(|(_, team)| team.clone()).collect()
}

/// Finds a key by its name, else by its id. What the actor may not see is not there.
pub(super) fn visible(
    kind: &Kind,
    actor: &Actor,
    reader: &dyn ResourceReader,
    environment: &str,
    name: &str,
) -> Result<Row, Refusal> {
    let row = match (reader.by_name(KEYS, environment, name)?, ResourceId::parse(name)) {
        (Some(row), _) => Some(row),
        (None, Some(id)) => reader.by_id(id)?.filter(|row| row.kind == KEYS && row.environment == environment),
        (None, None) => None,
    };
    let owns = |row: &Row| !row.labels.owner.is_empty() && row.labels.owner == actor.name;
    let manages =
        |row: &Row| row.labels.team.as_ref().is_some_and(|team| administered(actor, environment).contains(team));
    let row = row.filter(|row| management::reaches(actor, row));
    row.filter(|row| actor.sees_all() || owns(row) || manages(row)).ok_or_else(|| not_found(kind, environment, name))
}

/// Makes sure that somebody who owns keys gives none away, and puts none into a team that is not theirs.
fn own(actor: &Actor, environment: &str, spec: &mut Spec) -> Result<(), Refusal> {
    management::bind(actor, spec)?;
    if actor.sees_all() {
        return Ok(());
    }
    let text = |field: &str| spec.get(field).and_then(Value::as_str).map(str::to_owned);
    let (team, owner) = (text("team"), text("owner").filter(|owner| !owner.is_empty()));
    if let Some(team) = &team
        && !actor.teams.iter().any(|(other, name)| other == environment && name == team)
    {
        return Err(Refusal::Forbidden(format!("you do not belong to the team `{team}`")));
    }
    // Whoever manages a team may make keys for others in it.
    let managed = team.is_some_and(|team| administered(actor, environment).contains(&team));
    if managed && owner.is_none() && keys::is_management(spec) {
        // Nobody's own: it does what whoever manages the team may do.
        return Ok(());
    }
    let owner = owner.filter(|_| managed).unwrap_or_else(|| actor.name.clone());
    spec.insert("owner".to_owned(), owner.into());
    Ok(())
}

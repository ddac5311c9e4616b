//! People as resources: listed, invited, changed and deleted by those who may.

use ir::civil::rfc3339;
use ir::id::ResourceId;
use ir::plain::is_unsafe;
use policy::problem::Problem;
use serde_json::{Map, Value, json};
use store::people::{Changed, UserQuery, UserRow};
use store::resources::row::AuditRow;

use super::{Invitation, People, email, rank};
use crate::actor::{Actor, Role};
use crate::refusal::Refusal;
use crate::resource::{Expect, ListQuery, ManagedBy, Page, Resource, Spec};

/// The kind of a person.
pub(super) const KIND: &str = "users";

/// People on one page, when nothing is said, and at most.
const PAGE: (usize, usize) = (50, 200);

/// The longest name of a person, in characters.
const NAME_CHARACTERS: usize = 128;

/// What the spec of a person may hold.
const MEMBERS: [&str; 4] = ["email", "name", "role", "disabled"];

/// What people say about a person, checked.
#[derive(Debug)]
struct Checked {
    email: String,
    name: String,
    role: Role,
    disabled: bool,
}

impl People {
    /// Returns people, oldest first. Filters: `role`, `disabled`, `email`.
    ///
    /// # Errors
    /// [`Refusal::BadParameter`] for a filter, a limit or a cursor that is not valid.
    pub fn list_users(&self, query: &ListQuery) -> Result<Page<Resource>, Refusal> {
        let (limit, after) = page_of(query.limit, query.cursor.as_deref(), PAGE)?;
        let mut asked = UserQuery { after, limit: limit + 1, ..UserQuery::default() };
        for (name, value) in &query.filters {
            match name.as_str() {
                "role" if rank::parse(value).is_some() => asked.role = Some(value.clone()),
                "role" => return Err(bad_parameter("role", "there is no such role")),
                "email" => asked.email = Some(email::account(value)),
                "disabled" => {
                    let flag = value.parse().map_err(|_| bad_parameter("disabled", "disabled is true or false"))?;
                    asked.disabled = Some(flag);
                }
                other => return Err(bad_parameter(other, "unknown filter: use role, disabled or email")),
            }
        }
        let (rows, next) = cut(self.store.list_users(&asked)?, limit, |row| row.id);
        Ok(Page { data: rows.iter().map(show).collect(), next_cursor: next })
    }

    /// Returns a person by their id or address.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn get_user(&self, name: &str) -> Result<Resource, Refusal> {
        Ok(show(&self.find(name)?))
    }

    /// Creates a person without a password, and a code with which they set one.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NameTaken`], [`Refusal::Forbidden`] by rank.
    pub fn create_user(&self, actor: &Actor, spec: &Spec) -> Result<(Resource, Option<Invitation>), Refusal> {
        let checked = check(spec)?;
        rank::check(actor, checked.role)?;
        let now = self.clock.unix_ms();
        let user = UserRow {
            id: ResourceId::new(now),
            email: checked.email,
            name: checked.name,
            role: checked.role.name().to_owned(),
            role_from_issuer: false,
            password_hash: None,
            identity: None,
            disabled: checked.disabled,
            version: 1,
            created_at_ms: now,
            updated_at_ms: now,
            last_sign_in_at_ms: None,
        };
        let log = AuditRow { after: audited(&user), ..self.entry(actor, "create", Some(&user)) };
        outcome(self.store.create_user(&user, &log)?, &user)?;
        let invitation = if user.disabled { None } else { Some(self.invite(&user, None)?) };
        Ok((show(&user), invitation))
    }

    /// Replaces what is said about a person.
    ///
    /// # Errors
    /// As [`People::create_user`], and [`Refusal::NotFound`], [`Refusal::Stale`]; [`Refusal::Conflict`] when no enabled
    /// owner would be left.
    pub fn replace_user(&self, actor: &Actor, name: &str, spec: &Spec, expect: Expect) -> Result<Resource, Refusal> {
        let user = self.find(name)?;
        self.write(actor, user, check(spec)?, expect)
    }

    /// Merges a patch into what is said about a person (RFC 7396).
    ///
    /// # Errors
    /// As [`People::replace_user`].
    pub fn merge_user(&self, actor: &Actor, name: &str, patch: &Spec, expect: Expect) -> Result<Resource, Refusal> {
        let user = self.find(name)?;
        let mut spec = spec_of(&user);
        for (member, value) in patch {
            match value {
                Value::Null => drop(spec.remove(member)),
                value => drop(spec.insert(member.clone(), value.clone())),
            }
        }
        self.write(actor, user, check(&spec)?, expect)
    }

    /// Deletes a person, with their sessions.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Stale`], [`Refusal::Forbidden`] by rank, [`Refusal::Conflict`] for the last
    /// owner.
    pub fn delete_user(&self, actor: &Actor, name: &str, expect: Expect) -> Result<(), Refusal> {
        let user = self.find(name)?;
        rank::check(actor, rank::stored(&user.role))?;
        expected(&user, expect)?;
        let log = AuditRow { before: audited(&user), ..self.entry(actor, "delete", Some(&user)) };
        outcome(self.store.delete_user(user.id, user.version, &log)?, &user)
    }

    /// Finds a person by their id or address.
    pub(super) fn find(&self, name: &str) -> Result<UserRow, Refusal> {
        let found = match ResourceId::parse(name) {
            Some(id) => self.store.user(id)?,
            None => self.store.user_by_email(&email::account(name))?,
        };
        found.ok_or_else(|| Refusal::NotFound("no such person".to_owned()))
    }

    fn write(&self, actor: &Actor, user: UserRow, checked: Checked, expect: Expect) -> Result<Resource, Refusal> {
        let role = rank::stored(&user.role);
        let only_the_name = checked.email == user.email && checked.role == role && checked.disabled == user.disabled;
        // Everybody may say what they are called.
        if !(only_the_name && actor.user == Some(user.id)) {
            rank::check(actor, role)?;
            rank::check(actor, checked.role)?;
        }
        expected(&user, expect)?;
        if only_the_name && checked.name == user.name {
            return Ok(show(&user));
        }
        let changed = UserRow {
            email: checked.email,
            name: checked.name,
            role: checked.role.name().to_owned(),
            role_from_issuer: user.role_from_issuer && checked.role == role,
            disabled: checked.disabled,
            version: user.version + 1,
            updated_at_ms: self.clock.unix_ms(),
            ..user.clone()
        };
        let log =
            AuditRow { before: audited(&user), after: audited(&changed), ..self.entry(actor, "update", Some(&user)) };
        outcome(self.store.change_user(&changed, !only_the_name, Some(&log))?, &changed)?;
        Ok(show(&changed))
    }
}

/// Returns a person as the admin API shows them.
pub(super) fn show(user: &UserRow) -> Resource {
    Resource {
        id: user.id,
        kind: KIND,
        environment: String::new(),
        name: user.email.clone(),
        version: user.version,
        managed_by: ManagedBy::Api,
        created_at_ms: user.created_at_ms,
        updated_at_ms: user.updated_at_ms,
        spec: spec_of(user),
        status: json!({
            "last_sign_in_at": user.last_sign_in_at_ms.map(rfc3339),
            "has_password": user.password_hash.is_some(),
            "has_sso": user.identity.is_some(),
            "role_from": if user.role_from_issuer { "oidc" } else { "crossway" },
        }),
    }
}

/// Returns a person as the audit log keeps them.
pub(super) fn audited(user: &UserRow) -> Option<String> {
    let mut spec = spec_of(user);
    spec.insert("has_password".to_owned(), user.password_hash.is_some().into());
    spec.insert("has_sso".to_owned(), user.identity.is_some().into());
    Some(Value::Object(spec).to_string())
}

/// Checks what a person is called.
pub(super) fn check_name(name: &str) -> Result<String, &'static str> {
    let name = name.trim();
    if name.chars().count() > NAME_CHARACTERS || name.chars().any(is_unsafe) {
        return Err("a name has at most 128 characters, and none that controls lines or the direction of writing");
    }
    Ok(name.to_owned())
}

/// Returns how many to list, and after which.
pub(super) fn page_of(
    limit: Option<usize>,
    cursor: Option<&str>,
    (usual, most): (usize, usize),
) -> Result<(usize, Option<ResourceId>), Refusal> {
    let limit = limit.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        return Err(bad_parameter("limit", &format!("limit must be from 1 to {most}")));
    }
    let after = match cursor {
        None => None,
        Some(text) => match ResourceId::parse(text) {
            Some(id) => Some(id),
            None => return Err(bad_parameter("cursor", "the cursor is not one that a listing returned")),
        },
    };
    Ok((limit, after))
}

/// Cuts a list that was read one longer than asked, and says where the next page begins.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: usize, id: impl Fn(&T) -> ResourceId) -> (Vec<T>, Option<String>) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| id(row).to_string());
    (rows, next)
}

/// Turns what the store says into what the caller is told.
pub(super) fn outcome(changed: Changed, user: &UserRow) -> Result<(), Refusal> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Gone => Err(Refusal::NotFound("no such person".to_owned())),
        Changed::Stale(current) => Err(Refusal::Stale { current }),
        Changed::Taken => Err(Refusal::NameTaken(format!("there is somebody with the address {}", user.email))),
        Changed::LastOwner => Err(Refusal::Conflict(format!(
            "{} is the last owner who is not disabled: make somebody else an owner first",
            user.email
        ))),
    }
}

fn spec_of(user: &UserRow) -> Spec {
    let mut spec = Map::new();
    spec.insert("email".to_owned(), user.email.clone().into());
    spec.insert("name".to_owned(), user.name.clone().into());
    spec.insert("role".to_owned(), rank::stored(&user.role).name().into());
    spec.insert("disabled".to_owned(), user.disabled.into());
    spec
}

fn expected(user: &UserRow, expect: Expect) -> Result<(), Refusal> {
    match expect {
        Expect::Version(version) if version != user.version => Err(Refusal::Stale { current: user.version }),
        _ => Ok(()),
    }
}

/// Checks a spec; every fault is reported.
fn check(spec: &Spec) -> Result<Checked, Refusal> {
    let mut problems = Vec::new();
    for member in spec.keys().filter(|member| !MEMBERS.contains(&member.as_str())) {
        let hint = policy::problem::did_you_mean(member, MEMBERS);
        problems.push(Problem::new("", member.clone(), "unknown member").maybe_hint(hint));
    }
    let mut keep = |member: &str, fault: &str| problems.push(Problem::new("", member, fault));
    let email = address(spec.get("email")).map_err(|fault| keep("email", fault));
    let name = called(spec.get("name")).map_err(|fault| keep("name", fault));
    let role = role(spec.get("role")).map_err(|fault| keep("role", fault));
    let disabled = flag(spec.get("disabled")).map_err(|fault| keep("disabled", fault));
    match (email, name, role, disabled) {
        (Ok(email), Ok(name), Ok(role), Ok(disabled)) if problems.is_empty() => {
            Ok(Checked { email, name, role, disabled })
        }
        _ => Err(Refusal::Invalid(problems)),
    }
}

fn address(value: Option<&Value>) -> Result<String, &'static str> {
    match value {
        Some(Value::String(text)) => email::check(text),
        Some(Value::Null) | None => Err("required: the address with which they sign in"),
        Some(_) => Err("an email address is a string"),
    }
}

fn called(value: Option<&Value>) -> Result<String, &'static str> {
    match value {
        Some(Value::String(text)) => check_name(text),
        Some(Value::Null) | None => Ok(String::new()),
        Some(_) => Err("a name is a string"),
    }
}

fn role(value: Option<&Value>) -> Result<Role, &'static str> {
    match value {
        Some(Value::Null) | None => Err("required: viewer, auditor, developer, team_admin, operator or owner"),
        Some(value) => value
            .as_str()
            .and_then(rank::parse)
            .ok_or("a role is viewer, auditor, developer, team_admin, operator or owner"),
    }
}

fn flag(value: Option<&Value>) -> Result<bool, &'static str> {
    match value {
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::Null) | None => Ok(false),
        Some(_) => Err("disabled is true or false"),
    }
}

fn bad_parameter(field: &str, message: &str) -> Refusal {
    Refusal::BadParameter { field: field.to_owned(), message: message.to_owned() }
}

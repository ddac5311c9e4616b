//! Signing in with what an OpenID provider says of somebody.
//!
//! Whoever was linked before is found by issuer and subject. Somebody new to the provider is linked to the person with
//! their address, if the provider vouches for it. Somebody unknown is created only when the settings give them a role.

use ir::id::ResourceId;
use serde_json::json;
use store::people::{Changed, UserRow};
use store::resources::row::AuditRow;

use super::{Begun, Denied, People, Visitor, email, rank, stranger, users};
use crate::actor::Role;

/// What a provider says of somebody; its signature has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The provider.
    pub issuer: String,
    /// Who, in the provider's words; it never changes.
    pub subject: String,
    /// Their address.
    pub email: Option<String>,
    /// Whether the provider vouches for the address.
    pub email_verified: bool,
    /// What they are called.
    pub name: Option<String>,
    /// The role that the settings give to what the provider says.
    pub role: Option<Role>,
}

/// Whom the settings let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The role of somebody whom nobody invited and to whom the provider gives none; `None` keeps them out.
    pub default_role: Option<Role>,
    /// Domains of addresses, in lower case; empty for all.
    pub allowed_domains: Vec<String>,
}

impl People {
    /// Signs in whoever a provider has recognised.
    ///
    /// # Errors
    /// [`Denied::NotAdmitted`] with the reason, or when the database fails.
    pub fn sign_in_federated(&self, claimed: &Claimed, rules: &Admission, visitor: &Visitor) -> Result<Begun, Denied> {
        let admitted = self.admit(claimed, rules);
        if let Err(Denied::NotAdmitted(why)) = &admitted {
            let known = self.store.user_by_identity(&claimed.issuer, &claimed.subject)?;
            let after = Some(json!({"method": "oidc", "why": why}).to_string());
            self.note(&AuditRow { after, ..self.entry(&stranger(visitor), "refuse_sign_in", known.as_ref()) });
        }
        let user = admitted?;
        let user = self.settle(user, claimed, rules, visitor)?;
        self.begin(&user, "oidc", visitor)
    }

    /// Writes down that a provider's word was not good enough to tell who it is.
    ///
    /// # Errors
    /// When the database fails.
    pub fn refuse_federated(&self, why: &str, visitor: &Visitor) -> Result<(), Denied> {
        let after = Some(json!({"method": "oidc", "why": why}).to_string());
        Ok(self.store.log(&AuditRow { after, ..self.entry(&stranger(visitor), "refuse_sign_in", None) })?)
    }

    /// Finds who it is, without changing anything.
    fn admit(&self, claimed: &Claimed, rules: &Admission) -> Result<Found, Denied> {
        let address = claimed.email.as_deref().filter(|_| claimed.email_verified).and_then(|a| email::check(a).ok());
        if !rules.allowed_domains.is_empty() {
            let Some(address) = &address else {
                return Err(no("the provider gave no verified email address, and only some domains are allowed"));
            };
            if !rules.allowed_domains.iter().any(|domain| domain == email::domain(address)) {
                return Err(no("email addresses of this domain are not allowed"));
            }
        }
        if let Some(user) = self.store.user_by_identity(&claimed.issuer, &claimed.subject)? {
            return enabled(user).map(Found::Linked);
        }
        let Some(address) = address else {
            return Err(no("the provider gave no verified email address, so that nobody can be recognised by it"));
        };
        match self.store.user_by_email(&address)? {
            Some(user) if user.identity.is_some() => {
                Err(no("the person with this address is linked to another identity: ask an operator"))
            }
            Some(user) => enabled(user).map(Found::Invited),
            None if claimed.role.or(rules.default_role).is_none() => {
                Err(no("nobody has invited this address: ask an operator"))
            }
            None => Ok(Found::Unknown(address)),
        }
    }

    /// Creates, links or updates them.
    fn settle(&self, found: Found, claimed: &Claimed, rules: &Admission, visitor: &Visitor) -> Result<UserRow, Denied> {
        let now = self.clock.unix_ms();
        let given = claimed.role.or(rules.default_role);
        match found {
            Found::Unknown(address) => {
                let name = claimed.name.as_deref().and_then(|name| users::check_name(name).ok()).unwrap_or_default();
                let user = UserRow {
                    id: ResourceId::new(now),
                    email: address,
                    name,
                    role: given.unwrap_or(Role::Viewer).name().to_owned(),
                    role_from_issuer: true,
                    password_hash: None,
                    identity: Some((claimed.issuer.clone(), claimed.subject.clone())),
                    disabled: false,
                    version: 1,
                    created_at_ms: now,
                    updated_at_ms: now,
                    last_sign_in_at_ms: None,
                };
                let actor = self.actor(&user, visitor);
                let log = AuditRow { after: users::audited(&user), ..self.entry(&actor, "create", Some(&user)) };
                users::outcome(self.store.create_user(&user, &log)?, &user)?;
                Ok(user)
            }
            Found::Invited(user) => {
                let identity = Some((claimed.issuer.clone(), claimed.subject.clone()));
                let linked = UserRow { identity, version: user.version + 1, updated_at_ms: now, ..user.clone() };
                self.update(&user, linked, visitor)
            }
            // A role that somebody gave by hand stays.
            Found::Linked(user) if !user.role_from_issuer => Ok(user),
            Found::Linked(user) => {
                let Some(given) = given else { return Err(no("the provider gives this person no role any more")) };
                if rank::stored(&user.role) == given {
                    return Ok(user);
                }
                let role = given.name().to_owned();
                let changed = UserRow { role, version: user.version + 1, updated_at_ms: now, ..user.clone() };
                self.update(&user, changed, visitor)
            }
        }
    }

    fn update(&self, before: &UserRow, after: UserRow, visitor: &Visitor) -> Result<UserRow, Denied> {
        let log = AuditRow {
            before: users::audited(before),
            after: users::audited(&after),
            ..self.entry(&self.actor(&after, visitor), "update", Some(before))
        };
        match self.store.change_user(&after, before.role != after.role, Some(&log))? {
            Changed::Done => Ok(after),
            // Nobody else could give the role back.
            Changed::LastOwner => Ok(before.clone()),
            other => users::outcome(other, &after).map(|()| after).map_err(Denied::from),
        }
    }
}

enum Found {
    /// Linked before.
    Linked(UserRow),
    /// Known by their address only.
    Invited(UserRow),
    /// Nobody yet.
    Unknown(String),
}

fn enabled(user: UserRow) -> Result<UserRow, Denied> {
    if user.disabled { Err(no("this person is disabled: ask an operator")) } else { Ok(user) }
}

fn no(why: &str) -> Denied {
    Denied::NotAdmitted(why.to_owned())
}

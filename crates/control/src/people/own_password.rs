//! One's own password: changed by who knows the old one, or set with a code.

use policy::problem::Problem;
use policy::secret::Secret;
use store::people::{Changed, UserRow};
use store::resources::row::AuditRow;

use super::token::{self, Purpose};
use super::{Begun, Denied, INVITATION, Invitation, People, Visitor, millis, password, rank};
use crate::actor::Actor;
use crate::refusal::Refusal;

impl People {
    /// Changes the actor's own password. Every session of theirs ends; they go on with a new one.
    ///
    /// # Errors
    /// [`Denied::WrongPassword`], [`Denied::TooMany`]; [`Refusal::Invalid`] for a new password that is not taken;
    /// [`Refusal::Conflict`] when the actor is no person or has no password.
    pub fn change_password(
        &self,
        actor: &Actor,
        old: &Secret,
        new: &Secret,
        visitor: &Visitor,
    ) -> Result<Begun, Denied> {
        let nobody = || Refusal::Conflict("the caller is no person, and has no password of their own".to_owned());
        let id = actor.user.ok_or_else(nobody)?;
        let user = self.store.user(id)?.ok_or_else(nobody)?;
        if user.password_hash.is_none() {
            let message = "there is no password to change: ask an operator for a code that sets one";
            return Err(Refusal::Conflict(message.to_owned()).into());
        }
        check("new_password", new, &user.email)?;
        self.lockout.begin(visitor.ip, Some(&user.email), self.clock.now())?;
        if old.expose().len() > password::MAX_BYTES || !self.hasher.verify(old, user.password_hash.as_ref()) {
            self.note(&self.entry(actor, "refuse_password", Some(&user)));
            return Err(Denied::WrongPassword);
        }
        self.lockout.succeeded(visitor.ip, Some(&user.email));
        let changed = self.set_password(actor, user, new)?;
        self.begin(&changed, "password", visitor)
    }

    /// Returns a code with which a person sets a new password, once. Until then the old one stays good; earlier codes
    /// do not.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Forbidden`] by rank, [`Refusal::Conflict`] for oneself or somebody disabled.
    pub fn reset_password(&self, actor: &Actor, name: &str) -> Result<Invitation, Refusal> {
        let user = self.find(name)?;
        if actor.user == Some(user.id) {
            return Err(Refusal::Conflict("one's own password is changed with the old one".to_owned()));
        }
        rank::check(actor, rank::stored(&user.role))?;
        if user.disabled {
            return Err(Refusal::Conflict(format!("{} is disabled: enable them first", user.email)));
        }
        self.invite(&user, Some(&self.entry(actor, "reset_password", Some(&user))))
    }

    /// Sets the password of whoever holds a code, ends their other sessions and signs them in.
    ///
    /// # Errors
    /// [`Denied::WrongCode`], [`Denied::TooMany`]; [`Refusal::Invalid`] for a password that is not taken.
    pub fn redeem(&self, code: &Secret, new: &Secret, visitor: &Visitor) -> Result<Begun, Denied> {
        self.lockout.begin(visitor.ip, None, self.clock.now())?;
        let hash = token::hash(Purpose::Code, code.expose());
        let found = match self.store.code_user(&hash, self.clock.unix_ms())? {
            Some(id) => self.store.user(id)?,
            None => None,
        };
        let user = found.filter(|user| !user.disabled).ok_or(Denied::WrongCode)?;
        self.lockout.succeeded(visitor.ip, Some(&user.email));
        check("password", new, &user.email)?;
        let actor = self.actor(&user, visitor);
        // Two at once with one code: the second finds that the person has changed.
        let changed = self.set_password(&actor, user, new).map_err(|denied| match denied {
            Denied::Refused(Refusal::Stale { .. }) => Denied::WrongCode,
            other => other,
        })?;
        self.begin(&changed, "invitation", visitor)
    }

    pub(super) fn invite(&self, user: &UserRow, log: Option<&AuditRow>) -> Result<Invitation, Refusal> {
        let (code, now) = (token::new_code()?, self.clock.unix_ms());
        let expires_at_ms = now.saturating_add(millis(INVITATION));
        let hash = token::hash(Purpose::Code, code.expose());
        self.store.put_code(&hash, Some(user.id), now, expires_at_ms, log)?;
        Ok(Invitation { code, expires_at_ms })
    }

    fn set_password(&self, actor: &Actor, user: UserRow, new: &Secret) -> Result<UserRow, Denied> {
        let changed = UserRow {
            password_hash: Some(self.hasher.hash(new)?),
            version: user.version + 1,
            updated_at_ms: self.clock.unix_ms(),
            ..user
        };
        let log = self.entry(actor, "set_password", Some(&changed));
        match self.store.change_user(&changed, true, Some(&log))? {
            Changed::Done => Ok(changed),
            Changed::Stale(current) => Err(Refusal::Stale { current }.into()),
            Changed::Gone | Changed::Taken | Changed::LastOwner => Err(Denied::WrongPassword),
        }
    }
}

/// Checks a new password.
pub(super) fn check(field: &'static str, new: &Secret, email: &str) -> Result<(), Refusal> {
    password::check(new, email).map_err(|message| Refusal::Invalid(vec![Problem::new("", field, message)]))
}

//! The first person: whoever has the code that the start printed becomes the owner. It happens once.

use ir::id::ResourceId;
use policy::problem::Problem;
use policy::secret::Secret;
use store::people::{OWNER, SetUp, UserRow};
use store::resources::row::AuditRow;

use super::token::{self, Purpose};
use super::{Begun, Denied, People, SETUP_CODE, Visitor, email, millis, own_password, users};
use crate::refusal::Refusal;

/// What the first person says of themselves.
#[derive(Clone, Debug)]
pub struct FirstPerson {
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: Secret,
    /// What they are called.
    pub name: String,
}

impl People {
    /// Returns a new code for the set-up as long as there is nobody; earlier codes are void.
    ///
    /// # Errors
    /// When the database fails.
    pub fn offer_set_up(&self) -> Result<Option<Secret>, Refusal> {
        if self.store.any_user()? {
            return Ok(None);
        }
        let (code, now) = (token::new_code()?, self.clock.unix_ms());
        let expires = now.saturating_add(millis(SETUP_CODE));
        self.store.put_code(&token::hash(Purpose::Code, code.expose()), None, now, expires, None)?;
        Ok(Some(code))
    }

    /// Returns whether there is nobody yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn needs_set_up(&self) -> Result<bool, Refusal> {
        Ok(!self.store.any_user()?)
    }

    /// Creates the owner and signs them in.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] once there is anybody; [`Denied::WrongCode`], [`Denied::TooMany`], [`Refusal::Invalid`].
    pub fn set_up(&self, code: &Secret, first: &FirstPerson, visitor: &Visitor) -> Result<Begun, Denied> {
        let done = || Refusal::Conflict("the set-up has been done: sign in".to_owned());
        if self.store.any_user()? {
            return Err(done().into());
        }
        let address = email::check(&first.email).map_err(|why| invalid("email", why))?;
        let name = users::check_name(&first.name).map_err(|why| invalid("name", why))?;
        own_password::check("password", &first.password, &address)?;
        self.lockout.begin(visitor.ip, None, self.clock.now())?;
        let now = self.clock.unix_ms();
        let user = UserRow {
            id: ResourceId::new(now),
            email: address,
            name,
            role: OWNER.to_owned(),
            role_from_issuer: false,
            password_hash: Some(self.hasher.hash(&first.password)?),
            identity: None,
            disabled: false,
            version: 1,
            created_at_ms: now,
            updated_at_ms: now,
            last_sign_in_at_ms: None,
        };
        let actor = self.actor(&user, visitor);
        let log = AuditRow { after: users::audited(&user), ..self.entry(&actor, "set_up", Some(&user)) };
        match self.store.set_up(&user, &token::hash(Purpose::Code, code.expose()), now, &log)? {
            SetUp::Done => {}
            SetUp::AlreadyDone => return Err(done().into()),
            SetUp::WrongCode => {
                self.note(&self.entry(&super::stranger(visitor), "refuse_set_up", None));
                return Err(Denied::WrongCode);
            }
        }
        self.lockout.succeeded(visitor.ip, None);
        self.begin(&user, "setup", visitor)
    }
}

fn invalid(field: &'static str, message: &str) -> Refusal {
    Refusal::Invalid(vec![Problem::new("", field, message)])
}

//! What is special about webhooks: a secret that is made when none is given, its replacement, and an address that may not
//! be just any.

use std::sync::Arc;
use std::time::Duration;

use policy::problem::Problem;
use policy::secret::Secret;
use policy::spec::Specs;
use policy::spec::timestamp::Timestamp;
use serde_json::Value;
use store::StoreError;
use store::seal;

use super::write::{Edit, Plan};
use super::{Plane, edit};
use crate::actor::Actor;
use crate::kind::{Kind, WEBHOOKS};
use crate::refusal::Refusal;
use crate::resource::{Created, Expect, Spec};

/// The field of the secret.
const SECRET: &str = "secret";

/// The field of the secret before.
const PREVIOUS: &str = "previous_secret";

/// The field that says until when that is used.
const UNTIL: &str = "previous_until";

/// Returns what is wrong with an address that events are to be sent to.
pub type AddressCheck = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// Gives a new webhook without a secret one, and returns it.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn with_secret(kind: &Kind, spec: &mut Spec) -> Result<Option<Secret>, Refusal> {
    if kind.plural != WEBHOOKS || spec.get(SECRET).is_some_and(|secret| !secret.is_null()) {
        return Ok(None);
    }
    let secret = seal::generate_signing_secret().map_err(StoreError::from)?;
    spec.insert(SECRET.to_owned(), Value::from(secret.expose()));
    Ok(Some(secret))
}

/// Checks what only a running gateway knows: whether an address may be reached, and that deliveries can be signed.
pub(crate) fn check(specs: &Specs, addresses: &AddressCheck, problems: &mut Vec<Problem>) {
    for entry in &specs.webhooks {
        let origin = &entry.origin;
        if entry.spec.secret.is_none() && !origin.is_broken(SECRET) {
            let missing = origin.problem(SECRET, "missing: deliveries could not be signed");
            problems.push(missing.hint("give one, or leave it out of the change to keep the stored one"));
        }
        let refused = entry.spec.url.as_deref().and_then(|url| addresses(url).err());
        if let Some(refused) = refused.filter(|_| !origin.is_broken("url")) {
            problems.push(origin.problem("url", refused));
        }
    }
}

impl Plane {
    /// Gives a webhook a new secret. Deliveries are signed with the old one too for the grace time; zero ends it at once.
    ///
    /// # Errors
    /// As [`Plane::replace`].
    pub fn rotate_webhook(
        &self,
        actor: &Actor,
        environment: &str,
        name: &str,
        grace: Duration,
        expect: Expect,
    ) -> Result<Created, Refusal> {
        let kind = self.kind_of(environment, WEBHOOKS)?;
        actor.check_may_configure()?;
        let (name, secret) = self.write(actor, false, |state, _| {
            let before = state.writable(kind, environment, name, expect)?;
            let now_ms = self.clock.unix_ms();
            let old = before.open(&self.tools.master, &mut Vec::new()).remove(SECRET);
            let secret = seal::generate_signing_secret().map_err(StoreError::from)?;
            let mut spec = before.spec.clone();
            spec.insert(SECRET.to_owned(), Value::from(secret.expose()));
            let old = old.filter(|_| !grace.is_zero());
            let until = Timestamp((now_ms / 1_000).saturating_add(grace.as_secs().max(1)));
            let until = serde_json::to_value(until).unwrap_or_default();
            spec.insert(UNTIL.to_owned(), if old.is_some() { until } else { Value::Null });
            spec.insert(PREVIOUS.to_owned(), old.map_or(Value::Null, |old| Value::from(old.expose())));
            let after = edit::changed(before, spec, now_ms, &self.tools)?;
            let name = before.name.clone();
            let edit = Edit { action: "rotate", before: Some(Arc::clone(before)), after: Some(Arc::new(after)) };
            Ok(Plan { edits: vec![edit], ..Plan::new((name, secret)) })
        })?;
        let resource = self.get(actor, environment, kind.plural, &name)?;
        Ok(Created { resource, secret: Some(secret) })
    }
}

//! Accounts that are suspended, and those that are not any more: whoever said so, in a file or through the API.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::gateway::Gateway;
use policy::notify::{ACCOUNT_RESUMED, ACCOUNT_SUSPENDED};
use policy::snapshot::AccountStatus;
use serde_json::{Map, Value};
use settle::events::Happened;
use settle::events::source::{Asked, Source};
use store::StoreError;

/// What the subjects of this source begin with.
const SUBJECT: &str = "account\n";

/// Looks at the status of accounts.
pub(super) struct Accounts {
    gateway: Arc<Gateway>,
    /// Those that are suspended and of whom that was told, by their subjects.
    suspended: Option<BTreeSet<String>>,
    changes: Vec<(String, bool)>,
}

impl Accounts {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, suspended: None, changes: Vec::new() }
    }
}

impl Source for Accounts {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        self.changes.clear();
        let Some(spool) = asked.spool else { return Ok(()) };
        let known = match &mut self.suspended {
            Some(known) => known,
            none => {
                let raised = spool.raised()?.into_iter().map(|(subject, ..)| subject);
                none.insert(raised.filter(|subject| subject.starts_with(SUBJECT)).collect())
            }
        };
        let state = self.gateway.state();
        for (environment, audience) in asked.audiences {
            let Some(configuration) = state.environment(environment) else { continue };
            let suspended = configuration.snapshot.environment.billing.status == AccountStatus::Suspended;
            let subject = format!("{SUBJECT}{environment}");
            if suspended == known.contains(&subject) {
                continue;
            }
            let kind = if suspended { ACCOUNT_SUSPENDED } else { ACCOUNT_RESUMED };
            let data = Map::from_iter([("environment".to_owned(), Value::from(&**environment))]);
            let happened = Happened::new(Arc::clone(environment), kind, asked.now_ms, data);
            asked.batch.events.extend(happened.addressed(audience));
            // Whether or not anybody wanted to hear of it now: what is old is not told to those who come later.
            match suspended {
                true => asked.batch.raised.push((subject.clone(), 0)),
                false => asked.batch.calm.push(subject.clone()),
            }
            self.changes.push((subject, suspended));
        }
        Ok(())
    }

    fn written(&mut self) {
        let Some(known) = &mut self.suspended else { return };
        for (subject, suspended) in self.changes.drain(..) {
            match suspended {
                true => _ = known.insert(subject),
                false => _ = known.remove(&subject),
            }
        }
    }
}

//! Keys whose time is over.

use std::sync::Arc;

use engine::gateway::Gateway;
use ir::civil::rfc3339;
use policy::snapshot::KeyStatus;
use serde_json::{Value, json};
use settle::events::Happened;
use settle::events::source::{Asked, Source};
use store::StoreError;

/// The name of the instant up to which expired keys were told.
const MARK: &str = "expired";

/// How often keys are looked through, in milliseconds.
const EVERY_MS: u64 = 1_000;

/// How often that instant is written down when nothing happened, in milliseconds.
const MARK_EVERY_MS: u64 = 60_000;

/// The type of the event.
const KIND: &str = "key.expired";

/// Looks through the keys.
pub(super) struct Expiry {
    gateway: Arc<Gateway>,
    position_ms: Option<u64>,
    next_ms: u64,
    marked_ms: u64,
}

impl Expiry {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, position_ms: None, next_ms: 0, marked_ms: 0 }
    }
}

impl Source for Expiry {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        let position_ms = match self.position_ms {
            Some(position_ms) => position_ms,
            None => {
                let mark = asked.spool.map(|spool| spool.mark(MARK)).transpose()?.flatten();
                *self.position_ms.insert(mark.unwrap_or(asked.now_ms))
            }
        };
        self.next_ms = position_ms;
        if asked.now_ms < position_ms.saturating_add(EVERY_MS) {
            return Ok(());
        }
        self.next_ms = asked.now_ms;
        if asked.audiences.values().any(|audience| audience.wants(KIND)) {
            let state = self.gateway.state();
            for live in state.keys.all() {
                let key = &live.compiled;
                let Some(expired_ms) = key.expires_unix_ms else { continue };
                let now = expired_ms > position_ms && expired_ms <= asked.now_ms && key.status == KeyStatus::Active;
                let Some(audience) = asked.audiences.get(&key.environment).filter(|_| now) else { continue };
                let data = json!({
                    "environment": &*key.environment,
                    "key": { "id": key.id.map(|id| id.to_string()), "name": &*key.name },
                    "team": key.team.as_deref(),
                    "at": rfc3339(expired_ms),
                });
                let Value::Object(data) = data else { continue };
                let (name, team) = (Some(key.name.as_ref().to_owned()), key.team.as_deref().map(str::to_owned));
                let happened = Happened::new(Arc::clone(&key.environment), KIND, expired_ms, data);
                asked.batch.events.extend(Happened { key: name, team, ..happened }.addressed(audience));
            }
        }
        let stale = asked.now_ms >= self.marked_ms.saturating_add(MARK_EVERY_MS);
        if !asked.batch.events.is_empty() || stale {
            asked.batch.marks.push((MARK, self.next_ms));
            self.marked_ms = asked.now_ms;
        }
        Ok(())
    }

    fn written(&mut self) {
        self.position_ms = Some(self.next_ms);
    }
}

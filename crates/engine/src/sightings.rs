//! What guardrails that only observe see is counted and logged, and nothing else happens.

use std::fmt;
use std::sync::Arc;

use ir::guard::Subject;
use ir::id::RequestId;
use policy::guard::observe::{Finding, Observer};

use crate::gateway::Gateway;
use crate::metrics::guardrails::{Mode, stage};
use crate::state::LiveKey;

/// Takes note of what is seen in one request.
pub(crate) struct Sightings {
    /// Where it is counted.
    pub gateway: Arc<Gateway>,
    /// The request.
    pub id: RequestId,
    /// The key it acts as.
    pub key: Arc<LiveKey>,
}

impl fmt::Debug for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sightings({})", self.id)
    }
}

impl Observer for Sightings {
    fn saw(&self, guard: &Arc<str>, subject: Subject, finding: Finding) {
        let key = &self.key.compiled;
        self.gateway.metrics.guardrails.hit(&key.environment, guard, Mode::Observe, subject, finding);
        let (request_id, setting) = (self.id, finding.setting());
        tracing::info!(
            component = "guardrail",
            requestId = %request_id,
            environment = &*key.environment,
            key = &*key.name,
            guardrail = &**guard,
            stage = stage(subject),
            action = finding.action(),
            setting,
            "Guardrail would have acted"
        );
    }
}

//! What guardrails do, by guardrail. The names come from the configuration, never from traffic.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use ir::guard::Subject;
use policy::guard::observe::Finding;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Whether a guardrail acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It only says what it would have done.
    Observe,
}

/// One act of one guardrail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Act {
    environment: Arc<str>,
    guard: Arc<str>,
    mode: Mode,
    stage: &'static str,
    action: &'static str,
}

/// Counts the acts of guardrails. Nobody waits for anybody: an act that was never seen makes a new map.
#[derive(Debug, Default)]
pub struct GuardrailHits(ArcSwap<HashMap<Act, Arc<AtomicU64>>>);

impl GuardrailHits {
    /// Counts one act.
    pub fn hit(&self, environment: &Arc<str>, guard: &Arc<str>, mode: Mode, subject: Subject, finding: Finding) {
        let (environment, guard) = (Arc::clone(environment), Arc::clone(guard));
        let act = Act { environment, guard, mode, stage: stage(subject), action: finding.action() };
        if let Some(count) = self.0.load().get(&act) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.0.rcu(|before| {
            let mut after = HashMap::clone(before);
            after.entry(act.clone()).or_default();
            after
        });
        if let Some(count) = self.0.load().get(&act) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds the counts to what is rendered.
    pub(super) fn register(&self, registry: &mut Registry) {
        let family = Family::<Vec<(&'static str, String)>, Counter>::default();
        for (act, count) in self.0.load().iter() {
            let mode = match act.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            };
            let labels = vec![
                ("environment", act.environment.to_string()),
                ("guardrail", act.guard.to_string()),
                ("mode", mode.to_owned()),
                ("stage", act.stage.to_owned()),
                ("action", act.action.to_owned()),
            ];
            family.get_or_create(&labels).inc_by(count.load(Ordering::Relaxed));
        }
        registry.register(
            "guardrail_hits",
            "Requests and replies that a guardrail blocked, or would have acted on",
            family,
        );
    }
}

/// Returns the word for what was judged, as `apply_to` has it.
pub(crate) fn stage(subject: Subject) -> &'static str {
    match subject {
        Subject::Request => "request",
        Subject::Reply => "reply",
    }
}

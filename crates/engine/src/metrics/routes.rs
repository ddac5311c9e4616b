//! Rules of routes that could not be held against a request, by rule. The names come from the configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// A rule: its environment, its route and its place, from 1.
type Rule = (Arc<str>, Arc<str>, usize);

/// Counts failed rules. Nobody waits for anybody.
#[derive(Debug, Default)]
pub struct FailedRules(ArcSwap<HashMap<Rule, Arc<AtomicU64>>>);

impl FailedRules {
    /// Counts one failure of a rule, whose place is from 0.
    pub fn failed(&self, environment: &Arc<str>, route: &Arc<str>, rule: usize) {
        let rule = (Arc::clone(environment), Arc::clone(route), rule + 1);
        if self.0.load().get(&rule).is_none() {
            self.0.rcu(|before| {
                let mut after = HashMap::clone(before);
                after.entry(rule.clone()).or_default();
                after
            });
        }
        if let Some(count) = self.0.load().get(&rule) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds the counts to what is rendered.
    pub(super) fn register(&self, registry: &mut Registry) {
        let family = Family::<Vec<(&'static str, String)>, Counter>::default();
        for ((environment, route, rule), count) in self.0.load().iter() {
            let labels = vec![
                ("environment", environment.to_string()),
                ("route", route.to_string()),
                ("rule", rule.to_string()),
            ];
            family.get_or_create(&labels).inc_by(count.load(Ordering::Relaxed));
        }
        registry.register("route_rules_failed", "Requests that a rule of a route could not be held against", family);
    }
}

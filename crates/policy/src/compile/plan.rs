//! Plans: named bundles of limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use ir::chat::needs::FEATURES;

use super::Report;
use super::environment::content_days;
use super::key::MAX_DESCRIPTION;
use super::limit::{Within, compile_limit};
use super::text::check_prose;
use crate::limit::rule::{Limit, Scope};
use crate::problem::did_you_mean;
use crate::snapshot::Plan;
use crate::spec::Entry;
use crate::spec::plan::PlanSpec;

/// The most limits of a plan, or of a key: every request of the key is measured by each.
pub(super) const MAX_LIMITS: usize = 64;

/// The most features of a plan.
const MAX_FEATURES: usize = 64;

/// Compiles every plan, by its name.
pub(super) fn compile_plans(
    entries: &[Entry<PlanSpec>],
    within: &Within<'_>,
    report: &mut Report,
) -> BTreeMap<Arc<str>, Plan> {
    entries.iter().map(|entry| (entry.name.as_str().into(), compile_plan(entry, within, report))).collect()
}

fn compile_plan(entry: &Entry<PlanSpec>, within: &Within<'_>, report: &mut Report) -> Plan {
    let Entry { name, spec, origin } = entry;
    check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", report);
    for (field, count, most) in
        [("limits", spec.limits.len(), MAX_LIMITS), ("features", spec.features.len(), MAX_FEATURES)]
    {
        if count > most {
            report.add(origin, field, format!("too many: at most {most}"));
        }
    }
    let mut limits = Vec::with_capacity(spec.limits.len().min(MAX_LIMITS));
    for (index, limit) in spec.limits.iter().enumerate().take(MAX_LIMITS) {
        let prefix = format!("limits[{index}].");
        let rule = compile_limit(limit, origin, &prefix, Some(Scope::Key(None)), within, report);
        // A faulty one is reported; should the plan be used nevertheless, it lets nobody through.
        let name = format!("plans.{name}.limits[{index}]").into();
        limits.push(Arc::new(Limit { name, rule: rule.unwrap_or_default() }));
    }
    let mut features = Vec::with_capacity(FEATURES.len());
    for (index, written) in spec.features.iter().enumerate().take(MAX_FEATURES) {
        match FEATURES.into_iter().find(|feature| *feature == written.trim()) {
            Some(feature) => features.push(feature),
            None => {
                let known = || format!("known: {}", FEATURES.join(", "));
                let hint = did_you_mean(written, FEATURES).unwrap_or_else(known);
                report.add_hint(origin, &format!("features[{index}]"), "unknown feature", Some(hint));
            }
        }
    }
    Plan { limits, features, content_days: content_days(&spec.retention, origin, report) }
}

#[cfg(test)]
mod tests {
    use crate::limit::Meter;
    use crate::load::load_text;

    fn plans(toml: &str) -> Result<crate::snapshot::Snapshot, Vec<String>> {
        let loaded = load_text("c", toml, &|_| None, false);
        loaded.map(|loaded| loaded.snapshot).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_plan_bundles_limits() {
        let toml = "[plans.pro]\ndescription = \"for teams\"\nfeatures = [\"tools\"]\nretention = { content_days = 7 }\n\
                    limits = [{ meter = \"requests\", window = \"60s\", amount = 600 },\n\
                    { meter = \"usd\", window = \"month\", amount = 12.50 }]\n[plans.free]\n";
        let snapshot = plans(toml).unwrap();
        let pro = &snapshot.plans["pro"];
        let amounts: Vec<_> = pro.limits.iter().map(|limit| (limit.rule.meter, limit.rule.amount)).collect();
        assert_eq!(amounts, [(Meter::Requests, 600), (Meter::Usd, 12_500_000_000)]);
        assert_eq!((&*pro.features, pro.content_days), (&["tools"][..], Some(7)));
        assert!(snapshot.plans["free"].limits.is_empty() && snapshot.plans["free"].content_days.is_none());
    }

    #[test]
    fn says_what_is_wrong_with_a_plan() {
        let toml = "[plans.pro]\nfeatures = [\"\", \"toolz\"]\nretention = { records_days = 5, content_days = 0 }\nlimits = [{ meter = \"requests\", window = \"60s\" },\n\
                    { meter = \"usd\", window = \"day\", amount = 1, scope = \"team\" },\n\
                    { meter = \"usd\", window = \"day\", amount = 1, target = \"provider:nobody\" }]\n";
        let expect = [
            "limits[0].amount: missing",
            "limits[1].scope: not here",
            "limits[2].target: no configured provider",
            "features[0]: unknown feature",
            "features[1]: unknown feature",
            "retention.records_days: not here",
            "retention.content_days: must be from 1 to",
        ];
        let found = plans(toml).unwrap_err();
        for expect in expect {
            assert!(found.iter().any(|problem| problem.contains(expect)), "{expect}: {found:#?}");
        }
    }
}

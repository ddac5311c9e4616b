//! Fallback policies.

use std::collections::HashMap;

use super::Report;
use super::names::Names;
use crate::problem::{Origin, did_you_mean};
use crate::snapshot::{Fallback, FallbackOn, Model, ModelIndex};
use crate::spec::Entry;
use crate::spec::fallback::FallbackSpec;

/// The failures that `on` may list.
const FAILURES: [&str; 11] = [
    "connect",
    "timeout",
    "408",
    "409",
    "429",
    "5xx",
    "overloaded",
    "auth",
    "404_model",
    "context_length",
    "content_filter",
];

/// Compiles every policy, by the slug of its primary model.
pub(super) fn compile_fallbacks(
    entries: &[Entry<FallbackSpec>],
    names: &Names,
    models: &[Model],
    report: &mut Report,
) -> HashMap<Box<str>, Fallback> {
    let mut found: HashMap<Box<str>, Fallback> = HashMap::new();
    for Entry { spec, origin, .. } in entries {
        let on = failures(spec.on.as_deref(), origin, report);
        let primary = match spec.model.as_deref() {
            Some(name) => resolve(name, origin, "model", names, models, report),
            None => {
                report.add(origin, "model", "missing");
                &[]
            }
        };
        let slug = primary.first().and_then(|index| models.get(index.0)).map(|model| model.slug.to_ascii_lowercase());
        let targets = targets(spec, slug.as_deref(), origin, names, models, report);
        let Some(slug) = slug else { continue };
        if found.insert(slug.into(), Fallback { models: targets, on }).is_some() {
            report.add(origin, "model", "the model has a fallback policy already");
        }
    }
    found
}

fn targets(
    spec: &FallbackSpec,
    primary: Option<&str>,
    origin: &Origin,
    names: &Names,
    models: &[Model],
    report: &mut Report,
) -> Vec<ModelIndex> {
    if spec.fallbacks.is_empty() {
        report.add(origin, "fallbacks", "missing: name at least one model");
    }
    let mut targets = Vec::new();
    for (position, name) in spec.fallbacks.iter().enumerate() {
        let field = format!("fallbacks[{position}]");
        for index in resolve(name, origin, &field, names, models, report) {
            let Some(model) = models.get(index.0) else { continue };
            if primary.is_some_and(|primary| model.slug.eq_ignore_ascii_case(primary)) {
                report.add(origin, &field, "a model cannot be its own fallback");
                break;
            }
            if targets.contains(index) {
                report.add(origin, &field, "the same model twice");
                break;
            }
            targets.push(*index);
        }
    }
    targets
}

/// Returns the models that a name means. Unknown is an error; disabled is a warning, and the model is skipped when its
/// turn comes.
fn resolve<'a>(
    name: &str,
    origin: &Origin,
    field: &str,
    names: &'a Names,
    models: &[Model],
    report: &mut Report,
) -> &'a [ModelIndex] {
    let found = names.resolve(name);
    if found.is_empty() && names.is_switched_off(name) {
        report.warn(origin, field, "only disabled providers serve this model: it is skipped");
    } else if found.is_empty() && !names.is_faulty(name) {
        let hint = did_you_mean(name, names.slugs());
        report.add_hint(origin, field, "no provider serves this model", hint);
    } else if !found.is_empty() && !found.iter().filter_map(|index| models.get(index.0)).any(|model| model.enabled) {
        report.warn(origin, field, "this model is disabled: it is skipped");
    }
    found
}

/// Reads `on`; the usual failures when it is left out.
pub(super) fn failures(written: Option<&[String]>, origin: &Origin, report: &mut Report) -> FallbackOn {
    let Some(written) = written else { return FallbackOn::default() };
    for (index, failure) in written.iter().enumerate() {
        if !FAILURES.contains(&failure.as_str()) {
            let all = || format!("known: {}", FAILURES.join(", "));
            let hint = did_you_mean(failure, FAILURES).unwrap_or_else(all);
            report.add_hint(origin, &format!("on[{index}]"), "unknown failure", Some(hint));
        }
    }
    let has = |name: &str| written.iter().any(|failure| failure == name);
    FallbackOn {
        connect: has("connect"),
        timeout: has("timeout"),
        request_timeout: has("408"),
        rate_limited: has("429"),
        server_error: has("5xx"),
        overloaded: has("overloaded"),
        auth: has("auth"),
        model_not_found: has("404_model"),
        context_length: has("context_length"),
        content_filter: has("content_filter"),
        conflict: has("409"),
    }
}

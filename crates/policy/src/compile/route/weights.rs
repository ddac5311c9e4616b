//! Weights: of targets, which are shares, and of the terms of a score.

use super::super::Report;
use crate::problem::Origin;
use crate::snapshot::route::{Policies, PolicySettings, Weights};
use crate::spec::literal::Literal;
use crate::spec::route::{PoliciesSpec, PolicySpec, WeightsSpec};

/// Decimals that the weight of a target may have.
const DECIMALS: usize = 4;

/// The weight of a target that says none.
pub(super) const ONE: u32 = 10_u32.pow(4);

/// The largest weight.
const MAX_WEIGHT: u64 = 10_000;

/// Reads the weight of a target, in steps of a ten thousandth; `None` for one that is none, which is reported.
pub(super) fn weight(written: &Literal, origin: &Origin, field: &str, report: &mut Report) -> Option<u32> {
    let text = written.0.trim();
    let steps = decimal(text);
    let message = match steps {
        Some(steps) if (1..=MAX_WEIGHT * 10_u64.pow(4)).contains(&steps) => return u32::try_from(steps).ok(),
        Some(0) => "0 gets nothing: leave the target out".to_owned(),
        _ if text.starts_with('-') => "negative: a weight is a share, such as 70 or 0.7".to_owned(),
        Some(_) => format!("too large: at most {MAX_WEIGHT}"),
        None => format!("not a weight: a number such as 70 or 0.7, with at most {DECIMALS} decimals"),
    };
    report.add(origin, field, message);
    None
}

/// Reads a plain decimal number, in ten thousandths.
fn decimal(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
    // More digits than a number has are too many in any case.
    Some(whole.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(10_000).saturating_add(fraction))
}

/// Reads what a policy weighs; `None` for what is none, which is reported.
pub(super) fn weights(spec: &WeightsSpec, origin: &Origin, path: &str, report: &mut Report) -> Option<Weights> {
    let mut read = |name: &str, written: &Option<Literal>| {
        let Some(Literal(text)) = written else { return Some(0.0) };
        let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        let good = value.filter(|value| (0.0..=1e6).contains(value));
        if good.is_none() {
            report.add(origin, &format!("{path}.{name}"), "not a weight: a number from 0 to 1000000");
        }
        good
    };
    let latency = read("latency", &spec.latency);
    let cost = read("cost", &spec.cost);
    let quality = read("quality", &spec.quality);
    let availability = read("availability", &spec.availability);
    let weights = Weights { latency: latency?, cost: cost?, quality: quality?, availability: availability? };
    if weights.latency + weights.cost + weights.quality + weights.availability <= 0.0 {
        let hint = "give at least one of latency, cost, quality and availability a weight".to_owned();
        report.add_hint(origin, path, "all weights are zero", Some(hint));
        return None;
    }
    Some(weights)
}

/// Reads a quality bar.
pub(super) fn quality_bar(bar: Option<u32>, origin: &Origin, field: &str, report: &mut Report) -> Option<u32> {
    if bar.is_some_and(|bar| bar > 100) {
        report.add(origin, field, "must be from 0 to 100");
    }
    bar.filter(|bar| (1..=100).contains(bar))
}

/// Compiles the settings of the policies. The bar of the environment is that of `cheapest`, unless it has its own.
pub(in crate::compile) fn compile_policies(
    spec: &PoliciesSpec,
    bar: Option<u32>,
    origin: &Origin,
    report: &mut Report,
) -> Policies {
    let common = quality_bar(bar, origin, "quality_bar", report);
    let mut one = |name: &str, spec: &PolicySpec, common: Option<u32>| {
        let path = format!("policies.{name}");
        let weights = spec.weights.as_ref().and_then(|spec| weights(spec, origin, &format!("{path}.weights"), report));
        let bar = quality_bar(spec.quality_bar, origin, &format!("{path}.quality_bar"), report);
        // Zero takes the common one away.
        PolicySettings { weights, quality_bar: if spec.quality_bar.is_some() { bar } else { common } }
    };
    [
        one("auto", &spec.auto, None),
        one("cheapest", &spec.cheapest, common),
        one("fastest", &spec.fastest, None),
        one("best", &spec.best, None),
    ]
}

//! The features of a plan: what requests of its keys may use.

use dialect::lane::asked::Asked;
use ir::failure::{Code, Failure, Fault};
use policy::snapshot::{CompiledKey, Snapshot};

/// Checks what a request uses against its key's plan. A plan that lists no features allows them all, and costs nothing.
///
/// # Errors
/// 403 `feature_disabled`, and 400 when the request cannot be understood whole.
pub(crate) fn check(snapshot: &Snapshot, key: &CompiledKey, request: &Asked) -> Result<(), Failure> {
    let Some(plan) = snapshot.plan_of(key).filter(|plan| !plan.features.is_empty()) else { return Ok(()) };
    let used = request.features()?;
    match used.iter().find(|need| !plan.features.contains(&need.capability)) {
        None => Ok(()),
        Some(need) => {
            let message = format!(
                "the plan of this API key does not include `{}`: it includes {}",
                need.capability,
                plan.features.join(", ")
            );
            Err(Failure::new(Code::FeatureDisabled, Fault::Caller, message).with_param(&*need.place))
        }
    }
}

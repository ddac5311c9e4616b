//! What somebody who is known asked for and may not do stands in the audit log, beside what was done.

use std::sync::Arc;

use control::actor::Actor;
use control::plane::audit::Act;
use serde_json::json;

use super::Admin;
use super::route::Route;
use super::throttle::RateClass;

/// Writes down that a route was denied. Somebody who is denied over and over again is written down as often as
/// [`RateClass::Denied`] allows: nobody fills the disk by asking for what they may not have.
pub(super) async fn note(admin: &Arc<Admin>, actor: Actor, route: &Route) {
    let (role, permission) = (actor.role.name(), route.permission.name());
    tracing::warn!(
        component = "admin",
        actor = %actor.name,
        role,
        permission,
        route = %route.id,
        requestId = %actor.request_id,
        "A role did not allow what was asked"
    );
    if admin.buckets.take(RateClass::Denied, &actor.name, admin.gateway.clock.now()).is_err() {
        return;
    }
    let plane = Arc::clone(&admin.plane);
    let (id, method) = (route.id.clone(), route.method.as_str().to_owned());
    let written = admin.blocking.run(move || {
        let after = json!({ "permission": permission, "method": method });
        plane.record(&actor, &Act { action: "denied", name: &id, after: Some(after), ..Act::default() })
    });
    // That it cannot be written does not let anybody in.
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(component = "audit", error = %error, "A denial could not be noted"),
        Err(problem) => tracing::error!(component = "audit", code = ?problem.code(), "A denial could not be noted"),
    }
}

//! How the installation is doing.

use axum::http::StatusCode;
use engine::state::Configuration;
use policy::clock::Monotonic;
use serde_json::{Value, json};
use store::records::read::RecordsReader;

use super::Admin;
use super::call::{Call, json as answer};
use super::principal::{Principal, SignedIn};
use super::resources::environments_of;
use super::route::Outcome;

/// Version, uptime, environments, providers, databases, journal.
pub(super) async fn get(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    let (control, records, environments) = call
        .blocking(move |admin| {
            let environments = environments_of(&admin.plane, &actor);
            let control = environments.is_ok();
            let records = RecordsReader::open(&admin.data_dir).is_ok();
            (control, records, environments.unwrap_or_default())
        })
        .await?;
    let admin = &call.admin;
    let journal = (admin.journal_healthy)();
    let state = admin.gateway.state();
    let live: Vec<Value> = state.environments.iter().map(|(name, live)| environment(name, live)).collect();
    let healthy = control && records && journal && !admin.gateway.is_draining();
    let status = json!({
        "status": if healthy { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": uptime_seconds(admin),
        "draining": admin.gateway.is_draining(),
        "environments": live,
        "problems": problems(&environments),
        "databases": {
            "control": word(control),
            "records": word(records),
        },
        "journal": word(journal),
        "requests_in_flight": admin.gateway.held.now().0,
    });
    answer(StatusCode::OK, &status)
}

/// The nodes of the installation: this one.
pub(super) async fn nodes(call: Call, _: SignedIn) -> Outcome {
    let admin = &call.admin;
    let node = json!({
        "id": admin.gateway.instance,
        "this": true,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": uptime_seconds(admin),
        "ready": (admin.journal_healthy)() && !admin.gateway.is_draining(),
    });
    answer(StatusCode::OK, &json!({ "data": [node], "next_cursor": null }))
}

/// The clock counts from the start of the process.
fn uptime_seconds(admin: &Admin) -> u64 {
    admin.gateway.clock.now().since(Monotonic::default()).as_secs()
}

fn word(healthy: bool) -> &'static str {
    if healthy { "ok" } else { "unavailable" }
}

fn environment(name: &str, live: &Configuration) -> Value {
    let snapshot = &live.snapshot;
    let providers: Vec<Value> = snapshot
        .providers
        .iter()
        .map(|provider| json!({ "name": &*provider.name, "kind": &*provider.vendor.kind, "last_error": null }))
        .collect();
    let enabled = snapshot.models.iter().filter(|model| model.enabled).count();
    json!({ "name": name, "providers": providers, "models_enabled": enabled })
}

/// Returns what the gateway says about environments that has faults: their status, by name.
fn problems(environments: &[control::resource::Resource]) -> Vec<Value> {
    let faulty = |status: &Value| status.get("problems").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let shown = |resource: &control::resource::Resource| {
        faulty(&resource.status)
            .then(|| json!({ "environment": resource.name, "problems": resource.status.get("problems") }))
    };
    environments.iter().filter_map(shown).collect()
}

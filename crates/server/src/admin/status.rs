//! How the installation is doing.

mod live;

use axum::http::StatusCode;
use control::access::Permission;
use control::actor::Actor;
use control::plane::Plane;
use control::resource::ListQuery;
use engine::state::{Configuration, DEFAULT_ENVIRONMENT};
use policy::clock::Monotonic;
use policy::problem::{Problem, Severity};
use policy::snapshot::{Provider, ProviderIndex};
use serde_json::{Value, json};
use store::records::read::RecordsReader;

use super::call::{Call, json as answer};
use super::principal::{Principal, SignedIn};
use super::route::Outcome;
use super::{Admin, connection};

/// Version, uptime, environments, providers, databases, journal.
pub(super) async fn get(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    let (control, records, problems) = call
        .blocking(move |admin| {
            // A page of keys is read from the database, all else from memory.
            let one = ListQuery { limit: Some(1), ..ListQuery::default() };
            let control = admin.plane.list(&actor, DEFAULT_ENVIRONMENT, "keys", &one).is_ok();
            let records = RecordsReader::open(&admin.data_dir).is_ok();
            (control, records, problems(&admin.plane, &actor))
        })
        .await?;
    let admin = &call.admin;
    let journal = (admin.journal_healthy)();
    let state = admin.gateway.state();
    let live: Vec<Value> = state.environments.iter().map(|(name, live)| environment(admin, name, live)).collect();
    let healthy = control && records && journal && !admin.gateway.is_draining();
    let status = json!({
        "status": if healthy { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": uptime_seconds(admin),
        "draining": admin.gateway.is_draining(),
        "environments": live,
        "problems": problems,
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

fn environment(admin: &Admin, name: &str, configuration: &Configuration) -> Value {
    let snapshot = &configuration.snapshot;
    let now = admin.gateway.clock.now();
    let shown = |(at, provider): (usize, &Provider)| {
        let mut shown = connection::of(&admin.gateway, name, &provider.name);
        shown["name"] = json!(&*provider.name);
        shown["kind"] = json!(&*provider.vendor.kind);
        shown["health"] = live::provider(configuration, ProviderIndex(at), now).into();
        shown
    };
    let providers: Vec<Value> = snapshot.providers.iter().enumerate().map(shown).collect();
    let enabled = snapshot.models.iter().filter(|model| model.enabled).count();
    json!({
        "name": name, "providers": providers, "models_enabled": enabled, "models": live::models(configuration, now),
    })
}

/// Returns what is wrong with what is stored, by environment. Who may not read the configuration sees how much it is.
fn problems(plane: &Plane, actor: &Actor) -> Vec<Value> {
    let detailed = actor.role.may(Permission::ReadConfiguration);
    let environments = plane.environments();
    let faulty = environments.iter().map(|name| (name, plane.problems(name))).filter(|(_, found)| !found.is_empty());
    let shown = |(name, found): (&String, Vec<Problem>)| {
        let listed: Vec<Value> = found
            .iter()
            .filter(|_| detailed)
            .map(|problem| {
                json!({
                    "source": &*problem.file, "line": problem.line, "path": problem.path,
                    "message": problem.message, "hint": problem.hint,
                    "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
                })
            })
            .collect();
        json!({ "environment": name, "count": found.len(), "problems": listed })
    };
    faulty.map(shown).collect()
}

//! What became of events that were sent to a webhook, or by email because of an alert: the log, once more, and a trial.

use std::sync::Arc;

use axum::http::StatusCode;
use control::kind::{ALERTS, WEBHOOKS};
use ir::civil::rfc3339;
use ir::id::EventId;
use policy::notify::{ALERT_TEST, Alert, WEBHOOK_TEST, Webhook};
use serde_json::{Value, json};
use settle::events::envelope;
use settle::events::post::Posted;
use store::StoreError;
use store::events::{Channel, Delivery, DeliveryQuery, Events, EventsReader, Lane, State};

use super::call::{Call, json as answer};
use super::principal::{Operator, Principal, SignedIn};
use super::problem::Problem;
use super::route::Outcome;

/// How many there are on a page when nothing is said.
const USUAL: usize = 50;

/// What the numbers of deliveries begin with.
const PREFIX: &str = "dlv_";

/// A page of the log of a webhook, newest first.
pub(super) async fn list(call: Call, who: SignedIn) -> Outcome {
    page(call, who, Channel::Webhook).await
}

/// A page of the emails of an alert, newest first.
pub(super) async fn list_emails(call: Call, who: SignedIn) -> Outcome {
    page(call, who, Channel::Email).await
}

async fn page(call: Call, who: SignedIn, channel: Channel) -> Outcome {
    let name = name_of(&call, &who, channel).await?;
    let state = call.query("status").map(|text| State::parse(text).ok_or_else(unknown_state)).transpose()?;
    let before = call.query("cursor").map(|text| text.parse().map_err(|_| bad_cursor())).transpose()?;
    let limit = call.number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL);
    let query = DeliveryQuery {
        environment: call.path("env").to_owned(),
        channel,
        name,
        state,
        kind: call.query("type").map(str::to_owned),
        before,
        limit: limit + 1,
    };
    let read = move |admin: &super::Admin| -> Result<Vec<Delivery>, StoreError> {
        EventsReader::open(&admin.data_dir)?.map_or_else(|| Ok(Vec::new()), |reader| reader.list(&query))
    };
    let mut found = call.blocking(read).await?.map_err(|error| Problem::store(&error))?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| last.seq.to_string());
    let data: Vec<Value> = found.iter().map(shown).collect();
    answer(StatusCode::OK, &json!({ "data": data, "next_cursor": next_cursor }))
}

/// Sends an event to a webhook once more.
pub(super) async fn redeliver(call: Call, who: Operator) -> Outcome {
    once_more(call, who, Channel::Webhook).await
}

/// Sends an email once more, to the address that it was for.
pub(super) async fn redeliver_email(call: Call, who: Operator) -> Outcome {
    once_more(call, who, Channel::Email).await
}

async fn once_more(mut call: Call, who: Operator, channel: Channel) -> Outcome {
    call.object()?.finish("the body is empty")?;
    let name = name_of(&call, &who, channel).await?;
    let id = call.path("id").to_owned();
    let none = || Problem::not_found(format!("`{}` has no such delivery", call.path("name")));
    let seq: u64 = id.strip_prefix(PREFIX).and_then(|seq| seq.parse().ok()).ok_or_else(none)?;
    let environment = call.path("env").to_owned();
    let lane = Lane { environment, channel, name, address: String::new() };
    let now_ms = call.admin.gateway.clock.unix_ms();
    let again = move |admin: &super::Admin| Events::open(&admin.data_dir)?.redeliver(&lane, seq, now_ms);
    let again = call.blocking(again).await?.map_err(|error: StoreError| Problem::store(&error))?;
    let again = again.ok_or_else(none)?;
    answer(StatusCode::ACCEPTED, &json!({ "id": format!("{PREFIX}{again}"), "status": State::Waiting.name() }))
}

/// Sends an event that says nothing, and says what came back. It is not in the log.
pub(super) async fn test(mut call: Call, who: Operator) -> Outcome {
    call.object()?.finish("the body is empty")?;
    let name = name_of(&call, &who, Channel::Webhook).await?;
    let hook = configured(&call, &name).ok_or_else(|| {
        Problem::new(super::problem::Code::Conflict, "the webhook is not in effect").hint("its status says why")
    })?;
    let clock = &call.admin.gateway.clock;
    let (now_ms, began) = (clock.unix_ms(), clock.now());
    let data = json!({ "environment": call.path("env"), "webhook": name });
    let Value::Object(data) = data else { return Err(Problem::internal("the event could not be written")) };
    let id = EventId::new(now_ms);
    let body = envelope(id, WEBHOOK_TEST, now_ms, &data);
    let answered = call.admin.events.poster.post(&hook, Posted { delivery: 0, kind: WEBHOOK_TEST, body: &body }).await;
    let latency_ms = clock.now().micros_since(began) / 1_000;
    let verdict = json!({
        "ok": answered.is_taken(),
        "event_id": id.to_string(),
        "latency_ms": latency_ms,
        "response_status": answered.status,
        "error": answered.error,
    });
    answer(StatusCode::OK, &verdict)
}

/// Sends an email that says nothing to each address of an alert, and says what came back. It is not in the log.
pub(super) async fn test_emails(mut call: Call, who: Operator) -> Outcome {
    call.object()?.finish("the body is empty")?;
    let name = name_of(&call, &who, Channel::Email).await?;
    let conflict = |message: &str, hint: &str| Problem::new(super::problem::Code::Conflict, message).hint(hint);
    let alert = configured_alert(&call, &name)
        .ok_or_else(|| conflict("the alert is not in effect", "its status says why, or it is switched off"))?;
    if alert.emails.is_empty() {
        return Err(conflict("the alert has no emails", "try its webhooks out: webhooks/NAME/test"));
    }
    let Some(mailer) = call.admin.events.mailer.get() else {
        return Err(conflict("no email can be sent", "write [smtp] into crossway.toml and start the gateway anew"));
    };
    let now_ms = call.admin.gateway.clock.unix_ms();
    let data = json!({ "environment": call.path("env"), "alert": name });
    let Value::Object(data) = data else { return Err(Problem::internal("the event could not be written")) };
    let id = EventId::new(now_ms);
    let body = envelope(id, ALERT_TEST, now_ms, &data);
    let mut verdicts = Vec::new();
    for address in &alert.emails {
        // Where the server is away it is so for everybody: nobody waits for it once for each address.
        let away = verdicts.last().is_some_and(|last: &Value| last["ok"] == false && last["response_status"].is_null());
        let sent = match away {
            true => Err((None, "not tried: the mail server is away".to_owned())),
            false => mailer.trial(address, &body, now_ms).await,
        };
        let (status, error) = sent.map_or_else(|(status, error)| (status, Some(error)), |()| (Some(250), None));
        let ok = error.is_none();
        verdicts.push(json!({ "address": &**address, "ok": ok, "response_status": status, "error": error }));
    }
    let ok = verdicts.iter().all(|verdict| verdict["ok"] == true);
    answer(StatusCode::OK, &json!({ "ok": ok, "event_id": id.to_string(), "emails": verdicts }))
}

fn configured_alert(call: &Call, name: &str) -> Option<Arc<Alert>> {
    let state = call.admin.gateway.state();
    let configuration = state.environment(call.path("env"))?;
    configuration.snapshot.alerts.iter().find(|alert| *alert.name == *name).cloned()
}

/// Returns the name of the webhook or the alert that is meant, which may be given by its id.
async fn name_of<P: Principal>(call: &Call, who: &P, channel: Channel) -> Result<String, Problem> {
    let kind = match channel {
        Channel::Webhook => WEBHOOKS,
        Channel::Email => ALERTS,
    };
    let (plane, actor) = (Arc::clone(&call.admin.plane), who.actor().clone());
    let (environment, name) = (call.path("env").to_owned(), call.path("name").to_owned());
    let found = call.admin.blocking.run(move || plane.get(&actor, &environment, kind, &name)).await??;
    Ok(found.name)
}

fn configured(call: &Call, name: &str) -> Option<Arc<Webhook>> {
    let state = call.admin.gateway.state();
    let configuration = state.environment(call.path("env"))?;
    configuration.snapshot.webhooks.iter().find(|hook| *hook.name == *name).cloned()
}

fn shown(delivery: &Delivery) -> Value {
    let at = |ms: Option<u64>| ms.map(rfc3339);
    json!({
        "id": format!("{PREFIX}{}", delivery.seq),
        "event_id": delivery.event_id,
        "type": delivery.kind,
        "address": Some(&delivery.lane.address).filter(|address| !address.is_empty()),
        "status": delivery.state.name(),
        "attempts": delivery.attempts,
        "created_at": rfc3339(delivery.created_ms),
        "last_attempt_at": at(delivery.last_ms),
        "next_attempt_at": at(delivery.due_ms),
        "latency_ms": delivery.took_ms,
        "response_status": delivery.status,
        "error": delivery.error,
        "event": serde_json::from_str::<Value>(&delivery.body).unwrap_or_default(),
    })
}

fn unknown_state() -> Problem {
    Problem::invalid("status", "one of waiting, delivered, dead")
}

fn bad_cursor() -> Problem {
    Problem::invalid("cursor", "the cursor is not one that a page returned")
}

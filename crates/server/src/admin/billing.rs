//! Billing: credits are posted, and the ledger, the balance and statements are read.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use ir::civil::rfc3339;
use ir::money::SignedNanos;
use serde_json::{Value, json};
use store::records::ledger::CreditKind;
use store::records::ledger::credit::{NewCredit, PostError, Posted};
use store::records::ledger::read::{Entry, EntryQuery};
use store::records::ledger::statement::{GroupBy, Line, Statement, StatementQuery};
use store::records::read::RecordsReader;
use store::records::zone::Zone;

use crate::credits::audit;

use super::call::{Call, json as reply};
use super::principal::{Principal, SignedIn};
use super::problem::{Code, Problem};
use super::requests::filter::instant;
use super::requests::{known, zone};
use super::route::Outcome;

/// Posts credits.
pub(super) async fn post(mut call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let actor = who.actor().clone();
    let new = new_credit(&mut call, &actor.name)?;
    let environment = new.environment.clone();
    let done = call.blocking(move |admin| {
        let posted = admin.credits.post(&new)?;
        if let Posted::Now { credit, balance } = &posted {
            if let Err(error) = audit(&admin.plane, &actor, credit, *balance) {
                // The transfer stands, and says itself who posted it.
                tracing::error!(component = "credits", error = %error, "Credits were posted and not audited");
            }
        }
        Ok::<_, PostError>(posted)
    });
    let (status, credit) = match done.await?.map_err(|error| refused(&error))? {
        Posted::Now { credit, .. } => (StatusCode::CREATED, credit),
        Posted::Before(credit) => (StatusCode::OK, credit),
    };
    let balance = call.blocking(move |admin| admin.credits.balance(&environment)).await?;
    let balance = balance.map_err(|error| Problem::store(&error))?;
    let entry = Entry::of(&credit);
    let shown = json!({ "entry": entry, "balance_usd": balance.credits().to_string(),
        "available_usd": balance.available.to_string() });
    reply(status, &shown)
}

/// Reads what is to be posted.
fn new_credit(call: &mut Call, actor: &str) -> Result<NewCredit, Problem> {
    let mut members = call.object()?;
    let amount = match members.take("amount") {
        Some(Value::String(text)) => text,
        Some(_) => {
            let hint = "a JSON number would be rounded by some readers";
            return Err(
                Problem::invalid("amount", "amount must be a string with a decimal, such as \"25.50\"").hint(hint)
            );
        }
        None => return Err(Problem::invalid("amount", "amount is missing")),
    };
    let kind = members.text("kind")?.unwrap_or_else(|| CreditKind::TopUp.name().to_owned());
    let reference = members.required_text("reference")?;
    let note = members.text("note")?.unwrap_or_default();
    members.finish("known: amount, kind, reference, note")?;
    let amount =
        SignedNanos::dollars(&amount).map_err(|error| Problem::invalid("amount", format!("amount is {error}")))?;
    let names = || CreditKind::NAMES.map(|(name, _)| name).join(", ");
    let kind =
        CreditKind::named(&kind).ok_or_else(|| Problem::invalid("kind", format!("kind must be one of {}", names())))?;
    let environment = call.path("env").to_owned();
    let credits = kind.signed(amount);
    let new = NewCredit { environment, kind, credits, reference, note, actor: actor.to_owned() };
    new.checked().map_err(|error| refused(&error))
}

fn refused(error: &PostError) -> Problem {
    match error {
        PostError::ReferenceTaken(_) => Problem::new(Code::Conflict, error.to_string())
            .hint("a reference names one transfer: give this one another"),
        PostError::BalanceTooLow(_) => Problem::invalid("amount", error.to_string()),
        PostError::BadAmount(says) => Problem::invalid("amount", *says),
        PostError::BadReference => Problem::invalid("reference", error.to_string()),
        PostError::BadNote => Problem::invalid("note", error.to_string()),
        PostError::Store(error) => Problem::store(error),
    }
}

/// How the account stands.
pub(super) async fn balance(call: Call, _: SignedIn) -> Outcome {
    known(&call)?;
    let environment = call.path("env").to_owned();
    let balance = call.blocking(move |admin| admin.credits.balance(&environment)).await?;
    let balance = balance.map_err(|error| Problem::store(&error))?;
    let gateway = &call.admin.gateway;
    let state = gateway.state();
    let billing =
        state.environment(call.path("env")).map(|found| found.snapshot.environment.billing).unwrap_or_default();
    let accounts: serde_json::Map<String, Value> = store::records::ledger::Account::ALL
        .into_iter()
        .map(|account| (account.name().to_owned(), SignedNanos(balance.accounts.of(account)).to_string().into()))
        .collect();
    reply(
        StatusCode::OK,
        &json!({
            "environment": call.path("env"),
            "currency": "USD",
            "enabled": billing.enabled,
            "status": billing.status.name(),
            "margin_percent": billing.margin.percent_text(),
            "balance_usd": balance.credits().to_string(),
            "held_usd": balance.held.to_string(),
            "available_usd": balance.available.to_string(),
            "accounts": accounts,
            "as_of": rfc3339(gateway.clock.unix_ms()),
        }),
    )
}

/// A page of the ledger, newest first.
pub(super) async fn ledger(call: Call, _: SignedIn) -> Outcome {
    known(&call)?;
    let instant = |name| call.query(name).map(|value| instant(name, value)).transpose();
    let query = EntryQuery {
        environment: call.path("env").to_owned(),
        kind: call.query("kind").map(str::to_owned),
        from_ms: instant("from")?,
        to_ms: instant("to")?,
        limit: call.number("limit").and_then(|limit| usize::try_from(limit).ok()),
        cursor: call.query("cursor").map(str::to_owned),
    };
    let page = call.blocking(move |admin| RecordsReader::open(&admin.data_dir)?.ledger_entries(&query)).await?;
    reply(StatusCode::OK, &page.map_err(|error| Problem::store(&error))?)
}

/// The statement of a month.
pub(super) async fn statement(call: Call, _: SignedIn) -> Outcome {
    known(&call)?;
    let zone = zone(&call)?;
    let now_ms = call.admin.gateway.clock.unix_ms();
    let (month, span) = month(&call, &zone, now_ms)?;
    let word = call.query("group_by").unwrap_or("account");
    let group_by = GroupBy::NAMES.into_iter().find(|(name, _)| *name == word);
    let (_, group_by) = group_by.ok_or_else(|| Problem::invalid("group_by", "unknown word"))?;
    let query = StatementQuery { environment: call.path("env").to_owned(), span, group_by };
    let found = call.blocking(move |admin| RecordsReader::open(&admin.data_dir)?.statement(&query)).await?;
    let found = found.map_err(|error| Problem::store(&error))?;
    if wants_csv(&call) {
        let mut response = Response::new(Body::from(found.csv()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
        let disposition = format!("attachment; filename=\"statement-{month}.csv\"");
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(CONTENT_DISPOSITION, disposition);
        }
        return Ok(response);
    }
    reply(StatusCode::OK, &shown(&call, &found, (&month, span), &zone, now_ms))
}

fn shown(call: &Call, found: &Statement, (month, span): (&str, (u64, u64)), zone: &Zone, now_ms: u64) -> Value {
    let credits = found
        .credits
        .iter()
        .map(|sum| json!({ "kind": sum.kind, "transfers": sum.transfers, "amount_usd": sum.credits.to_string() }));
    json!({
        "environment": call.path("env"),
        "currency": "USD",
        "month": month,
        "from": zone.rfc3339(span.0),
        "to": zone.rfc3339(span.1),
        "open": now_ms < span.1,
        "opening_balance_usd": found.opening.to_string(),
        "credits": credits.collect::<Vec<_>>(),
        "data": found.lines(),
        "total": Line::of(serde_json::Map::new(), &found.total),
        "closing_balance_usd": found.closing.to_string(),
        "as_of": rfc3339(now_ms),
    })
}

/// Reads which month is meant: that of now when nothing is said.
fn month(call: &Call, zone: &Zone, now_ms: u64) -> Result<(String, (u64, u64)), Problem> {
    let written = call.query("month").map_or_else(|| zone.month_of(now_ms), str::to_owned);
    match zone.month(&written) {
        Some(span) => Ok((written, span)),
        None => Err(Problem::invalid("month", "month must be written like 2026-11")),
    }
}

/// Whether CSV is asked for: by `format`, or else by `Accept`.
fn wants_csv(call: &Call) -> bool {
    match call.query("format") {
        Some(format) => format == "csv",
        None => {
            let accepted = call.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let first = accepted.split(',').next().unwrap_or_default();
            first.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv"))
        }
    }
}

//! What a draft of the configuration would change for the requests of late: `POST …/route/replay`. No model is called, and
//! nothing is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use control::plane::apply::{Document, Foreseen};
use engine::replay::{Past, Replay, Unknown, Way};
use engine::state::{Configuration, LiveKey};
use ir::failure::Failure;
use ir::money::NanoUsd;
use ir::usage::Usage;
use policy::snapshot::CompiledKey;
use serde_json::{Map, Value, json};
use store::records::filter::Filter;
use store::records::read::{ListQuery, MAX_LIMIT, RecordsReader};
use store::records::record::RequestRecord;

use super::Admin;
use super::call::{Call, json as reply};
use super::documents::documents;
use super::principal::{Operator, Principal};
use super::problem::{Problem, of_documents};
use super::requests::known;
use super::route::Outcome;

/// How many requests are replayed at most, and when nothing is said.
pub(super) const MOST: u64 = 1_000;
const USUAL: u64 = 200;

/// The most moves and refusals that are listed; the others are in the sums.
const MOST_LISTED: usize = 100;

/// Replays what was recorded.
pub(super) async fn replay(mut call: Call, who: Operator) -> Outcome {
    known(&call)?;
    let environment = call.path("env").to_owned();
    let mut members = call.object()?;
    let mut documents = documents(&mut members)?;
    let last = match members.take("last") {
        None | Some(Value::Null) => USUAL,
        Some(value) => value
            .as_u64()
            .filter(|last| (1..=MOST).contains(last))
            .ok_or_else(|| Problem::invalid("last", format!("last must be a whole number from 1 to {MOST}")))?,
    };
    members.finish("the body has `documents` and `last`")?;
    for (index, document) in documents.iter_mut().enumerate() {
        place(document, index, &environment)?;
    }
    let actor = who.actor().clone();
    let shown = call.blocking(move |admin| {
        let draft = admin.plane.draft(&actor, &environment, &documents).map_err(of_documents)?;
        let records = recorded(admin, &environment, usize::try_from(last).unwrap_or(MAX_LIMIT))?;
        let state = admin.gateway.state();
        let current = state.environment(&environment).ok_or_else(|| Problem::not_found("no such environment"))?;
        Ok::<_, Problem>(compared(admin, current, &draft, &records))
    });
    reply(StatusCode::OK, &shown.await??)
}

/// A document belongs to the environment of the path, and may leave that out.
fn place(document: &mut Document, index: usize, environment: &str) -> Result<(), Problem> {
    if document.kind != "environments" && document.environment.is_empty() {
        environment.clone_into(&mut document.environment);
    }
    let of = if document.kind == "environments" { document.name.as_deref() } else { Some(&*document.environment) };
    if of == Some(environment) {
        return Ok(());
    }
    Err(Problem::invalid(&format!("documents[{index}]"), "a draft is of the environment of the path alone"))
}

/// Reads the last requests that a target answered.
fn recorded(admin: &Admin, environment: &str, last: usize) -> Result<Vec<RequestRecord>, Problem> {
    let reader = RecordsReader::open(&admin.data_dir).map_err(|error| Problem::store(&error))?;
    let mut query = ListQuery {
        environment: environment.to_owned(),
        filter: Filter::default(),
        limit: Some(last.min(MAX_LIMIT)),
        cursor: None,
    };
    let mut found: Vec<RequestRecord> = Vec::new();
    loop {
        let page = reader.list(&query).map_err(|error| Problem::store(&error))?;
        found.extend(page.data.into_iter().filter(|record| record.provider.is_some()));
        query.cursor = page.next_cursor;
        if found.len() >= last || query.cursor.is_none() {
            found.truncate(last);
            return Ok(found);
        }
    }
}

/// The sums of one configuration.
#[derive(Default)]
struct Sums {
    served: u64,
    refused: u64,
    nanos: u64,
    unpriced: u64,
    seconds: (f64, u64),
    quality: (f64, u64),
}

impl Sums {
    fn add(&mut self, way: &Result<Way, Failure>) {
        let Ok(way) = way else {
            self.refused += 1;
            return;
        };
        self.served += 1;
        match way.cost {
            Some(cost) => self.nanos = self.nanos.saturating_add(cost.0),
            None => self.unpriced += 1,
        }
        if let Some(seconds) = way.seconds {
            self.seconds = (self.seconds.0 + seconds, self.seconds.1 + 1);
        }
        if let Some(quality) = way.quality {
            self.quality = (self.quality.0 + f64::from(quality), self.quality.1 + 1);
        }
    }

    fn shown(&self) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
        let mean = |(sum, count): (f64, u64)| (count > 0).then(|| (sum / count as f64 * 1000.0).round() / 1000.0);
        json!({
            "served": self.served, "refused": self.refused, "cost_usd": NanoUsd(self.nanos).to_string(),
            "unknown_cost": self.unpriced, "expected_seconds": mean(self.seconds), "quality": mean(self.quality),
        })
    }
}

/// Where from, where to, and why.
type Move = (Option<(String, String)>, Option<(String, String)>, String);

#[derive(Default)]
struct Moved {
    requests: u64,
    before: u64,
    after: u64,
}

/// Plans every request twice and sums up what differs.
fn compared(admin: &Admin, current: &Configuration, draft: &Foreseen, records: &[RequestRecord]) -> Value {
    let (gateway, state) = (&admin.gateway, admin.gateway.state());
    let replay = Replay::new(gateway, current, &draft.snapshot);
    let anonymous = CompiledKey {
        name: "anonymous".into(),
        environment: Arc::clone(&current.snapshot.environment.name),
        ..CompiledKey::default()
    };
    let (mut before, mut after, mut gone, mut recorded_nanos) = (Sums::default(), Sums::default(), 0_u64, 0_u64);
    let (mut moves, mut moved): (BTreeMap<Move, Moved>, u64) = (BTreeMap::new(), 0);
    let (mut unknown, mut uncertain): (BTreeMap<(&str, Unknown), u64>, u64) = (BTreeMap::new(), 0);
    for (turn, record) in (0_u64..).zip(records) {
        let key: Option<&CompiledKey> = match record.key.id {
            None => Some(&anonymous),
            Some(id) => state.keys.by_id(id).map(|key: &Arc<LiveKey>| &key.compiled),
        };
        let Some(key) = key else {
            gone += 1;
            continue;
        };
        recorded_nanos = recorded_nanos.saturating_add(record.cost_usd.map_or(0, |cost| cost.0));
        let changed = draft.keys.iter().find(|draft| draft.id.is_some() && draft.id == key.id);
        let ((now, of_now), (then, of_then)) = replay.of(&past(record, (key, changed.unwrap_or(key)), turn));
        uncertain += u64::from(!(of_now.is_empty() && of_then.is_empty()));
        let both = [("current", of_now), ("draft", of_then)];
        for (side, one) in both.into_iter().flat_map(|(side, all)| all.into_iter().map(move |one| (side, one))) {
            *unknown.entry((side, one)).or_default() += 1;
        }
        before.add(&now);
        after.add(&then);
        let place =
            |way: &Result<Way, Failure>| way.as_ref().ok().map(|way| (way.model.to_string(), way.provider.to_string()));
        if place(&now) == place(&then) {
            continue;
        }
        moved += 1;
        let reason = then.as_ref().map_or_else(|failure| failure.message.to_string(), |way| way.reason.clone());
        let cost = |way: &Result<Way, Failure>| way.as_ref().ok().and_then(|way| way.cost).map_or(0, |cost| cost.0);
        let entry = moves.entry((place(&now), place(&then), reason)).or_default();
        entry.requests += 1;
        entry.before = entry.before.saturating_add(cost(&now));
        entry.after = entry.after.saturating_add(cost(&then));
    }
    let mut moves: Vec<(Move, Moved)> = moves.into_iter().collect();
    moves.sort_by_key(|(_, moved)| std::cmp::Reverse(moved.requests));
    json!({
        "requests": before.served + before.refused,
        "key_gone": gone,
        "newest": records.first().map(|record| &record.created_at),
        "oldest": records.last().map(|record| &record.created_at),
        "recorded_cost_usd": NanoUsd(recorded_nanos).to_string(),
        "current": before.shown(),
        "draft": after.shown(),
        "moved": moved,
        "uncertain": uncertain,
        "unknown": unknown.iter().map(|((side, one), requests)| json!({
            "configuration": side, "route": one.route.as_deref(), "rule": one.rule, "fact": one.fact, "requests": requests,
        })).collect::<Vec<_>>(),
        "moves": moves.iter().take(MOST_LISTED).map(|(way, moved)| shown(way, moved)).collect::<Vec<_>>(),
    })
}

fn shown((from, to, reason): &Move, moved: &Moved) -> Value {
    let target = |place: &Option<(String, String)>| {
        place.as_ref().map(|(model, provider)| {
            Map::from_iter([("model".to_owned(), json!(model)), ("provider".to_owned(), json!(provider))])
        })
    };
    json!({
        "from": target(from), "to": target(to), "reason": reason, "requests": moved.requests,
        "cost_usd": NanoUsd(moved.before).to_string(), "draft_cost_usd": NanoUsd(moved.after).to_string(),
    })
}

/// Returns what a record says of its request.
fn past<'a>(record: &'a RequestRecord, (key, draft_key): (&'a CompiledKey, &'a CompiledKey), turn: u64) -> Past<'a> {
    let used = &record.usage;
    let cached = used.cached_input_tokens.saturating_add(used.cache_write_tokens);
    let usage = Usage {
        input: used.input_tokens.saturating_sub(cached).saturating_sub(used.audio_input_tokens),
        cached_input: used.cached_input_tokens,
        cache_write: used.cache_write_tokens,
        output: used.output_tokens.saturating_sub(used.reasoning_tokens).saturating_sub(used.audio_output_tokens),
        reasoning: used.reasoning_tokens,
        audio_input: used.audio_input_tokens,
        audio_output: used.audio_output_tokens,
        ..Usage::default()
    };
    // That a provider was named stands with the first try.
    let first = record.attempts.first().filter(|first| first.reason.starts_with("requested provider"));
    Past {
        id: record.id,
        key,
        draft_key,
        model: &record.requested_model,
        provider: first.map(|first| &*first.provider),
        surface: &record.surface,
        turn,
        stream: record.stream,
        usage,
    }
}

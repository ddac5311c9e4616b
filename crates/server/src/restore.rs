//! What limits have left after a restart: their counters are told what the request log says.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::gateway::Gateway;
use engine::limits;
use ir::settlement::Outcome;
use policy::limit::Amounts;
use policy::limit::restore;
use settle::stop::StopSignal;
use store::StoreError;
use store::records::beside::Beside;
use store::records::read::RecordsReader;
use store::records::usage::used::Used;

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many counters there are.
    pub counters: usize,
    /// How long it took.
    pub took: Duration,
}

/// Tells the counters of every limit what was used before this process began. It is done once, when the configuration is
/// in effect, the journal is recovered into the records, and nothing was asked yet.
///
/// # Errors
/// When the records cannot be read: then nobody knows what is left of a budget, and requests that limits bind are refused
/// until it is done again and succeeds.
pub fn restore_limits(gateway: &Gateway, data_dir: &Path) -> Result<Restored, StoreError> {
    gateway.limits_unknown.store(true, Ordering::Release);
    let restored = restore(gateway, data_dir);
    match &restored {
        Ok(_) => gateway.limits_unknown.store(false, Ordering::Release),
        // What was counted so far would be counted twice.
        Err(_) => gateway.book.clear(),
    }
    restored
}

/// Does so, and when the records cannot be read, again every few seconds in a thread of its own, until it is done or the
/// signal is given.
///
/// # Errors
/// When the thread cannot be started.
pub fn keep_restoring(
    gateway: &Arc<Gateway>,
    data_dir: &Path,
    stop: &Arc<StopSignal>,
) -> io::Result<Option<JoinHandle<()>>> {
    let Err(error) = restore_limits(gateway, data_dir) else { return Ok(None) };
    tell(&error);
    let (gateway, data_dir, stop) = (Arc::clone(gateway), data_dir.to_owned(), Arc::clone(stop));
    let again = move || {
        stop.listen();
        while !stop.is_stopped() {
            thread::park_timeout(AGAIN);
            if stop.is_stopped() {
                return;
            }
            match restore_limits(&gateway, &data_dir) {
                Ok(_) => return,
                Err(error) => tell(&error),
            }
        }
    };
    thread::Builder::new().name("limits".to_owned()).spawn(again).map(Some)
}

fn tell(error: &StoreError) {
    tracing::error!(
        component = "limits",
        error = %error,
        "What limits have left is not known: requests that limits bind are refused (503) until the request log can be read"
    );
}

fn restore(gateway: &Gateway, data_dir: &Path) -> Result<Restored, StoreError> {
    let (state, now, began) = (gateway.state(), limits::now(&gateway.clock), gateway.clock.now());
    let mut reader = None;
    for (name, configuration) in state.environments.iter() {
        let snapshot = &configuration.snapshot;
        let keys = state.keys.all().map(|live| &live.compiled).filter(|key| key.environment == *name);
        for wanted in restore::wanted(snapshot, keys, now) {
            let reader = match &mut reader {
                Some(reader) => reader,
                none => none.insert(RecordsReader::open(data_dir)?),
            };
            for used in reader.used(name, &wanted.cuts)? {
                wanted.feed(&told(&used), snapshot, &gateway.book, now);
            }
            let from_ms = wanted.cuts.first().map_or(now.unix_ms, |(from, _)| *from);
            reader.beside(name, from_ms, |beside| {
                wanted.feed_beside(&told_beside(beside), snapshot, &gateway.book, now);
            })?;
        }
    }
    let restored = Restored { counters: gateway.book.len(), took: gateway.clock.now().since(began) };
    if restored.counters > 0 {
        let ms = u64::try_from(restored.took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            component = "limits",
            counters = restored.counters,
            ms,
            "Counters restored from the request log"
        );
    }
    Ok(restored)
}

/// Returns what a counter counts of it: a request counts unless it was refused before a target was asked.
fn told(used: &Used) -> restore::Used<'_> {
    let counts = ![Outcome::Refused, Outcome::Revoked].map(Outcome::name).contains(&&*used.outcome);
    restore::Used {
        cut: used.piece,
        key: used.key,
        team: used.team.as_deref(),
        provider: used.provider.as_deref(),
        model: used.model.as_deref(),
        requests: if counts || used.provider.is_some() { used.requests } else { 0 },
        amounts: Amounts {
            input_tokens: used.input_tokens,
            output_tokens: used.output_tokens,
            nanos: used.cost_nanos,
            charge: 0,
        },
    }
}

/// Returns what a counter counts beside the sums: what was held, less what they hold.
fn told_beside(beside: &Beside) -> restore::Beside<'_> {
    let used = restore::Used {
        cut: 0,
        key: beside.key,
        team: beside.team.as_deref(),
        provider: beside.provider.as_deref(),
        model: beside.model.as_deref(),
        requests: u64::from(beside.counts),
        amounts: Amounts {
            input_tokens: beside.input_tokens,
            output_tokens: beside.output_tokens,
            nanos: beside.cost_nanos,
            charge: 0,
        },
    };
    let held = beside.held.unwrap_or_default();
    let more = Amounts {
        input_tokens: 0,
        output_tokens: held.output_tokens.saturating_sub(beside.output_tokens),
        nanos: held.nanos.saturating_sub(beside.cost_nanos),
        charge: 0,
    };
    restore::Beside { used, at_ms: beside.at_ms, more, tries: &beside.tries, parties: &beside.parties }
}

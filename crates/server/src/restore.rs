//! What limits have left after a restart: their counters are told what the request log says.

use std::path::Path;
use std::time::Duration;

use engine::gateway::Gateway;
use engine::limits;
use ir::settlement::Outcome;
use policy::limit::Amounts;
use policy::limit::restore;
use store::StoreError;
use store::records::read::RecordsReader;
use store::records::usage::used::Used;

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
/// When the records cannot be read: then nobody knows what is left of a budget.
pub fn restore_limits(gateway: &Gateway, data_dir: &Path) -> Result<Restored, StoreError> {
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

//! What the records need beside being written: rollups are folded and old records deleted, in small pieces between two
//! drains, by the one thread that writes. A request never waits for it.

use std::collections::HashMap;
use std::time::Duration;

use policy::clock::Clock;
use store::StoreError;
use store::records::Records;
use store::records::retention::Sweep;

/// How long it may keep the drainer from its work at once.
const TURN: Duration = Duration::from_millis(20);

/// How long after the end of a pass through the old records the next one begins, in milliseconds.
const REST_MS: u64 = 3_600_000;

/// How long records are kept when nobody says otherwise, those of deleted environments among them: 13 months of 31 days.
pub const RECORDS_KEPT: Duration = Duration::from_secs(13 * 31 * 86_400);

/// How long an environment keeps its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The environment.
    pub environment: String,
    /// How long.
    pub records: Duration,
}

/// What tells how long records are kept. It is asked again for every pass, so that a change takes effect.
pub type Policy = Box<dyn Fn() -> Vec<Kept> + Send>;

/// Keeps the records in order.
pub struct Housekeeping {
    policy: Policy,
    passes: HashMap<String, Pass>,
    /// Environments that the policy does not know and that have records still, and when to look for others.
    gone: Vec<Kept>,
    look_from_ms: u64,
}

/// Where a pass is.
struct Pass {
    sweep: Sweep,
    /// Not before this instant, Unix milliseconds.
    from_ms: u64,
}

impl Housekeeping {
    /// Returns one that deletes what a policy does not keep.
    pub fn new(policy: Policy) -> Self {
        Self { policy, passes: HashMap::new(), gone: Vec::new(), look_from_ms: 0 }
    }

    /// Works for a short time. Returns how many records it deleted.
    ///
    /// # Errors
    /// When the records fail: the next turn tries again.
    pub fn turn(&mut self, records: &mut Records, clock: &Clock) -> Result<usize, StoreError> {
        let started = clock.now();
        let now_ms = clock.unix_ms();
        while clock.now().since(started) < TURN && records.fold(now_ms)? {}
        let mut deleted = 0;
        let known = (self.policy)();
        if now_ms >= self.look_from_ms {
            self.gone = deleted_environments(records.environments()?, &known);
            self.look_from_ms = now_ms.saturating_add(REST_MS);
        }
        for Kept { environment, records: kept } in known.into_iter().chain(self.gone.clone()) {
            let before_ms = now_ms.saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
            let pass = self.passes.entry(environment.clone()).or_insert(Pass { sweep: Sweep::default(), from_ms: 0 });
            while now_ms >= pass.from_ms && clock.now().since(started) < TURN {
                match records.sweep(&environment, before_ms, &mut pass.sweep)? {
                    Some(some) => deleted += some,
                    None => *pass = Pass { sweep: Sweep::default(), from_ms: now_ms.saturating_add(REST_MS) },
                }
            }
        }
        Ok(deleted)
    }
}

/// Returns those whose records are there and which nobody configures any more.
fn deleted_environments(recorded: Vec<String>, known: &[Kept]) -> Vec<Kept> {
    let gone = recorded.into_iter().filter(|name| !known.iter().any(|kept| kept.environment == *name));
    gone.map(|environment| Kept { environment, records: RECORDS_KEPT }).collect()
}

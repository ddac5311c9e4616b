//! What a request in flight holds of limits and budgets.
//!
//! It is taken at the gate (the request itself), extended when the attempts are planned (tokens and money of the
//! dearest), and given back or settled exactly once, by the settlement. What is held is counted whether limits bind or
//! not; what limits bind holds of their counters besides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ir::money::NanoUsd;
use policy::limit::{self, Amounts};

/// The sum of what all requests in flight hold.
#[derive(Debug, Default)]
pub struct Held {
    requests: AtomicU64,
    tokens: AtomicU64,
    nanos: AtomicU64,
}

impl Held {
    /// Returns the requests, tokens and nano-dollars that are held now. All are zero when nothing is in flight.
    pub fn now(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.requests), load(&self.tokens), load(&self.nanos))
    }

    /// Returns how many requests are in flight.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// What one request holds. Dropping it gives everything back.
#[derive(Debug)]
pub struct Reservation {
    held: Arc<Held>,
    tokens: u64,
    nanos: u64,
    /// How many of the tokens are output.
    pub output_tokens: u64,
    /// What it holds of counters.
    pub limits: limit::reservation::Reservation,
}

impl Reservation {
    /// Takes the request itself.
    pub fn take(held: &Arc<Held>) -> Self {
        held.requests.fetch_add(1, Ordering::Relaxed);
        Self {
            held: Arc::clone(held),
            tokens: 0,
            nanos: 0,
            output_tokens: 0,
            limits: limit::reservation::Reservation::default(),
        }
    }

    /// Ends it: what was used takes the place of what was held, or, with nothing used, it is as if the request had never
    /// been.
    pub fn end(mut self, used: Option<&Amounts>) {
        if let Some(used) = used {
            std::mem::take(&mut self.limits).settle(used);
        }
    }

    /// Returns the nano-dollars that are held.
    pub fn nanos(&self) -> u64 {
        self.nanos
    }

    /// Returns what is held, as the journal wants it.
    pub fn held(&self) -> ir::settlement::Held {
        ir::settlement::Held { output_tokens: self.output_tokens, nanos: self.nanos }
    }

    /// Holds so much more.
    pub fn add(&mut self, tokens: u64, cost: NanoUsd) {
        self.extend(self.tokens.saturating_add(tokens), NanoUsd(self.nanos.saturating_add(cost.0)));
    }

    /// Raises what is held to these bounds; it never lowers it.
    pub fn extend(&mut self, tokens: u64, cost: NanoUsd) {
        let (more_tokens, more_nanos) = (tokens.saturating_sub(self.tokens), cost.0.saturating_sub(self.nanos));
        self.held.tokens.fetch_add(more_tokens, Ordering::Relaxed);
        self.held.nanos.fetch_add(more_nanos, Ordering::Relaxed);
        self.tokens += more_tokens;
        self.nanos += more_nanos;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.held.requests.fetch_sub(1, Ordering::Relaxed);
        self.held.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
        self.held.nanos.fetch_sub(self.nanos, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_was_taken_is_given_back(steps in proptest::collection::vec((0u64..1_000, 0u64..1_000), 0..20)) {
            let held = Arc::new(Held::default());
            let mut open = Vec::new();
            for (tokens, nanos) in steps {
                let mut reservation = Reservation::take(&held);
                reservation.extend(tokens, NanoUsd(nanos));
                reservation.extend(tokens / 2, NanoUsd(nanos * 2));
                open.push((reservation, tokens, nanos * 2));
                let sum = open.iter().fold((0, 0, 0), |s, (_, t, n)| (s.0 + 1, s.1 + t, s.2 + n));
                proptest::prop_assert_eq!(held.now(), sum);
                if tokens % 3 == 0 {
                    open.pop();
                }
            }
            drop(open);
            proptest::prop_assert_eq!(held.now(), (0, 0, 0));
        }
    }
}

//! The one primitive behind rate limits, quotas, budgets and plans: a meter, a window, an amount.
//!
//! A [`counter::Counter`] knows what has been used within its window. A [`reservation::Reservation`] takes a bound from
//! every counter that binds, all of them or none, before anything is sent; what was really used replaces the bound when
//! the request is over. Between the two, nobody else can have what is held: that is why a cap holds under concurrency.

pub mod bind;
pub mod book;
pub mod counter;
pub mod credits;
pub mod period;
pub mod reservation;
pub mod restore;
mod ring;
pub mod rule;
pub mod zone;

use std::time::Duration;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meter {
    /// Requests that were admitted.
    Requests,
    /// Tokens, input and output together.
    Tokens,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// US dollars, in nano-dollars.
    Usd,
    /// Credits of the environment's account, in nano-dollars: cost and margin.
    Credits,
    /// Requests in flight.
    Concurrency,
}

impl Meter {
    /// Returns whether the length of an answer counts.
    pub fn minds_output(self) -> bool {
        matches!(self, Self::Tokens | Self::OutputTokens | Self::Usd | Self::Credits)
    }

    /// Returns whether it is money, so that what has no price cannot be counted.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Usd | Self::Credits)
    }
}

/// Over which time it is counted.
#[derive(Clone, Debug)]
pub enum Window {
    /// The last so much time, at every instant.
    Rolling(Duration),
    /// A period of the calendar, such as a day or a month in some time zone.
    Calendar(period::Calendar),
    /// For ever: it is used up once.
    Total,
}

/// An instant on both clocks: rolling windows follow the monotonic one, which does not jump, periods of the calendar the
/// wall's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of the monotonic clock.
    pub monotonic_ms: u64,
    /// Unix milliseconds.
    pub unix_ms: u64,
}

/// How much of each meter a request takes: a bound before, what it really was after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Nano-dollars.
    pub nanos: u64,
    /// What is charged for them, in nano-dollars, where usage is charged.
    pub charge: u64,
}

impl Amounts {
    /// Returns how much of a meter this is, for one request.
    pub fn of(&self, meter: Meter) -> u64 {
        match meter {
            Meter::Requests | Meter::Concurrency => 1,
            Meter::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Meter::InputTokens => self.input_tokens,
            Meter::OutputTokens => self.output_tokens,
            Meter::Usd => self.nanos,
            Meter::Credits => self.charge,
        }
    }
}

//! How a caller stands: the rate-limit headers of every response.
//!
//! Three families of names, because clients of three kinds read them: `X-RateLimit-*` with Unix seconds, `RateLimit-*`
//! with the seconds to go, and OpenAI's `x-ratelimit-remaining-*`.

use http::header::Entry;
use http::{HeaderMap, HeaderName};
use policy::limit::reservation::Bound;
use policy::limit::{Meter, Now};

use crate::printable::number;

const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const REMAINING_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");

/// What is left of the limits that bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of the limit on requests with the least share left.
    requests: Option<Share>,
    /// The fewest tokens left of any limit.
    tokens: Option<u64>,
    unix_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    amount: u64,
    left: u64,
    /// Until one more is free; `None` when time does not free any.
    resets_ms: Option<u64>,
}

impl Share {
    /// Whether less of it is left, in proportion.
    fn is_less_than(&self, other: &Self) -> bool {
        let scaled = |left: u64, amount: u64| u128::from(left) * u128::from(amount.max(1));
        scaled(self.left, other.amount) < scaled(other.left, self.amount)
    }
}

impl Standing {
    /// Reads the limits; `None` when none is of requests or tokens.
    pub fn read<'a>(bounds: impl Iterator<Item = &'a Bound>, now: Now) -> Option<Self> {
        let (mut requests, mut tokens): (Option<Share>, Option<u64>) = (None, None);
        for Bound { counter, amount, .. } in bounds {
            let meter = counter.meter();
            if meter.is_money() || meter == Meter::Concurrency {
                continue;
            }
            if meter == Meter::Requests {
                let reading = counter.read(now);
                let left = amount.saturating_sub(reading.used);
                let resets_ms = match (*amount, reading.used) {
                    // Where nothing is allowed, time frees nothing.
                    (0, _) => None,
                    // What is unused has nothing to wait for.
                    (_, 0) => Some(0),
                    _ => reading.resets_ms,
                };
                let share = Share { amount: *amount, left, resets_ms };
                if requests.is_none_or(|least| share.is_less_than(&least)) {
                    requests = Some(share);
                }
            } else {
                let left = amount.saturating_sub(counter.used(now));
                tokens = Some(tokens.map_or(left, |least| least.min(left)));
            }
        }
        (requests.is_some() || tokens.is_some()).then_some(Self { requests, tokens, unix_ms: now.unix_ms })
    }

    /// Writes the headers. Where a provider has said of its own limits that less is left, that stays.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Some(Share { amount, left, resets_ms }) = self.requests {
            let (all, rest) = (number(amount), number(left));
            headers.insert(X_LIMIT, all.clone());
            headers.insert(LIMIT, all);
            headers.insert(X_REMAINING, rest.clone());
            headers.insert(REMAINING, rest);
            if let Some(resets_ms) = resets_ms {
                // Rounded up: who comes back then finds that it is so.
                let at_ms = self.unix_ms.saturating_add(resets_ms);
                headers.insert(X_RESET, number(at_ms.div_ceil(1_000)));
                headers.insert(RESET, number(resets_ms.div_ceil(1_000)));
            }
            lower(headers, REMAINING_REQUESTS, left);
        }
        if let Some(left) = self.tokens {
            lower(headers, REMAINING_TOKENS, left);
        }
    }
}

/// Sets a header, unless it says less already.
fn lower(headers: &mut HeaderMap, name: HeaderName, left: u64) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(number(left));
        }
        Entry::Occupied(mut place) => {
            let said = place.get().to_str().ok().and_then(|said| said.trim().parse::<u64>().ok());
            if said.is_none_or(|said| left < said) {
                place.insert(number(left));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http::HeaderValue;
    use policy::limit::counter::Counter;
    use policy::limit::reservation::{Binding, Reservation};
    use policy::limit::{Amounts, Window};

    use super::*;

    const NOW: Now = Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_400 };

    fn bound(meter: Meter, window: &Window, amount: u64, used: u64) -> Bound {
        let bound = Bound { counter: Arc::new(Counter::new(meter, window)), amount, limit: Arc::default() };
        bound.counter.restore(used, 0, NOW);
        bound
    }

    fn rolling(seconds: u64, amount: u64, used: u64) -> Bound {
        bound(Meter::Requests, &Window::Rolling(Duration::from_secs(seconds)), amount, used)
    }

    fn check(bounds: &[Bound], said: &[(&'static str, &'static str)], expect: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        if let Some(standing) = Standing::read(bounds.iter(), NOW) {
            standing.write(&mut headers);
        }
        let mut found: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        found.sort_unstable();
        assert_eq!(found, expect);
    }

    #[test]
    fn the_least_share_is_told() {
        // 5 of 10 is less than 90 of 100, though 61 s are longer than a second. The slot leaves 64/63 of a window later.
        let bounds = [rolling(1, 100, 10), rolling(63, 10, 5), bound(Meter::Usd, &Window::Total, 1, 1)];
        let expect = [
            ("ratelimit-limit", "10"),
            ("ratelimit-remaining", "5"),
            ("ratelimit-reset", "64"),
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "5"),
            ("x-ratelimit-remaining-requests", "5"),
            ("x-ratelimit-reset", "1795000065"),
        ];
        check(&bounds, &[], &expect);
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        check(&[], &[], &[]);
        check(&[bound(Meter::Usd, &Window::Total, 1, 0), bound(Meter::Concurrency, &Window::Total, 1, 0)], &[], &[]);
    }

    #[test]
    fn the_smaller_of_the_provider_s_and_ours() {
        let tokens = [bound(Meter::Tokens, &Window::Total, 100, 40), bound(Meter::InputTokens, &Window::Total, 90, 50)];
        let name = "x-ratelimit-remaining-tokens";
        check(&tokens, &[], &[(name, "40")]);
        check(&tokens, &[(name, "39")], &[(name, "39")]);
        check(&tokens, &[(name, "41")], &[(name, "40")]);
        check(&tokens, &[(name, "many")], &[(name, "40")]);
    }

    #[test]
    fn what_never_resets_says_no_time() {
        let total = [bound(Meter::Requests, &Window::Total, 0, 0), bound(Meter::Requests, &Window::Total, 3, 3)];
        let expect = [
            ("ratelimit-limit", "3"),
            ("ratelimit-remaining", "0"),
            ("x-ratelimit-limit", "3"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-remaining-requests", "0"),
        ];
        check(&total[1..], &[], &expect);
        let nothing = ["ratelimit-limit", "ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-remaining"];
        let more = "x-ratelimit-remaining-requests";
        let zero: Vec<_> = nothing.into_iter().chain([more]).map(|name| (name, "0")).collect();
        check(&[rolling(60, 0, 0)], &[], &zero);
        let taken = Reservation::take(&Binding::new(total[..1].to_vec()), &Amounts::default(), NOW);
        assert!(taken.is_err());
    }
}

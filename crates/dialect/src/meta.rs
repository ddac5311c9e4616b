//! The meta block: one extra object in every successful inference reply (`crossway` by default).

use ir::id::RequestId;
use ir::money::{NanoUsd, push_digits};

/// What is known as soon as a target has answered.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The request.
    pub request_id: RequestId,
    /// The model that answers.
    pub routed_to: &'a str,
    /// The provider that answers.
    pub provider: &'a str,
    /// The policy that chose it; `None` when the caller pinned the model.
    pub policy: Option<&'a str>,
    /// The model that savings are measured against.
    pub baseline: Option<&'a str>,
}

/// What is known at the end.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// From the arrival of the request, in microseconds.
    pub latency_us: u64,
    /// What it cost; `None` when a price is unknown.
    pub cost: Option<NanoUsd>,
    /// What it would have cost on the baseline model.
    pub baseline_cost: Option<NanoUsd>,
    /// How many targets were tried.
    pub attempts: usize,
    /// `hit`, `miss` or `bypass`.
    pub cache: &'static str,
}

/// Returns how much was saved against the baseline, in tenths of a percent, signed; `None` without both costs or with
/// a baseline that is free.
pub fn saved_permille(cost: Option<NanoUsd>, baseline: Option<NanoUsd>) -> Option<i64> {
    let (cost, baseline) = (i128::from(cost?.0), i128::from(baseline?.0));
    if baseline == 0 {
        return None;
    }
    let scaled = (baseline - cost) * 2_000;
    // Half away from zero, so that a saving and the same loss print alike.
    let rounded = (scaled + if scaled < 0 { -baseline } else { baseline }) / (2 * baseline);
    i64::try_from(rounded).ok()
}

/// Appends the block, from `"key":{` to `}`, in front of whatever the caller puts around it.
pub fn render(out: &mut Vec<u8>, key: &str, route: &Route<'_>, account: Option<&Account>) {
    string(out, key);
    out.extend_from_slice(b":{\"routed_to\":");
    string(out, route.routed_to);
    out.extend_from_slice(b",\"provider\":");
    string(out, route.provider);
    out.extend_from_slice(b",\"policy\":");
    optional(out, route.policy);
    out.extend_from_slice(b",\"baseline\":");
    optional(out, route.baseline);
    if let Some(account) = account {
        out.extend_from_slice(b",\"latency_ms\":");
        push_digits(out, (account.latency_us + 500) / 1_000);
        out.extend_from_slice(b",\"cost\":");
        amount(out, account.cost);
        out.extend_from_slice(b",\"baseline_cost\":");
        amount(out, account.baseline_cost);
        out.extend_from_slice(b",\"saved_pct\":");
        match saved_permille(account.cost, account.baseline_cost) {
            Some(permille) => {
                if permille < 0 {
                    out.push(b'-');
                }
                push_digits(out, permille.unsigned_abs() / 10);
                out.push(b'.');
                push_digits(out, permille.unsigned_abs() % 10);
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"attempts\":");
        push_digits(out, account.attempts as u64);
        out.extend_from_slice(b",\"cache\":\"");
        out.extend_from_slice(account.cache.as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b",\"request_id\":\"");
    out.extend_from_slice(&route.request_id.text());
    out.extend_from_slice(b"\"}");
}

fn amount(out: &mut Vec<u8>, amount: Option<NanoUsd>) {
    match amount {
        Some(amount) => amount.write(out),
        None => out.extend_from_slice(b"null"),
    }
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a JSON string.
fn string(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Serialising a string into a vector cannot fail.
        let _ = serde_json::to_writer(&mut *out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(cost: u64, baseline: u64) -> Option<i64> {
        saved_permille(Some(NanoUsd(cost)), Some(NanoUsd(baseline)))
    }

    #[test]
    fn savings_are_signed_and_rounded() {
        assert_eq!(saved(76, 1_000), Some(924));
        assert_eq!(saved(1_000, 1_000), Some(0));
        assert_eq!(saved(3_000, 1_000), Some(-2_000));
        assert_eq!(saved(1, 3), Some(667));
        assert_eq!(saved(5, 3), Some(-667));
        assert_eq!(saved(1, 0), None);
        assert_eq!(saved_permille(None, Some(NanoUsd(1))), None);
    }

    #[test]
    fn renders_valid_json() {
        let route = Route {
            request_id: RequestId([1; 16]),
            routed_to: "a\"b\n",
            provider: "p",
            policy: None,
            baseline: Some("big"),
        };
        let account = Account {
            latency_us: 412_499,
            cost: Some(NanoUsd(122_500)),
            baseline_cost: None,
            attempts: 2,
            cache: "bypass",
        };
        let mut out = b"{".to_vec();
        render(&mut out, "crossway", &route, Some(&account));
        out.push(b'}');
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let meta = &value["crossway"];
        assert_eq!(meta["routed_to"], "a\"b\n");
        assert_eq!(meta["latency_ms"], 412);
        assert_eq!(meta["cost"].to_string(), "0.0001225");
        assert!(meta["saved_pct"].is_null() && meta["policy"].is_null());
        assert_eq!(meta["attempts"], 2);
        assert_eq!(meta["request_id"], "req_01010101010101010101010101010101");
    }
}

//! How providers are doing, as the admin API says it: a word, and what last went wrong.

use engine::gateway::Gateway;
use ir::civil::rfc3339;
use serde_json::{Value, json};

/// Returns how a provider has done since the process started: `state` is `unused`, `connected`, `failing` or
/// `credential_refused`.
pub(super) fn of(gateway: &Gateway, environment: &str, provider: &str) -> Value {
    let standing = gateway.metrics.standing(environment, provider);
    let last_error = standing
        .last_error
        .as_ref()
        .map(|error| json!({ "at": rfc3339(error.at_ms), "message": error.message, "status": error.status }));
    json!({
        "state": standing.word(),
        "last_answer_at": standing.last_answer_ms.map(rfc3339),
        "last_error": last_error,
    })
}

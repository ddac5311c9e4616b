//! Whose use a counter counts, in words.

use ir::settlement::PartyKind;
use policy::limit::book::{CounterId, Who};
use policy::limit::rule::Scope;
use serde_json::{Value, json};

use crate::admin::limits::scope_of;

/// Returns whose use a counter counts. Users, addresses and buckets have the name that the limit or a request has said
/// since the process began, and always the digest that records know them by.
pub(crate) fn of(id: &CounterId, scope: &Scope, key: Option<&str>, name: Option<&str>) -> Value {
    match &id.who {
        Who::Key(id) => {
            let name = key.unwrap_or("anonymous");
            json!({ "kind": "key", "id": id.map(|id| id.to_string()), "name": name })
        }
        Who::Team(team) => json!({ "kind": "team", "name": &**team }),
        Who::Party(party) => {
            let name = scope_of(scope).1.or(name);
            json!({ "kind": kind(party.kind), "name": name, "digest": party.hex() })
        }
        Who::Crowd(of, _) => json!({ "kind": kind(*of), "name": null }),
        Who::Environment => json!({ "kind": "environment", "name": &*id.environment }),
    }
}

/// Returns what somebody is, as scopes are written.
pub(crate) fn kind(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::User => "user",
        PartyKind::Address => "ip",
        PartyKind::Bucket => "bucket",
    }
}

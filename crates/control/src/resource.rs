//! A resource as the admin API shows it, and what a caller says about one.

use std::collections::BTreeMap;

use ir::civil::rfc3339;
use ir::id::ResourceId;
use policy::secret::Secret;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The members of a spec, as written. Secrets are absent from what is read.
pub type Spec = Map<String, Value>;

/// One resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resource {
    /// Its identity, which no other resource ever has.
    #[serde(serialize_with = "as_text")]
    pub id: ResourceId,
    /// The plural name of its kind, such as `providers`.
    pub kind: &'static str,
    /// The environment it belongs to; its own name for an environment.
    pub environment: String,
    /// Its name, unique among the resources of its kind and environment.
    pub name: String,
    /// Counts its changes, from 1. `ETag` is this number in quotes.
    pub version: u64,
    /// Who may change it.
    pub managed_by: ManagedBy,
    /// When it was created, RFC 3339 in UTC.
    #[serde(serialize_with = "as_instant", rename = "created_at")]
    pub created_at_ms: u64,
    /// When it was changed last, RFC 3339 in UTC.
    #[serde(serialize_with = "as_instant", rename = "updated_at")]
    pub updated_at_ms: u64,
    /// What people wrote.
    pub spec: Spec,
    /// What the gateway says about it: an object whose members depend on the kind.
    pub status: Value,
}

/// Who may change a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagedBy {
    /// The admin API and the command line.
    Api,
    /// The configuration file, or environment variables: change it there.
    File,
}

/// What a caller says about a resource that is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Its name; some kinds take it from the spec when it is absent (a model's slug, a fallback's model).
    pub name: Option<String>,
    /// What it says.
    pub spec: Spec,
}

/// A resource that was just made, or made anew, and its secret, which nobody will see again.
#[derive(Clone, Debug)]
pub struct Created {
    /// The resource.
    pub resource: Resource,
    /// The secret, for kinds that have one.
    pub secret: Option<Secret>,
}

/// Which version a change is meant for (`If-Match`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whichever there is.
    Any,
    /// This one and no other.
    Version(u64),
}

/// Which resources to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// How many, 1 to 200; 50 when absent.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Conditions by name, such as `team` or `status`; which ones there are depends on the kind.
    pub filters: BTreeMap<String, String>,
}

/// One page of a list, in the order of their creation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// Where the next page begins; `None` when this is the last.
    pub next_cursor: Option<String>,
}

fn as_text<S: Serializer>(id: &ResourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_instant<S: Serializer>(unix_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*unix_ms))
}

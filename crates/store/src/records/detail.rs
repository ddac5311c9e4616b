//! What is only read about one request at a time, and never searched: one column, which costs less than a column
//! each. Its first byte is the version of its form; the rest is postcard, whose fields have no names: a field is
//! only ever added together with a new version. The vocabulary of the rest of the product may change without it.

use ir::settlement::{AttemptRecord, Settlement};
use serde::de::Error as _;
use serde::{Deserialize, Serialize, Serializer};

const VERSION: u8 = 1;

/// What the detail of any request that the journal took fits into, in bytes; others are written all the same.
const BUFFER_BYTES: usize = 8_192;

/// The stored detail, with its attempts in a form that can be written or read.
#[derive(Serialize, Deserialize)]
pub(super) struct Detail<'a, A> {
    version: u8,
    /// Absent when it is the name of the model that answered.
    pub(super) requested_model: Option<&'a str>,
    pub(super) error_detail: Option<&'a str>,
    pub(super) finish_reason: Option<&'a str>,
    pub(super) upstream_id: Option<&'a str>,
    pub(super) attempts: A,
}

/// One stored try.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAttempt<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) reason: &'a str,
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'a str>,
    pub(super) duration_us: u64,
}

/// Returns the detail of a request in the reused buffer.
pub(super) fn write<'a>(buffer: &'a mut Vec<u8>, settlement: &Settlement) -> Result<&'a [u8], postcard::Error> {
    let requested = &*settlement.subject.requested_model;
    let detail = Detail {
        version: VERSION,
        requested_model: Some(requested).filter(|name| Some(*name) != settlement.model.as_deref()),
        error_detail: settlement.error_detail.as_deref(),
        finish_reason: settlement.finish_reason.as_deref(),
        upstream_id: settlement.upstream_id.as_deref(),
        attempts: List(&settlement.attempts),
    };
    buffer.resize(BUFFER_BYTES, 0);
    let length = match postcard::to_slice(&detail, buffer) {
        Ok(written) => written.len(),
        Err(_) => {
            *buffer = postcard::to_stdvec(&detail)?;
            buffer.len()
        }
    };
    Ok(buffer.get(..length).unwrap_or_default())
}

/// Reads what [`write()`] wrote.
pub(super) fn read(bytes: &[u8]) -> Result<Detail<'_, Vec<StoredAttempt<'_>>>, serde_json::Error> {
    if bytes.first() != Some(&VERSION) {
        return Err(serde_json::Error::custom("its detail has an unknown version"));
    }
    postcard::from_bytes(bytes).map_err(serde_json::Error::custom)
}

struct List<'a>(&'a [AttemptRecord]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|attempt| StoredAttempt {
            provider: &attempt.provider,
            model: &attempt.model,
            reason: &attempt.reason,
            status: attempt.status,
            error: attempt.error.as_deref(),
            duration_us: attempt.duration_us,
        }))
    }
}

//! The tries of a request as they are stored: a JSON list in one column. The names of its fields are part of the file's
//! format; the vocabulary that the rest of the product uses may change without it.

use std::borrow::Cow;

use ir::settlement::AttemptRecord;
use serde::{Deserialize, Serialize, Serializer};

/// One stored try.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAttempt<'a> {
    pub(super) provider: Cow<'a, str>,
    pub(super) model: Cow<'a, str>,
    pub(super) reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) duration_us: u64,
}

/// Returns the tries as JSON in the reused buffer; an empty list when they cannot be written, which does not happen.
pub(super) fn write<'a>(buffer: &'a mut Vec<u8>, attempts: &[AttemptRecord]) -> &'a str {
    if attempts.is_empty() {
        return "[]";
    }
    buffer.clear();
    let written = serde_json::to_writer(&mut *buffer, &List(attempts));
    debug_assert!(written.is_ok(), "attempts are plain values");
    std::str::from_utf8(buffer).ok().filter(|_| written.is_ok()).unwrap_or("[]")
}

/// Reads what [`write`] wrote.
pub(super) fn read(text: &str) -> Result<Vec<StoredAttempt<'_>>, serde_json::Error> {
    serde_json::from_str(text)
}

struct List<'a>(&'a [AttemptRecord]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|attempt| StoredAttempt {
            provider: Cow::Borrowed(&attempt.provider),
            model: Cow::Borrowed(&attempt.model),
            reason: Cow::Borrowed(&attempt.reason),
            status: attempt.status,
            error: attempt.error.as_deref().map(Cow::Borrowed),
            duration_us: attempt.duration_us,
        }))
    }
}

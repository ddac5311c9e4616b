//! What is only read about one request at a time, and never searched: one column, which costs less than a column
//! each. Its first byte is the version of its form; the rest is postcard, whose fields have no names: a field is
//! only ever added together with a new version. The vocabulary of the rest of the product may change without it.

use ir::settlement::Settlement;
use serde::Deserialize;
use serde::de::Error as _;

const VERSION: u8 = 1;

/// The stored detail behind its version, with its attempts.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Detail<'a, A> {
    /// Absent when it is the name of the model that answered.
    pub(super) requested_model: Option<&'a str>,
    pub(super) error_detail: Option<&'a str>,
    pub(super) finish_reason: Option<&'a str>,
    pub(super) upstream_id: Option<&'a str>,
    pub(super) attempts: A,
}

/// One stored try.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct StoredAttempt<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) reason: &'a str,
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'a str>,
    pub(super) duration_us: u64,
}

/// Writes the detail of a request in the place of what a buffer holds: field by field, which every request pays for, and
/// costs half of what a serializer takes.
pub(super) fn write(out: &mut Vec<u8>, settlement: &Settlement) {
    let requested = &*settlement.subject.requested_model;
    out.clear();
    out.push(VERSION);
    optional(out, Some(requested).filter(|name| Some(*name) != settlement.model.as_deref()));
    optional(out, settlement.error_detail.as_deref());
    optional(out, settlement.finish_reason.as_deref());
    optional(out, settlement.upstream_id.as_deref());
    number(out, settlement.attempts.len() as u64);
    for attempt in &settlement.attempts {
        text(out, &attempt.provider);
        text(out, &attempt.model);
        text(out, &attempt.reason);
        out.push(attempt.status.is_some().into());
        if let Some(status) = attempt.status {
            number(out, status.into());
        }
        optional(out, attempt.error.as_deref());
        number(out, attempt.duration_us);
    }
}

/// Reads what [`write()`] wrote.
pub(super) fn read(bytes: &[u8]) -> Result<Detail<'_, Vec<StoredAttempt<'_>>>, serde_json::Error> {
    let [VERSION, fields @ ..] = bytes else {
        return Err(serde_json::Error::custom("its detail has an unknown version"));
    };
    postcard::from_bytes(fields).map_err(serde_json::Error::custom)
}

fn optional(out: &mut Vec<u8>, value: Option<&str>) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        text(out, value);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Seven bits a byte, the lowest first; the highest bit says that there is more.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use ir::settlement::AttemptRecord;

    use super::*;
    use crate::tests::requests::settlement;

    fn postcard_of(given: &Settlement) -> Vec<u8> {
        let attempt = |one: &AttemptRecord| {
            let stored = StoredAttempt {
                provider: &one.provider,
                model: &one.model,
                reason: &one.reason,
                status: one.status,
                error: one.error.as_deref(),
                duration_us: one.duration_us,
            };
            postcard::to_stdvec(&stored).unwrap()
        };
        let requested =
            (given.model.as_ref() != Some(&given.subject.requested_model)).then_some(&*given.subject.requested_model);
        let detail = Detail {
            requested_model: requested,
            error_detail: given.error_detail.as_deref(),
            finish_reason: given.finish_reason.as_deref(),
            upstream_id: given.upstream_id.as_deref(),
            attempts: (),
        };
        let attempts = postcard::to_stdvec(&given.attempts.len()).unwrap();
        let each = given.attempts.iter().flat_map(attempt);
        let detail = postcard::to_stdvec(&detail).unwrap();
        std::iter::once(VERSION).chain(detail).chain(attempts).chain(each).collect()
    }

    #[test]
    fn it_is_postcard() {
        let plain = settlement(1, "a");
        let mut failed = plain.clone();
        failed.subject.requested_model = "auto".into();
        failed.model = None;
        failed.error_detail = Some("the provider said no: ".repeat(20));
        (failed.finish_reason, failed.upstream_id) = (None, Some(String::new()));
        let mut try_ = plain.attempts[0].clone();
        (try_.status, try_.error, try_.duration_us) = (None, Some("connect: refused".into()), u64::MAX);
        failed.attempts = vec![try_; 130];
        let mut buffer = b"what was there before".to_vec();
        for given in [&plain, &failed, &Settlement { attempts: Vec::new(), ..plain.clone() }] {
            write(&mut buffer, given);
            assert_eq!(buffer, postcard_of(given));
            let detail = read(&buffer).unwrap();
            assert_eq!(detail.attempts.len(), given.attempts.len());
            assert_eq!(detail.error_detail, given.error_detail.as_deref());
        }
    }
}

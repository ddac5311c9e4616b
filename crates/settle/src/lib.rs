//! What happened, kept: the journal that a request's intent and settlement are appended to, the drainer that commits
//! settlements to the records, and the recovery that settles what a dead process left behind.
//!
//! The journal is files and knows no SQL; the records are a database that may be away. Between the two stands a watermark
//! per segment, committed in the same transaction as the settlements it covers, so that delivering them again doubles
//! nothing. Prices and limits are not this crate's business.

pub mod audit;
pub mod drain;
pub mod housekeeping;
pub mod journal;
pub mod payloads;
pub mod recover;
pub mod stop;
pub mod tail;

#[cfg(test)]
mod tests;

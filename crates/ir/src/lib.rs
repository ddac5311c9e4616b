//! The canonical vocabulary of the gateway: conversations, identifiers, money, usage, failures and settlements.
//!
//! Everything here is a plain value. Nothing knows HTTP, SQL, an async runtime or the system clock, and nothing here
//! is stored as it stands except through the journal's versioned entries.

pub mod chat;
pub mod civil;
pub mod dialect;
pub mod failure;
pub mod guard;
pub mod id;
pub mod json;
pub mod money;
pub mod plain;
pub mod report;
pub mod settlement;
pub mod surface;
pub mod usage;

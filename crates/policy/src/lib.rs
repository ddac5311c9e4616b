//! What people configure, and what it compiles to.
//!
//! `spec` is what they write, `load` reads it, `compile` checks it whole and yields a [`snapshot::Snapshot`] or every
//! problem at once. Nothing here does IO beyond reading the named configuration files.

pub mod clock;
pub mod compile;
pub mod condition;
pub mod guard;
pub mod limit;
pub mod load;
pub mod notify;
pub mod problem;
pub mod schedule;
pub mod secret;
pub mod snapshot;
pub mod spec;

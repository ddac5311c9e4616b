//! The corridor: a request walks from arrival to settlement through typed rooms.
//!
//! Read [`pipeline`] first: its calls are the request's whole life. Each stage is one file in `stage/`; it takes what
//! the stage before it made and returns the next, or a refusal. The engine issues no SQL and waits on no lock that an
//! administrative request can hold.

pub mod body;
pub mod capture;
pub mod count;
pub mod explain;
pub mod failed_logins;
pub mod gateway;
pub mod idempotency;
pub mod limits;
pub mod metrics;
pub mod models;
pub mod native;
pub mod pipeline;
mod printable;
pub mod proofs;
pub mod refusal;
pub mod replay;
pub mod reservation;
mod sightings;
pub mod stage;
pub mod state;
pub mod ticket;
pub mod worker;

//! The HTTP edge: listeners, routes, and errors in each surface's shape.
//!
//! The data plane runs on `net::h1::serve`, one thread per core; the admin listener runs on axum beside it. Nothing of
//! the admin side can be reached through the data listener.

pub mod admin;
mod client;
pub mod credits;
pub mod data;
pub mod events;
pub mod idempotency;
pub mod io;
pub mod listen;
pub mod native;
pub mod publish;
pub mod restore;
pub mod surface;
pub mod totals;

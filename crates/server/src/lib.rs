//! The HTTP edge: listeners, routes, and errors in each surface's shape.
//!
//! The data plane runs on hyper directly, one thread per core; the admin listener runs on axum beside it. Nothing of
//! the admin side can be reached through the data listener.

pub mod admin;
pub mod credits;
pub mod data;
pub mod io;
pub mod listen;
pub mod publish;
pub mod restore;
pub mod surface;
pub mod totals;

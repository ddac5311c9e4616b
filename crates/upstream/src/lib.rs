//! One try of one target: the request's head, the connection, the answer's head, and what it means when that fails.

pub mod attempt;
pub mod classify;
mod credentials;
pub mod failure;
pub mod fetch;
pub mod models;
mod path;
pub mod target;

//! The control plane: what people configure, as resources with five verbs, whoever asks (admin API, command line, file).
//!
//! Every change takes one path: the prospective set is checked and compiled whole, then it is committed together with
//! its audit entry, then it is published to the data plane. What would break traffic is refused before the commit.

pub mod access;
pub mod actor;
mod document;
mod files;
mod keys;
pub mod kind;
pub mod oidc;
pub mod people;
pub mod plane;
pub mod publish;
pub mod refusal;
pub mod resource;
mod set;

#[cfg(test)]
mod tests;

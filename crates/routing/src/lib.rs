//! Where a request goes: a pure function from what it asks for and what is configured to an ordered list of targets,
//! with the reason for each and for each that was left out.

pub mod goal;
pub mod hedge;
pub mod plan;
pub mod quality;
pub mod rank;
pub mod signal;

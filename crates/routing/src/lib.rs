//! Where a request goes: a pure function from what it asks for and what is configured to an ordered list of targets,
//! with the reason for each and for each that was left out; and what targets are known to be like at the moment.

pub mod affinity;
pub mod exclusion;
pub mod goal;
pub mod hedge;
pub mod plan;
pub mod quality;
pub mod rank;
pub mod rights;
pub mod signal;

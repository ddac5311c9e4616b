//! The little HTTP/1.1 that the mock and the load generator need, written to cost as little as possible: both share
//! one CPU, and what they use the gateway's neighbour does not get.
pub mod http1;
pub mod json;
pub mod stats;

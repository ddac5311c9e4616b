//! A messages request.

pub mod decode;
pub mod encode;

//! A buffered reply.

pub mod decode;
pub mod encode;

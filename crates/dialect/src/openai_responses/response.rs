//! A buffered reply.

pub mod decode;

//! A streamed reply.

pub mod decode;

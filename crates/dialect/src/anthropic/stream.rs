//! A streamed reply.

pub mod decode;
pub mod encode;

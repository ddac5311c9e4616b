//! Streamed answers (`alt=sse`).

pub mod decode;
pub mod encode;

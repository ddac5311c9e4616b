//! Streamed answers (`alt=sse`).

pub mod decode;

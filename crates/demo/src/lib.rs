//! The demo provider: it answers like an OpenAI-compatible server, and says that it is none.
//!
//! It lives in the process, behind the same client and the same dialect as every other provider, so that what works
//! with it works with them. It is deterministic: the same request gives the same answer. It does no inference.

pub mod connector;
mod example;
mod reply;

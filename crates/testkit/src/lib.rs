//! A small language for tests of the whole gateway, in one process and without a network.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::gateway::Gateway;
//! use testkit::script::Script;
//!
//! let mut gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
//! let reply = gateway.chat(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#).await;
//! assert_eq!(reply.status, 200);
//! let record = gateway.one().await; // drains the journal, checks what must hold after every scenario
//! assert_eq!(record.outcome, "succeeded");
//! # }
//! ```
//!
//! Everything that runs in production runs here: hyper, the corridor, the journal, the databases. Only the edges are
//! replaced: connections are in-memory pipes, providers follow a [`script`], the clock is moved by hand, timers
//! go by tokio's paused time, the disk fails when it is told to. It is no mock of anything inside the gateway.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod assembly;
pub mod caller;
pub mod client;
pub mod data;
pub mod dialects;
pub mod directory;
pub mod gateway;
pub mod heard;
pub mod outcomes;
pub mod people;
pub mod pieces;
pub mod pipe;
pub mod provider;
pub mod script;
pub mod simulation;

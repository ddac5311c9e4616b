//! Guards on requests, replies and streams, with the rules that configurations compile to.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anthropic;
mod canonical;
mod case;
mod lane;
mod openai_chat;
mod property;
mod requests;
mod rules;
mod scopes;

//! Recorded traffic through the dialects: what real providers sent and what real clients asked.
//!
//! The recordings stand beside the checkout, in `../shared/corpus`, and are not part of the project. Where they are
//! missing the tests say so and pass, but in CI they fail.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it counted"
)]

mod anthropic;
mod believed;
mod cohere;
mod costs;
mod exceptions;
mod exchanges;
mod gemini;
mod guard;
mod laws;
mod ollama;
mod openai_chat;
mod openai_responses;
mod parallel;
mod parallel_gemini;
mod parallel_responses;
mod parallel_small;
mod splice;

//! Cohere v2 chat: <https://docs.cohere.com/reference/chat>.
//!
//! What is peculiar to it: documents stand beside the conversation; what the model thinks before it calls tools is a
//! `tool_plan`; citations point into the answer by characters; sampling has narrow ranges; and what is billed is not
//! what the model read.

pub mod error;
pub mod request;
pub mod response;
pub mod stream;
mod wire;

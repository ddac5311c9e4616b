//! Whole answers, and what they have in common with streamed ones.

pub mod decode;
pub mod encode;

pub(super) mod citations;
pub(super) mod finish;
pub(super) mod logprobs;
pub(super) mod usage;

//! What Cohere answers as it comes: server-sent events from `message-start` to `message-end`.

pub mod decode;

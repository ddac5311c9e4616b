//! What is asked of Cohere: the body of `POST /v2/chat`.

pub mod decode;
pub mod encode;

//! What is asked of Ollama: the body of `POST /api/chat`.

pub mod decode;
pub mod encode;

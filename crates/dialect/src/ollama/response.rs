//! What Ollama answers at once.

pub mod decode;

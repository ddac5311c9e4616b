//! What Ollama answers as it comes: one JSON object per line, the last with `"done": true`.

pub mod decode;

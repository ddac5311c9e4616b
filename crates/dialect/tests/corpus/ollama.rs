//! Recorded traffic of the dialect `ollama`.

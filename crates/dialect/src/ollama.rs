//! Ollama chat: <https://docs.ollama.com/api/chat>.

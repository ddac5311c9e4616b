//! Cohere v2 chat: <https://docs.cohere.com/reference/chat>.

"""One reader per dialect: from a recorded reply, whole or streamed, to what it says."""

from __future__ import annotations

from ..reading import Reading, values
from . import anthropic, cohere, gemini, ollama, openai_chat, openai_responses

READERS = {
    "openai_chat": openai_chat.read,
    "openai_responses": openai_responses.read,
    "anthropic": anthropic.read,
    "gemini": gemini.read,
    "cohere": cohere.read,
    "ollama": ollama.read,
}

DIALECTS = {
    "chat.completions": "openai_chat",
    "v1.chat.completions": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic",
    "anthropic.rawPredict": "anthropic",
    "anthropic.streamRawPredict": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "v2.chat": "cohere",
    "api.chat": "ollama",
}

# The kind of provider that speaks it, and what its base URL ends in.
KINDS = {
    "openai_chat": ("openai-compatible", "/v1"),
    "openai_responses": ("openai-responses", "/v1"),
    "anthropic": ("anthropic", "/v1"),
    "gemini": ("gemini", "/v1beta"),
    "cohere": ("cohere", "/v2"),
    "ollama": ("ollama", ""),
}


def read(dialect: str, body: bytes) -> Reading:
    """What a reply says."""
    return READERS[dialect](values(body))

//! Recorded traffic of the dialect `openai_responses`.

//! Recorded traffic of the dialect `gemini`.

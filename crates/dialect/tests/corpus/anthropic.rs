//! Recorded traffic of the dialect `anthropic`.

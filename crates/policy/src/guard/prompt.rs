//! The system prompt that every request gets, after the caller's own.

use std::sync::Arc;

/// What stands between two prompts.
pub const SEPARATOR: &str = "\n\n";

/// Joins prompts, in their order; `None` when there is none.
pub fn join<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Arc<str>> {
    let joined = texts.into_iter().collect::<Vec<_>>().join(SEPARATOR);
    (!joined.is_empty()).then(|| Arc::from(joined))
}

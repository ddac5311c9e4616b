//! Merging small tables.

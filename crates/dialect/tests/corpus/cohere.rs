//! Recorded traffic of the dialect `cohere`.

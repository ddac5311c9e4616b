//! Where events come from.

use store::StoreError;
use store::events::{Batch, Events};

use super::Audiences;

/// Says what happened since it was asked last.
pub trait Source: Send {
    /// Adds what happened to a batch, for those who want it. It is asked several times a second, also while nobody wants
    /// anything, and then adds nothing.
    ///
    /// # Errors
    /// When it cannot be read: then it is asked again.
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError>;

    /// Hears that what it added was written down. What it added and does not hear of it says again.
    fn written(&mut self) {}
}

/// What a source is asked with.
pub struct Asked<'a> {
    /// Who wants to be told; never anybody who wants nothing.
    pub audiences: &'a Audiences,
    /// What is known from before; `None` as long as nobody ever wanted anything.
    pub spool: Option<&'a Events>,
    /// The time, Unix milliseconds.
    pub now_ms: u64,
    /// What is written down.
    pub batch: Batch,
}

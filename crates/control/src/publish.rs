//! How changes reach the data plane. The gateway implements it; tests write down what they are told.

use ir::id::ResourceId;
use policy::snapshot::{CompiledKey, Snapshot};

/// One change of what requests see.
#[derive(Debug)]
pub enum Change {
    /// A new or replaced environment, by the name in its snapshot.
    Environment(Box<Snapshot>),
    /// An environment is gone.
    EnvironmentGone(String),
    /// A new or replaced key with the keyed hashes of its live secrets, and until when (Unix milliseconds) each is good.
    Key {
        /// The key.
        key: Box<CompiledKey>,
        /// Its secrets.
        secrets: Vec<([u8; 32], Option<u64>)>,
    },
    /// A key was deleted.
    KeyGone(ResourceId),
}

/// Takes changes and puts them into effect at once and together.
pub trait Publish: Send + Sync {
    /// Puts changes into effect before it returns.
    fn publish(&self, changes: Vec<Change>);
}

//! How changes of the configuration reach the data plane: the control plane's changes become the engine's.

use std::sync::Arc;

use control::publish::{Change, Publish};
use engine::gateway::Gateway;
use engine::state::{self, Configuration};

/// Puts changes into effect in a gateway.
pub struct Publisher {
    gateway: Arc<Gateway>,
    user_agent: Box<str>,
}

impl Publisher {
    /// Returns a publisher. `user_agent` names the product and its version to providers.
    pub fn new(gateway: Arc<Gateway>, user_agent: &str) -> Self {
        Self { gateway, user_agent: user_agent.into() }
    }
}

impl Publish for Publisher {
    fn publish(&self, changes: Vec<Change>) {
        let change = |change| match change {
            Change::Environment(snapshot) => {
                state::Change::Environment(Arc::new(Configuration::new(*snapshot, &self.user_agent)))
            }
            Change::EnvironmentGone(name) => state::Change::EnvironmentGone(name.into()),
            Change::Key { key, secrets } => state::Change::Key { key: *key, secrets },
            Change::KeyGone(id) => state::Change::KeyGone(id),
        };
        self.gateway.update(changes.into_iter().map(change).collect());
    }
}

//! The control plane's one door: five verbs over every kind, and the few acts that are more than a verb.
//!
//! What is stored about environments is also kept here, compiled and ready to be looked at; keys are not, because there
//! may be a hundred thousand of them. Reading never waits for a writer's database. Writers wait for each other.

pub mod apply;
pub mod audit;
mod edit;
mod key_verbs;
mod management;
pub mod open;
mod owned;
pub mod provider;
mod read;
mod refresh;
mod restrain;
mod verbs;
pub mod webhooks;
mod write;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ir::id::ResourceId;
use policy::clock::Clock;
use policy::problem::Problem;
use store::resources::{ResourceReader, ResourceStore};

use crate::files::Files;
use crate::publish::{Change, Publish};
use crate::set::{Environment, Tools};

/// The control plane. Its calls block on the database: they run on a thread that may.
pub struct Plane {
    tools: Tools,
    clock: Clock,
    publish: Arc<dyn Publish>,
    pub(crate) key_totals: Option<Box<KeyTotals>>,
    /// Whoever changes anything holds it from the first look to the publication.
    writer: Mutex<Box<dyn ResourceStore>>,
    /// Reads keys and the audit log.
    reader: Mutex<Box<dyn ResourceReader + Send>>,
    state: RwLock<State>,
    /// The keys that the data plane knows, so that it can be told which ones are gone: 16 bytes each.
    told_keys: Mutex<HashSet<ResourceId>>,
}

/// Returns what keys used so far, by their ids.
pub type KeyTotals = dyn Fn(&[ResourceId]) -> BTreeMap<ResourceId, KeyTotal> + Send + Sync;

/// What a key used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyTotal {
    /// When it was used last, Unix milliseconds.
    pub last_used_at_ms: Option<u64>,
    /// Its requests.
    pub requests: u64,
    /// Their input tokens.
    pub input_tokens: u64,
    /// Their output tokens.
    pub output_tokens: u64,
    /// What they cost.
    pub spend: ir::money::NanoUsd,
}

/// What is in effect and what is stored, but for keys.
#[derive(Default)]
struct State {
    /// The last change of the database that is in here.
    sequence: u64,
    environments: BTreeMap<String, Environment>,
    files: Files,
    /// Why a newer configuration file is not in effect.
    refused_file: Vec<Problem>,
}

impl State {
    /// Returns what the configuration file says about an environment.
    fn files_of(&self, environment: &str) -> Option<&Files> {
        (environment == crate::files::FILE_ENVIRONMENT).then_some(&self.files)
    }
}

impl Plane {
    fn look(&self) -> RwLockReadGuard<'_, State> {
        // A writer changes the state in one step that does not panic.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Box<dyn ResourceStore>> {
        // What a writer that panicked had begun was rolled back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts changes into effect.
    fn tell(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        {
            let mut told = self.told_keys.lock().unwrap_or_else(PoisonError::into_inner);
            for change in &changes {
                match change {
                    Change::Key { key, .. } => told.extend(key.id),
                    Change::KeyGone(id) => _ = told.remove(id),
                    Change::Environment(_) | Change::EnvironmentGone(_) => {}
                }
            }
        }
        self.publish.publish(changes);
    }

    fn reader(&self) -> MutexGuard<'_, Box<dyn ResourceReader + Send>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

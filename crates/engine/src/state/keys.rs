//! The keys: by the hash of a secret for requests, by id for changes.
//!
//! Both maps are cut into shards that a copy shares until it changes them. A change copies the list of shards and the
//! one or two shards it touches; with a hundred thousand keys both are of the same order, some hundreds of entries.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use ir::id::ResourceId;
use policy::snapshot::{CompiledKey, KeyStatus};
use tokio_util::sync::CancellationToken;

use super::LiveKey;
use crate::limits::Cache;

/// The keyed hash of a secret.
pub type SecretHash = [u8; 32];

/// Where a secret leads.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The key. All secrets of a key lead to the same one.
    pub key: Arc<LiveKey>,
    /// From this instant (Unix milliseconds) on the secret is refused: it was replaced by another.
    pub until_unix_ms: Option<u64>,
}

/// The keys.
#[derive(Clone, Default)]
pub struct Keys {
    secrets: Shards<SecretHash, Slot>,
    ids: Shards<ResourceId, Arc<LiveKey>>,
}

impl Keys {
    /// Returns where a secret leads, by its hash.
    pub fn get(&self, hash: &SecretHash) -> Option<&Slot> {
        self.secrets.get(hash)
    }

    /// Returns a key by its id.
    pub fn by_id(&self, id: ResourceId) -> Option<&Arc<LiveKey>> {
        self.ids.get(&id)
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ids of all keys, in no order.
    pub fn ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.ids.iter().map(|(id, _)| *id)
    }

    /// Returns all keys, in no order.
    pub fn all(&self) -> impl Iterator<Item = &LiveKey> {
        self.ids.iter().map(|(_, key)| &**key)
    }

    /// Adds a key, or puts it in the place of the one with its id.
    pub(super) fn put(&mut self, key: CompiledKey, secrets: &[(SecretHash, Option<u64>)]) {
        let Some(id) = key.id else {
            tracing::error!(component = "keys", key = %key.name, "A key without an id is not taken");
            return;
        };
        let before = self.ids.get(&id).cloned();
        if before.as_ref().is_some_and(|before| self.is_same(before, &key, secrets)) {
            return;
        }
        let revoked = match &before {
            // What has ended does not begin again: a key that is back gets a token of its own.
            Some(before) if key.status == KeyStatus::Revoked || !before.revoked.is_cancelled() => {
                before.revoked.clone()
            }
            _ => CancellationToken::new(),
        };
        if key.status == KeyStatus::Revoked {
            revoked.cancel();
        }
        let hashes = secrets.iter().map(|(hash, _)| *hash).collect();
        let live = Arc::new(LiveKey { compiled: key, revoked, limits: Cache::default(), secrets: hashes });
        if let Some(before) = &before {
            self.forget(before, |hash| !live.secrets.contains(hash));
        }
        for (hash, until_unix_ms) in secrets {
            self.secrets.insert(*hash, Slot { key: Arc::clone(&live), until_unix_ms: *until_unix_ms });
        }
        self.ids.insert(id, live);
    }

    /// Removes a key and ends its requests.
    pub(super) fn remove(&mut self, id: ResourceId) {
        if let Some(live) = self.ids.remove(&id) {
            live.revoked.cancel();
            self.forget(&live, |_| true);
        }
    }

    /// Ends the requests of an environment's keys. The keys stay, each with a new token.
    pub(super) fn cut(&mut self, environment: &str) {
        let theirs: Vec<Arc<LiveKey>> = self
            .ids
            .iter()
            .map(|(_, live)| live)
            .filter(|live| *live.compiled.environment == *environment)
            .cloned()
            .collect();
        for before in theirs {
            let Some(id) = before.compiled.id else { continue };
            before.revoked.cancel();
            if before.compiled.status == KeyStatus::Revoked {
                continue;
            }
            let live = Arc::new(LiveKey {
                compiled: before.compiled.clone(),
                revoked: CancellationToken::new(),
                limits: Cache::default(),
                secrets: before.secrets.clone(),
            });
            for hash in &before.secrets {
                if let Some(slot) = self.slot(hash, &before).cloned() {
                    self.secrets.insert(*hash, Slot { key: Arc::clone(&live), ..slot });
                }
            }
            self.ids.insert(id, live);
        }
    }

    /// Whether nothing would change. A control plane that tells everything again costs no copy.
    fn is_same(&self, before: &Arc<LiveKey>, key: &CompiledKey, secrets: &[(SecretHash, Option<u64>)]) -> bool {
        let same_secret = |(hash, until): &(SecretHash, Option<u64>)| {
            self.slot(hash, before).is_some_and(|slot| slot.until_unix_ms == *until)
        };
        let ended = before.revoked.is_cancelled() != (key.status == KeyStatus::Revoked);
        // A list that names one twice must not hide that another is gone.
        let none_gone = before.secrets.iter().all(|held| secrets.iter().any(|(hash, _)| hash == held));
        !ended && before.compiled == *key && none_gone && secrets.iter().all(same_secret)
    }

    /// Removes the slots of a key whose hashes are chosen.
    fn forget(&mut self, live: &Arc<LiveKey>, chosen: impl Fn(&SecretHash) -> bool) {
        for hash in live.secrets.iter().filter(|hash| chosen(hash)) {
            if self.slot(hash, live).is_some() {
                self.secrets.remove(hash);
            }
        }
    }

    /// Returns a slot if it leads to this very key.
    fn slot(&self, hash: &SecretHash, live: &Arc<LiveKey>) -> Option<&Slot> {
        self.secrets.get(hash).filter(|slot| Arc::ptr_eq(&slot.key, live))
    }
}

/// How many shards a map has: one for each value of a byte. With a hundred thousand entries a shard has about as many
/// of them as there are shards, which is where copying both costs least.
const SHARDS: usize = 256;

type Shard<K, V> = HashMap<K, V, AsItIs>;

/// A persistent map: copies share their shards until one of them changes a shard.
struct Shards<K, V>(Arc<[Arc<Shard<K, V>>]>);

/// What a map is sharded by.
trait Sharded: Copy + Eq + Hash {
    /// Returns a byte that is as likely to have one value as any other.
    fn shard(&self) -> u8;
}

impl Sharded for SecretHash {
    fn shard(&self) -> u8 {
        self[0]
    }
}

impl Sharded for ResourceId {
    /// The last byte: the first ones are the time.
    fn shard(&self) -> u8 {
        self.0[15]
    }
}

impl<K, V> Clone for Shards<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let empty = Arc::default();
        Self((0..SHARDS).map(|_| Arc::clone(&empty)).collect())
    }
}

impl<K: Sharded, V: Clone> Shards<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.0.get(usize::from(key.shard()))?.get(key)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.len()).sum()
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().flat_map(|shard| shard.iter())
    }

    fn insert(&mut self, key: K, value: V) {
        if let Some(shard) = Arc::make_mut(&mut self.0).get_mut(usize::from(key.shard())) {
            Arc::make_mut(shard).insert(key, value);
        }
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        self.get(key)?;
        let shard = Arc::make_mut(&mut self.0).get_mut(usize::from(key.shard()))?;
        Arc::make_mut(shard).remove(key)
    }
}

/// Takes eight bytes of a key as they are for its hash: keyed hashes and the random part of an id are distributed
/// evenly, and nobody who does not know the master key can choose them.
#[derive(Clone, Copy, Default)]
struct AsItIs;

impl BuildHasher for AsItIs {
    type Hasher = EightBytes;

    fn build_hasher(&self) -> EightBytes {
        EightBytes(0)
    }
}

/// The hash so far.
struct EightBytes(u64);

impl Hasher for EightBytes {
    /// Takes the bytes 7 to 14: they are random in a keyed hash and in an id, and no shard is chosen by them.
    fn write(&mut self, bytes: &[u8]) {
        if let Some(eight) = bytes.get(7..).and_then(|rest| rest.first_chunk()) {
            self.0 = u64::from_le_bytes(*eight);
        }
    }

    /// The length of an array is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

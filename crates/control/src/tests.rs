//! Tests of the control plane through its verbs, each in a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use catalog::load::Vendors;
use catalog::model::Catalogue;
use ir::id::ResourceId;
use policy::clock::{Clock, Hands};
use policy::load::read_text;
use policy::snapshot::CompiledKey;
use serde_json::{Value, json};
use store::resources::ResourceStore;
use store::resources::sqlite::SqliteResources;
use store::seal::MasterKey;

use crate::actor::{Actor, Role};
use crate::plane::Plane;
use crate::plane::open::Options;
use crate::publish::{Change, Publish};
use crate::refusal::Refusal;
use crate::resource::{Created, Draft, Expect, ListQuery, Resource, Spec};

mod any_spec;
mod apply;
mod environments;
mod faults;
mod files;
mod keys;
mod plain;
mod secrets;
mod webhooks;

const NOW_MS: u64 = 1_795_000_000_000;
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A key and its secrets, as the data plane is told of them.
type Told = (CompiledKey, Vec<([u8; 32], Option<u64>)>);

/// What requests would see.
#[derive(Default)]
struct Heard {
    environments: Mutex<BTreeMap<String, policy::snapshot::Snapshot>>,
    keys: Mutex<BTreeMap<ResourceId, Told>>,
    times: Mutex<usize>,
}

impl Publish for Heard {
    fn publish(&self, changes: Vec<Change>) {
        *self.times.lock().unwrap() += 1;
        for change in changes {
            match change {
                Change::Environment(snapshot) => {
                    let name = snapshot.environment.name.to_string();
                    self.environments.lock().unwrap().insert(name, *snapshot);
                }
                Change::EnvironmentGone(name) => _ = self.environments.lock().unwrap().remove(&name),
                Change::Key { key, secrets } => {
                    self.keys.lock().unwrap().insert(key.id.unwrap(), (*key, secrets));
                }
                Change::KeyGone(id) => _ = self.keys.lock().unwrap().remove(&id),
            }
        }
    }
}

impl Heard {
    /// Returns whether a model can be asked for.
    fn serves(&self, environment: &str, model: &str) -> bool {
        let environments = self.environments.lock().unwrap();
        environments.get(environment).is_some_and(|snapshot| !snapshot.resolve(model).is_empty())
    }

    fn key(&self, id: ResourceId) -> Option<Told> {
        self.keys.lock().unwrap().get(&id).cloned()
    }

    fn times(&self) -> usize {
        *self.times.lock().unwrap()
    }
}

/// A control plane in a directory that goes away with the test.
struct Rig {
    plane: Plane,
    heard: Arc<Heard>,
    hands: Arc<Hands>,
    path: PathBuf,
    mine: bool,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.mine {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Rig {
    fn new() -> Self {
        Self::with_file("[providers.demo]\n")
    }

    fn with_file(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("crossway-control-{}", ResourceId::new(NOW_MS)));
        fs::create_dir_all(&path).unwrap();
        let mut rig = Self::open(path, text, |store| Box::new(store)).unwrap();
        rig.mine = true;
        rig
    }

    /// Opens another control plane on the same directory, as another process does.
    fn again(&self, text: &str) -> Result<Self, Refusal> {
        Self::open(self.path.clone(), text, |store| Box::new(store))
    }

    fn open(
        path: PathBuf,
        text: &str,
        store: impl Fn(SqliteResources) -> Box<dyn ResourceStore>,
    ) -> Result<Self, Refusal> {
        let master = MasterKey::load_or_create(&path, Some(MASTER)).unwrap();
        Self::open_with(path, text, store, master)
    }

    fn open_with(
        path: PathBuf,
        text: &str,
        store: impl Fn(SqliteResources) -> Box<dyn ResourceStore>,
        master: MasterKey,
    ) -> Result<Self, Refusal> {
        let written = read_text("crossway.toml", text, &|_| None, false).unwrap();
        let heard = Arc::new(Heard::default());
        let (clock, hands) = Clock::manual(NOW_MS);
        let plane = Plane::open(Options {
            store: store(SqliteResources::open(&path).unwrap()),
            master,
            vendors: Arc::new(Vendors::builtin()),
            catalogue: Arc::new(Catalogue::builtin()),
            written: written.specs,
            stand_in: written.stand_in,
            publish: Arc::clone(&heard) as Arc<dyn Publish>,
            clock,
            key_totals: None,
            addresses: Box::new(|url| if url.contains("//10.") { Err("private".to_owned()) } else { Ok(()) }),
        })?;
        Ok(Self { plane, heard, hands, path, mine: false })
    }

    fn create(&self, kind: &str, name: &str, spec: Value) -> Result<Created, Refusal> {
        self.create_in("default", kind, name, spec)
    }

    fn create_in(&self, environment: &str, kind: &str, name: &str, spec: Value) -> Result<Created, Refusal> {
        let name = (!name.is_empty()).then(|| name.to_owned());
        self.plane.create(&operator(), environment, kind, Draft { name, spec: object(spec) })
    }

    fn get(&self, kind: &str, name: &str) -> Resource {
        self.plane.get(&operator(), "default", kind, name).unwrap()
    }

    fn put(&self, kind: &str, name: &str, spec: Value) -> Result<Resource, Refusal> {
        self.plane.replace(&operator(), "default", kind, name, object(spec), Expect::Any)
    }

    fn patch(&self, kind: &str, name: &str, spec: Value) -> Result<Resource, Refusal> {
        self.plane.merge(&operator(), "default", kind, name, object(spec), Expect::Any)
    }

    fn delete(&self, kind: &str, name: &str) -> Result<(), Refusal> {
        self.plane.delete(&operator(), "default", kind, name, Expect::Any)
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let page = self.plane.list(&operator(), "default", kind, &ListQuery::default()).unwrap();
        page.data.into_iter().map(|resource| resource.name).collect()
    }

    /// Adds a provider that needs nothing else.
    fn provider(&self, name: &str) {
        self.create("providers", name, json!({"kind": "openai", "api_key": "sk-x"})).unwrap();
    }
}

fn operator() -> Actor {
    Actor { role: Role::Operator, ..Actor::local("op@example.com") }
}

fn developer(name: &str, role: Role, teams: &[&str]) -> Actor {
    let teams = teams.iter().map(|team| ("default".to_owned(), (*team).to_owned())).collect();
    Actor { role, teams, ..Actor::local(name) }
}

fn object(value: Value) -> Spec {
    let Value::Object(spec) = value else { panic!("an object") };
    spec
}

/// Returns problems as `path: message`.
fn lines(refusal: &Refusal) -> Vec<String> {
    let Refusal::Invalid(problems) = refusal else { panic!("{refusal:?}") };
    problems.iter().map(|problem| format!("{} {}: {}", problem.file, problem.path, problem.message)).collect()
}

//! Opening.

use std::sync::{Arc, Mutex, RwLock};

use catalog::load::Vendors;
use catalog::model::Catalogue;
use policy::clock::Clock;
use policy::spec::Specs;
use store::StoreError;
use store::resources::ResourceStore;
use store::seal::{CHECK, MasterKey};

use super::webhooks::AddressCheck;
use super::{KeyTotals, Plane, State, edit};
use crate::files::{FILE_ENVIRONMENT, Files};
use crate::kind::{ENVIRONMENTS, KINDS};
use crate::publish::Publish;
use crate::refusal::Refusal;
use crate::resource::Spec;
use crate::set::Tools;

/// What a control plane is made of.
pub struct Options {
    /// The database.
    pub store: Box<dyn ResourceStore>,
    /// What secrets are sealed with and keys are hashed with.
    pub master: MasterKey,
    /// The vendors.
    pub vendors: Arc<Vendors>,
    /// The models that are known.
    pub catalogue: Arc<Catalogue>,
    /// What the configuration file and the environment variables say about the environment `default`.
    pub written: Specs,
    /// Whether the demo provider among them only stands in while there is no other.
    pub stand_in: bool,
    /// Where changes take effect.
    pub publish: Arc<dyn Publish>,
    /// The time.
    pub clock: Clock,
    /// What keys used so far, for their status.
    pub key_totals: Option<Box<KeyTotals>>,
    /// Whether events may be sent to an address.
    pub addresses: Box<AddressCheck>,
}

impl Plane {
    /// Opens the control plane and puts everything that is stored into effect. Stored resources that are faulty, which
    /// an upgrade or another configuration file may make them, do not stop a start: they are left out and their status
    /// says so. An environment whose guards or settings are faulty is not served at all.
    ///
    /// # Errors
    /// When the database cannot be used, when the master key is not the one it was set up with, and
    /// [`Refusal::Invalid`] when the configuration file is faulty.
    pub fn open(options: Options) -> Result<Self, Refusal> {
        let Options { store, master, vendors, catalogue, written, stand_in, publish, clock, key_totals, addresses } =
            options;
        let mut store = store;
        let files = Files::new(written, stand_in, &Files::default(), clock.unix_ms());
        let tools = Tools { master, vendors, catalogue, addresses };
        set_up(&mut *store, &tools, clock.unix_ms())?;
        let reader = store.reader()?;
        let plane = Self {
            tools,
            clock,
            publish,
            key_totals,
            writer: Mutex::new(store),
            reader: Mutex::new(reader),
            state: RwLock::new(State { files, ..State::default() }),
            told_keys: Mutex::default(),
        };
        {
            let writer = plane.writer();
            let sequence = writer.sequence()?;
            plane.read_everything(&**writer, false)?;
            plane.change().sequence = sequence;
        }
        let faults = plane.faults_of_file();
        if faults.is_empty() { Ok(plane) } else { Err(Refusal::Invalid(faults)) }
    }

    /// Returns the hash under which an API key's secret is known.
    pub fn key_hash(&self, secret: &str) -> [u8; 32] {
        self.tools.master.key_hash(secret)
    }
}

/// Checks the master key, and makes what always exists.
fn set_up(store: &mut dyn ResourceStore, tools: &Tools, now_ms: u64) -> Result<(), Refusal> {
    let mut transaction = store.begin()?;
    let mut changed = false;
    match transaction.fact(CHECK)? {
        Some(value) => tools.master.recognise(&value).map_err(StoreError::from)?,
        None => {
            transaction.put_fact(CHECK, &tools.master.check_value().map_err(StoreError::from)?)?;
            changed = true;
        }
    }
    let kind = KINDS.iter().find(|kind| kind.plural == ENVIRONMENTS);
    if let Some(kind) = kind
        && transaction.by_name(ENVIRONMENTS, "", FILE_ENVIRONMENT)?.is_none()
    {
        let document = edit::made(kind, "", FILE_ENVIRONMENT.to_owned(), Spec::new(), now_ms, tools)?;
        transaction.insert(&document.row())?;
        changed = true;
    }
    if changed {
        transaction.commit()?;
    }
    Ok(())
}

//! A database that fails: nothing is half done, nothing is published that is not stored.

use std::sync::atomic::{AtomicUsize, Ordering};

use store::StoreError;
use store::resources::row::{AuditQuery, AuditRow, Changes, KeyQuery, Reference, Referrer, Row, SecretRow};
use store::resources::{ResourceReader, Transaction};

use super::*;

/// A database that fails at the call of this number, counted from the moment it is set; 0 for never.
struct Faulty {
    inner: SqliteResources,
    left: Arc<AtomicUsize>,
}

struct FaultyTransaction<'a> {
    inner: Box<dyn Transaction + 'a>,
    left: Arc<AtomicUsize>,
}

fn step(left: &AtomicUsize) -> Result<(), StoreError> {
    match left.load(Ordering::Relaxed) {
        0 => Ok(()),
        1 => Err(StoreError::Corrupt { file: "control.db" }),
        more => {
            left.store(more - 1, Ordering::Relaxed);
            Ok(())
        }
    }
}

macro_rules! reads {
    ($name:ty) => {
        impl ResourceReader for $name {
            fn sequence(&self) -> Result<u64, StoreError> {
                step(&self.left)?;
                self.inner.sequence()
            }
            fn changes_after(&self, sequence: u64) -> Result<Changes, StoreError> {
                self.inner.changes_after(sequence)
            }
            fn by_name(&self, kind: &str, environment: &str, name: &str) -> Result<Option<Row>, StoreError> {
                self.inner.by_name(kind, environment, name)
            }
            fn by_id(&self, id: ResourceId) -> Result<Option<Row>, StoreError> {
                self.inner.by_id(id)
            }
            fn all_but_keys(&self) -> Result<Vec<Row>, StoreError> {
                self.inner.all_but_keys()
            }
            fn keys(&self, query: &KeyQuery) -> Result<Vec<(Row, Vec<SecretRow>)>, StoreError> {
                self.inner.keys(query)
            }
            fn each_key(&self, visit: &mut dyn FnMut(Row, Vec<SecretRow>)) -> Result<(), StoreError> {
                self.inner.each_key(visit)
            }
            fn secrets_of(&self, key: ResourceId) -> Result<Vec<SecretRow>, StoreError> {
                self.inner.secrets_of(key)
            }
            fn keys_by_prefix(&self, environment: &str, prefix: &str) -> Result<Vec<ResourceId>, StoreError> {
                self.inner.keys_by_prefix(environment, prefix)
            }
            fn referrers(&self, e: &str, kind: &str, name: &str, limit: usize) -> Result<Vec<Referrer>, StoreError> {
                self.inner.referrers(e, kind, name, limit)
            }
            fn counts(&self, environment: &str) -> Result<Vec<(String, u64)>, StoreError> {
                self.inner.counts(environment)
            }
            fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
                self.inner.audit(query)
            }
            fn audit_after(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
                self.inner.audit_after(after, limit)
            }

            fn audit_end(&self) -> Result<u64, StoreError> {
                self.inner.audit_end()
            }

            fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
                self.inner.fact(name)
            }
        }
    };
}

reads!(Faulty);
reads!(FaultyTransaction<'_>);

impl ResourceStore for Faulty {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        step(&self.left)?;
        Ok(Box::new(FaultyTransaction { left: Arc::clone(&self.left), inner: self.inner.begin()? }))
    }
    fn reader(&self) -> Result<Box<dyn ResourceReader + Send>, StoreError> {
        self.inner.reader()
    }
}

impl Transaction for FaultyTransaction<'_> {
    fn insert(&mut self, row: &Row) -> Result<(), StoreError> {
        step(&self.left)?;
        self.inner.insert(row)
    }
    fn update(&mut self, row: &Row) -> Result<(), StoreError> {
        step(&self.left)?;
        self.inner.update(row)
    }
    fn delete(&mut self, row: &Row) -> Result<(), StoreError> {
        step(&self.left)?;
        self.inner.delete(row)
    }
    fn refer(&mut self, e: &str, from: ResourceId, references: &[Reference]) -> Result<(), StoreError> {
        step(&self.left)?;
        self.inner.refer(e, from, references)
    }
    fn put_secrets(&mut self, key: ResourceId, secrets: &[SecretRow]) -> Result<(), StoreError> {
        step(&self.left)?;
        self.inner.put_secrets(key, secrets)
    }
    fn log(&mut self, entry: &AuditRow) -> Result<(), StoreError> {
        step(&self.left)?;
        self.inner.log(entry)
    }
    fn put_fact(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.inner.put_fact(name, value)
    }
    fn commit(self: Box<Self>) -> Result<u64, StoreError> {
        step(&self.left)?;
        self.inner.commit()
    }
}

/// Makes a write fail at every call to the database in turn, until it succeeds.
fn check(write: &dyn Fn(&Rig) -> Result<(), Refusal>) {
    let ground = Rig::new();
    ground.provider("main");
    ground.create("teams", "red", json!({})).unwrap();
    ground.create("keys", "ci", json!({"team": "red"})).unwrap();
    let left = Arc::new(AtomicUsize::new(0));
    let given = Arc::clone(&left);
    let rig = Rig::open(ground.path.clone(), "[providers.demo]\n", move |inner| {
        Box::new(Faulty { inner, left: Arc::clone(&given) })
    })
    .unwrap();
    let before = (rig.plane.export(&operator(), "default").unwrap(), rig.heard.times());
    for at in 1.. {
        left.store(at, Ordering::Relaxed);
        let result = write(&rig);
        left.store(0, Ordering::Relaxed);
        if result.is_ok() {
            assert!(at > 3, "something is written");
            break;
        }
        assert!(matches!(result, Err(Refusal::Unavailable(_))), "{result:?}");
        assert_eq!((rig.plane.export(&operator(), "default").unwrap(), rig.heard.times()), before, "at {at}");
        let audit = rig.plane.audit(&operator(), &crate::plane::audit::AuditQuery::default()).unwrap();
        assert_eq!(audit.data.len(), 3, "at {at}");
    }
    assert!(rig.heard.times() > before.1);
    let other = ground.again("[providers.demo]\n").unwrap();
    assert_eq!(other.plane.export(&operator(), "default").unwrap(), rig.plane.export(&operator(), "default").unwrap());
    assert_eq!(*other.heard.keys.lock().unwrap(), *rig.heard.keys.lock().unwrap());
}

#[test]
fn a_failing_database_leaves_everything_as_it_was() {
    check(&|rig| rig.create("providers", "new", json!({"kind": "openai", "api_key": "k"})).map(|_| ()));
    check(&|rig| rig.patch("providers", "main", json!({"timeout_ms": 5})).map(|_| ()));
    check(&|rig| rig.delete("teams", "red"));
    check(&|rig| rig.create("keys", "new", json!({})).map(|_| ()));
    check(&|rig| rig.plane.revoke_key(&operator(), "default", "ci", Expect::Any).map(|_| ()));
    let grace = std::time::Duration::from_secs(5);
    check(&|rig| rig.plane.rotate_key(&operator(), "default", "ci", grace, Expect::Any).map(|_| ()));
}

/// Dies between the commit and the publication.
struct Dying(Mutex<bool>);

impl Publish for Dying {
    fn publish(&self, _: Vec<Change>) {
        assert!(!*self.0.lock().unwrap(), "it dies here");
    }
}

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let ground = Rig::new();
    let dying = Arc::new(Dying(Mutex::new(false)));
    let written = read_text("crossway.toml", "[providers.demo]\n", &|_| None, false).unwrap();
    let plane = Plane::open(Options {
        store: Box::new(SqliteResources::open(&ground.path).unwrap()),
        master: MasterKey::load_or_create(&ground.path, Some(MASTER)).unwrap(),
        vendors: Arc::new(Vendors::builtin()),
        catalogue: Arc::new(Catalogue::builtin()),
        written: written.specs,
        stand_in: false,
        publish: Arc::clone(&dying) as Arc<dyn Publish>,
        clock: Clock::manual(NOW_MS).0,
        key_totals: None,
        addresses: Box::new(|_| Ok(())),
    })
    .unwrap();
    *dying.0.lock().unwrap() = true;
    let draft = Draft { name: Some("main".into()), spec: object(json!({"kind": "openai", "api_key": "k"})) };
    let crash =
        std::thread::scope(|scope| scope.spawn(|| plane.create(&operator(), "default", "providers", draft)).join());
    assert!(crash.is_err());
    let after = ground.again("[providers.demo]\n").unwrap();
    assert!(after.heard.serves("default", "main/gpt-4o"));
    ground.plane.refresh().unwrap();
    assert!(ground.heard.serves("default", "main/gpt-4o"));
}

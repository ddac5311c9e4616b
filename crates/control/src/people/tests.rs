//! People on the real store, with a clock and an audit log that the test holds. Hashes are cheap here.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::clock::{Clock, Hands};
use policy::secret::Secret;
use serde_json::{Value, json};
use store::resources::ResourceReader;
use store::resources::row::{AuditQuery, AuditRow};
use store::resources::sqlite::SqliteResources;

use super::password::Hasher;
use super::{Begun, Denied, FirstPerson, People, Visitor};
use crate::actor::{Actor, Role};
use crate::refusal::Refusal;
use crate::resource::{Expect, Spec};

mod federated;
mod managing;
mod signing_in;

const NOW_MS: u64 = 1_795_000_000_000;
const PASSWORD: &str = "correct horse battery";

/// People in a directory that goes away with the test.
struct Town {
    people: People,
    hands: Arc<Hands>,
    dir: PathBuf,
}

impl Deref for Town {
    type Target = People;

    fn deref(&self) -> &People {
        &self.people
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Town {
    fn empty() -> Self {
        let dir = std::env::temp_dir().join(format!("crossway-people-{}", ir::id::ResourceId::new(NOW_MS)));
        let (clock, hands) = Clock::manual(NOW_MS);
        let store = Box::new(store::people::People::open(&dir).unwrap());
        let people = People::new(store, clock, Hasher::new(8, 1, 1), Arc::new(()));
        Self { people, hands, dir }
    }

    /// With the owner `ann@x.test`.
    fn owned() -> (Self, Begun) {
        let town = Self::empty();
        let code = town.offer_set_up().unwrap().unwrap();
        let first = FirstPerson { email: "ann@x.test".into(), password: Secret::new(PASSWORD), name: "Ann".into() };
        let begun = town.set_up(&code, &first, &visitor()).unwrap();
        (town, begun)
    }

    /// Adds somebody with the usual password, and returns how they act.
    fn add(&self, email: &str, role: &str) -> Actor {
        let owner = Actor::local("test");
        let (_, invitation) = self.create_user(&owner, &spec(email, role)).unwrap();
        let begun = self.redeem(&invitation.unwrap().code, &Secret::new(PASSWORD), &visitor()).unwrap();
        self.actor_of(&begun)
    }

    fn actor_of(&self, begun: &Begun) -> Actor {
        self.authenticate(&begun.secret, &visitor()).unwrap().unwrap().actor
    }

    fn come_in(&self, email: &str) -> Begun {
        self.sign_in(email, &Secret::new(PASSWORD), &visitor()).unwrap()
    }

    fn is_in(&self, begun: &Begun) -> bool {
        self.authenticate(&begun.secret, &visitor()).unwrap().is_some()
    }

    fn pass(&self, seconds: u64) {
        self.hands.advance(Duration::from_secs(seconds));
    }

    /// What was written down, oldest first.
    fn log(&self) -> Vec<AuditRow> {
        let resources = SqliteResources::open(&self.dir).unwrap();
        let mut rows = resources.audit(&AuditQuery { limit: 10_000, ..AuditQuery::default() }).unwrap();
        rows.reverse();
        rows
    }

    fn actions(&self) -> Vec<String> {
        self.log().into_iter().map(|row| row.action).collect()
    }
}

fn visitor() -> Visitor {
    visitor_from(1)
}

fn visitor_from(last: u8) -> Visitor {
    Visitor { ip: Some([10, 0, 0, last].into()), user_agent: "test".to_owned(), request_id: "req_1".to_owned() }
}

fn spec(email: &str, role: &str) -> Spec {
    object(json!({"email": email, "role": role}))
}

fn object(value: Value) -> Spec {
    match value {
        Value::Object(spec) => spec,
        other => panic!("{other} is no object"),
    }
}

/// Names a refusal.
fn kind(denied: &Denied) -> &'static str {
    match denied {
        Denied::WrongPassword => "wrong password",
        Denied::WrongCode => "wrong code",
        Denied::TooMany(_) => "too many",
        Denied::NotAdmitted(_) => "not admitted",
        Denied::Refused(refusal) => refused(refusal),
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotFound(_) => "not found",
        Refusal::Forbidden(_) => "forbidden",
        Refusal::Stale { .. } => "stale",
        Refusal::NameTaken(_) => "taken",
        Refusal::Invalid(_) => "invalid",
        Refusal::BadParameter { .. } => "bad parameter",
        Refusal::Conflict(_) => "conflict",
        _ => "other",
    }
}

const ROLES: [(Role, &str); 6] = [
    (Role::Viewer, "viewer"),
    (Role::Auditor, "auditor"),
    (Role::Developer, "developer"),
    (Role::TeamAdmin, "team_admin"),
    (Role::Operator, "operator"),
    (Role::Owner, "owner"),
];

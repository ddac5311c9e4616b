//! People, sessions and codes.

use std::collections::BTreeSet;

use super::*;
use crate::people::{Begin, Changed, People, PeopleStore, SessionQuery, SessionRow, SetUp, UserQuery, UserRow};
use crate::resources::ResourceReader;
use crate::resources::row::{AuditQuery, AuditRow};
use crate::resources::sqlite::SqliteResources;
use policy::secret::Secret;

fn people() -> (Directory, People) {
    let dir = Directory::new();
    let people = People::open(&dir).unwrap();
    (dir, people)
}

fn user(email: &str, role: &str) -> UserRow {
    UserRow {
        id: ResourceId::new(NOW_MS),
        email: email.to_owned(),
        name: "N".to_owned(),
        role: role.to_owned(),
        role_from_issuer: false,
        password_hash: Some(Secret::new("$argon2id$x")),
        identity: None,
        disabled: false,
        version: 1,
        created_at_ms: NOW_MS,
        updated_at_ms: NOW_MS,
        last_sign_in_at_ms: None,
    }
}

fn next(mut user: UserRow, change: impl FnOnce(&mut UserRow)) -> UserRow {
    user.version += 1;
    change(&mut user);
    user
}

fn session(user: &UserRow, at_ms: u64) -> SessionRow {
    SessionRow {
        id: ResourceId::new(at_ms),
        user: user.id,
        method: "password".to_owned(),
        created_at_ms: at_ms,
        last_seen_at_ms: at_ms,
        expires_at_ms: at_ms + 1_000,
        ip: Some([127, 0, 0, 1].into()),
        user_agent: "test".to_owned(),
    }
}

fn with(hash: &[u8; 32], version: u64, keep: usize) -> Begin<'_> {
    Begin { hash, version, keep }
}

fn entry() -> AuditRow {
    AuditRow {
        seq: 0,
        at_ms: NOW_MS,
        actor: "ann@x.test".to_owned(),
        role: "owner".to_owned(),
        ip: None,
        request_id: "req_1".to_owned(),
        action: "create".to_owned(),
        kind: "users".to_owned(),
        environment: String::new(),
        name: "bob@x.test".to_owned(),
        resource_id: Some(ResourceId([7; 16])),
        before: None,
        after: Some("{}".to_owned()),
        hash: None,
    }
}

#[test]
fn what_was_done_is_written_down_and_what_was_not_is_not() {
    let (dir, people) = people();
    let log = SqliteResources::open(&dir).unwrap();
    let entries = || log.audit(&AuditQuery { limit: 99, ..AuditQuery::default() }).unwrap();
    let ann = user("ann@x.test", "owner");
    people.create_user(&ann, &entry()).unwrap();
    assert_eq!(entries(), [AuditRow { seq: 1, ..entry() }]);
    people.create_user(&user("ann@x.test", "owner"), &entry()).unwrap();
    people.change_user(&next(ann.clone(), |ann| ann.disabled = true), true, Some(&entry())).unwrap();
    people.delete_user(ann.id, 1, &entry()).unwrap();
    people.delete_user(ann.id, 9, &entry()).unwrap();
    people.end_session(ann.id, Some(&entry())).unwrap();
    people.set_up(&ann, &[1; 32], NOW_MS, &entry()).unwrap();
    assert!(!people.begin_session(&session(&ann, NOW_MS), with(&[1; 32], 9, 9), &entry()).unwrap());
    assert_eq!(entries().len(), 1, "none of this was done");
    people.change_user(&next(ann.clone(), |ann| ann.name = "A".to_owned()), true, Some(&entry())).unwrap();
    people.begin_session(&session(&ann, NOW_MS), with(&[1; 32], 2, 9), &entry()).unwrap();
    people.log(&entry()).unwrap();
    assert_eq!(entries().len(), 4);
}

#[test]
fn a_person_is_read_as_written() {
    let (_dir, people) = people();
    assert!(!people.any_user().unwrap());
    let mut ann = user("ann@x.test", "owner");
    ann.identity = Some(("https://issuer.test".to_owned(), "s1".to_owned()));
    assert_eq!(people.create_user(&ann, &entry()).unwrap(), Changed::Done);
    assert!(people.any_user().unwrap());
    for found in [
        people.user(ann.id).unwrap(),
        people.user_by_email("ann@x.test").unwrap(),
        people.user_by_identity("https://issuer.test", "s1").unwrap(),
    ] {
        assert_eq!(found.as_ref(), Some(&ann));
    }
    assert_eq!(people.user_by_email("' OR '1'='1").unwrap(), None);
    assert_eq!(people.user_by_identity("https://issuer.test", "s2").unwrap(), None);
}

#[test]
fn addresses_and_identities_are_unique() {
    let (_dir, people) = people();
    let mut ann = user("ann@x.test", "owner");
    ann.identity = Some(("i".to_owned(), "s".to_owned()));
    let bob = user("bob@x.test", "viewer");
    people.create_user(&ann, &entry()).unwrap();
    assert_eq!(people.create_user(&user("ann@x.test", "viewer"), &entry()).unwrap(), Changed::Taken);
    people.create_user(&bob, &entry()).unwrap();
    let renamed = next(bob.clone(), |bob| bob.email = "ann@x.test".to_owned());
    assert_eq!(people.change_user(&renamed, false, None).unwrap(), Changed::Taken);
    let linked = next(bob.clone(), |bob| bob.identity = ann.identity.clone());
    assert_eq!(people.change_user(&linked, false, None).unwrap(), Changed::Taken);
    assert_eq!(people.user(bob.id).unwrap(), Some(bob));
    assert!(people.create_user(&user("Upper@x.test", "viewer"), &entry()).is_err(), "an address is in lower case");
}

#[test]
fn changes_are_made_to_the_version_that_was_read() {
    let (_dir, people) = people();
    let ann = user("ann@x.test", "owner");
    people.create_user(&ann, &entry()).unwrap();
    let changed = next(ann.clone(), |ann| ann.name = "Ann".to_owned());
    assert_eq!(people.change_user(&changed, false, None).unwrap(), Changed::Done);
    assert_eq!(people.change_user(&changed, false, None).unwrap(), Changed::Stale(2));
    assert_eq!(people.delete_user(ann.id, 1, &entry()).unwrap(), Changed::Stale(2));
    let nobody = next(user("x@x.test", "viewer"), |_| ());
    assert_eq!(people.change_user(&nobody, false, None).unwrap(), Changed::Gone);
    assert_eq!(people.delete_user(nobody.id, 1, &entry()).unwrap(), Changed::Gone);
}

#[test]
fn an_owner_always_remains() {
    let (_dir, people) = people();
    let (ann, bob) = (user("ann@x.test", "owner"), user("bob@x.test", "owner"));
    people.create_user(&ann, &entry()).unwrap();
    let unseated: [fn(&mut UserRow); 2] = [|ann| ann.role = "operator".to_owned(), |ann| ann.disabled = true];
    for change in unseated {
        assert_eq!(people.change_user(&next(ann.clone(), change), true, None).unwrap(), Changed::LastOwner);
        assert_eq!(people.user(ann.id).unwrap().as_ref(), Some(&ann), "nothing was changed");
    }
    assert_eq!(people.delete_user(ann.id, 1, &entry()).unwrap(), Changed::LastOwner);
    people.create_user(&UserRow { disabled: true, ..bob.clone() }, &entry()).unwrap();
    assert_eq!(people.delete_user(ann.id, 1, &entry()).unwrap(), Changed::LastOwner, "a disabled owner does not count");
    people.change_user(&next(bob, |bob| bob.disabled = false), false, None).unwrap();
    assert_eq!(people.delete_user(ann.id, 1, &entry()).unwrap(), Changed::Done);
}

#[test]
fn sessions_end_with_what_they_rest_on() {
    let (_dir, people) = people();
    let ann = user("ann@x.test", "owner");
    people.create_user(&ann, &entry()).unwrap();
    let bob = user("bob@x.test", "viewer");
    people.create_user(&bob, &entry()).unwrap();
    let begin = |user: &UserRow, hash: u8| {
        people.begin_session(&session(user, NOW_MS), with(&[hash; 32], user.version, 9), &entry())
    };
    assert!(begin(&ann, 1).unwrap() && begin(&bob, 2).unwrap());
    let (found, whose) = people.session_by_hash(&[2; 32]).unwrap().unwrap();
    assert_eq!((found.user, whose.last_sign_in_at_ms), (bob.id, Some(NOW_MS)));
    assert_eq!(people.session(found.id).unwrap(), Some(found.clone()));
    people.touch_session(found.id, NOW_MS + 5).unwrap();
    assert_eq!(people.session(found.id).unwrap().unwrap().last_seen_at_ms, NOW_MS + 5);

    let renamed = next(bob.clone(), |bob| bob.name = "Bob".to_owned());
    people.change_user(&renamed, false, None).unwrap();
    assert!(people.session_by_hash(&[2; 32]).unwrap().is_some());
    assert!(!begin(&bob, 3).unwrap(), "the credential was checked against an older version");
    let demoted = next(renamed, |bob| bob.role = "auditor".to_owned());
    people.change_user(&demoted, true, None).unwrap();
    assert!(people.session_by_hash(&[2; 32]).unwrap().is_none());
    assert!(begin(&demoted, 4).unwrap());
    people.delete_user(bob.id, demoted.version, &entry()).unwrap();
    assert!(people.session_by_hash(&[4; 32]).unwrap().is_none());
    let id = people.session_by_hash(&[1; 32]).unwrap().unwrap().0.id;
    assert_eq!((people.end_session(id, None).unwrap(), people.end_session(id, None).unwrap()), (true, false));
}

#[test]
fn a_disabled_person_begins_no_session() {
    let (_dir, people) = people();
    let bob = UserRow { disabled: true, ..user("bob@x.test", "viewer") };
    people.create_user(&bob, &entry()).unwrap();
    assert!(!people.begin_session(&session(&bob, NOW_MS), with(&[1; 32], 1, 9), &entry()).unwrap());
}

#[test]
fn old_sessions_make_room() {
    let (_dir, people) = people();
    let ann = user("ann@x.test", "owner");
    people.create_user(&ann, &entry()).unwrap();
    for number in 0..6_u8 {
        assert!(
            people
                .begin_session(&session(&ann, NOW_MS + u64::from(number)), with(&[number; 32], 1, 3), &entry())
                .unwrap()
        );
    }
    let alive: BTreeSet<u8> =
        (0..6).filter(|number| people.session_by_hash(&[*number; 32]).unwrap().is_some()).collect();
    assert_eq!(alive, BTreeSet::from([3, 4, 5]));
    people.begin_session(&session(&ann, NOW_MS + 5_000), with(&[9; 32], 1, 3), &entry()).unwrap();
    let query = SessionQuery { user: Some(ann.id), limit: 9, ..SessionQuery::default() };
    assert_eq!(people.list_sessions(&query).unwrap().len(), 1, "those that ended are forgotten");
}

#[test]
fn the_set_up_happens_once_and_with_the_code() {
    let (_dir, people) = people();
    let (ann, bob) = (user("ann@x.test", "owner"), user("bob@x.test", "owner"));
    people.put_code(&[1; 32], None, NOW_MS, NOW_MS + 10, None).unwrap();
    people.put_code(&[2; 32], None, NOW_MS, NOW_MS + 10, None).unwrap();
    assert_eq!(
        people.set_up(&ann, &[1; 32], NOW_MS, &entry()).unwrap(),
        SetUp::WrongCode,
        "a newer code took its place"
    );
    assert_eq!(people.set_up(&ann, &[2; 32], NOW_MS + 10, &entry()).unwrap(), SetUp::WrongCode, "it has expired");
    assert!(!people.any_user().unwrap());
    assert_eq!(people.set_up(&ann, &[2; 32], NOW_MS + 9, &entry()).unwrap(), SetUp::Done);
    people.put_code(&[3; 32], None, NOW_MS, NOW_MS + 10, None).unwrap();
    assert_eq!(people.set_up(&bob, &[3; 32], NOW_MS, &entry()).unwrap(), SetUp::AlreadyDone);
}

#[test]
fn codes_of_people_are_not_those_of_the_set_up() {
    let (_dir, people) = people();
    let bob = user("bob@x.test", "viewer");
    people.put_code(&[7; 32], None, NOW_MS, NOW_MS + 10, None).unwrap();
    assert_eq!(people.code_user(&[7; 32], NOW_MS).unwrap(), None);
    people.create_user(&bob, &entry()).unwrap();
    people.put_code(&[1; 32], Some(bob.id), NOW_MS, NOW_MS + 10, None).unwrap();
    people.put_code(&[2; 32], Some(bob.id), NOW_MS, NOW_MS + 10, None).unwrap();
    assert_eq!(people.code_user(&[1; 32], NOW_MS).unwrap(), None, "a newer code took its place");
    assert_eq!(people.code_user(&[2; 32], NOW_MS + 10).unwrap(), None, "it has expired");
    assert_eq!(people.code_user(&[2; 32], NOW_MS + 9).unwrap(), Some(bob.id));
    people.change_user(&next(bob, |bob| bob.password_hash = None), true, None).unwrap();
    assert_eq!(people.code_user(&[2; 32], NOW_MS).unwrap(), None, "it is void with the sessions");
}

#[test]
fn people_are_listed_in_pages() {
    let (_dir, people) = people();
    for (number, role) in ["owner", "viewer", "viewer", "operator"].into_iter().enumerate() {
        let id = ResourceId::new(NOW_MS + number as u64);
        let row = UserRow { id, disabled: number == 2, ..user(&format!("u{number}@x.test"), role) };
        people.create_user(&row, &entry()).unwrap();
    }
    let emails = |query: UserQuery| -> Vec<String> {
        people.list_users(&query).unwrap().into_iter().map(|user| user.email).collect()
    };
    let all = UserQuery { limit: 9, ..UserQuery::default() };
    assert_eq!(emails(all.clone()).len(), 4);
    assert_eq!(emails(UserQuery { role: Some("viewer".to_owned()), ..all.clone() }), ["u1@x.test", "u2@x.test"]);
    assert_eq!(emails(UserQuery { disabled: Some(true), ..all.clone() }), ["u2@x.test"]);
    assert_eq!(emails(UserQuery { email: Some("u3@x.test".to_owned()), ..all.clone() }), ["u3@x.test"]);
    let first = people.list_users(&UserQuery { limit: 2, ..all.clone() }).unwrap();
    let rest = UserQuery { after: Some(first[1].id), ..all };
    assert_eq!(emails(rest), ["u2@x.test", "u3@x.test"]);
}

#[test]
fn a_stored_password_cannot_be_printed() {
    assert!(!format!("{:?}", user("ann@x.test", "owner")).contains("argon2id"));
}

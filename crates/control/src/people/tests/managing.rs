//! People as resources, and who may do what to whom.

use super::*;
use crate::people::rank;
use crate::resource::ListQuery;

#[test]
fn the_matrix_of_ranks() {
    let (town, _) = Town::owned();
    let actors: Vec<Actor> = ROLES.iter().map(|(_, name)| town.add(&format!("a-{name}@x.test"), name)).collect();
    type Act = fn(&Town, &Actor, &str) -> Result<(), Refusal>;
    let acts: [(&str, Act); 6] = [
        ("rename", |town, actor, name| {
            town.merge_user(actor, name, &object(json!({"name": "X"})), Expect::Any).map(drop)
        }),
        ("disable", |town, actor, name| {
            town.merge_user(actor, name, &object(json!({"disabled": true})), Expect::Any).map(drop)
        }),
        ("address", |town, actor, name| {
            town.merge_user(actor, name, &object(json!({"email": format!("new-{name}")})), Expect::Any).map(drop)
        }),
        ("demote", |town, actor, name| {
            town.merge_user(actor, name, &object(json!({"role": "viewer", "name": "D"})), Expect::Any).map(drop)
        }),
        ("reset", |town, actor, name| town.reset_password(actor, name).map(drop)),
        ("delete", |town, actor, name| town.delete_user(actor, name, Expect::Any)),
    ];
    let mut number = 0;
    for actor in &actors {
        for (role, name) in ROLES {
            for (act, perform) in &acts {
                number += 1;
                let email = format!("t{number}@x.test");
                town.create_user(&Actor::local("test"), &spec(&email, name)).unwrap();
                let before = town.get_user(&email).unwrap();
                let done = perform(&town, actor, &email);
                let allowed = rank::may_manage(actor.role, role);
                assert_eq!(done.is_ok(), allowed, "{:?} {act} {role:?}: {done:?}", actor.role);
                if let Err(refusal) = done {
                    assert_eq!(refused(&refusal), "forbidden");
                    assert_eq!(town.get_user(&email).unwrap(), before, "nothing happened");
                }
            }
            let created = town.create_user(actor, &spec(&format!("new{number}@x.test"), name));
            assert_eq!(created.is_ok(), rank::may_manage(actor.role, role), "{:?} creates {role:?}", actor.role);
        }
    }
}

#[test]
fn nobody_gives_more_than_they_have() {
    let (town, _) = Town::owned();
    let operator = town.add("op@x.test", "operator");
    town.add("dev@x.test", "developer");
    for role in ["operator", "owner"] {
        let raised = town.merge_user(&operator, "dev@x.test", &object(json!({"role": role})), Expect::Any);
        assert_eq!(refused(&raised.unwrap_err()), "forbidden", "{role}");
        let own = town.merge_user(&operator, "op@x.test", &object(json!({"role": role, "name": "X"})), Expect::Any);
        assert_eq!(own.is_ok(), role == "operator", "{role}");
    }
    for role in ["viewer", "auditor", "developer", "team_admin"] {
        town.merge_user(&operator, "dev@x.test", &object(json!({"role": role})), Expect::Any).unwrap();
    }
    let own = town.reset_password(&operator, "op@x.test").unwrap_err();
    assert_eq!(refused(&own), "conflict", "one's own needs the old one");
}

#[test]
fn everybody_says_what_they_are_called() {
    let (town, _) = Town::owned();
    let viewer = town.add("v@x.test", "viewer");
    let renamed = town.merge_user(&viewer, "v@x.test", &object(json!({"name": "Vi"})), Expect::Any).unwrap();
    assert_eq!((&renamed.spec["name"], renamed.version), (&json!("Vi"), 3));
    for patch in [json!({"email": "w@x.test"}), json!({"role": "auditor"}), json!({"disabled": true})] {
        let refusal = town.merge_user(&viewer, "v@x.test", &object(patch), Expect::Any).unwrap_err();
        assert_eq!(refused(&refusal), "forbidden");
    }
    let other = town.merge_user(&viewer, "ann@x.test", &object(json!({"name": "X"})), Expect::Any);
    assert_eq!(refused(&other.unwrap_err()), "forbidden");
}

#[test]
fn what_somebody_is_ends_their_sessions_when_it_changes() {
    let (town, _) = Town::owned();
    let owner = Actor::local("test");
    town.add("bob@x.test", "developer");
    for (patch, ends) in [
        (json!({"name": "Bob"}), false),
        (json!({"name": "Bob"}), false),
        (json!({"role": "viewer"}), true),
        (json!({"role": "viewer"}), false),
        (json!({"role": "operator"}), true),
        (json!({"disabled": true}), true),
    ] {
        town.pass(1);
        let begun = town.come_in("bob@x.test");
        town.merge_user(&owner, "bob@x.test", &object(patch.clone()), Expect::Any).unwrap();
        assert_eq!(town.is_in(&begun), !ends, "{patch}");
    }
    town.merge_user(&owner, "bob@x.test", &object(json!({"disabled": null})), Expect::Any).unwrap();
    let begun = town.come_in("bob@x.test");
    town.delete_user(&owner, "bob@x.test", Expect::Any).unwrap();
    assert!(!town.is_in(&begun));
}

#[test]
fn the_last_owner_stays() {
    let (town, begun) = Town::owned();
    let owner = town.actor_of(&begun);
    for patch in [json!({"role": "operator"}), json!({"disabled": true})] {
        let refusal = town.merge_user(&owner, "ann@x.test", &object(patch), Expect::Any).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "ann@x.test is the last owner who is not disabled: make somebody else an owner first"
        );
    }
    assert_eq!(refused(&town.delete_user(&owner, "ann@x.test", Expect::Any).unwrap_err()), "conflict");
    assert!(town.is_in(&begun), "nothing happened");
    town.add("bob@x.test", "owner");
    town.merge_user(&owner, "ann@x.test", &object(json!({"role": "viewer"})), Expect::Any).unwrap();
    assert!(!town.is_in(&begun));
}

#[test]
fn changes_are_made_to_the_version_that_was_read() {
    let (town, _) = Town::owned();
    let owner = Actor::local("test");
    let (bob, _) = town.create_user(&owner, &spec("bob@x.test", "viewer")).unwrap();
    assert_eq!((bob.kind, bob.version, bob.name.as_str()), ("users", 1, "bob@x.test"));
    let id = bob.id.to_string();
    let full = object(json!({"email": "bob@x.test", "role": "auditor", "name": "Bob"}));
    let changed = town.replace_user(&owner, &id, &full, Expect::Version(1)).unwrap();
    assert_eq!((changed.version, &changed.spec["role"]), (2, &json!("auditor")));
    for expect in [Expect::Version(1), Expect::Version(3)] {
        let refusal = town.replace_user(&owner, &id, &full, expect).unwrap_err();
        assert!(matches!(refusal, Refusal::Stale { current: 2 }));
        assert_eq!(refused(&town.merge_user(&owner, &id, &full, expect).unwrap_err()), "stale");
        assert_eq!(refused(&town.delete_user(&owner, &id, expect).unwrap_err()), "stale");
    }
    let same = town.replace_user(&owner, &id, &full, Expect::Version(2)).unwrap();
    assert_eq!(same.version, 2, "what changes nothing is no change");
    let cleared = town.merge_user(&owner, &id, &object(json!({"name": null})), Expect::Any).unwrap();
    assert_eq!(cleared.spec["name"], "");
    town.delete_user(&owner, &id, Expect::Version(3)).unwrap();
    assert_eq!(refused(&town.get_user(&id).unwrap_err()), "not found");
}

#[test]
fn every_fault_is_named() {
    let (town, _) = Town::owned();
    let owner = Actor::local("test");
    let check = |spec: Value, expect: &[&str]| {
        let Err(Refusal::Invalid(problems)) = town.create_user(&owner, &object(spec.clone())) else {
            panic!("{spec} was taken");
        };
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, expect, "{spec}");
    };
    check(json!({}), &["email", "role"]);
    check(json!({"email": "x", "role": "root", "name": "a\nb", "disabled": 1}), &["email", "name", "role", "disabled"]);
    check(json!({"email": 1, "role": 1}), &["email", "role"]);
    check(json!({"email": "a@b.c", "role": "viewer", "password": "x"}), &["password"]);
    check(json!({"email": "a@b.c", "role": "viewer", "name": "x".repeat(129)}), &["name"]);
    let taken = town.create_user(&owner, &spec("ANN@x.test", "viewer")).unwrap_err();
    assert_eq!(refused(&taken), "taken");
    town.create_user(&owner, &spec("b@x.test", "viewer")).unwrap();
    let moved = town.merge_user(&owner, "b@x.test", &object(json!({"email": "ann@x.test"})), Expect::Any);
    assert_eq!(refused(&moved.unwrap_err()), "taken");
}

#[test]
fn people_are_listed() {
    let (town, _) = Town::owned();
    for (number, role) in ["viewer", "viewer", "operator"].into_iter().enumerate() {
        town.pass(1);
        town.create_user(&Actor::local("test"), &spec(&format!("u{number}@x.test"), role)).unwrap();
    }
    let list = |limit: Option<usize>, cursor: Option<String>, filter: Option<(&str, &str)>| {
        let filters = filter.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        town.list_users(&ListQuery { limit, cursor, filters })
    };
    let first = list(Some(3), None, None).unwrap();
    let rest = list(Some(3), first.next_cursor.clone(), None).unwrap();
    let names: Vec<&str> = first.data.iter().chain(&rest.data).map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["ann@x.test", "u0@x.test", "u1@x.test", "u2@x.test"]);
    assert_eq!(rest.next_cursor, None);
    for (filter, count) in [
        (("role", "viewer"), 2),
        (("role", "auditor"), 0),
        (("disabled", "false"), 4),
        (("disabled", "true"), 0),
        (("email", "U1@x.test"), 1),
    ] {
        assert_eq!(list(None, None, Some(filter)).unwrap().data.len(), count, "{filter:?}");
    }
    for wrong in [
        list(Some(0), None, None),
        list(Some(201), None, None),
        list(None, Some("x".to_owned()), None),
        list(None, None, Some(("role", "root"))),
        list(None, None, Some(("disabled", "yes"))),
        list(None, None, Some(("colour", "red"))),
    ] {
        assert_eq!(refused(&wrong.unwrap_err()), "bad parameter");
    }
}

#[test]
fn changes_are_written_down_with_before_and_after() {
    let (town, _) = Town::owned();
    let operator = town.add("op@x.test", "operator");
    town.create_user(&operator, &spec("bob@x.test", "viewer")).unwrap();
    town.merge_user(&operator, "bob@x.test", &object(json!({"role": "developer"})), Expect::Any).unwrap();
    town.reset_password(&operator, "bob@x.test").unwrap();
    town.delete_user(&operator, "bob@x.test", Expect::Any).unwrap();
    let log = town.log();
    let bobs: Vec<&AuditRow> = log.iter().filter(|row| row.name == "bob@x.test").collect();
    let actions: Vec<&str> = bobs.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["create", "update", "reset_password", "delete"]);
    assert!(bobs.iter().all(|row| row.actor == "op@x.test" && row.role == "operator" && row.kind == "users"));
    let role = |text: &Option<String>| serde_json::from_str::<Value>(text.as_ref().unwrap()).unwrap()["role"].clone();
    assert_eq!((role(&bobs[1].before), role(&bobs[1].after)), (json!("viewer"), json!("developer")));
}

//! The set-up, passwords, codes and sessions.

use super::*;
use crate::people::Whose;

#[test]
fn the_first_person_is_the_owner() {
    let town = Town::empty();
    let code = town.offer_set_up().unwrap().unwrap();
    let first = |email: &str, password: &str| FirstPerson {
        email: email.to_owned(),
        password: Secret::new(password),
        name: " Ann ".to_owned(),
    };
    let good = first("Ann@X.test", PASSWORD);
    for (code, person, expect) in [
        ("", &good, "wrong code"),
        ("0000000000000000000000000000000000000000", &good, "wrong code"),
        (&code.expose()[1..], &good, "wrong code"),
        (code.expose(), &first("ann", PASSWORD), "invalid"),
        (code.expose(), &first("ann@x.test", "short"), "invalid"),
        (code.expose(), &first("ann@x.test", "password1234"), "invalid"),
    ] {
        assert_eq!(kind(&town.set_up(&Secret::new(code), person, &visitor()).unwrap_err()), expect);
    }
    let begun = town.set_up(&code, &good, &visitor()).unwrap();
    assert_eq!((begun.user.name.as_str(), &begun.user.spec["role"]), ("ann@x.test", &json!("owner")));
    assert_eq!(begun.user.spec["name"], "Ann");
    let actor = town.actor_of(&begun);
    assert_eq!((actor.role, actor.name.as_str(), actor.user), (Role::Owner, "ann@x.test", Some(begun.user.id)));
    assert!(town.offer_set_up().unwrap().is_none());
    let again = town.set_up(&code, &first("bob@x.test", PASSWORD), &visitor()).unwrap_err();
    assert_eq!(kind(&again), "conflict");
    assert_eq!(
        town.actions(),
        ["refuse_set_up", "refuse_set_up", "refuse_set_up", "set_up", "sign_in"],
        "what is written down"
    );
}

#[test]
fn a_set_up_code_is_good_for_a_day_and_for_this_start() {
    let town = Town::empty();
    let first = FirstPerson { email: "ann@x.test".into(), password: Secret::new(PASSWORD), name: String::new() };
    let early = town.offer_set_up().unwrap().unwrap();
    let late = town.offer_set_up().unwrap().unwrap();
    assert_eq!(kind(&town.set_up(&early, &first, &visitor()).unwrap_err()), "wrong code");
    town.pass(24 * 3_600);
    assert_eq!(kind(&town.set_up(&late, &first, &visitor()).unwrap_err()), "wrong code");
    let new = town.offer_set_up().unwrap().unwrap();
    town.pass(24 * 3_600 - 1);
    assert!(town.set_up(&new, &first, &visitor()).is_ok());
}

#[test]
fn only_the_right_password_signs_in() {
    let (town, _) = Town::owned();
    town.add("bob@x.test", "viewer");
    let try_it = |email: &str, password: &str| {
        town.pass(24 * 3_600);
        town.sign_in(email, &Secret::new(password), &visitor()).map(drop)
    };
    assert!(try_it("ann@x.test", PASSWORD).is_ok());
    assert!(try_it(" ANN@X.TEST ", PASSWORD).is_ok(), "an address is one in either case");
    for (email, password) in [
        ("ann@x.test", ""),
        ("ann@x.test", "correct horse batterz"),
        ("ann@x.test", " correct horse battery"),
        ("ann@x.test", &"x".repeat(10_000)),
        ("nobody@x.test", PASSWORD),
        ("", PASSWORD),
        ("' OR '1'='1", PASSWORD),
    ] {
        let denied = try_it(email, password).unwrap_err();
        assert_eq!(denied.to_string(), "the email address or the password is wrong", "{email} {password}");
    }
    town.merge_user(&Actor::local("test"), "bob@x.test", &object(json!({"disabled": true})), Expect::Any).unwrap();
    assert_eq!(kind(&try_it("bob@x.test", PASSWORD).unwrap_err()), "wrong password");
}

#[test]
fn a_stored_hash_is_no_credential() {
    let (town, begun) = Town::owned();
    let user = town.store.user(begun.user.id).unwrap().unwrap();
    let hash = user.password_hash.unwrap();
    assert!(hash.expose().starts_with("$argon2id$"));
    assert_eq!(kind(&town.sign_in("ann@x.test", &hash, &visitor()).unwrap_err()), "wrong password");
    let stored = super::super::token::hash(super::super::token::Purpose::Session, begun.secret.expose());
    let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(town.authenticate(&Secret::new(hex), &visitor()).unwrap().is_none());
}

#[test]
fn every_attempt_costs_one_verification_whoever_it_is() {
    let (town, _) = Town::owned();
    let owner = Actor::local("test");
    town.create_user(&owner, &spec("invited@x.test", "viewer")).unwrap();
    town.add("off@x.test", "viewer");
    town.merge_user(&owner, "off@x.test", &object(json!({"disabled": true})), Expect::Any).unwrap();
    for email in ["ann@x.test", "nobody@x.test", "invited@x.test", "off@x.test", "not an address", ""] {
        let before = town.verified();
        assert!(town.sign_in(email, &Secret::new("wrong password!"), &visitor()).is_err());
        assert_eq!(town.verified() - before, 1, "{email}");
    }
}

#[test]
fn attempts_are_slowed_down_by_account_and_by_peer() {
    let (town, _) = Town::owned();
    let before = town.verified();
    let mut refused = 0;
    for number in 0..1_000_u32 {
        let peer = visitor_from(u8::try_from(number % 250).unwrap());
        match town.sign_in("ann@x.test", &Secret::new("wrong password!"), &peer).unwrap_err() {
            Denied::WrongPassword => {}
            Denied::TooMany(wait) => {
                assert!(!wait.is_zero());
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((town.verified() - before, refused), (5, 995), "a thousand peers are one account");
    assert_eq!(kind(&town.sign_in("ann@x.test", &Secret::new(PASSWORD), &visitor_from(251)).unwrap_err()), "too many");
    town.pass(900);
    assert!(town.sign_in("ann@x.test", &Secret::new(PASSWORD), &visitor_from(251)).is_ok());

    let (town, _) = Town::owned();
    let before = town.verified();
    for number in 0..1_000 {
        let _ = town.sign_in(&format!("u{number}@x.test"), &Secret::new("wrong password!"), &visitor_from(7));
    }
    assert_eq!(town.verified() - before, 20, "a thousand accounts are one peer");
    assert!(town.sign_in("ann@x.test", &Secret::new(PASSWORD), &visitor_from(8)).is_ok(), "others come in");
}

#[test]
fn an_unknown_account_is_locked_like_a_known_one() {
    let (town, _) = Town::owned();
    let shapes = |email: &str| -> Vec<&'static str> {
        let peer = |number: u8| visitor_from(if email.starts_with("ann") { number } else { 100 + number });
        let attempt = |number| town.sign_in(email, &Secret::new("wrong password!"), &peer(number)).unwrap_err();
        (0..8).map(|number| kind(&attempt(number))).collect()
    };
    assert_eq!(shapes("ann@x.test"), shapes("nobody@x.test"));
}

#[test]
fn a_failure_names_nobody_who_does_not_exist() {
    let (town, _) = Town::owned();
    let _ = town.sign_in("my-password-by-mistake", &Secret::new("wrong password!"), &visitor());
    let _ = town.sign_in("ann@x.test", &Secret::new("wrong password!"), &visitor());
    let log = town.log();
    let failed: Vec<&str> =
        log.iter().filter(|row| row.action == "refuse_sign_in").map(|row| row.name.as_str()).collect();
    assert_eq!(failed, ["", "ann@x.test"]);
    assert!(!format!("{log:?}").contains("mistake"));
}

#[test]
fn sessions_end_by_time() {
    let (town, begun) = Town::owned();
    town.pass(12 * 3_600 - 1);
    assert!(town.is_in(&begun), "it was used in time");
    town.pass(12 * 3_600 - 61);
    assert!(town.is_in(&begun));
    town.pass(12 * 3_600);
    assert!(!town.is_in(&begun), "it was idle");
    assert!(!town.is_in(&begun), "and it is gone");

    let busy = town.come_in("ann@x.test");
    for _ in 0..14 {
        assert!(town.is_in(&busy));
        town.pass(12 * 3_600 - 60);
    }
    assert!(town.is_in(&busy));
    town.pass(14 * 60);
    assert!(!town.is_in(&busy), "after seven days it ends, however much it was used");
}

#[test]
fn what_is_not_the_id_opens_nothing() {
    let (town, begun) = Town::owned();
    let id = begun.secret.expose();
    for forged in [
        "",
        &id[1..],
        &id[..63],
        &format!("{id}0"),
        &id.to_uppercase(),
        &"0".repeat(64),
        begun.csrf.expose(),
        &begun.id.to_string(),
        &format!(" {id}"),
    ] {
        assert!(town.authenticate(&Secret::new(forged), &visitor()).unwrap().is_none(), "{forged}");
    }
    assert!(town.is_in(&begun));
    assert!(!Town::owned().0.is_in(&begun), "nor does that of another installation");
}

#[test]
fn every_sign_in_has_an_id_of_its_own() {
    let (town, first) = Town::owned();
    let second = town.come_in("ann@x.test");
    assert_ne!(first.secret, second.secret);
    assert_ne!(first.csrf, second.csrf);
    town.end_session(&town.actor_of(&second), first.id).unwrap();
    assert!(!town.is_in(&first) && town.is_in(&second));
}

#[test]
fn sessions_are_listed_and_ended_by_those_who_may() {
    let (town, owner) = Town::owned();
    let owner = town.actor_of(&owner);
    let operator = town.add("op@x.test", "operator");
    let developer = town.add("dev@x.test", "developer");
    let theirs = town.come_in("dev@x.test");
    let own = |actor: &Actor| town.list_sessions(actor, Whose::Own, None, None, Some(theirs.id)).unwrap().data;
    assert_eq!((own(&developer).len(), own(&operator).len()), (2, 1));
    assert_eq!(own(&developer).iter().filter(|session| session.current).count(), 1);
    let all = |actor: &Actor| town.list_sessions(actor, Whose::Everybody, None, None, None);
    assert_eq!(all(&operator).unwrap().data.len(), 4);
    assert_eq!(refused(&all(&developer).unwrap_err()), "forbidden");
    let of = |actor: &Actor, whose: &Actor| {
        town.list_sessions(actor, Whose::Of(whose.user.unwrap()), None, None, None).map(|page| page.data.len())
    };
    assert_eq!((of(&operator, &developer).unwrap(), of(&developer, &developer).unwrap()), (2, 2));
    assert!(of(&developer, &operator).is_err());

    let first = town.list_sessions(&operator, Whose::Everybody, Some(3), None, None).unwrap();
    let rest = town.list_sessions(&operator, Whose::Everybody, Some(3), first.next_cursor.as_deref(), None).unwrap();
    assert_eq!((first.data.len(), rest.data.len(), rest.next_cursor), (3, 1, None));

    let id_of = |actor: &Actor| ir::id::ResourceId::parse(&own(actor)[0].id).unwrap();
    assert_eq!(refused(&town.end_session(&developer, id_of(&operator)).unwrap_err()), "not found");
    assert_eq!(refused(&town.end_session(&operator, id_of(&owner)).unwrap_err()), "forbidden");
    town.end_session(&operator, theirs.id).unwrap();
    assert!(!town.is_in(&theirs));
    assert_eq!(refused(&town.end_session(&operator, theirs.id).unwrap_err()), "not found");
    town.end_session(&owner, id_of(&operator)).unwrap();
}

#[test]
fn a_password_is_changed_by_who_knows_it() {
    let (town, begun) = Town::owned();
    let (actor, other) = (town.actor_of(&begun), town.come_in("ann@x.test"));
    let change = |old: &str, new: &str| town.change_password(&actor, &Secret::new(old), &Secret::new(new), &visitor());
    assert_eq!(kind(&change("wrong password!", "a new long password").unwrap_err()), "wrong password");
    assert_eq!(kind(&change(PASSWORD, "short").unwrap_err()), "invalid");
    assert!(town.is_in(&begun) && town.is_in(&other));
    let next = change(PASSWORD, "a new long password").unwrap();
    assert!(!town.is_in(&begun) && !town.is_in(&other) && town.is_in(&next), "all end, one begins");
    assert!(town.sign_in("ann@x.test", &Secret::new(PASSWORD), &visitor()).is_err());
    assert!(town.sign_in("ann@x.test", &Secret::new("a new long password"), &visitor()).is_ok());
    let program = Actor { user: None, ..actor.clone() };
    let refused = town.change_password(&program, &Secret::new(PASSWORD), &Secret::new(PASSWORD), &visitor());
    assert_eq!(kind(&refused.unwrap_err()), "conflict");
}

#[test]
fn an_invitation_is_good_once() {
    let (town, _) = Town::owned();
    let owner = Actor::local("test");
    let (user, invitation) = town.create_user(&owner, &spec("bob@x.test", "developer")).unwrap();
    assert_eq!(user.status["has_password"], false);
    let code = invitation.unwrap().code;
    let redeem = |code: &Secret, password: &str| town.redeem(code, &Secret::new(password), &visitor());
    assert_eq!(kind(&redeem(&Secret::new("x"), PASSWORD).unwrap_err()), "wrong code");
    assert_eq!(kind(&redeem(&code, "short").unwrap_err()), "invalid");
    let begun = redeem(&code, PASSWORD).unwrap();
    assert_eq!(town.actor_of(&begun).role, Role::Developer);
    assert_eq!(kind(&redeem(&code, PASSWORD).unwrap_err()), "wrong code");

    let first = town.reset_password(&owner, "bob@x.test").unwrap().code;
    let second = town.reset_password(&owner, &user.id.to_string()).unwrap().code;
    assert!(town.is_in(&begun), "a code alone changes nothing");
    assert_eq!(kind(&redeem(&first, PASSWORD).unwrap_err()), "wrong code");
    town.pass(72 * 3_600);
    assert_eq!(kind(&redeem(&second, PASSWORD).unwrap_err()), "wrong code");
    let third = town.reset_password(&owner, "bob@x.test").unwrap().code;
    town.merge_user(&owner, "bob@x.test", &object(json!({"disabled": true})), Expect::Any).unwrap();
    assert_eq!(kind(&redeem(&third, PASSWORD).unwrap_err()), "wrong code");
    assert_eq!(refused(&town.reset_password(&owner, "bob@x.test").unwrap_err()), "conflict");
}

#[test]
fn a_code_ends_the_sessions_that_were() {
    let (town, _) = Town::owned();
    town.add("bob@x.test", "developer");
    let before = town.come_in("bob@x.test");
    let code = town.reset_password(&Actor::local("test"), "bob@x.test").unwrap().code;
    let after = town.redeem(&code, &Secret::new("another long password"), &visitor()).unwrap();
    assert!(!town.is_in(&before) && town.is_in(&after));
}

#[test]
fn codes_cannot_be_guessed_at_length() {
    let (town, _) = Town::owned();
    let mut wrong = 0;
    for number in 0..500 {
        match town.redeem(&Secret::new(format!("{number:040x}")), &Secret::new(PASSWORD), &visitor()).unwrap_err() {
            Denied::WrongCode => wrong += 1,
            Denied::TooMany(_) => {}
            other => panic!("{other}"),
        }
    }
    assert!(wrong <= 21, "{wrong}");
}

#[test]
fn parameters_grow_with_a_sign_in() {
    let (mut town, begun) = Town::owned();
    town.people.hasher = Hasher::new(16, 1, 1);
    town.come_in("ann@x.test");
    let user = town.store.user(begun.user.id).unwrap().unwrap();
    assert!(user.password_hash.unwrap().expose().contains("m=16,"));
    assert!(town.is_in(&begun), "nothing else changed");
    town.come_in("ann@x.test");
}

#[test]
fn no_secret_is_written_down_or_shown() {
    let (town, begun) = Town::owned();
    let bob = town.add("bob@x.test", "operator");
    let code = town.reset_password(&Actor::local("test"), "bob@x.test").unwrap().code;
    let users = town.list_users(&crate::resource::ListQuery::default()).unwrap();
    let sessions = town.list_sessions(&bob, Whose::Everybody, None, None, None).unwrap();
    let all = format!(
        "{:?} {} {} {begun:?}",
        town.log(),
        serde_json::to_string(&users).unwrap(),
        serde_json::to_string(&sessions).unwrap()
    );
    for secret in [PASSWORD, "argon2", begun.secret.expose(), begun.csrf.expose(), code.expose()] {
        assert!(!all.contains(secret), "{secret}");
    }
}

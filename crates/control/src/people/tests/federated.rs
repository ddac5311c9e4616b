//! Who is let in on the word of an OpenID provider.

use super::*;
use crate::people::{Admission, Claimed};

fn claimed(subject: &str, email: &str) -> Claimed {
    Claimed {
        issuer: "https://issuer.test".to_owned(),
        subject: subject.to_owned(),
        email: Some(email.to_owned()),
        email_verified: true,
        name: Some("Name".to_owned()),
        role: None,
    }
}

fn closed() -> Admission {
    Admission::default()
}

fn open(role: Role) -> Admission {
    Admission { default_role: Some(role), ..Admission::default() }
}

fn why(result: Result<Begun, Denied>) -> String {
    match result.unwrap_err() {
        Denied::NotAdmitted(why) => why,
        other => panic!("{other}"),
    }
}

#[test]
fn only_those_who_were_invited_come_in() {
    let (town, _) = Town::owned();
    town.create_user(&Actor::local("test"), &spec("bob@x.test", "developer")).unwrap();
    let sign_in = |claimed: &Claimed| town.sign_in_federated(claimed, &closed(), &visitor());
    assert!(why(sign_in(&claimed("s1", "eve@x.test"))).starts_with("nobody has invited"));
    let unverified = Claimed { email_verified: false, ..claimed("s1", "bob@x.test") };
    assert!(why(sign_in(&unverified)).contains("no verified email"));
    assert!(why(sign_in(&Claimed { email: None, ..claimed("s1", "") })).contains("no verified email"));
    let begun = sign_in(&claimed("s1", "Bob@X.test")).unwrap();
    let actor = town.actor_of(&begun);
    assert_eq!((actor.name.as_str(), actor.role), ("bob@x.test", Role::Developer));
    assert_eq!(begun.user.status["has_sso"], true);
}

#[test]
fn who_was_linked_is_found_by_their_subject() {
    let (town, _) = Town::owned();
    town.create_user(&Actor::local("test"), &spec("bob@x.test", "developer")).unwrap();
    let sign_in = |claimed: &Claimed| town.sign_in_federated(claimed, &closed(), &visitor());
    sign_in(&claimed("s1", "bob@x.test")).unwrap();
    let moved = Claimed { email_verified: false, ..claimed("s1", "robert@y.test") };
    assert_eq!(town.actor_of(&sign_in(&moved).unwrap()).name, "bob@x.test");
    assert!(why(sign_in(&claimed("s2", "bob@x.test"))).contains("linked to another identity"));
    let other = Claimed { issuer: "https://evil.test".to_owned(), ..claimed("s1", "bob@x.test") };
    assert!(why(sign_in(&other)).contains("linked to another identity"));
}

#[test]
fn somebody_new_gets_the_role_of_the_settings() {
    let (town, _) = Town::owned();
    let begun = town.sign_in_federated(&claimed("s1", "eve@x.test"), &open(Role::Viewer), &visitor()).unwrap();
    assert_eq!(town.actor_of(&begun).role, Role::Viewer);
    assert_eq!((&begun.user.spec["name"], &begun.user.status["role_from"]), (&json!("Name"), &json!("oidc")));
    let mapped = Claimed { role: Some(Role::Operator), ..claimed("s2", "max@x.test") };
    let begun = town.sign_in_federated(&mapped, &closed(), &visitor()).unwrap();
    assert_eq!(town.actor_of(&begun).role, Role::Operator, "a mapped role is an admission");
}

#[test]
fn the_provider_changes_the_roles_that_it_gave() {
    let (town, _) = Town::owned();
    let with = |role: Option<Role>| Claimed { role, ..claimed("s1", "max@x.test") };
    let sign_in = |role: Option<Role>, rules: &Admission| town.sign_in_federated(&with(role), rules, &visitor());
    let first = sign_in(Some(Role::Operator), &closed()).unwrap();
    let second = sign_in(Some(Role::Developer), &closed()).unwrap();
    assert!(!town.is_in(&first), "a change of role ends sessions");
    assert_eq!(town.actor_of(&second).role, Role::Developer);
    assert!(why(sign_in(None, &closed())).contains("no role any more"));
    assert_eq!(town.actor_of(&sign_in(None, &open(Role::Viewer)).unwrap()).role, Role::Viewer);

    let patch = object(json!({"role": "auditor"}));
    town.merge_user(&Actor::local("test"), "max@x.test", &patch, Expect::Any).unwrap();
    let kept = sign_in(Some(Role::Operator), &closed()).unwrap();
    assert_eq!(town.actor_of(&kept).role, Role::Auditor, "a role given by hand stays");
}

#[test]
fn other_domains_and_disabled_people_stay_out() {
    let (town, _) = Town::owned();
    let rules = Admission { allowed_domains: vec!["x.test".to_owned()], ..open(Role::Viewer) };
    let sign_in = |claimed: &Claimed| town.sign_in_federated(claimed, &rules, &visitor());
    for email in ["eve@y.test", "eve@sub.x.test", "eve@ax.test", "eve@x.test@y.test"] {
        let reason = why(sign_in(&claimed("s1", email)));
        assert!(reason.contains("domain"), "{email}: {reason}");
    }
    let unverified = Claimed { email_verified: false, ..claimed("s1", "eve@x.test") };
    assert!(why(sign_in(&unverified)).contains("domain"));
    sign_in(&claimed("s1", "eve@x.test")).unwrap();
    let patch = object(json!({"disabled": true}));
    town.merge_user(&Actor::local("test"), "eve@x.test", &patch, Expect::Any).unwrap();
    assert!(why(sign_in(&claimed("s1", "eve@x.test"))).contains("disabled"));
    assert!(town.actions().contains(&"refuse_sign_in".to_owned()));
}

#[test]
fn the_last_owner_is_not_demoted_by_a_provider() {
    let town = Town::empty();
    let with = |role: Role| Claimed { role: Some(role), ..claimed("s1", "max@x.test") };
    town.sign_in_federated(&with(Role::Owner), &closed(), &visitor()).unwrap();
    let begun = town.sign_in_federated(&with(Role::Viewer), &closed(), &visitor()).unwrap();
    assert_eq!(town.actor_of(&begun).role, Role::Owner);
}

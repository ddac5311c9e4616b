//! People as resources, their ranks, passwords and codes, through the real router.

use serde_json::{Value, json};

use crate::people::*;

const USERS: &str = "/admin/v1/users";
const ROLES: [&str; 6] = ["viewer", "auditor", "developer", "team_admin", "operator", "owner"];

/// Acceptance AUTHZ-07.
#[tokio::test(start_paused = true)]
async fn the_matrix_of_ranks_and_permissions() {
    let gateway = gateway();
    owner(&gateway).await;
    let mut number = 0;
    for actor_role in ROLES {
        let actor = add(&gateway, &format!("a-{actor_role}@x.test"), actor_role).await;
        let reads = matches!(actor_role, "auditor" | "team_admin" | "operator" | "owner");
        let listed = actor.get(&gateway, USERS).await;
        assert_eq!(listed.status, if reads { 200 } else { 403 }, "{actor_role} lists");
        for target_role in ROLES {
            let may = match actor_role {
                "owner" => true,
                "operator" => !matches!(target_role, "operator" | "owner"),
                _ => false,
            };
            let acts = [
                ("PATCH", "", json!({"spec": {"name": "X"}}), 200),
                ("PATCH", "", json!({"spec": {"disabled": true}}), 200),
                ("PATCH", "", json!({"spec": {"role": "viewer", "disabled": false}}), 200),
                ("POST", "/password", json!({}), 200),
                ("DELETE", "", Value::Null, 204),
            ];
            for (method, suffix, body, good) in acts {
                number += 1;
                let email = format!("t{number}@x.test");
                let spec = json!({"spec": {"email": email, "role": target_role}});
                assert_eq!(with_token(&gateway, &format!("POST {USERS}"), spec).await.status, 201);
                let reply = actor.ask(&gateway, &format!("{method} {USERS}/{email}{suffix}"), body.clone()).await;
                let expect = if may { good } else { 403 };
                assert_eq!(reply.status, expect, "{actor_role} {method} {target_role} {body}: {}", reply.text());
            }
            number += 1;
            let spec = json!({"spec": {"email": format!("t{number}@x.test"), "role": target_role}});
            let reply = actor.ask(&gateway, &format!("POST {USERS}"), spec).await;
            assert_eq!(reply.status, if may { 201 } else { 403 }, "{actor_role} creates {target_role}");
        }
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn people_are_resources() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let made =
        owner.ask(&gateway, &format!("POST {USERS}"), json!({"spec": {"email": "Bob@X.test", "role": "viewer"}})).await;
    let user = made.json();
    assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")));
    let path = format!("{USERS}/{}", user["id"].as_str().unwrap());
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!((&user["name"], &user["kind"], &user["version"]), (&json!("bob@x.test"), &json!("users"), &json!(1)));
    let read = owner.get(&gateway, &path).await;
    assert_eq!((read.status, read.header("etag")), (200, Some("\"1\"")));
    assert!(read.json().get("invitation").is_none(), "a code is shown once");

    let with = |tag: &str| format!("{}if-match: {tag}\r\n", owner.fields());
    let patch = json!({"spec": {"name": "Bob"}});
    let stale = ask(&gateway, &format!("PATCH {path}"), &with("\"7\""), &patch).await;
    assert_eq!((stale.status, stale.header("etag")), (412, Some("\"1\"")));
    let changed = ask(&gateway, &format!("PATCH {path}"), &with("\"1\""), &patch).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    let replaced = json!({"spec": {"email": "bob@x.test", "role": "auditor"}});
    let replaced = owner.ask(&gateway, &format!("PUT {path}"), replaced).await.json();
    assert_eq!(replaced["spec"], json!({"email": "bob@x.test", "name": "", "role": "auditor", "disabled": false}));
    for (body, field) in [
        (json!({"spec": {"email": "x", "role": "viewer"}}), "email"),
        (json!({"spec": {"email": "c@x.test", "role": "root"}}), "role"),
        (json!({"spec": {"email": "c@x.test", "role": "viewer", "password": "x"}}), "password"),
        (json!({"email": "c@x.test", "role": "viewer"}), "email"),
        (json!({}), "spec"),
    ] {
        let reply = owner.ask(&gateway, &format!("POST {USERS}"), body.clone()).await;
        assert_eq!((reply.status, &reply.json()["error"]["field"]), (400, &json!(field)), "{body}");
    }
    let taken =
        owner.ask(&gateway, &format!("POST {USERS}"), json!({"spec": {"email": OWNER, "role": "viewer"}})).await;
    assert_eq!((taken.status, &taken.json()["error"]["code"]), (409, &json!("name_taken")));
    let page = owner.get(&gateway, &format!("{USERS}?limit=1&role=auditor")).await.json();
    assert_eq!((&page["data"][0]["name"], &page["next_cursor"]), (&json!("bob@x.test"), &Value::Null));
    assert_eq!(owner.ask(&gateway, &format!("DELETE {path}"), Value::Null).await.status, 204);
    assert_eq!(owner.get(&gateway, &path).await.status, 404);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_owner_stays() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    for (line, body) in [
        (format!("PATCH {USERS}/{OWNER}"), json!({"spec": {"role": "operator"}})),
        (format!("PATCH {USERS}/{OWNER}"), json!({"spec": {"disabled": true}})),
        (format!("DELETE {USERS}/{OWNER}"), Value::Null),
    ] {
        assert_eq!(owner.ask(&gateway, &line, body.clone()).await.status, 409, "{line}");
        assert_eq!(with_token(&gateway, &line, body).await.status, 409, "{line}");
    }
    assert_eq!(owner.get(&gateway, USERS).await.status, 200);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_role_ends_sessions() {
    let gateway = gateway();
    owner(&gateway).await;
    for (patch, ends) in
        [(json!({"name": "Bob"}), false), (json!({"role": "operator"}), true), (json!({"disabled": true}), true)]
    {
        let email = format!("u{}@x.test", patch.to_string().len());
        let browser = add(&gateway, &email, "developer").await;
        let reply = with_token(&gateway, &format!("PATCH {USERS}/{email}"), json!({"spec": patch})).await;
        assert_eq!(reply.status, 200);
        let after = browser.get(&gateway, "/admin/v1/session").await.status;
        assert_eq!(after, if ends { 401 } else { 200 }, "{patch}");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn passwords_are_changed_and_reset() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let (first, second) = (add(&gateway, "bob@x.test", "developer").await, sign_in(&gateway, "bob@x.test").await);
    let path = format!("POST {USERS}/bob@x.test/password");
    let new = "another long password";
    let wrong = first.ask(&gateway, &path, json!({"old_password": "x", "new_password": new})).await;
    assert_eq!(wrong.status, 401);
    let missing = first.ask(&gateway, &path, json!({"new_password": new})).await;
    assert_eq!((missing.status, &missing.json()["error"]["field"]), (400, &json!("old_password")));
    let weak = first.ask(&gateway, &path, json!({"old_password": PASSWORD, "new_password": "short"})).await;
    assert_eq!((weak.status, &weak.json()["error"]["field"]), (400, &json!("new_password")));
    let changed = first.ask(&gateway, &path, json!({"old_password": PASSWORD, "new_password": new})).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let next = Browser::of(&changed);
    for (browser, status) in [(&first, 401), (&second, 401), (&next, 200)] {
        assert_eq!(browser.get(&gateway, "/admin/v1/session").await.status, status);
    }
    assert_eq!(try_password(&gateway, "bob@x.test", PASSWORD).await.status, 401);

    let others = owner.ask(&gateway, &path, json!({"new_password": PASSWORD})).await;
    assert_eq!(others.status, 400, "nobody sets another's password");
    let reset = owner.ask(&gateway, &path, json!({})).await.json();
    let code = reset["invitation"]["code"].as_str().unwrap();
    assert_eq!(reset["invitation"]["path"], json!(format!("/invitation#code={code}")));
    let redeem = json!({"code": code, "password": PASSWORD});
    assert_eq!(bare(&gateway, "POST /admin/v1/invitation", redeem.clone()).await.status, 200);
    assert_eq!(bare(&gateway, "POST /admin/v1/invitation", redeem).await.status, 401, "a code is good once");
    assert_eq!(next.get(&gateway, "/admin/v1/session").await.status, 401);
    sign_in(&gateway, "bob@x.test").await;
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_are_seen_and_ended() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let developer = add(&gateway, "dev@x.test", "developer").await;
    let operator = add(&gateway, "op@x.test", "operator").await;
    let own = developer.get(&gateway, "/admin/v1/sessions").await.json();
    let session = own["data"][0].clone();
    assert_eq!((own["data"].as_array().unwrap().len(), &session["current"]), (1, &json!(true)));
    assert_eq!((&session["ip"], &session["method"]), (&json!("127.0.0.1"), &json!("invitation")));
    assert_eq!(developer.get(&gateway, "/admin/v1/sessions?user=all").await.status, 403);
    let all = operator.get(&gateway, "/admin/v1/sessions?user=all").await.json();
    let owners = all["data"].as_array().unwrap().iter().find(|session| session["method"] == "setup").unwrap();
    let end = |id: &Value| format!("DELETE /admin/v1/sessions/{}", id.as_str().unwrap());
    assert_eq!(developer.ask(&gateway, &end(&owners["id"]), Value::Null).await.status, 404);
    assert_eq!(operator.ask(&gateway, &end(&owners["id"]), Value::Null).await.status, 403);
    assert_eq!(operator.ask(&gateway, &end(&session["id"]), Value::Null).await.status, 204);
    assert_eq!(developer.get(&gateway, "/admin/v1/session").await.status, 401);
    assert_eq!(owner.ask(&gateway, &end(&owners["id"]), Value::Null).await.status, 204);
    assert_eq!(owner.get(&gateway, "/admin/v1/session").await.status, 401);
    gateway.none().await;
}

/// Acceptance AUTH-15.
#[tokio::test(start_paused = true)]
async fn no_hash_and_no_secret_is_shown_or_written_down() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let bob = add(&gateway, "bob@x.test", "developer").await;
    let made = owner.ask(&gateway, &format!("POST {USERS}/bob@x.test/password"), json!({})).await.json();
    let code = made["invitation"]["code"].as_str().unwrap().to_owned();
    try_password(&gateway, "secret-typed-as-name", "wrong password!").await;
    let mut seen = String::new();
    for path in [
        USERS.to_owned(),
        format!("{USERS}/{OWNER}"),
        "/admin/v1/sessions?user=all".to_owned(),
        "/admin/v1/audit?limit=200".to_owned(),
    ] {
        let reply = owner.get(&gateway, &path).await;
        seen.push_str(reply.text());
    }
    for act in ["set_up", "sign_in", "create", "reset_password", "refuse_sign_in"] {
        assert!(seen.contains(&format!("\"{act}\"")), "{act} is in the audit log: {seen}");
    }
    let ids = [&owner, &bob].map(|browser| browser.cookie.strip_prefix("crossway_session=").unwrap().to_owned());
    for secret in ["argon2", "password_hash", PASSWORD, &code, &owner.csrf, &ids[0], &ids[1], "secret-typed-as-name"] {
        assert!(!seen.contains(secret), "{secret}");
    }
    gateway.none().await;
}

//! Signing in, sessions, forged cookies, other sites, and lock-out, through the real router.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::gateway::{ADMIN_TOKEN, Gateway};
use testkit::script::Script;

use crate::people::*;

const SESSION: &str = "/admin/v1/session";

#[tokio::test(start_paused = true)]
async fn the_life_of_the_first_owner() {
    let gateway = gateway();
    assert_eq!(bare(&gateway, "GET /admin/v1/setup", Value::Null).await.json()["needed"], true);
    let code = setup_code(&gateway);
    let body = |code: &str| json!({"code": code, "email": OWNER, "password": PASSWORD});
    for wrong in ["", "x", &code.expose()[1..]] {
        let reply = bare(&gateway, "POST /admin/v1/setup", body(wrong)).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (401, None), "{wrong}");
    }
    let weak =
        bare(&gateway, "POST /admin/v1/setup", json!({"code": code.expose(), "email": OWNER, "password": "a"})).await;
    assert_eq!((weak.status, &weak.json()["error"]["field"]), (400, &json!("password")));
    let done = bare(&gateway, "POST /admin/v1/setup", body(code.expose())).await;
    assert_eq!(done.status, 201, "{}", done.text());
    let cookie = done.header("set-cookie").unwrap();
    for part in ["crossway_session=", "; Path=/;", "; HttpOnly", "; SameSite=Strict", "; Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "it came over http");
    let owner = Browser::of(&done);
    let me = owner.get(&gateway, SESSION).await.json();
    assert_eq!((&me["name"], &me["role"], &me["csrf_token"]), (&json!(OWNER), &json!("owner"), &json!(owner.csrf)));

    let again = bare(&gateway, "POST /admin/v1/setup", body(code.expose())).await;
    assert_eq!(again.status, 404);
    assert_eq!(bare(&gateway, "GET /admin/v1/setup", Value::Null).await.json()["needed"], false);
    assert!(gateway.people.people.offer_set_up().unwrap().is_none());

    let out = owner.ask(&gateway, "DELETE /admin/v1/session", Value::Null).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(owner.get(&gateway, SESSION).await.status, 401);
    let next = sign_in(&gateway, OWNER).await;
    assert_ne!(next.cookie, owner.cookie, "every sign-in has an id of its own");
    assert_eq!(next.get(&gateway, SESSION).await.status, 200);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_over_https_has_a_secure_cookie() {
    let gateway = gateway();
    owner(&gateway).await;
    for fields in
        ["host: localhost:8081\r\nx-forwarded-proto: https\r\n", "host: localhost\r\norigin: https://localhost\r\n"]
    {
        let reply =
            ask(&gateway, "POST /admin/v1/session", fields, &json!({"email": OWNER, "password": PASSWORD})).await;
        let cookie = reply.header("set-cookie").unwrap();
        assert!(cookie.starts_with("__Host-crossway_session=") && cookie.ends_with("; Secure"), "{fields}");
        let (name, _) = cookie.split_once(';').unwrap();
        let browser =
            Browser { cookie: name.to_owned(), csrf: reply.json()["csrf_token"].as_str().unwrap().to_owned() };
        assert_eq!(browser.get(&gateway, SESSION).await.status, 200, "{fields}");
    }
    gateway.none().await;
}

/// Acceptance WEB-03: where people come over https alone, a cookie that another host or a plain connection could have
/// planted is none, whatever it holds.
#[tokio::test(start_paused = true)]
async fn over_https_only_the_guarded_cookie_counts() {
    let gateway = Gateway::builder()
        .settings("public_url = \"https://gw.example.com/base\"")
        .provider("p", Script::chat("Hello"))
        .start();
    let owner = owner(&gateway).await;
    assert!(owner.cookie.starts_with("__Host-crossway_session="), "{}", owner.cookie);
    let id = owner.cookie.split_once('=').unwrap().1.to_owned();
    let plain = Browser { cookie: format!("crossway_session={id}"), ..owner.clone() };
    assert_eq!(plain.get(&gateway, SESSION).await.status, 401);
    let planted = Browser { cookie: format!("crossway_session={}; {}", "a".repeat(64), owner.cookie), ..owner.clone() };
    assert_eq!(planted.get(&gateway, SESSION).await.status, 200, "the planted one does not push the real one out");
    // A proxy on this machine passes the name on that people see; any other is a page's attempt to rebind it.
    for (host, status) in [("gw.example.com", 200), ("gw.example.com:443", 200), ("evil.example.com", 403)] {
        let fields = format!("host: {host}\r\ncookie: {}\r\n", owner.cookie);
        assert_eq!(ask(&gateway, &format!("GET {SESSION}"), &fields, &Value::Null).await.status, status, "{host}");
    }
    let out = owner.ask(&gateway, "DELETE /admin/v1/session", Value::Null).await;
    let gone: Vec<&str> =
        out.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, v)| v.as_str()).collect();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().any(|cookie| cookie.starts_with("__Host-crossway_session=;") && cookie.contains("; Secure")));
    gateway.none().await;
}

/// The link that a start prints leads to a page that works without anything from elsewhere.
#[tokio::test(start_paused = true)]
async fn the_set_up_has_a_page() {
    let gateway = gateway();
    let text = async |path: &str| {
        let reply = bare(&gateway, &format!("GET {path}"), Value::Null).await;
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        (reply.header("content-type").unwrap().to_owned(), reply.text().to_owned())
    };
    for (path, kind, part) in [
        ("/setup", "text/html; charset=utf-8", "Become the owner"),
        ("/invitation", "text/html; charset=utf-8", "admin/v1/invitation"),
        ("/setup.js", "text/javascript; charset=utf-8", "form.dataset.to"),
        ("/setup.css", "text/css; charset=utf-8", "color-scheme"),
        ("/", "text/html; charset=utf-8", "href=\"setup\""),
    ] {
        let (found, text) = text(path).await;
        assert_eq!(found, kind, "{path}");
        assert!(text.contains(part), "{path}");
        let outside = ["https://", "//cdn", "<style", "style=", "onclick=", "onsubmit="];
        assert!(
            outside.iter().all(|part| !text.contains(part)),
            "{path} holds nothing inline and nothing from elsewhere"
        );
    }
    owner(&gateway).await;
    let (_, over) = text("/setup").await;
    assert!(over.contains("is set up") && over.contains("crossway people add") && !over.contains("<script"), "{over}");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_end_by_time() {
    let gateway = gateway();
    let first = owner(&gateway).await;
    let pass = |hours: u64| gateway.assembly.hands.advance(Duration::from_secs(hours * 3_600));
    pass(11);
    assert_eq!(first.get(&gateway, SESSION).await.status, 200);
    pass(12);
    let over = first.get(&gateway, SESSION).await;
    assert_eq!((over.status, &over.json()["error"]["message"]), (401, &json!("the session is over: sign in again")));
    assert!(over.header("set-cookie").unwrap().contains("Max-Age=0"));
    let busy = sign_in(&gateway, OWNER).await;
    for _ in 0..15 {
        assert_eq!(busy.get(&gateway, SESSION).await.status, 200);
        pass(11);
    }
    pass(3);
    assert_eq!(busy.get(&gateway, SESSION).await.status, 401, "seven days are over");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn forged_cookies_open_nothing() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let id = owner.cookie.strip_prefix("crossway_session=").unwrap();
    let hash = control::people::token::hash(control::people::token::Purpose::Session, id);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let other = crate::people::gateway();
    let foreign = crate::people::owner(&other).await.cookie;
    other.none().await;
    let cut = format!("crossway_session={}", &id[..63]);
    for cookie in [
        "crossway_session=",
        "crossway_session=x",
        &cut,
        &format!("crossway_session={}", id.to_uppercase()),
        &format!("crossway_session={}{}", if id.starts_with('0') { "1" } else { "0" }, &id[1..]),
        &format!("crossway_session={hash}"),
        &format!("crossway_session={}", owner.csrf),
        &format!("crossway_session={ADMIN_TOKEN}"),
        &format!("crossway_session={id}; crossway_session={id}"),
        &format!("crossway_session={}; {}", "0".repeat(64), owner.cookie),
        &format!("Crossway_Session={id}"),
        &foreign,
    ] {
        let forged = Browser { cookie: cookie.to_owned(), ..owner.clone() };
        let reply = forged.get(&gateway, SESSION).await;
        assert_eq!(reply.status, 401, "{cookie}");
        assert!(!reply.text().contains(id));
    }
    let bearer = format!("host: localhost\r\nauthorization: Bearer {id}\r\n");
    assert_eq!(ask(&gateway, "GET /admin/v1/session", &bearer, &Value::Null).await.status, 401);
    let both = format!("{}authorization: Bearer wrong\r\n", owner.fields());
    assert_eq!(ask(&gateway, "GET /admin/v1/session", &both, &Value::Null).await.status, 401);
    assert_eq!(owner.get(&gateway, SESSION).await.status, 200);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_cookie_of_before_is_not_kept_by_a_sign_in() {
    let gateway = gateway();
    owner(&gateway).await;
    let planted = format!("host: localhost\r\ncookie: crossway_session={}\r\n", "a".repeat(64));
    let body = json!({"email": OWNER, "password": PASSWORD});
    let reply = ask(&gateway, "POST /admin/v1/session", &planted, &body).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.header("set-cookie").unwrap().contains(&"a".repeat(64)));
    assert_eq!(ask(&gateway, "GET /admin/v1/session", &planted, &Value::Null).await.status, 401);
    gateway.none().await;
}

/// Acceptance WEB-03.
#[tokio::test(start_paused = true)]
async fn changes_need_their_token_and_their_origin() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let other = sign_in(&gateway, OWNER).await;
    let (host, cookie) = ("host: localhost:8081\r\n", format!("cookie: {}\r\n", owner.cookie));
    let (origin, csrf) = ("origin: http://localhost:8081\r\n", format!("x-crossway-csrf: {}\r\n", owner.csrf));
    let body = json!({"spec": {"email": "bob@x.test", "role": "viewer"}});
    for (name, fields) in [
        ("no token", format!("{host}{cookie}{origin}")),
        ("an empty token", format!("{host}{cookie}{origin}x-crossway-csrf: \r\n")),
        ("a wrong token", format!("{host}{cookie}{origin}x-crossway-csrf: {}\r\n", "0".repeat(64))),
        ("another session's", format!("{host}{cookie}{origin}x-crossway-csrf: {}\r\n", other.csrf)),
        ("two tokens", format!("{host}{cookie}{origin}{csrf}{csrf}")),
        ("the id as the token", format!("{host}{cookie}{origin}x-crossway-csrf: {}\r\n", &owner.cookie[17..])),
        ("no origin", format!("{host}{cookie}{csrf}")),
        ("another port", format!("{host}{cookie}{csrf}origin: http://localhost:3000\r\n")),
        ("null", format!("{host}{cookie}{csrf}origin: null\r\n")),
        ("another site", format!("{host}{cookie}{csrf}origin: http://evil.test\r\n")),
        ("cross-site", format!("{host}{cookie}{csrf}{origin}sec-fetch-site: cross-site\r\n")),
        ("same-site", format!("{host}{cookie}{csrf}{origin}sec-fetch-site: same-site\r\n")),
    ] {
        let reply = ask(&gateway, "POST /admin/v1/users", &fields, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (403, &json!("permission_denied")), "{name}");
        assert!(!reply.text().contains(&owner.csrf), "{name}");
    }
    let listed = owner.get(&gateway, "/admin/v1/users").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "nothing happened");
    let browser = format!("{host}{cookie}{csrf}sec-fetch-site: same-origin\r\n");
    assert_eq!(ask(&gateway, "POST /admin/v1/users", &browser, &body).await.status, 201);
    let token = with_token(&gateway, "DELETE /admin/v1/users/bob@x.test", Value::Null).await;
    assert_eq!(token.status, 204, "a token needs no proof");
    gateway.none().await;
}

/// Acceptance WEB-03.
#[tokio::test(start_paused = true)]
async fn nobody_is_signed_in_by_a_page_of_another_site() {
    let gateway = gateway();
    owner(&gateway).await;
    let body = json!({"email": OWNER, "password": PASSWORD});
    for fields in [
        "host: localhost:8081\r\norigin: http://localhost:3000\r\n",
        "host: localhost:8081\r\nsec-fetch-site: cross-site\r\n",
    ] {
        let reply = ask(&gateway, "POST /admin/v1/session", fields, &body).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{fields}");
    }
    let mut client = gateway.admin_client("127.0.0.1:50000");
    let text = body.to_string();
    let form = format!("host: localhost\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    client.send(format!("POST /admin/v1/session HTTP/1.1\r\n{form}")).await;
    assert_eq!(client.reply().await.status, 415, "a form cannot send it");
    gateway.none().await;
}

/// Acceptance AUTH-13.
#[tokio::test(start_paused = true)]
async fn a_thousand_wrong_passwords_are_a_few() {
    let gateway = gateway();
    owner(&gateway).await;
    let before = gateway.people.people.verified();
    let (mut wrong, mut refused) = (0, 0);
    for number in 0..1_000_u32 {
        let peer = format!("10.0.{}.{}:4000", number / 250, number % 250 + 1);
        let fields = format!("host: localhost\r\nx-forwarded-for: 192.0.2.{}\r\n", number % 250);
        let body = json!({"email": OWNER, "password": format!("wrong password {number}")});
        let reply = ask_from(&gateway, &peer, "POST /admin/v1/session", &fields, &body).await;
        match reply.status {
            401 => wrong += 1,
            429 => {
                assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
                assert_eq!(reply.json()["error"]["code"], "rate_limited");
                refused += 1;
            }
            other => panic!("{other} {}", reply.text()),
        }
    }
    assert_eq!(wrong + refused, 1_000);
    assert!(wrong <= 12, "{wrong} passwords were looked at in fifty seconds");
    assert_eq!(gateway.people.people.verified() - before, wrong, "and no work was done for the others");
    gateway.assembly.hands.advance(Duration::from_secs(900));
    sign_in(&gateway, OWNER).await;

    let before = gateway.people.people.verified();
    for number in 0..1_000_u32 {
        let fields = format!("host: localhost\r\nx-forwarded-for: 192.0.2.{}\r\n", number % 250);
        let body = json!({"email": format!("u{number}@x.test"), "password": "wrong password!"});
        ask_from(&gateway, "10.9.9.9:4000", "POST /admin/v1/session", &fields, &body).await;
    }
    assert!(gateway.people.people.verified() - before <= 25, "what a request says of its address is not believed");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn known_and_unknown_are_answered_alike() {
    let gateway = gateway();
    owner(&gateway).await;
    with_token(&gateway, "POST /admin/v1/users", json!({"spec": {"email": "new@x.test", "role": "viewer"}})).await;
    let mut answers = Vec::new();
    for email in [OWNER, "nobody@x.test", "new@x.test", "no address", ""] {
        let before = gateway.people.people.verified();
        let reply = try_password(&gateway, email, "wrong password!").await;
        assert_eq!(gateway.people.people.verified() - before, 1, "the same work for {email:?}");
        let mut body = reply.json();
        body["error"]["request_id"] = Value::Null;
        answers.push((reply.status, body));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_console_session_is_no_api_key() {
    let gateway = gateway();
    let owner = owner(&gateway).await;
    let cookie = format!("cookie: {}\r\ncontent-type: application/json\r\n", owner.cookie);
    let reply = gateway.ask("POST /v1/chat/completions", &cookie, testkit::gateway::REQUEST).await;
    assert_eq!(reply.status, 401);
    gateway.none().await;
}

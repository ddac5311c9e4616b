//! People over HTTP: what the tests of sign-in, sessions and roles share.

use std::time::Duration;

use policy::secret::Secret;
use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{ADMIN_TOKEN, Gateway};
use testkit::script::Script;

pub const PASSWORD: &str = "correct horse battery";
pub const OWNER: &str = "ann@x.test";

/// What a browser keeps of a session.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl Browser {
    /// Takes what a sign-in answered.
    pub fn of(reply: &Reply) -> Self {
        let set = reply.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {} {}", reply.status, reply.text()));
        let cookie = set.split(';').next().unwrap().to_owned();
        let csrf = reply.json()["csrf_token"].as_str().unwrap_or_default().to_owned();
        Self { cookie, csrf }
    }

    /// The header lines of a page of the console.
    pub fn fields(&self) -> String {
        format!(
            "host: localhost:8081\r\norigin: http://localhost:8081\r\ncookie: {}\r\nx-crossway-csrf: {}\r\n",
            self.cookie, self.csrf
        )
    }

    /// Asks as a page of the console does.
    pub async fn ask(&self, gateway: &Gateway, line: &str, body: Value) -> Reply {
        ask(gateway, line, &self.fields(), &body).await
    }

    /// Reads.
    pub async fn get(&self, gateway: &Gateway, path: &str) -> Reply {
        ask(gateway, &format!("GET {path}"), &self.fields(), &Value::Null).await
    }
}

pub fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

/// Sends a request from the usual peer, a while after the one before.
pub async fn ask(gateway: &Gateway, line: &str, fields: &str, body: &Value) -> Reply {
    gateway.assembly.hands.advance(Duration::from_secs(6));
    ask_from(gateway, "127.0.0.1:50000", line, fields, body).await
}

/// Sends a request from a peer.
pub async fn ask_from(gateway: &Gateway, peer: &str, line: &str, fields: &str, body: &Value) -> Reply {
    let mut client = gateway.admin_client(peer);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    client.send(format!("{line} HTTP/1.1\r\n{fields}{kind}content-length: {length}\r\n\r\n{body}")).await;
    client.reply().await
}

/// Asks with the admin token.
pub async fn with_token(gateway: &Gateway, line: &str, body: Value) -> Reply {
    let fields = format!("host: localhost:8081\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n");
    ask(gateway, line, &fields, &body).await
}

/// Asks without any credential.
pub async fn bare(gateway: &Gateway, line: &str, body: Value) -> Reply {
    ask(gateway, line, "host: localhost:8081\r\n", &body).await
}

pub fn setup_code(gateway: &Gateway) -> Secret {
    gateway.people.people.offer_set_up().unwrap().unwrap()
}

/// Creates the owner.
pub async fn owner(gateway: &Gateway) -> Browser {
    let code = setup_code(gateway);
    let body = json!({"code": code.expose(), "email": OWNER, "password": PASSWORD, "name": "Ann"});
    let reply = bare(gateway, "POST /admin/v1/setup", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    Browser::of(&reply)
}

/// Signs in with the usual password.
pub async fn sign_in(gateway: &Gateway, email: &str) -> Browser {
    let reply = try_password(gateway, email, PASSWORD).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Browser::of(&reply)
}

pub async fn try_password(gateway: &Gateway, email: &str, password: &str) -> Reply {
    bare(gateway, "POST /admin/v1/session", json!({"email": email, "password": password})).await
}

/// Invites somebody and signs them in.
pub async fn add(gateway: &Gateway, email: &str, role: &str) -> Browser {
    let made = with_token(gateway, "POST /admin/v1/users", json!({"spec": {"email": email, "role": role}})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let code = made.json()["invitation"]["code"].as_str().unwrap().to_owned();
    let reply = bare(gateway, "POST /admin/v1/invitation", json!({"code": code, "password": PASSWORD})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Browser::of(&reply)
}

//! What is another's: nobody reads or changes it, and nobody learns that it is there. Acceptance AUTHZ-03.

use control::kind::KINDS;
use serde_json::{Value, json};
use server::admin::route::{Place, Takes};
use server::admin::table::routes;
use testkit::client::Reply;
use testkit::gateway::Gateway;
use testkit::script::Script;

const DEFAULT: &str = "/admin/v1/environments/default";
const OTHER: &str = "/admin/v1/environments/other";

/// An example of a kind, as its route of creation shows it.
fn example(kind: &str) -> Value {
    let path = format!("/admin/v1/environments/{{env}}/{kind}");
    let route = routes().into_iter().find(|route| route.path == path && route.method == "POST").unwrap();
    let Takes::Json { example, .. } = route.takes else { panic!("{path} takes a body") };
    example()
}

/// What somebody is told, without what differs anyhow.
fn told(reply: &Reply, name: &str) -> (u16, String) {
    let mut told = reply.json();
    told["error"]["request_id"] = Value::Null;
    (reply.status, told.to_string().replace(name, "NAME"))
}

/// Every kind: a resource of one environment is not there in another, neither by its name nor by its id, for any verb, and
/// for nobody, operators included.
#[tokio::test(start_paused = true)]
async fn no_environment_reaches_into_another() {
    let model = "[[models]]\nslug = \"small\"\nprovider = \"p\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(model).start();
    assert_eq!(gateway.api("POST /admin/v1/environments", &json!({ "name": "other" })).await.status, 201);
    let local = json!({ "name": "local", "spec": { "kind": "openai-compatible", "base_url": "http://n.test/v1" } });
    assert_eq!(gateway.api(&format!("POST {DEFAULT}/providers"), &local).await.status, 201);
    let mut made = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.plural != "environments" && kind.plural != "providers") {
        let mut body = example(kind.plural);
        if kind.plural == "models" {
            (body["name"], body["spec"]["slug"]) = (json!("its-own"), json!("its-own"));
        }
        let reply = gateway.api(&format!("POST {DEFAULT}/{}", kind.plural), &body).await;
        assert_eq!(reply.status, 201, "{}: {}", kind.plural, reply.text());
        made.push((kind.plural, reply.json()));
    }
    made.push(("providers", gateway.api(&format!("GET {DEFAULT}/providers/local"), &Value::Null).await.json()));
    for (kind, resource) in &made {
        for name in [resource["name"].as_str().unwrap(), resource["id"].as_str().unwrap()] {
            let spec = json!({ "spec": {} });
            let mut acts = vec![
                ("GET", "", Value::Null),
                ("PUT", "", spec.clone()),
                ("PATCH", "", spec),
                ("DELETE", "", Value::Null),
            ];
            // Whatever else can be done to one of them.
            let item = format!("/admin/v1/environments/{{env}}/{kind}/{{name}}/");
            let more: Vec<(bool, String)> = routes()
                .iter()
                .filter_map(|route| {
                    Some((route.method == "GET", route.path.strip_prefix(&*item)?.replace("{id}", "none")))
                })
                .collect();
            acts.extend(more.iter().map(|(reads, act)| {
                if *reads { ("GET", act.as_str(), Value::Null) } else { ("POST", act.as_str(), json!({})) }
            }));
            for (verb, act, body) in acts {
                let path =
                    |name: &str| format!("{verb} {OTHER}/{kind}/{name}{}{act}", if act.is_empty() { "" } else { "/" });
                // Tests of connections are few a minute.
                gateway.assembly.hands.advance(std::time::Duration::from_secs(6));
                let foreign = gateway.api(&path(name), &body).await;
                assert_eq!(foreign.status, 404, "{}: {}", path(name), foreign.text());
                let missing = gateway.api(&path("none"), &body).await;
                assert_eq!(told(&foreign, &format!("`{name}`")), told(&missing, "`none`"), "{}", path(name));
            }
        }
        let now =
            gateway.api(&format!("GET {DEFAULT}/{kind}/{}", resource["id"].as_str().unwrap()), &Value::Null).await;
        assert_eq!((&now.json()["version"], &now.json()["spec"]), (&resource["version"], &resource["spec"]), "{kind}");
    }
    gateway.none().await;
}

/// The request log and everything made of it is the environment's: a record's id means nothing elsewhere.
#[tokio::test(start_paused = true)]
async fn records_are_their_environments() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    assert_eq!(gateway.api("POST /admin/v1/environments", &json!({ "name": "other" })).await.status, 201);
    gateway.chat(r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#).await;
    let record = gateway.one().await;
    for path in ["", "/payload"] {
        let own = gateway.api(&format!("GET {DEFAULT}/requests/{}{path}", record.id), &Value::Null).await;
        let foreign = gateway.api(&format!("GET {OTHER}/requests/{}{path}", record.id), &Value::Null).await;
        assert_eq!(foreign.status, 404, "{path}: {}", foreign.text());
        assert!(path == "/payload" || own.status == 200, "{}", own.text());
    }
    let listed = gateway.api(&format!("GET {OTHER}/requests"), &Value::Null).await.json();
    assert_eq!(listed["data"], json!([]));
    let usage = gateway.api(&format!("GET {OTHER}/usage?group_by=model"), &Value::Null).await.json();
    assert_eq!(usage["total"]["requests"], 0, "{usage}");
}

/// Acceptance AUTHZ-05: a route that takes a path parameter `env` exists under no other name, so that no query goes past
/// the environment.
#[test]
fn whatever_is_an_environments_names_it() {
    for route in routes() {
        let of_an_environment = route.path.starts_with("/admin/v1/environments/{env}");
        let named = route.parameters.iter().any(|parameter| parameter.place == Place::Path && parameter.name == "env");
        assert_eq!(of_an_environment, named, "{}", route.path);
    }
}

/// A team's admin says who belongs to it, and nothing else; other teams are not there for them.
#[tokio::test(start_paused = true)]
async fn a_team_admin_runs_their_team_and_no_other() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for name in ["red", "blue"] {
        let team = json!({ "name": name, "spec": { "members": ["tom@x.test"] } });
        assert_eq!(gateway.api(&format!("POST {DEFAULT}/teams"), &team).await.status, 201);
    }
    let (tom, dev, out) = ("team_admin tom red", "developer dan red", "team_admin zoe");
    let names = async |who: &str| {
        let listed = gateway.api_as(who, &format!("GET {DEFAULT}/teams"), &Value::Null).await.json();
        listed["data"].as_array().unwrap().iter().map(|team| team["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(tom).await, ["red"]);
    assert_eq!(names(dev).await, ["red"]);
    assert_eq!(names(out).await, [] as [&str; 0]);
    assert_eq!(names("viewer vic").await, ["red", "blue"]);

    let members = json!({ "spec": { "members": ["tom@x.test", "ada@x.test"], "description": "reds" } });
    let changed = gateway.api_as(tom, &format!("PATCH {DEFAULT}/teams/red"), &members).await;
    assert_eq!(
        (changed.status, &changed.json()["spec"]["members"][1]),
        (200, &json!("ada@x.test")),
        "{}",
        changed.text()
    );
    assert_eq!(gateway.api_as(tom, &format!("PUT {DEFAULT}/teams/red"), &members).await.status, 200);
    let unknown = gateway.api_as(tom, &format!("PATCH {DEFAULT}/teams/red"), &json!({ "spec": { "budget": 1 } })).await;
    assert_eq!(unknown.status, 403, "what is not theirs to say: {}", unknown.text());
    for (who, verb, status) in [(tom, "PATCH", 404), (out, "PATCH", 404), (dev, "PATCH", 403)] {
        let foreign = gateway.api_as(who, &format!("{verb} {DEFAULT}/teams/blue"), &members).await;
        assert_eq!(foreign.status, status, "{who}: {}", foreign.text());
        let missing = gateway.api_as(who, &format!("{verb} {DEFAULT}/teams/none"), &members).await;
        assert_eq!(told(&foreign, "`blue`"), told(&missing, "`none`"), "{who}");
    }
    assert_eq!(gateway.api_as(tom, &format!("DELETE {DEFAULT}/teams/red"), &Value::Null).await.status, 403);
    assert_eq!(gateway.api_as(tom, &format!("POST {DEFAULT}/teams"), &json!({ "name": "green" })).await.status, 403);
    gateway.none().await;
}

/// And who is told about it: alerts about their teams, by email.
#[tokio::test(start_paused = true)]
async fn a_team_admin_has_alerts_about_their_team_and_no_other() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for name in ["red", "blue"] {
        assert_eq!(gateway.api(&format!("POST {DEFAULT}/teams"), &json!({ "name": name })).await.status, 201);
    }
    let alert = |name: &str, teams: Value| json!({ "name": name, "spec": { "emails": ["a@x.test"], "teams": teams } });
    for (name, teams) in [("blues", json!(["blue"])), ("both", json!(["red", "blue"])), ("all", Value::Null)] {
        let made = gateway.api(&format!("POST {DEFAULT}/alerts"), &alert(name, teams)).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let tom = "team_admin tom red";
    let made = gateway.api_as(tom, &format!("POST {DEFAULT}/alerts"), &alert("reds", json!(["red"]))).await;
    assert_eq!(made.status, 201, "{}", made.text());
    for teams in [json!(["blue"]), json!(["red", "blue"]), json!([]), Value::Null] {
        let refused = gateway.api_as(tom, &format!("POST {DEFAULT}/alerts"), &alert("x", teams.clone())).await;
        assert_eq!(refused.status, 403, "{teams}: {}", refused.text());
        let widened = json!({ "spec": { "teams": teams } });
        let refused = gateway.api_as(tom, &format!("PATCH {DEFAULT}/alerts/reds"), &widened).await;
        assert_eq!(refused.status, 403, "{teams}: {}", refused.text());
    }
    let hook = json!({ "spec": { "webhooks": ["w"] } });
    assert_eq!(gateway.api_as(tom, &format!("PATCH {DEFAULT}/alerts/reds"), &hook).await.status, 403);
    let listed = gateway.api_as(tom, &format!("GET {DEFAULT}/alerts"), &Value::Null).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    for other in ["blues", "both", "all"] {
        for verb in ["GET", "DELETE"] {
            let reply = gateway.api_as(tom, &format!("{verb} {DEFAULT}/alerts/{other}"), &Value::Null).await;
            assert_eq!(reply.status, 404, "{verb} {other}");
        }
    }
    assert_eq!(gateway.api_as("developer dan red", &format!("GET {DEFAULT}/alerts"), &Value::Null).await.status, 403);
    assert_eq!(gateway.api_as(tom, &format!("DELETE {DEFAULT}/alerts/reds"), &Value::Null).await.status, 204);
    gateway.none().await;
}

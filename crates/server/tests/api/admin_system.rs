//! The rest of the admin API: connection tests, documents, status, settings, catalogue, the OpenAPI document, and a
//! database that is away.

use serde_json::{Value, json};
use server::admin::table::routes;
use testkit::gateway::{Gateway, credential};
use testkit::script::Script;

const DEFAULT: &str = "/admin/v1/environments/default";

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_tested_in_every_dialect() {
    let list = r#"{"data":[{"id":"one"},{"id":"two"}]}"#;
    for (kind, base, answer, line, header) in [
        ("openai-compatible", "/v1", list, "GET /v1/models HTTP/1.1", "authorization"),
        ("anthropic", "/v1", list, "GET /v1/models HTTP/1.1", "x-api-key"),
        (
            "gemini",
            "/v1beta",
            r#"{"models":[{"name":"models/one"},{"name":"models/two"}]}"#,
            "GET /v1beta/models HTTP/1.1",
            "x-goog-api-key",
        ),
        ("cohere", "/v2", r#"{"models":[{"name":"one"},{"name":"two"}]}"#, "GET /v1/models HTTP/1.1", "authorization"),
        ("ollama", "", r#"{"models":[{"name":"one"},{"name":"two"}]}"#, "GET /api/tags HTTP/1.1", "authorization"),
    ] {
        let script = Script::json(200, answer);
        let gateway = Gateway::builder().provider("p", Script::chat("x")).host("n", vec![script]).start();
        let spec = json!({ "kind": kind, "base_url": format!("http://n.test{base}"), "api_key": "sk-canary-draft" });
        let reply = gateway.api(&format!("POST {DEFAULT}/providers/test"), &json!({ "spec": spec })).await;
        let verdict = reply.json();
        assert_eq!(
            (reply.status, &verdict["ok"], &verdict["models"]),
            (200, &json!(true), &json!(["one", "two"])),
            "{kind}: {verdict}"
        );
        assert!(verdict["latency_ms"].is_u64() && verdict["error"].is_null());
        let asked = gateway.provider("n").request();
        assert_eq!(asked.head.lines().next(), Some(line), "{kind}");
        assert!(asked.header(header).unwrap().contains("sk-canary-draft"), "{kind}");
        let listed = gateway.api(&format!("GET {DEFAULT}/providers"), &Value::Null).await;
        assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1, "nothing is kept");
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_test_says_why_and_no_secret() {
    let echo = format!("Incorrect API key provided: {}", credential("p"));
    let error = |status, message: &str| Script::error(status, message);
    for (script, code) in [
        (error(401, &echo), "credential_refused"),
        (error(403, &echo), "credential_refused"),
        (error(404, "no such path"), "no_model_list"),
        (error(429, "slow down"), "rate_limited"),
        (error(500, &echo), "failed"),
        (Script::json(200, "<html>"), "not_an_api"),
        (Script::json(200, "{}"), "not_an_api"),
        (Script::new().stall(), "timeout"),
    ] {
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = gateway.api(&format!("POST {DEFAULT}/providers/p/test"), &Value::Null).await;
        let verdict = reply.json();
        assert_eq!(
            (reply.status, &verdict["ok"], &verdict["error"]["code"]),
            (200, &json!(false), &json!(code)),
            "{verdict}"
        );
        assert!(!reply.text().contains("canary"), "{verdict}");
        gateway.none().await;
    }
    let gateway = gateway();
    let away = json!({ "spec": { "kind": "openai-compatible", "base_url": "http://nowhere.test/v1" } });
    let verdict = gateway.api(&format!("POST {DEFAULT}/providers/test"), &away).await.json();
    assert_eq!(verdict["error"]["code"], "unreachable", "{verdict}");
    for (path, body, status) in [
        ("providers/none/test", Value::Null, 404),
        ("providers/test", json!({ "spec": { "kind": "opnai" } }), 400),
        ("providers/test", json!({}), 400),
        ("providers/test", json!({ "kind": "openai" }), 400),
    ] {
        assert_eq!(gateway.api(&format!("POST {DEFAULT}/{path}"), &body).await.status, status, "{path} {body}");
    }
    assert_eq!(gateway.api("POST /admin/v1/environments/none/providers/test", &away).await.status, 404);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn many_models_are_cut_to_fifty() {
    let models: Vec<Value> = (0..300).map(|number| json!({ "id": format!("m{number}") })).collect();
    let script = Script::json(200, &json!({ "data": models }).to_string());
    let gateway = Gateway::builder().provider("p", script).start();
    let verdict = gateway.api(&format!("POST {DEFAULT}/providers/p/test"), &Value::Null).await.json();
    assert_eq!((verdict["models"].as_array().unwrap().len(), &verdict["models_total"]), (50, &json!(300)));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn documents_are_applied_whole_and_exported() {
    let gateway = gateway();
    let documents = json!({ "documents": [
        { "kind": "keys", "environment": "default", "name": "k", "spec": { "team": "t" } },
        { "kind": "teams", "environment": "default", "name": "t", "spec": { "description": "d" } },
    ] });
    let dry = gateway.api("POST /admin/v1/apply?dry_run=true", &documents).await;
    assert_eq!((dry.status, &dry.json()["dry_run"]), (200, &json!(true)), "{}", dry.text());
    assert!(dry.json()["data"][0].get("secret").is_none(), "{}", dry.text());
    assert_eq!(gateway.api(&format!("GET {DEFAULT}/teams/t"), &Value::Null).await.status, 404);
    let done = gateway.api("POST /admin/v1/apply", &documents).await.json();
    assert_eq!(
        (&done["data"][0]["action"], &done["data"][1]["action"]),
        (&json!("create"), &json!("create")),
        "{done}"
    );
    assert!(done["data"][0]["secret"].as_str().unwrap().starts_with("sk-cw-"));
    let again = gateway.api("POST /admin/v1/apply?dry_run=false", &documents).await.json();
    assert_eq!(again["data"][0]["action"], "unchanged", "{again}");
    let exported = gateway.api("GET /admin/v1/export?environment=default", &Value::Null).await.json();
    let applied = gateway.api("POST /admin/v1/apply", &exported).await.json();
    let actions: Vec<&Value> = applied["data"].as_array().unwrap().iter().map(|one| &one["action"]).collect();
    assert!(!actions.is_empty() && actions.iter().all(|action| **action == "unchanged"), "{applied}");
    let broken = json!({ "documents": [
        { "kind": "teams", "environment": "default", "name": "u", "spec": {} },
        { "kind": "teams", "environment": "default", "name": "v", "spec": { "colour": "red" } },
    ] });
    assert_eq!(gateway.api("POST /admin/v1/apply", &broken).await.status, 400);
    assert_eq!(gateway.api(&format!("GET {DEFAULT}/teams/u"), &Value::Null).await.status, 404, "all or none");
    for (body, field) in [
        (json!({}), "documents"),
        (json!({ "documents": {} }), "documents"),
        (json!({ "documents": [5] }), "documents[0]"),
        (json!({ "documents": [{ "name": "x" }] }), "documents[0].kind"),
        (json!({ "documents": [{ "kind": "teams", "nmae": "x" }] }), "documents[0].nmae"),
    ] {
        let reply = gateway.api("POST /admin/v1/apply", &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["field"]), (400, &json!(field)), "{}", reply.text());
    }
    assert_eq!(gateway.api("GET /admin/v1/export?environment=none", &Value::Null).await.status, 404);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_of_a_provider_is_shown() {
    let gateway = Gateway::builder().provider("p", Script::error(418, "short and stout")).start();
    let shown = || async {
        gateway.api("GET /admin/v1/status", &Value::Null).await.json()["environments"][0]["providers"][0].clone()
    };
    assert_eq!(shown().await["last_error"], Value::Null);
    gateway.chat(r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#).await;
    let error = shown().await["last_error"].clone();
    assert_eq!(error["status"], 418, "{error}");
    assert!(error["message"].as_str().unwrap().contains("short and stout") && error["at"].is_string(), "{error}");
    gateway.one().await;
}

/// P3: connected, failing with the last error, or refused for its credential; in the list, in the item and in the status.
#[tokio::test(start_paused = true)]
async fn a_provider_says_how_it_is_doing() {
    let scripts = vec![Script::chat("Hello"), Script::error(418, "short"), Script::error(401, "who?")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    for (asks, state) in ["unused", "connected", "failing", "credential_refused"].into_iter().enumerate() {
        if asks > 0 {
            gateway.chat(r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#).await;
            gateway.assembly.quiet().await;
        }
        gateway.assembly.hands.advance(std::time::Duration::from_secs(1));
        let item = gateway.api(&format!("GET {DEFAULT}/providers/p"), &Value::Null).await.json();
        let listed = gateway.api(&format!("GET {DEFAULT}/providers"), &Value::Null).await.json();
        let status = gateway.api("GET /admin/v1/status", &Value::Null).await.json();
        for shown in [
            &item["status"]["connection"],
            &listed["data"][0]["status"]["connection"],
            &status["environments"][0]["providers"][0],
        ] {
            assert_eq!((&shown["state"], shown["last_answer_at"].is_string()), (&json!(state), asks > 0), "{shown}");
            assert_eq!(shown["last_error"].is_object(), asks > 1, "{shown}");
        }
    }
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn the_installation_says_how_it_is() {
    let gateway = gateway();
    let status = gateway.api("GET /admin/v1/status", &Value::Null).await.json();
    assert_eq!((&status["status"], &status["journal"]), (&json!("ok"), &json!("ok")), "{status}");
    assert_eq!(status["databases"], json!({ "control": "ok", "records": "ok" }));
    assert_eq!(status["environments"][0]["providers"][0]["name"], "p");
    let nodes = gateway.api("GET /admin/v1/nodes", &Value::Null).await.json();
    assert_eq!((nodes["data"].as_array().unwrap().len(), &nodes["data"][0]["ready"]), (1, &json!(true)));
    gateway.assembly.core.start_draining();
    assert_eq!(gateway.api("GET /admin/v1/status", &Value::Null).await.json()["status"], "degraded");
    let settings = gateway.api("GET /admin/v1/settings", &Value::Null).await.json();
    let names: Vec<&str> =
        settings["data"].as_array().unwrap().iter().map(|setting| setting["name"].as_str().unwrap()).collect();
    assert_eq!(names, policy::spec::settings::SettingsSpec::VARIABLES.map(|(name, _)| name));
    let catalogue = gateway.api("GET /admin/v1/catalogue?vendor=anthropic", &Value::Null).await.json();
    assert_eq!(catalogue["vendors"].as_array().unwrap().len(), 1);
    assert!(catalogue["models"].as_array().unwrap().iter().all(|model| model.to_string().contains("anthropic")));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn the_document_names_every_route() {
    let gateway = gateway();
    let reply = gateway.api_with("GET /admin/v1/openapi.json", "", &Value::Null).await;
    assert_eq!(reply.status, 200, "no token is needed");
    let document = reply.json();
    assert_eq!((&document, &document["openapi"]), (&server::admin::openapi::document(), &json!("3.1.0")));
    for route in routes() {
        let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(
            (&operation["operationId"], &operation["x-permission"]),
            (&json!(route.id), &json!(route.permission.name()))
        );
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    assert_eq!(document["components"]["schemas"]["Secret"]["writeOnly"], true);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn examples_are_accepted() {
    let model = "[[models]]\nslug = \"small\"\nprovider = \"p\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(model).start();
    let made = json!({ "name": "local", "spec": { "kind": "openai-compatible", "base_url": "http://n.test/v1" } });
    for route in routes() {
        let server::admin::route::Takes::Json { example, .. } = &route.takes else { continue };
        // An example holds no code or password that is good.
        if route.rate == server::admin::throttle::RateClass::Login {
            continue;
        }
        let mut example = example();
        // The examples of a kind belong to each other: what they refer to is made by another one's.
        if route.id == "createModel" || route.id == "replaceModel" {
            gateway.api(&format!("POST {DEFAULT}/providers"), &made).await;
            example["name"] = json!("small-local");
            example["spec"]["slug"] = json!("small-local");
        }
        let name = example["name"].as_str().unwrap_or("local").to_owned();
        let path = route.path.replace("{env}", "default").replace("{name}", &name);
        let path =
            if route.path == "/admin/v1/environments/{env}" { "/admin/v1/environments/staging".into() } else { path };
        let reply = gateway.api(&format!("{} {path}", route.method), &example).await;
        let error = reply.json()["error"]["code"].clone();
        assert!(reply.status < 300 || error == "not_found" || error == "name_taken", "{}: {}", route.id, reply.text());
        assert!(
            !(route.method == "POST" && route.id.starts_with("create")) || reply.status == 201 || error == "name_taken",
            "{}: {}",
            route.id,
            reply.text()
        );
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_is_said_to_be() {
    let gateway = gateway();
    let path = gateway.assembly.directory.0.join("records.db");
    std::fs::rename(&path, path.with_extension("away")).unwrap();
    let reply = gateway.api(&format!("GET {DEFAULT}/requests"), &Value::Null).await;
    let code = reply.json()["error"]["code"].clone();
    assert_eq!((reply.status, code), (503, json!("dependency_unavailable")), "{}", reply.text());
    assert!(reply.header("retry-after").is_some());
    let status = gateway.api("GET /admin/v1/status", &Value::Null).await;
    assert_eq!((status.status, &status.json()["databases"]["records"]), (200, &json!("unavailable")));
    std::fs::rename(path.with_extension("away"), &path).unwrap();
    assert_eq!(gateway.api(&format!("GET {DEFAULT}/requests"), &Value::Null).await.status, 200);
    gateway.none().await;
}

/// Acceptance DUR-07.
#[tokio::test(start_paused = true)]
async fn a_locked_control_database_is_503_and_changes_nothing() {
    let gateway = gateway();
    let mut other = store::resources::sqlite::SqliteResources::open(&gateway.assembly.directory.0).unwrap();
    {
        use store::resources::ResourceStore as _;
        let _held = other.begin().unwrap();
        let reply = gateway.api(&format!("POST {DEFAULT}/teams"), &json!({ "name": "t" })).await;
        let code = reply.json()["error"]["code"].clone();
        assert_eq!((reply.status, code), (503, json!("dependency_unavailable")), "{}", reply.text());
        assert_eq!(gateway.api(&format!("GET {DEFAULT}/teams"), &Value::Null).await.json()["data"], json!([]));
    }
    assert_eq!(gateway.api(&format!("POST {DEFAULT}/teams"), &json!({ "name": "t" })).await.status, 201);
    gateway.none().await;
}

/// Acceptance DUR-03.
#[tokio::test(start_paused = true)]
async fn a_full_control_database_is_503_says_what_to_do_and_stops_no_traffic() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).control_pages(24).start();
    let members: Vec<String> = (0..400).map(|number| format!("person-{number}@example.com")).collect();
    let mut made = 0;
    let refused = loop {
        let team = json!({ "name": format!("t{made}"), "spec": { "members": members } });
        let reply = gateway.api(&format!("POST {DEFAULT}/teams"), &team).await;
        if reply.status != 201 {
            break reply;
        }
        made += 1;
        assert!(made < 100, "the room ends");
    };
    let error = refused.json()["error"].clone();
    assert_eq!((refused.status, &error["code"]), (503, &json!("dependency_unavailable")), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("the disk is full"), "{error}");
    assert!(refused.header("retry-after").is_some());
    let teams = gateway.api(&format!("GET {DEFAULT}/teams?limit=200"), &Value::Null).await.json();
    assert_eq!(teams["data"].as_array().unwrap().len(), made, "nothing is half done");
    let audit = gateway.api("GET /admin/v1/audit?action=create&limit=200", &Value::Null).await.json();
    let told = audit["data"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "teams").count();
    assert_eq!(told, made, "what was not done is not written down as done");
    assert_eq!(gateway.chat(r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#).await.status, 200);
    // Somebody makes room: another process deletes what is not needed.
    {
        use store::resources::ResourceStore as _;
        let mut other = store::resources::sqlite::SqliteResources::open(&gateway.assembly.directory.0).unwrap();
        let mut transaction = other.begin().unwrap();
        for number in 0..made {
            let row = transaction.by_name("teams", "default", &format!("t{number}")).unwrap().unwrap();
            transaction.delete(&row).unwrap();
        }
        transaction.commit().unwrap();
    }
    let after = gateway.api(&format!("POST {DEFAULT}/teams"), &json!({ "name": "small" })).await;
    assert_eq!(after.status, 201, "{}", after.text());
    gateway.one().await;
}

/// Acceptance AUTH-11: every key is known to the process, so that an absent database takes nobody's rights, gives nobody any,
/// and leaves no doubt about a key that is unknown.
#[tokio::test(start_paused = true)]
async fn keys_work_on_without_the_control_database() {
    let gateway = gateway();
    let directory = &gateway.assembly.directory.0;
    for file in ["control.db", "control.db-wal", "control.db-shm"] {
        let _ = std::fs::rename(directory.join(file), directory.join(format!("{file}.away")));
    }
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(gateway.chat(body).await.status, 200);
    let unknown = "authorization: Bearer sk-cw-0000\r\ncontent-type: application/json\r\n";
    assert_eq!(gateway.ask("POST /v1/chat/completions", unknown, body).await.status, 401);
    gateway.one().await;
}

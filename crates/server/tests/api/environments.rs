//! Several environments in one process: a key sees its own, and nothing of the others.

use engine::state::Change;
use ir::id::ResourceId;
use policy::spec::key::KeySpec;
use serde_json::Value;
use testkit::caller::Caller;
use testkit::client::Reply;
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

/// What the environment `staging` is: its one model is served by a host that `default` does not know.
const STAGING: &str = r#"
[environment]
aliases = ["test"]

[providers.s]
kind = "openai-compatible"
base_url = "http://s.test/v1"
api_key = "sk-upstream-canary-s"
default_model = "sm"

[[models]]
slug = "sm"
provider = "s"
"#;

/// Returns a gateway with both environments, and the header line of a key of `staging`.
fn gateway(script: Script) -> (Gateway, String) {
    let hosts = vec![script];
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).host("s", hosts).start();
    gateway.assembly.put_environment("staging", Some(ResourceId([7; 16])), STAGING);
    let secret = gateway.assembly.create_key_in("staging", "theirs", KeySpec::default());
    (gateway, format!("x-api-key: {secret}\r\n"))
}

async fn ask(gateway: &Gateway, fields: &str, body: &str) -> Reply {
    gateway.ask("POST /v1/chat/completions", fields, body).await
}

fn verdict(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.header("x-crossway-error-code").unwrap_or_default())
}

async fn models(gateway: &Gateway, fields: &str) -> Vec<String> {
    let reply = gateway.ask("GET /v1/models", fields, "").await;
    let list = reply.json()["data"].as_array().unwrap().clone();
    list.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_sees_its_own_environment_alone() {
    let (gateway, theirs) = gateway(Script::chat("Staged"));
    let ours = gateway.fields();
    for (fields, body, expect) in [
        (&ours, REQUEST, (200, "")),
        (&theirs, REQUEST, (400, "unknown_model")),
        (&theirs, &REQUEST.replace("\"m\"", "\"sm\""), (200, "")),
        (&theirs, &REQUEST.replace("\"m\"", "\"auto\""), (200, "")),
        (&ours, &REQUEST.replace("\"m\"", "\"sm\""), (400, "unknown_model")),
        (&ours, &REQUEST.replace("\"m\"", "\"s/sm\""), (400, "unknown_model")),
        (&format!("{theirs}x-llm-provider: p\r\n"), REQUEST, (400, "invalid_request")),
        (&format!("{ours}x-llm-provider: s\r\n"), REQUEST, (400, "invalid_request")),
    ] {
        assert_eq!(verdict(&ask(&gateway, fields, body).await), expect, "{body}");
    }
    assert_eq!(models(&gateway, &ours).await, ["auto", "cheapest", "fastest", "best", "m"]);
    assert_eq!(models(&gateway, &theirs).await, ["auto", "cheapest", "fastest", "best", "sm"]);
    let records = gateway.records(8).await;
    let of = |name: &str| records.iter().filter(|record| record.environment == *name).count();
    assert_eq!((of("default"), of("staging")), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn the_environment_is_named_by_name_alias_or_id() {
    let (gateway, theirs) = gateway(Script::chat("Staged"));
    let body = REQUEST.replace("\"m\"", "\"sm\"");
    let id = ResourceId([7; 16]).to_string();
    for (named, status) in [
        ("staging", 200),
        ("STAGING", 200),
        ("test", 200),
        (&id, 200),
        ("default", 403),
        ("res_", 403),
        (&ResourceId([8; 16]).to_string(), 403),
    ] {
        for header in ["x-crossway-env", "x-chalk-env-id"] {
            let reply = ask(&gateway, &format!("{theirs}{header}: {named}\r\n"), &body).await;
            assert_eq!(reply.status, status, "{named}");
        }
    }
    let ours = gateway.chat_with(&format!("x-crossway-env: {id}\r\n"), REQUEST).await;
    assert_eq!(verdict(&ours), (403, "environment_mismatch"), "an environment without an id has none");
    gateway.records(8).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_without_an_environment_is_no_key() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let secret = gateway.assembly.create_key_in("nowhere", "lost", KeySpec::default());
    let reply = ask(&gateway, &format!("x-api-key: {secret}\r\n"), REQUEST).await;
    assert_eq!(verdict(&reply), (401, "invalid_api_key"));
    assert_eq!(reply.text(), ask(&gateway, "x-api-key: wrong\r\n", REQUEST).await.text());
    let listed = gateway.ask("GET /v1/models", &format!("x-api-key: {secret}\r\n"), "").await;
    assert_eq!(verdict(&listed), (401, "invalid_api_key"));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_goes_cuts_its_requests_and_no_others() {
    let (gateway, theirs) = gateway(Script::new().stall());
    let body = REQUEST.replace("\"m\"", "\"sm\"");
    let mut client = gateway.client();
    client.request("POST /v1/chat/completions", &theirs, body.as_bytes()).await;
    gateway.provider("s").received(1).await;
    gateway.assembly.core.update(vec![Change::EnvironmentGone("staging".into())]);
    assert_eq!(verdict(&client.reply().await), (401, "revoked_api_key"));
    assert_eq!(verdict(&ask(&gateway, &theirs, &body).await), (401, "invalid_api_key"));
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.assembly.put_environment("staging", None, &STAGING.replace("sm", "m").replace("http://s", "http://p"));
    assert_eq!(ask(&gateway, &theirs, REQUEST).await.status, 200, "its keys are back with it");
    let records = gateway.records(3).await;
    let seen: Vec<_> = records.iter().map(|record| (&*record.environment, &*record.outcome)).collect();
    assert_eq!(seen, [("staging", "revoked"), ("default", "succeeded"), ("staging", "succeeded")]);
}

#[tokio::test(start_paused = true)]
async fn a_request_keeps_the_configuration_it_began_with() {
    let told = std::sync::Arc::new(tokio::sync::Notify::new());
    let script = Script::stream().chunk([role(), delta("Hel")].concat()).until(&told).chunk(delta("lo"));
    let script = script.chunk(testkit::data::finish()).chunk(testkit::data::DONE).end();
    let (gateway, theirs) = gateway(script);
    let mut client = gateway.client();
    client.request("POST /v1/chat/completions", &theirs, STREAM.replace("\"m\"", "\"sm\"").as_bytes()).await;
    let head = client.head().await;
    client.read_until("Hel").await;
    let changed = STAGING.replace("[environment]", "[environment]\nmeta_key = \"changed\"").replace("sm", "other");
    gateway.assembly.put_environment("staging", None, &changed);
    told.notify_one();
    let rest = client.rest(head).await;
    assert!(rest.text().contains("[DONE]") && rest.text().contains("\"crossway\":"), "{}", rest.text());
    assert!(!rest.text().contains("changed"));
    assert_eq!(
        models(&gateway, &theirs).await,
        ["auto", "cheapest", "fastest", "best", "other"],
        "the next one sees the new"
    );
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn an_environment_may_refuse_what_a_provider_cannot_be_told() {
    let config = "[environment]\nunsupported_params = \"refuse\"\n";
    for caller in Caller::BOTH {
        let kind = if caller == Caller::Openai { "anthropic" } else { "openai-compatible" };
        for (fields, refused) in
            [("", true), ("x-crossway-strict: true\r\n", true), ("x-crossway-strict: false\r\n", false)]
        {
            let script = testkit::dialects::whole(kind, testkit::dialects::Answer::Text);
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).config(config).start();
            let mut body = caller.request(false);
            body[if caller == Caller::Openai { "seed" } else { "top_k" }] = Value::from(1);
            let reply = caller.ask(&gateway, fields, &body).await;
            let expect = if refused { (400, "unsupported_parameter") } else { (200, "") };
            assert_eq!(verdict(&reply), expect, "{caller:?} {fields}");
            gateway.one().await;
        }
    }
}

/// The types are the environment's, before and behind the gate and in a stream; codes and Anthropic's shape stay.
#[tokio::test(start_paused = true)]
async fn the_types_of_errors_are_the_environments() {
    let script = Script::stream().chunk([role(), delta("Hello")].concat()).close();
    let (gateway, theirs) = gateway(script);
    let routerlink = "[environment]\nerror_types = \"routerlink\"";
    gateway.assembly.put_environment("staging", None, &STAGING.replace("[environment]", routerlink));
    let kind = |reply: &Reply| reply.json()["error"]["type"].as_str().unwrap().to_owned();
    let ours = gateway.fields();
    for (fields, theirs_kind) in [(&ours, false), (&theirs, true)] {
        let expect = |one: &str, other: &str| (if theirs_kind { other } else { one }).to_owned();
        for (line, more, body, status, usual, routerlink) in [
            ("POST /v1/chat/completions", "", "{", 400, "invalid_request_error", "crossway_invalid_request"),
            (
                "POST /v1/chat/completions",
                "content-type: text/plain\r\n",
                "{}",
                415,
                "invalid_request_error",
                "crossway_invalid_request",
            ),
            ("POST /v1/chat/completions", "x-crossway-env: x\r\n", "{}", 403, "permission_error", "crossway_forbidden"),
            ("GET /v1/models/none", "", "", 404, "not_found_error", "crossway_not_found"),
            ("POST /v1/messages", "", "{", 400, "invalid_request_error", "invalid_request_error"),
        ] {
            let fields = fields.replace("content-type: application/json\r\n", "");
            let reply = gateway.ask(line, &format!("{fields}{more}"), body).await;
            assert_eq!((reply.status, kind(&reply)), (status, expect(usual, routerlink)), "{line} {body}");
        }
        // Whose environment is not known is told in the words of the default one.
        for line in ["POST /v1/chat/completions", "POST /v1/none"] {
            let reply = gateway.ask(line, "x-api-key: wrong\r\n", "{}").await;
            assert!(!kind(&reply).starts_with("crossway_"), "{line}");
        }
    }
    let streamed = ask(&gateway, &theirs, &STREAM.replace("\"m\"", "\"sm\"")).await;
    assert!(streamed.text().contains(r#""type":"crossway_upstream_error""#), "{}", streamed.text());
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn strangers_are_told_in_the_words_of_the_default_environment() {
    let config = "[environment]\nerror_types = \"routerlink\"\nerror_type_prefix = \"routerlink_\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(config).start();
    for (line, kind) in [
        ("POST /v1/chat/completions", "routerlink_unauthorized"),
        ("POST /v1/none", "routerlink_not_found"),
        ("GET /v1/chat/completions", "routerlink_invalid_request"),
        ("POST /v1/messages", "authentication_error"),
    ] {
        let reply = gateway.ask(line, "", "{}").await;
        assert_eq!(reply.json()["error"]["type"], kind, "{line}");
    }
    gateway.none().await;
}

//! Where requests go is the operator's choice alone (SSRF-01): nothing in a body, a header or a query changes it.

use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::dialects::{Answer, KINDS, whole};
use testkit::gateway::{Gateway, credential};
use testkit::script::Script;

const ELSEWHERE: &str = "http://elsewhere.test/v1";

/// Names that gateways and SDKs know for the address of a provider.
const NAMES: [&str; 16] = [
    "api_base",
    "base_url",
    "baseUrl",
    "baseURL",
    "api_url",
    "url",
    "host",
    "endpoint",
    "azure_endpoint",
    "custom_host",
    "openai_api_base",
    "proxy",
    "callback_url",
    "webhook_url",
    "extra_body",
    "provider",
];

fn bodies(caller: Caller) -> Vec<Value> {
    let mut bodies = Vec::new();
    for name in NAMES {
        let inside = json!({ name: ELSEWHERE });
        for (place, value) in [
            (name, json!(ELSEWHERE)),
            (name, inside.clone()),
            ("litellm_params", inside.clone()),
            ("extra_body", inside.clone()),
            ("provider_options", json!({ "openai": inside })),
            ("metadata", json!({ name: ELSEWHERE, "x": inside })),
        ] {
            let mut body = caller.request(false);
            body[place] = value;
            bodies.push(body);
        }
    }
    bodies
}

#[tokio::test(start_paused = true)]
async fn no_member_of_a_body_chooses_the_destination() {
    for kind in KINDS {
        let gateway = Gateway::builder()
            .provider_of("p", kind, vec![whole(kind, Answer::Text)])
            .host("elsewhere", vec![whole(kind, Answer::Text)])
            .start();
        let mut admitted = 0;
        for caller in Caller::BOTH {
            for body in bodies(caller) {
                let reply = caller.ask(&gateway, "", &body).await;
                assert!(reply.status == 200 || reply.status == 400, "{kind} {body}: {}", reply.text());
                admitted += 1;
            }
        }
        assert_eq!(gateway.provider("elsewhere").connections(), 0, "{kind}");
        gateway.records(admitted).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_header_and_no_query_chooses_the_destination() {
    let names = NAMES.map(|name| name.replace('_', "-"));
    let more = ["forwarded", "x-forwarded-host", "x-original-url", "x-rewrite-url", "x-portkey-custom-host", "referer"];
    for caller in Caller::BOTH {
        let gateway = Gateway::builder()
            .provider("p", Script::chat("Hello"))
            .host("elsewhere", vec![Script::chat("WRONG")])
            .start();
        let mut asked = 0;
        for name in names.iter().map(String::as_str).filter(|name| *name != "host").chain(more) {
            for prefix in ["", "x-", "x-crossway-"] {
                let fields = format!("{prefix}{name}: {ELSEWHERE}\r\n");
                let reply = caller.ask(&gateway, &fields, &caller.request(false)).await;
                assert_eq!(reply.status, 200, "{fields}: {}", reply.text());
                asked += 1;
            }
            let line = format!("{}?{name}={ELSEWHERE}", caller.line());
            let reply = gateway.ask(&line, &caller.fields(&gateway), &caller.request(false).to_string()).await;
            assert_eq!(reply.status, 200, "{line}");
            asked += 1;
        }
        // The whole address in the request line, as for a proxy.
        let (method, path) = caller.line().split_once(' ').unwrap();
        let line = format!("{method} http://elsewhere.test{path}");
        let reply = gateway.ask(&line, &caller.fields(&gateway), &caller.request(false).to_string()).await;
        assert!(reply.status == 200 || reply.status == 404, "{}", reply.text());
        asked += usize::from(reply.status == 200);
        assert_eq!(gateway.provider("elsewhere").connections(), 0);
        let requests = gateway.provider("p").requests();
        assert!(requests.iter().all(|request| !request.head.contains("elsewhere")), "none of it goes on");
        assert!(requests.iter().all(|request| request.header("host") == Some("p.test")));
        assert!(requests.iter().all(|request| request.head.contains(&credential("p"))));
        gateway.records(asked).await;
    }
}

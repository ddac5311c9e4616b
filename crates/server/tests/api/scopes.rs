//! Guardrails and prompts of teams and keys, and those that only observe, through the whole corridor.

use policy::spec::key::KeySpec;
use serde_json::json;
use testkit::client::Reply;
use testkit::dialects::{Answer, TEXT, streamed, whole};
use testkit::gateway::{ADMIN_TOKEN, Gateway, REQUEST, STREAM};

const KIND: &str = "openai-compatible";

fn start(config: &str, stream: bool) -> Gateway {
    let script = if stream { streamed(KIND, Answer::Text, 7) } else { whole(KIND, Answer::Text) };
    Gateway::builder().config(config).provider_of("p", KIND, vec![script]).start()
}

async fn asked(gateway: &Gateway, secret: &str, body: &str) -> Reply {
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n");
    gateway.ask("POST /v1/chat/completions", &fields, body).await
}

fn in_team(team: &str) -> KeySpec {
    KeySpec { team: Some(team.to_owned()), ..KeySpec::default() }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_team_is_untouched() {
    let config = "[guardrails.tone]\nbanned_phrases = [\"grüsse\"]\nteams = [\"legal\"]\n\
                  [guardrails.app]\nmax_length = 3\nkeys = [\"app\"]\n\
                  [prompts.house]\ntext = \"For legal.\"\nteams = [\"legal\"]\n";
    for stream in [false, true] {
        let gateway = start(config, stream);
        let body = if stream { STREAM } else { REQUEST };
        for team in ["legal", "sales"] {
            let made =
                gateway.api("POST /admin/v1/environments/default/teams", &json!({ "name": team, "spec": {} })).await;
            assert_eq!(made.status, 201, "{}", made.text());
        }
        let legal = gateway.assembly.create_key("one", in_team("legal"));
        let sales = gateway.assembly.create_key("two", in_team("sales"));
        let app = gateway.assembly.create_key("app", in_team("sales"));

        let blocked = asked(&gateway, &legal, body).await;
        assert!(blocked.text().contains("guardrail tone") && !blocked.text().contains("Gr"), "{}", blocked.text());
        let free = asked(&gateway, &sales, body).await;
        assert_eq!(free.status, 200);
        assert!(!free.text().contains("guardrail") && free.text().contains(TEXT.split_at(2).0), "{}", free.text());
        let cut = asked(&gateway, &app, body).await;
        assert!(cut.text().contains("\"length\""), "{}", cut.text());

        let sent: Vec<String> = gateway.provider("p").requests().iter().map(sent).collect();
        let with_prompt: Vec<bool> = sent.iter().map(|body| body.contains("For legal.")).collect();
        assert_eq!(with_prompt, [true, false, false]);
        gateway.records(3).await;
    }
}

fn sent(request: &testkit::provider::Received) -> String {
    String::from_utf8(request.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_observes_is_counted_and_changes_nothing() {
    let config = "[guardrails.watch]\nmode = \"observe\"\nbanned_phrases = [\"grüsse\", \"hi\"]\nmax_length = 4\n\
                  apply_to = [\"request\", \"reply\"]\n[guardrails.act]\nbanned_phrases = [\"nightjar\"]\n\
                  apply_to = [\"request\"]\n";
    for stream in [false, true] {
        let body = if stream { STREAM } else { REQUEST };
        let mut said: Vec<String> = Vec::new();
        for config in ["", config] {
            let gateway = start(config, stream);
            let reply = gateway.chat(body).await;
            assert_eq!(reply.status, 200);
            let id = reply.header("x-request-id").unwrap().to_owned();
            said.push(reply.text().replace(&id, "ID"));
            if config.is_empty() {
                gateway.one().await;
                continue;
            }
            let refused = gateway.chat(&REQUEST.replace("hi", "Nightjar")).await;
            assert_eq!(refused.status, 400);
            let fields = format!("host: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n");
            let metrics = gateway.admin("GET /metrics", &fields).await;
            let series = metrics.text().lines();
            let mut hits: Vec<&str> =
                series.filter_map(|line| line.strip_prefix("crossway_guardrail_hits_total")).collect();
            hits.sort();
            assert_eq!(
                hits,
                [
                    r#"{environment="default",guardrail="act",mode="enforce",stage="request",action="block"} 1"#,
                    r#"{environment="default",guardrail="watch",mode="observe",stage="reply",action="cut"} 1"#,
                    r#"{environment="default",guardrail="watch",mode="observe",stage="request",action="block"} 2"#,
                ]
            );
            gateway.records(2).await;
        }
        assert_eq!(said[0], said[1]);
    }
}

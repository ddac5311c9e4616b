//! Guardrails and system prompts, through the whole corridor: both surfaces, spliced and translated, whole and streamed.

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::dialects::{Answer, KINDS, TEXT, streamed, whole};
use testkit::gateway::Gateway;

const BANNED: &str =
    "[guardrails.tone]\nbanned_phrases = [\"SSE 🌍\", \"grüsse 🌍\"]\napply_to = [\"request\", \"reply\"]\n";

fn request(stream: bool, text: &str) -> String {
    let mut body = json!({ "model": "m", "max_tokens": 50, "messages": [{ "role": "user", "content": text }] });
    if stream {
        body["stream"] = Value::Bool(true);
    }
    body.to_string()
}

async fn asked(gateway: &Gateway, openai: bool, body: &str) -> Reply {
    if openai { gateway.chat(body).await } else { gateway.messages(body).await }
}

#[tokio::test(start_paused = true)]
async fn a_banned_phrase_in_a_request_reaches_nobody() {
    for openai in [true, false] {
        let gateway =
            Gateway::builder().config(BANNED).provider_of("p", "gemini", vec![whole("gemini", Answer::Text)]).start();
        let reply = asked(&gateway, openai, &request(false, "say gr\u{fc}SSE 🌍 please")).await;
        assert_eq!((reply.status, reply.header("x-crossway-error-code")), (400, Some("guardrail_blocked")));
        assert!(reply.text().contains("invalid_request_error"), "{}", reply.text());
        assert!(gateway.provider("p").requests().is_empty());
        let record = gateway.one().await;
        assert_eq!((record.outcome.as_str(), record.cost_usd.map(|cost| cost.0)), ("refused", Some(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_banned_phrase_in_a_reply_reaches_nobody_and_is_paid_for() {
    // "ße" folds to "sse": the phrase stands in what every provider says.
    for kind in KINDS {
        for openai in [true, false] {
            for stream in [false, true] {
                let script = if stream { streamed(kind, Answer::Text, 7) } else { whole(kind, Answer::Text) };
                let gateway = Gateway::builder().config(BANNED).provider_of("p", kind, vec![script]).start();
                let reply = asked(&gateway, openai, &request(stream, "hi")).await;
                let case = format!("{kind}, openai: {openai}, stream: {stream}: {}", reply.text());
                assert_eq!(reply.status, if stream { 200 } else { 400 }, "{case}");
                assert!(!reply.text().contains('🌍') && reply.text().contains("guardrail"), "{case}");
                assert!(!reply.text().contains("[DONE]") && !reply.text().contains("message_stop"), "{case}");
                let record = gateway.one().await;
                assert_eq!(record.outcome, "refused", "{case}");
                assert!(record.cost_usd.is_some_and(|cost| cost.0 > 0), "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disclaimer_is_appended_and_a_long_answer_is_cut() {
    let guards = "[guardrails.a]\nmax_length = 5\nrequire_disclaimer = true\ndisclaimer = \"No advice.\"\n";
    for kind in KINDS {
        for (openai, stream) in [(true, false), (true, true), (false, false), (false, true)] {
            let script = if stream { streamed(kind, Answer::Text, 7) } else { whole(kind, Answer::Text) };
            let gateway = Gateway::builder().config(guards).provider_of("p", kind, vec![script]).start();
            let reply = asked(&gateway, openai, &request(stream, "hi")).await;
            let said = if stream { joined(&reply, openai) } else { text(&reply.json(), openai) };
            let finish = if openai { "\"length\"" } else { "\"max_tokens\"" };
            let case = format!("{kind}, openai: {openai}, stream: {stream}: {}", reply.text());
            assert_eq!(said, "Grüße\n\nNo advice.", "{case}");
            assert!(reply.text().contains(finish), "{case}");
            gateway.one().await;
        }
    }
}

fn text(reply: &Value, openai: bool) -> String {
    let found = if openai { reply.pointer("/choices/0/message/content") } else { reply.pointer("/content/0/text") };
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn joined(reply: &Reply, openai: bool) -> String {
    let data = reply.text().lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let path = if openai { "/choices/0/delta/content" } else { "/delta/text" };
    events.filter_map(|event| event.pointer(path).and_then(Value::as_str).map(str::to_owned)).collect()
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_found_every_byte_is_the_same() {
    let harmless = "[guardrails.tone]\nbanned_phrases = [\"grüße 🌎\", \"zzz\"]\n";
    for kind in ["openai-compatible", "anthropic"] {
        let openai = kind == "openai-compatible";
        let body = request(true, "hi");
        let mut said = Vec::new();
        for config in ["", harmless] {
            let script = streamed(kind, Answer::Text, 11);
            let gateway = Gateway::builder().config(config).provider_of("p", kind, vec![script]).start();
            let reply = asked(&gateway, openai, &body).await;
            let id = reply.header("x-request-id").unwrap().to_owned();
            said.push(reply.text().replace(&id, "ID"));
            gateway.one().await;
        }
        assert_eq!(said[0], said[1]);
        assert!(said[0].contains(TEXT.split_at(4).0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_system_prompt_is_appended_in_every_dialect() {
    let config = "[prompts.house]\ntext = \"Be \\\"kind\\\".\"\n";
    for kind in KINDS {
        for openai in [true, false] {
            let gateway =
                Gateway::builder().config(config).provider_of("p", kind, vec![whole(kind, Answer::Text)]).start();
            let mut body: Value = serde_json::from_str(&request(false, "hi")).unwrap();
            if openai {
                body["messages"] =
                    json!([{ "role": "system", "content": "Own." }, { "role": "user", "content": "hi" }]);
            } else {
                body["system"] = json!("Own.");
            }
            assert_eq!(asked(&gateway, openai, &body.to_string()).await.status, 200);
            let sent = String::from_utf8(gateway.provider("p").request().body.to_vec()).unwrap();
            let (own, house) = (sent.find("Own.").unwrap(), sent.find(r#"Be \"kind\"."#).unwrap());
            assert!(own < house, "{kind}, openai: {openai}: {sent}");
            gateway.one().await;
        }
    }
}

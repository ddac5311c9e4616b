//! What a provider cannot be told (S17): what only tunes is named in a header, or refused where the caller wants
//! nothing dropped; what the answer depends on is refused, unless another target can be told it.

use serde_json::{Value, json};
use testkit::caller::Caller::{self, Anthropic, Openai};
use testkit::client::Reply;
use testkit::dialects::{Answer, KINDS, TEXT, streamed, whole};
use testkit::gateway::{Builder, Gateway};
use testkit::script::Script;

fn with(caller: Caller, stream: bool, members: &Value) -> Value {
    let mut body = caller.request(stream);
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn dropped(reply: &Reply) -> Vec<String> {
    let names = reply.header("x-crossway-dropped-params").unwrap_or_default();
    let mut names: Vec<String> = names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.sort();
    names
}

/// What each dialect cannot be told, on each surface; the first is the one that the matrix in `docs/dialects.md` names.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_named() {
    let openai =
        json!({ "seed": 1, "frequency_penalty": 0.5, "logit_bias": { "1": 2 }, "user": "u", "x_unknown": [1] });
    let anthropic = json!({ "top_k": 5, "metadata": { "user_id": "u" }, "x_unknown": [1] });
    for (kind, of_openai, of_anthropic) in [
        ("openai-compatible", "", "top_k x_unknown"),
        ("openai-responses", "frequency_penalty logit_bias seed x_unknown", "top_k x_unknown"),
        ("anthropic", "frequency_penalty logit_bias seed x_unknown", ""),
        ("gemini", "logit_bias user x_unknown", "metadata.user_id x_unknown"),
        ("cohere", "logit_bias user x_unknown", "metadata.user_id x_unknown"),
        ("ollama", "logit_bias user x_unknown", "metadata.user_id x_unknown"),
    ] {
        for (caller, members, expect) in [(Openai, &openai, of_openai), (Anthropic, &anthropic, of_anthropic)] {
            for stream in [false, true] {
                let script = if stream { streamed(kind, Answer::Text, 999) } else { whole(kind, Answer::Text) };
                let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
                let reply = caller.ask(&gateway, "", &with(caller, stream, members)).await;
                assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
                let expect: Vec<&str> = expect.split_terminator(' ').collect();
                assert_eq!(dropped(&reply), expect, "{kind} {caller:?} stream: {stream}");
                gateway.one().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_of_a_plain_request() {
    for kind in KINDS {
        let gateway = Gateway::builder().provider_of("p", kind, vec![whole(kind, Answer::Text)]).start();
        for caller in Caller::BOTH {
            for strict in ["x-crossway-strict: true\r\n", "x-crossway-strict: 1\r\n", "x-crossway-strict: false\r\n"] {
                let body = with(caller, false, &json!({ "temperature": 0.5, "top_p": 0.9 }));
                let reply = caller.ask(&gateway, strict, &body).await;
                assert_eq!((reply.status, dropped(&reply)), (200, vec![]), "{kind} {caller:?}: {}", reply.text());
            }
        }
        gateway.records(6).await;
    }
}

#[tokio::test(start_paused = true)]
async fn strict_callers_are_refused() {
    for kind in KINDS {
        for caller in Caller::BOTH {
            let own = kind == if caller == Openai { "openai-compatible" } else { "anthropic" };
            for stream in [false, true] {
                let script = if stream { streamed(kind, Answer::Text, 999) } else { whole(kind, Answer::Text) };
                let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
                let body = with(caller, stream, &json!({ "x_unknown": true }));
                let reply = caller.ask(&gateway, "x-crossway-strict: true\r\n", &body).await;
                if own {
                    assert_eq!((reply.status, dropped(&reply)), (200, vec![]), "{kind} {caller:?}");
                } else {
                    let told = caller.told(&reply);
                    assert_eq!(told.verdict(), (400, "unsupported_parameter"), "{kind} {caller:?}");
                    assert!(told.message.contains("x_unknown"), "{}", told.message);
                    assert_eq!(told.param.as_deref(), (caller == Openai).then_some("x_unknown"));
                    assert_eq!(gateway.provider("p").requests().len(), 0);
                }
                let record = gateway.one().await;
                let (origin, cost) = (record.usage.origin.as_str(), record.cost_usd.map(|cost| cost.0));
                assert!(own || (origin, cost) == ("none", Some(0)), "{kind}: {origin} {cost:?}");
            }
        }
    }
}

/// Two targets; the first cannot be told the request. Returns the reply, and what the first one saw.
async fn led_on(builder: Builder, caller: Caller, fields: &str, body: &Value) -> (Reply, usize) {
    let gateway = builder.start();
    let reply = caller.ask(&gateway, fields, body).await;
    let record = gateway.one().await;
    if reply.status == 200 {
        assert_eq!(record.attempts.len(), 2);
        assert!(record.attempts[0].error.as_deref().unwrap().starts_with("unsupported"), "{:?}", record.attempts);
    }
    (reply, gateway.provider("p").requests().len())
}

fn two(first: &'static str, second: &'static str) -> Builder {
    Gateway::builder().provider_of("p", first, vec![whole(first, Answer::Text)]).provider_of(
        "q",
        second,
        vec![whole(second, Answer::Text)],
    )
}

#[tokio::test(start_paused = true)]
async fn what_one_target_cannot_be_told_another_can() {
    let document = json!([{ "role": "user", "content": [{ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERi0=" } }] }]);
    for (first, second, caller, fields, members) in [
        ("anthropic", "openai-compatible", Openai, "", json!({ "n": 2 })),
        ("ollama", "gemini", Openai, "", json!({ "n": 2 })),
        ("anthropic", "openai-compatible", Openai, "x-crossway-strict: true\r\n", json!({ "seed": 1 })),
        ("gemini", "openai-compatible", Openai, "", json!({ "modalities": ["text", "audio"], "audio": {} })),
        (
            "openai-compatible",
            "anthropic",
            Anthropic,
            "",
            json!({ "mcp_servers": [{ "type": "url", "url": "https://x", "name": "x" }] }),
        ),
        ("openai-compatible", "anthropic", Anthropic, "x-crossway-strict: true\r\n", json!({ "top_k": 5 })),
        ("ollama", "gemini", Anthropic, "", json!({ "messages": document })),
    ] {
        let (reply, asked) = led_on(two(first, second), caller, fields, &with(caller, false, &members)).await;
        let from = (reply.status, reply.header("x-crossway-provider"), reply.header("x-crossway-attempts"), asked);
        assert_eq!(from, (200, Some("q"), Some("2"), 0), "{first} {second} {members}: {}", reply.text());
        assert!(reply.text().contains(TEXT) || reply.text().contains("Gr"), "{}", reply.text());
        // Where nobody can be told it, it is refused by its name.
        let (reply, asked) = led_on(two(first, first), caller, fields, &with(caller, false, &members)).await;
        let told = caller.told(&reply);
        assert_eq!((told.verdict(), asked), ((400, "unsupported_parameter"), 0), "{first} {members}");
    }
}

/// A model that is known not to see: refused by name and place, before anything is asked.
#[tokio::test(start_paused = true)]
async fn what_a_model_is_known_not_to_do_is_refused() {
    let config = "[[models]]\nslug = \"blind\"\nprovider = \"p\"\ncapabilities = [\"tools\"]\n";
    for caller in Caller::BOTH {
        for kind in KINDS {
            let gateway =
                Gateway::builder().provider_of("p", kind, vec![whole(kind, Answer::Text)]).config(config).start();
            let picture = match caller {
                Openai => json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } }),
                Anthropic => {
                    json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" } })
                }
            };
            let mut body = caller.request(false);
            body["model"] = json!("blind");
            body["messages"][0]["content"] = json!([{ "type": "text", "text": "look" }, picture]);
            if caller == Anthropic {
                // It has no place among the messages.
                body["system"] = json!("you see");
            }
            let reply = caller.ask(&gateway, "", &body).await;
            // A provider of the caller's own dialect knows best what it takes.
            if kind == if caller == Openai { "openai-compatible" } else { "anthropic" } {
                assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
            } else {
                let told = caller.told(&reply);
                assert_eq!(told.verdict(), (400, "unsupported_parameter"), "{kind}: {}", told.message);
                assert!(told.message.contains("vision"), "{}", told.message);
                let place = "messages[0].content[1]";
                assert!(told.param.as_deref() == Some(place) || told.message.contains(place), "{kind} {told:?}");
                assert_eq!(gateway.provider("p").requests().len(), 0);
            }
            // What it can do, it does.
            let tools = match caller {
                Openai => {
                    json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }])
                }
                Anthropic => json!([{ "name": "f", "input_schema": { "type": "object" } }]),
            };
            let reply =
                caller.ask(&gateway, "", &with(caller, false, &json!({ "model": "blind", "tools": tools }))).await;
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
            gateway.records(2).await;
        }
    }
}

/// INJ-05: a name that a caller made up comes back in a header, and cannot make another one.
#[tokio::test(start_paused = true)]
async fn names_cannot_inject_headers() {
    let names = ["x\r\nset-cookie: a=1", "x\nset-cookie: a=1", "x\0y", "schlüssel-🔑", "a, b", "\u{7f}", "", " "];
    for caller in Caller::BOTH {
        for strict in ["", "x-crossway-strict: true\r\n"] {
            for name in names {
                let gateway =
                    Gateway::builder().provider_of("p", "gemini", vec![whole("gemini", Answer::Text)]).start();
                let members = json!({ name: 1, "harmless": 2 });
                let reply = caller.ask(&gateway, strict, &with(caller, false, &members)).await;
                assert_eq!(reply.header("set-cookie"), None, "{name:?}");
                if strict.is_empty() {
                    assert_eq!(reply.status, 200, "{name:?}: {}", reply.text());
                    let named = reply.header("x-crossway-dropped-params").unwrap_or_default();
                    assert!(named.contains("harmless"), "{name:?}: what is named beside it is named: {named:?}");
                    assert!(named.len() > "harmless".len(), "{name:?}: it is named in some way: {named:?}");
                    assert!(named.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{named:?}");
                } else {
                    assert_eq!(caller.told(&reply).verdict(), (400, "unsupported_parameter"), "{name:?}");
                }
                gateway.one().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_without_end_are_cut() {
    let members: Value =
        (0..300).map(|number| (format!("unknown_{number}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    let long = json!({ "x".repeat(100_000): 1 });
    for members in [members, long] {
        let gateway = Gateway::builder().provider_of("p", "gemini", vec![whole("gemini", Answer::Text)]).start();
        let reply = Openai.ask(&gateway, "", &with(Openai, false, &members)).await;
        let named = reply.header("x-crossway-dropped-params").unwrap();
        assert!((900..=1_024).contains(&named.len()), "{}", named.len());
        gateway.one().await;
    }
}

/// Names of models and providers that no header can hold.
#[tokio::test(start_paused = true)]
async fn names_of_the_configuration_cannot_inject_headers() {
    let config = "[[models]]\nslug = \"modèle-🔑\"\nprovider = \"p\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(config).start();
    for caller in Caller::BOTH {
        let reply = caller.ask(&gateway, "", &with(caller, false, &json!({ "model": "modèle-🔑" }))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-crossway-model"), Some("mod%C3%A8le-%F0%9F%94%91"));
        assert_eq!(reply.json()["crossway"]["routed_to"], "modèle-🔑");
    }
    gateway.records(2).await;
}

/// The place that is refused is the one in the caller's request, whatever the provider's looks like.
#[tokio::test(start_paused = true)]
async fn the_place_is_the_callers() {
    let sound = json!({ "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } });
    let file = json!({ "type": "image", "source": { "type": "file", "file_id": "file_1" } });
    let text = json!({ "type": "text", "text": "look" });
    for (caller, part, kinds) in [
        (Openai, sound, ["openai-responses", "anthropic", "cohere", "ollama"]),
        (Anthropic, file, ["openai-compatible", "gemini", "cohere", "ollama"]),
    ] {
        for kind in kinds {
            let gateway = Gateway::builder().provider_of("p", kind, vec![whole(kind, Answer::Text)]).start();
            let said = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "ho" }, { "role": "user", "content": [text, part] }]);
            let mut body = with(caller, false, &json!({ "messages": said }));
            let plain = caller.told(&caller.ask(&gateway, "", &body).await);
            let (place, with_prompt) = match caller {
                Openai => {
                    body["messages"].as_array_mut().unwrap().insert(0, json!({ "role": "system", "content": "s" }));
                    ("messages[2].content[1]", "messages[3].content[1]")
                }
                Anthropic => {
                    body["system"] = json!("s");
                    ("messages[2].content[1]", "messages[2].content[1]")
                }
            };
            let prompted = caller.told(&caller.ask(&gateway, "", &body).await);
            for (told, place) in [(plain, place), (prompted, with_prompt)] {
                assert_eq!(told.verdict(), (400, "unsupported_parameter"), "{kind} {caller:?}");
                assert!(
                    told.param.as_deref() == Some(place) || told.message.contains(place),
                    "{kind} {caller:?} {told:?}"
                );
            }
            gateway.records(2).await;
        }
    }
}

//! Every error of the gateway itself, on both surfaces in the shape of each: status, type, code, request id.

use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;
use settle::journal::faults::{Fault, Operation};
use testkit::assembly::NOW_MS;
use testkit::caller::{Caller, Told};
use testkit::client::Reply;
use testkit::gateway::{Builder, Gateway};
use testkit::script::{Script, chunk};

fn builder() -> Builder {
    Gateway::builder().provider("p", Script::chat("Hello"))
}

/// The paths of a surface that take a body.
fn lines(caller: Caller) -> &'static [&'static str] {
    match caller {
        Caller::Openai => &["POST /v1/chat/completions"],
        Caller::Anthropic => {
            &["POST /v1/messages", "POST /v1/messages/count_tokens", "POST /api/anthropic/v1/messages"]
        }
    }
}

/// Sends a head that is refused without a look at the body.
async fn by_its_head(gateway: &Gateway, line: &str, fields: &str) -> Reply {
    let mut client = gateway.client();
    client.send(format!("{line} HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
    client.reply().await
}

#[tokio::test(start_paused = true)]
async fn keys() {
    for caller in Caller::BOTH {
        let gateway = builder().start();
        let key = |name: &str, spec| gateway.assembly.create_key(name, spec);
        let disabled = key("disabled", KeySpec { enabled: false, ..KeySpec::default() });
        let expired = key("expired", KeySpec { expires_at: Some(Timestamp(NOW_MS / 1_000)), ..KeySpec::default() });
        let revoked = key("revoked", KeySpec::default());
        gateway.assembly.revoke_key("revoked");
        for line in lines(caller) {
            for form in ["authorization: Bearer KEY\r\n", "x-api-key: KEY\r\n"] {
                for (key, status, code) in [
                    ("unknown", 401, "invalid_api_key"),
                    (&revoked, 401, "revoked_api_key"),
                    (&expired, 401, "expired_api_key"),
                    (&disabled, 403, "key_disabled"),
                ] {
                    let reply = by_its_head(&gateway, line, &form.replace("KEY", key)).await;
                    assert_eq!(caller.told(&reply).verdict(), (status, code), "{line} {form}");
                    assert!(!reply.text().contains(key), "{line} {form}");
                }
            }
            let missing = by_its_head(&gateway, line, "").await;
            assert_eq!(caller.told(&missing).verdict(), (401, "invalid_api_key"), "{line}");
            let fields = caller.fields(&gateway) + "x-crossway-env: other\r\n";
            let reply = by_its_head(&gateway, line, &fields).await;
            assert_eq!(caller.told(&reply).verdict(), (403, "environment_mismatch"), "{line}");
        }
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rights() {
    for caller in Caller::BOTH {
        for (spec, code) in [
            (KeySpec { models: vec!["other".into()], ..KeySpec::default() }, "model_not_allowed"),
            (KeySpec { providers: vec!["other".into()], ..KeySpec::default() }, "provider_not_allowed"),
        ] {
            let gateway = builder().start();
            let narrow = gateway.assembly.create_key("narrow", spec);
            for line in lines(caller) {
                let fields = format!("x-api-key: {narrow}\r\n");
                let reply = gateway.ask(line, &fields, &caller.request(false).to_string()).await;
                assert_eq!(caller.told(&reply).verdict(), (403, code), "{line}");
            }
            assert_eq!(gateway.provider("p").requests().len(), 0);
            let records = gateway.records(lines(caller).len()).await;
            assert!(records.iter().all(|record| record.outcome == "refused" && record.status == 403));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_wrong_keys() {
    for caller in Caller::BOTH {
        let gateway = builder().start();
        for _ in 0..300 {
            by_its_head(&gateway, caller.line(), "x-api-key: no\r\n").await;
        }
        for line in lines(caller) {
            let reply = by_its_head(&gateway, line, "x-api-key: no\r\n").await;
            assert_eq!(caller.told(&reply).verdict(), (429, "rate_limited"), "{line}");
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn paths_methods_and_models() {
    for caller in Caller::BOTH {
        let gateway = builder().start();
        let fields = caller.fields(&gateway);
        for line in lines(caller) {
            let (_, path) = line.split_once(' ').unwrap();
            for method in ["GET", "PUT", "DELETE", "OPTIONS", "BREW"] {
                let reply = by_its_head(&gateway, &format!("{method} {path}"), &fields).await;
                assert_eq!(caller.told(&reply).verdict(), (405, "method_not_allowed"), "{method} {path}");
                assert_eq!(reply.header("allow"), Some("POST"));
            }
        }
        for line in ["POST /v1/unknown", "GET /", "GET /v1/models/nobody", "POST /v1/messages/batches/1"] {
            let reply = by_its_head(&gateway, line, &fields).await;
            assert_eq!(caller.told(&reply).verdict(), (404, "not_found"), "{line}");
        }
        let reply = by_its_head(&gateway, "DELETE /v1/models", &fields).await;
        assert_eq!(caller.told(&reply).verdict(), (405, "method_not_allowed"));
        assert_eq!(reply.header("allow"), Some("GET"));
        let mut body = caller.request(false);
        body["model"] = "nobody".into();
        let reply = caller.ask(&gateway, "", &body).await;
        let told = caller.told(&reply);
        assert_eq!(told.verdict(), (400, "unknown_model"));
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn heads_and_bodies() {
    for caller in Caller::BOTH {
        let gateway = builder().settings("request_body_limit = \"64KiB\"").start();
        for line in lines(caller) {
            let large = format!("x-large: {}\r\n", "x".repeat(50 << 10));
            for (field, status, code) in [
                ("content-length: 65537\r\n", 413, "request_too_large"),
                ("content-encoding: gzip\r\ncontent-length: 9\r\n", 415, "unsupported_media_type"),
                ("transfer-encoding: gzip, chunked\r\n", 400, "invalid_request"),
                (&large, 431, "headers_too_large"),
                ("x-crossway-timeout-ms: soon\r\n", 400, "invalid_request"),
                ("x-crossway-strict: perhaps\r\n", 400, "invalid_request"),
                ("idempotency-key: a\r\nidempotency-key: b\r\n", 400, "invalid_request"),
                ("x-llm-provider: p\r\nX-LLM-Provider: q\r\n", 400, "invalid_request"),
                ("x-crossway-bucket: a\r\nx-crossway-bucket: b\r\n", 400, "invalid_request"),
            ] {
                let reply = by_its_head(&gateway, line, &(caller.fields(&gateway) + field)).await;
                assert_eq!(caller.told(&reply).verdict(), (status, code), "{line} {}", &field[..field.len().min(50)]);
                assert_eq!(reply.header("connection"), Some("close"), "what was not read is not a request");
            }
            let fields =
                format!("x-api-key: {}\r\nanthropic-version: 1\r\ncontent-type: text/plain\r\n", gateway.secret);
            let reply = by_its_head(&gateway, line, &(fields + "content-length: 9\r\n")).await;
            assert_eq!(caller.told(&reply).verdict(), (415, "unsupported_media_type"), "{line}");
            // Without a declared length: what is too much is cut short.
            let mut client = gateway.client();
            let fields = caller.fields(&gateway) + "transfer-encoding: chunked\r\n";
            client.send(format!("{line} HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
            client.send(chunk(&[b' '; 65_537])).await;
            assert_eq!(caller.told(&client.reply().await).verdict(), (413, "request_too_large"), "{line}");
            // A body that stops coming.
            let mut client = gateway.client();
            let fields = caller.fields(&gateway) + "content-length: 100\r\n";
            client.send(format!("{line} HTTP/1.1\r\nhost: x\r\n{fields}\r\n{{\"model\"")).await;
            assert_eq!(caller.told(&client.reply().await).verdict(), (408, "request_timeout"), "{line}");
        }
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_written() {
    for caller in Caller::BOTH {
        for stream in [false, true] {
            let gateway = builder().start();
            gateway.assembly.disk.fail(Operation::Write, Some(Fault::NoSpace));
            let reply = caller.ask(&gateway, "", &caller.request(stream)).await;
            let status = if caller == Caller::Openai { 503 } else { 529 };
            assert_eq!(caller.told(&reply).verdict(), (status, "dependency_unavailable"));
            assert_eq!(reply.header("retry-after"), Some("5"));
            gateway.assembly.disk.fail(Operation::Write, None);
            gateway.assembly.journal.tick();
            assert_eq!(gateway.one().await.outcome, "refused");
        }
    }
}

/// Acceptance SUP-03.
#[tokio::test(start_paused = true)]
async fn a_panic() {
    for caller in Caller::BOTH {
        for stream in [false, true] {
            let gateway = Gateway::builder().provider("p", Script::Panic).start();
            let reply = caller.ask(&gateway, "", &caller.request(stream)).await;
            assert_eq!(caller.told(&reply).verdict(), (500, "internal_error"));
            assert_eq!(gateway.one().await.status, 500);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop() {
    for caller in Caller::BOTH {
        let gateway = builder().start();
        let fields = format!("x-crossway-hop: {}\r\n", gateway.assembly.core.instance);
        let reply = caller.ask(&gateway, &fields, &caller.request(false)).await;
        assert_eq!(caller.told(&reply).verdict(), (502, "loop_detected"));
        gateway.none().await;
    }
}

/// A body is refused with 400 and the field is named: in `param`, or, where the shape has none, in the message.
async fn refused(caller: Caller, line: &str, body: &[u8], param: Option<&str>) -> Told {
    let gateway = builder().start();
    let mut client = gateway.client();
    client.request(line, &caller.fields(&gateway), body).await;
    let reply = client.reply().await;
    let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
    let told = caller.told(&reply);
    assert_eq!(told.verdict(), (400, "invalid_request"), "{shown}");
    if caller == Caller::Openai {
        assert_eq!(told.param.as_deref(), param, "{shown}");
    } else if let Some(param) = param {
        assert!(told.message.contains(param), "{shown}: {}", told.message);
    }
    // The body was read: the connection goes on.
    client.request(caller.line(), &caller.fields(&gateway), caller.request(false).to_string().as_bytes()).await;
    assert_eq!(client.reply().await.status, 200, "{shown}");
    gateway.one().await;
    told
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json() {
    for caller in Caller::BOTH {
        let whole = caller.request(false).to_string();
        let latin =
            whole.clone().into_bytes().into_iter().map(|b| if b == b'h' { 0xff } else { b }).collect::<Vec<_>>();
        let deep = whole.replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(100_000), "]".repeat(100_000)), 1);
        for line in lines(caller) {
            for body in [
                b"".as_slice(),
                b"hello",
                b"[]",
                b"null",
                b"{",
                &whole.as_bytes()[..whole.len() - 1],
                whole.replace("\"hi\"", "NaN").as_bytes(),
                whole.replace('}', ",}").as_bytes(),
                (whole.clone() + "x").as_bytes(),
                &latin,
                deep.as_bytes(),
            ] {
                refused(caller, line, body, None).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_of_a_wrong_type() {
    for caller in Caller::BOTH {
        for line in lines(caller) {
            for (member, value) in [
                ("messages", "null"),
                ("messages", "{}"),
                ("messages", "\"hi\""),
                ("messages[0]", "[1]"),
                ("messages[0]", "[null]"),
                ("model", "7"),
                ("model", "[]"),
                ("stream", "\"true\""),
                ("stream", "1"),
                ("max_tokens", "-1"),
                ("max_tokens", "1.5"),
                ("max_tokens", "\"5\""),
                ("max_tokens", "99999999999999999999999"),
                ("service_tier", "1"),
            ] {
                let name = member.trim_end_matches("[0]");
                let mut body = caller.request(false);
                body[name] = "WRONG".into();
                let body = body.to_string().replace("\"WRONG\"", value);
                refused(caller, line, body.as_bytes(), Some(member)).await;
            }
            refused(caller, line, br#"{"model":"m","max_tokens":5}"#, Some("messages")).await;
        }
    }
    let told = refused(
        Caller::Anthropic,
        "POST /v1/messages",
        br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        Some("max_tokens"),
    );
    assert_eq!(told.await.message, "max_tokens: Field required");
}

#[tokio::test(start_paused = true)]
async fn what_two_parsers_would_read_differently() {
    for caller in Caller::BOTH {
        for line in lines(caller) {
            for (member, name) in [
                (r#""model":"other","#, "model"),
                (r#""messages":[],"#, "messages"),
                (r#""max_tokens":1,"#, "max_tokens"),
                (r#""stream":false,"stream":true,"#, "stream"),
                (r#""tools":[],"tools":[1],"#, "tools"),
                (r#""service_tier":"a","service_tier":"b","#, "service_tier"),
                (r#""mod\u0065l":"other","#, "model"),
                (r#""str\u0065am":true,"#, "stream"),
                (r#""m\u0061x_tokens":9,"#, "max_tokens"),
            ] {
                let body = caller.request(false).to_string().replacen('{', &format!("{{{member}"), 1);
                refused(caller, line, body.as_bytes(), Some(name)).await;
            }
        }
    }
    for member in [r#""system":"a","system":"b","#, r#""syst\u0065m":"a","#] {
        let body = Caller::Anthropic.request(false).to_string().replacen('{', &format!("{{{member}"), 1);
        refused(Caller::Anthropic, "POST /v1/messages", body.as_bytes(), Some("system")).await;
    }
}

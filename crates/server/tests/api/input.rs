//! What is no request: refused with the reason, before anything is admitted, and without reading what need not be read.

use testkit::client::{Reply, now};
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

/// A body is refused with 400, and a field is named (or none).
async fn check(body: &[u8], param: Option<&str>, says: &str) {
    let gateway = gateway();
    let mut client = gateway.client();
    client.request("POST /v1/chat/completions", &gateway.fields(), body).await;
    let reply = client.reply().await;
    let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    assert_eq!(reply.status, 400, "{shown}: {}", reply.text());
    assert_eq!(reply.code(), "invalid_request");
    assert_eq!(reply.json()["error"]["param"].as_str(), param, "{shown}: {}", reply.text());
    assert!(reply.message().contains(says), "{shown}: {}", reply.text());
    client.request("POST /v1/chat/completions", &gateway.fields(), REQUEST.as_bytes()).await;
    assert_eq!(client.reply().await.status, 200, "the connection goes on");
    gateway.one().await;
    assert_eq!(gateway.provider("p").requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json() {
    let whole = REQUEST.as_bytes();
    check(b"", None, "empty").await;
    for body in [&b"hello"[..], b"[]", b"\"x\"", b"null", b"{", b"{\"model\"", &whole[..whole.len() - 1]] {
        check(body, None, "").await;
    }
    check(&[whole, b"x"].concat(), None, "").await;
    check(&[whole, whole].concat(), None, "").await;
    check(&REQUEST.replace("]}", "],}").into_bytes(), None, "").await;
    check(&[b"\xef\xbb\xbf".as_slice(), whole].concat(), None, "").await;
    check(
        &REQUEST
            .replace("hi", "XX")
            .into_bytes()
            .into_iter()
            .map(|b| if b == b'X' { 0xff } else { b })
            .collect::<Vec<_>>(),
        None,
        "UTF-8",
    )
    .await;
    check(&REQUEST.replace(r#""hi""#, "NaN").into_bytes(), None, "").await;
    check(&REQUEST.replace(r#""hi""#, r#""\ud8""#).into_bytes(), None, "").await;
}

/// Acceptance DOS-03.
#[tokio::test(start_paused = true)]
async fn what_nests_too_deep_or_holds_too_much() {
    let nested = |open: &str, close: &str, depth| {
        let value = open.repeat(depth) + "1" + &close.repeat(depth);
        REQUEST.replace(r#""model""#, &format!(r#""x":{value},"model""#)).into_bytes()
    };
    check(&nested("[", "]", 200_000), None, "").await;
    check(&nested("{\"a\":", "}", 200_000), None, "").await;
    check(&vec![b'['; 200_000], None, "").await;
    check(&b"{\"a\":".repeat(200_000), None, "").await;
    let members: String = (0..100_000).map(|number| format!("\"k{number}\":1,")).collect();
    check(format!("{{{members}{}", &REQUEST[1..]).as_bytes(), None, "too many members").await;
}

#[tokio::test(start_paused = true)]
async fn a_long_text_and_a_long_list_are_no_fault() {
    let gateway = gateway();
    for value in [format!("\"{}\"", "x".repeat(4 << 20)), format!("[{}1]", "1,".repeat(1 << 20))] {
        let body = REQUEST.replace(r#""hi""#, &value);
        assert_eq!(gateway.chat(&body).await.status, 200);
    }
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn wrong_types_are_named() {
    for (member, param) in [
        (r#""model":7"#, "model"),
        (r#""model":["m"]"#, "model"),
        (r#""model":{}"#, "model"),
        (r#""model":"m","stream":"true""#, "stream"),
        (r#""model":"m","stream":1"#, "stream"),
        (r#""model":"m","max_tokens":-1"#, "max_tokens"),
        (r#""model":"m","max_tokens":1.5"#, "max_tokens"),
        (r#""model":"m","max_tokens":1e9"#, "max_tokens"),
        (r#""model":"m","max_tokens":99999999999999999999999"#, "max_tokens"),
        (r#""model":"m","max_completion_tokens":"5""#, "max_completion_tokens"),
        (r#""model":"m","n":-1"#, "n"),
        (r#""model":"m","service_tier":1"#, "service_tier"),
        (r#""model":"m","stream":true,"stream_options":[]"#, "stream_options"),
        (r#""model":"m","stream":true,"stream_options":{"include_usage":1}"#, "stream_options.include_usage"),
    ] {
        check(REQUEST.replace(r#""model":"m""#, member).as_bytes(), Some(param), "").await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_needed() {
    check(br#"{"model":"m"}"#, Some("messages"), "missing").await;
    for value in ["null", "{}", "\"hi\"", "7"] {
        check(format!(r#"{{"model":"m","messages":{value}}}"#).as_bytes(), Some("messages"), "").await;
    }
    for value in ["[1]", "[null]", "[\"hi\"]", "[[]]"] {
        check(format!(r#"{{"model":"m","messages":{value}}}"#).as_bytes(), Some("messages[0]"), "").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_providers_judge_themselves_is_passed_on_as_it_stands() {
    let gateway = gateway();
    let bodies = [
        r#"{"messages":[],"model":"m"}"#.to_owned(),
        REQUEST.replace(r#""model":"m""#, r#""max_tokens":0,"n":0,"temperature":9e99,"model":"m""#),
        REQUEST.replace("hi", "a\u{1}b\tc"),
        REQUEST.replace("hi", r"\ud800 \u0000"),
        REQUEST.replace(r#""content""#, r#""model":"inner","stream":"yes","content""#),
    ];
    for body in &bodies {
        assert_eq!(gateway.chat(body).await.status, 200, "{body}");
    }
    for (body, request) in bodies.iter().zip(gateway.provider("p").requests()) {
        assert_eq!(String::from_utf8_lossy(&request.body), body.replace(r#""model":"m""#, r#""model":"up-m""#));
    }
    gateway.records(bodies.len()).await;
}

#[tokio::test(start_paused = true)]
async fn a_length_that_no_body_has_is_refused_by_the_server() {
    for length in ["18446744073709551614", "18446744073709551615", "99999999999999999999999"] {
        let gateway = gateway();
        let said =
            gateway.raw(format!("{CHAT} HTTP/1.1\r\n{}content-length: {length}\r\n\r\n", gateway.fields())).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_parsers_cannot_read_two_requests() {
    for (member, param) in [
        (r#""model":"other","model":"m""#, "model"),
        (r#""model":"m","stream":false,"stream":true"#, "stream"),
        (r#""model":"m","max_tokens":1,"max_tokens":100000"#, "max_tokens"),
        (r#""model":"m","messages":[{"role":"user","content":"x"}]"#, "messages"),
        (r#""model":"m","tools":[],"tools":[1]"#, "tools"),
        (r#""mod\u0065l":"other","model":"m""#, "model"),
        (r#""\u006dodel":"m""#, "model"),
        (r#""model":"m","str\u0065am":true"#, "stream"),
        (
            r#""model":"m","stream":true,"stream_options":{"include_usage":false,"include_usage":true}"#,
            "stream_options",
        ),
        (r#""model":"m","stream":true,"stream_options":{"include\u005fusage":false}"#, "stream_options"),
    ] {
        check(REQUEST.replace(r#""model":"m""#, member).as_bytes(), Some(param), "").await;
    }
}

/// A head is refused, without a look at the body, which never comes.
async fn by_its_head(line: &str, fields: &str, status: u16, code: &str) -> Reply {
    let gateway = gateway();
    let mut client = gateway.client();
    let fields = fields.replace("KEY", &format!("authorization: Bearer {}", gateway.secret));
    client.send(format!("{line} HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
    let start = now();
    let reply = client.reply().await;
    assert!(start.elapsed().as_millis() < 10, "at once");
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{line} {fields}");
    if fields.contains("content-length") {
        assert_eq!(reply.header("connection"), Some("close"), "what was not read is not a request");
        assert_eq!(client.read_to_end().await, b"");
    }
    gateway.none().await;
    reply
}

const CHAT: &str = "POST /v1/chat/completions";

#[tokio::test(start_paused = true)]
async fn what_is_declared_too_large_is_not_read() {
    for length in ["33554433", "1073741824"] {
        let fields = format!("KEY\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
        by_its_head(CHAT, &fields, 413, "request_too_large").await;
    }
}

/// Acceptance DOS-07.
#[tokio::test(start_paused = true)]
async fn a_strangers_body_is_not_read() {
    by_its_head(CHAT, "content-length: 1073741824\r\n", 401, "invalid_api_key").await;
    by_its_head("POST /v1/unknown", "content-length: 1073741824\r\n", 404, "not_found").await;
    by_its_head("POST /v1/models", "content-length: 1073741824\r\n", 405, "method_not_allowed").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_without_saying_so_is_cut_short() {
    let settings = "request_body_limit = \"64KiB\"";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).settings(settings).start();
    let mut client = gateway.client();
    let head = format!("{CHAT} HTTP/1.1\r\nhost: x\r\n{}transfer-encoding: chunked\r\n\r\n", gateway.fields());
    client.send(head).await;
    for _ in 0..9 {
        client.send(testkit::script::chunk(&[b' '; 8 << 10])).await;
    }
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"));
    assert_eq!(reply.header("connection"), Some("close"));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_of_exactly_the_limit_is_read() {
    let settings = "request_body_limit = \"64KiB\"";
    for (length, status) in [(64 << 10, 200), ((64 << 10) + 1, 413)] {
        let gateway = Gateway::builder().provider("p", Script::chat("Hello")).settings(settings).start();
        let padded = " ".repeat(length - REQUEST.len()) + REQUEST;
        assert_eq!(gateway.chat(&padded).await.status, status);
        gateway.records(usize::from(status == 200)).await;
    }
}

/// Acceptance DOS-05: nothing that is served takes parts, so that no boundary is looked for.
#[tokio::test(start_paused = true)]
async fn parts_are_refused_by_the_head_alone() {
    for boundary in ["x".to_owned(), "-".repeat(70), "x".repeat(40_000), "\"a;b\"".to_owned(), String::new()] {
        for length in ["10485760", "1073741824"] {
            let fields = format!(
                "KEY\r\ncontent-type: multipart/form-data; boundary={boundary}\r\ncontent-length: {length}\r\n"
            );
            by_its_head(CHAT, &fields, 415, "unsupported_media_type").await;
        }
    }
}

/// Acceptance DOS-01.
#[tokio::test(start_paused = true)]
async fn what_is_compressed_or_of_another_type_is_not_read() {
    for field in [
        "content-encoding: gzip",
        "content-encoding: deflate",
        "content-encoding: br",
        "content-encoding: zstd",
        "content-encoding: identity, gzip",
        "content-type: text/plain",
        "content-type: application/x-www-form-urlencoded",
        "content-type: multipart/form-data; boundary=x",
        "content-type: application/jsonx",
        "content-type: ",
    ] {
        let fields = format!("KEY\r\n{field}\r\ncontent-length: 102400\r\n");
        by_its_head(CHAT, &fields, 415, "unsupported_media_type").await;
    }
}

#[tokio::test(start_paused = true)]
async fn json_by_any_of_its_names_is_read() {
    let gateway = gateway();
    for field in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
        let fields =
            format!("x-api-key: {}\r\ncontent-type: {field}\r\ncontent-encoding: identity\r\n", gateway.secret);
        assert_eq!(gateway.ask(CHAT, &fields, REQUEST).await.status, 200, "{field}");
    }
    let fields = format!("x-api-key: {}\r\n", gateway.secret);
    assert_eq!(gateway.ask(CHAT, &fields, REQUEST).await.status, 200, "no type at all");
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods() {
    for (line, status, code, allow) in [
        ("GET /", 404, "not_found", None),
        ("GET /v1", 404, "not_found", None),
        ("POST /v1/chat/completions/", 404, "not_found", None),
        ("POST /v1/chat/completions/x", 404, "not_found", None),
        ("POST /v2/chat/completions", 404, "not_found", None),
        ("POST /v1//chat/completions", 404, "not_found", None),
        ("GET /v1/models/", 404, "not_found", None),
        ("GET /healthz", 404, "not_found", None),
        ("GET /admin/v1/environments/default/requests", 404, "not_found", None),
        ("GET /v1/chat/completions", 405, "method_not_allowed", Some("POST")),
        ("PUT /v1/chat/completions", 405, "method_not_allowed", Some("POST")),
        ("TRACE /v1/chat/completions", 405, "method_not_allowed", Some("POST")),
        ("BREW /v1/chat/completions", 405, "method_not_allowed", Some("POST")),
        ("DELETE /v1/models", 405, "method_not_allowed", Some("GET")),
        ("POST /v1/models/m", 405, "method_not_allowed", Some("GET")),
    ] {
        let reply = by_its_head(line, "KEY\r\n", status, code).await;
        assert_eq!(reply.header("allow"), allow, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_path_is_told_what_there_is() {
    let gateway = gateway();
    for (line, told) in [
        ("POST /v1/embeddings", "POST /v1/chat/completions, POST /v1/messages and GET /v1/models"),
        ("GET /metrics", "the admin listener"),
        ("GET /", "under /v1"),
    ] {
        let reply = gateway.ask(line, "", "").await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(told), "{line}: {message}");
    }
    gateway.none().await;
}

/// Acceptance HTTP-06.
#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let gateway = gateway();
    let mut client = gateway.client();
    let head = format!("{CHAT} HTTP/1.1\r\nhost: x\r\n{}content-length: 100\r\n\r\n{{\"model\"", gateway.fields());
    client.send(head).await;
    let start = now();
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.code().as_str(), start.elapsed().as_secs()), (408, "request_timeout", 30));
    assert_eq!(reply.header("connection"), Some("close"));
    gateway.none().await;
}

/// Acceptance HTTP-06.
#[tokio::test(start_paused = true)]
async fn a_head_that_stops_coming_is_given_up() {
    let gateway = gateway();
    let start = now();
    gateway.raw("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow").await;
    assert_eq!(start.elapsed().as_secs(), 10);
    gateway.none().await;
}

/// Sends a head that two parsers could frame differently, with a second request hidden in the body.
async fn smuggled(fields: &str, body: &str) {
    let gateway = gateway();
    let hidden = format!(
        "POST /v1/chat/completions HTTP/1.1\r\n{}content-length: {}\r\n\r\n{REQUEST}",
        gateway.fields(),
        REQUEST.len()
    );
    let head = format!("{CHAT} HTTP/1.1\r\nhost: x\r\n{}{fields}\r\n\r\n{body}{hidden}", gateway.fields());
    let said = gateway.raw(head).await;
    assert!(said.starts_with("HTTP/1.1 400"), "{fields}: {said}");
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{fields}: {said}");
    assert!(!said.contains("JSON"), "it is refused for its framing: {said}");
    assert_eq!(gateway.provider("p").requests().len(), 0, "{fields}");
    gateway.none().await;
}

/// Acceptance HTTP-01.
#[tokio::test(start_paused = true)]
async fn ambiguous_framing_is_refused() {
    for (fields, body) in [
        ("content-length: 5\r\ncontent-length: 6", "hello"),
        ("content-length: +5", "hello"),
        ("content-length: 0x5", "hello"),
        ("content-length: 5, 6", "hello"),
        ("content-length: ", ""),
        ("transfer-encoding: xchunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        ("content-length : 5", "hello"),
        (" content-length: 5", "hello"),
        ("content-length: 5\r\ntransfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ncontent-length: 5", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        smuggled(fields, body).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_version_has_no_coding() {
    let gateway = gateway();
    let head = format!("{CHAT} HTTP/1.0\r\n{}transfer-encoding: chunked\r\n\r\n0\r\n\r\n", gateway.fields());
    let said = gateway.raw(head).await;
    assert!(said.contains(" 400 "), "{said}");
    gateway.none().await;
}

/// Acceptance HTTP-08.
#[tokio::test(start_paused = true)]
async fn heads_that_are_too_large_or_too_many_are_refused() {
    for fields in [format!("x-large: {}\r\n", "x".repeat(100 << 10)), "x-many: 1\r\n".repeat(500)] {
        let gateway = gateway();
        let said = gateway.raw(format!("{CHAT} HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 431"), "{}", &said[..said.len().min(200)]);
        gateway.none().await;
    }
}

/// Acceptance OBS-03.
#[tokio::test(start_paused = true)]
async fn a_callers_request_id_is_not_taken_over() {
    let gateway = gateway();
    for given in ["req_00000000000000000000000000000000".to_owned(), "x".repeat(10 << 10)] {
        let reply = gateway.chat_with(&format!("x-request-id: {given}\r\n"), REQUEST).await;
        let id = reply.header("x-request-id").unwrap();
        assert!(reply.status == 200 && id != given && id.len() == 36);
    }
    gateway.records(2).await;
}

/// Acceptance HTTP-03.
#[tokio::test(start_paused = true)]
async fn nothing_is_tunnelled() {
    for line in ["GET /v1/chat/completions", "POST /v1/unknown"] {
        let gateway = gateway();
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n");
        let said = gateway.raw(head).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
        gateway.none().await;
    }
    let gateway = gateway();
    for (offer, expect) in [("WebSocket", 400), ("websocket/13, h2c", 400), ("h2c", 200)] {
        let reply = gateway.chat_with(&format!("connection: upgrade\r\nupgrade: {offer}\r\n"), REQUEST).await;
        assert_eq!(reply.status, expect, "{offer}");
    }
    gateway.records(1).await;
    let upgrade = "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n";
    let said = gateway.raw(format!("{upgrade}http2-settings: AAMAAABk\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 4"), "HTTP/2 begins with a connection, or not at all: {said}");
    let said = gateway.raw("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    gateway.records(1).await;
}

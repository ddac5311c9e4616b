//! What a caller names by URL, for providers that want the data itself: fetched from public addresses, bounded, and
//! with nothing learnt where it cannot be had.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::client::{Reply, now};
use testkit::dialects::{Answer, streamed, whole};
use testkit::gateway::{Builder, Gateway, credential};
use testkit::script::{Script, Step, chunk};

/// The kinds of providers that want the data.
const KINDS: [&str; 2] = ["gemini", "ollama"];

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0not a picture";

fn picture() -> Script {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n", PICTURE.len());
    Script::new().send([head.as_bytes(), PICTURE].concat())
}

fn asking(caller: Caller, urls: &[&str]) -> Value {
    let mut body = caller.request(false);
    let mut parts = vec![json!({ "type": "text", "text": "look" })];
    parts.extend(urls.iter().map(|url| caller.picture(url)));
    body["messages"][0]["content"] = json!(parts);
    body
}

fn builder(kind: &'static str) -> Builder {
    Gateway::builder().provider_of("p", kind, vec![whole(kind, Answer::Text)])
}

/// Returns the data of the pictures that a provider got.
fn pictures(kind: &str, asked: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match kind {
        "gemini" => {
            let parts = asked["contents"][0]["parts"].as_array().unwrap().iter();
            let inline: Vec<&Value> = parts.map(|part| &part["inlineData"]).filter(|data| data.is_object()).collect();
            assert!(inline.iter().all(|data| data["mimeType"] == "image/png"), "{asked}");
            inline.into_iter().map(|data| text(&data["data"])).collect()
        }
        _ => asked["messages"][0]["images"].as_array().unwrap().iter().map(text).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_becomes_data() {
    for kind in KINDS {
        for caller in Caller::BOTH {
            for stream in [false, true] {
                let answer = if stream { streamed(kind, Answer::Text, 99) } else { whole(kind, Answer::Text) };
                let gateway =
                    Gateway::builder().provider_of("p", kind, vec![answer]).host("pics", vec![picture()]).start();
                let mut body = asking(caller, &["http://pics.test/a/b.png?x=1#y"]);
                body["stream"] = json!(stream);
                let reply = caller.ask(&gateway, "", &body).await;
                assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
                let asked = gateway.provider("p").request().json();
                assert_eq!(pictures(kind, &asked), [STANDARD.encode(PICTURE)], "{kind}: {asked}");
                let fetched = gateway.provider("pics").request();
                assert_eq!(fetched.head.lines().next(), Some("GET /a/b.png?x=1 HTTP/1.1"));
                assert_eq!(gateway.one().await.outcome, "succeeded");
            }
        }
    }
}

/// The host is a stranger: it learns nothing but what it is asked for.
#[tokio::test(start_paused = true)]
async fn the_host_learns_nothing_of_ours() {
    let gateway = builder("gemini").host("pics", vec![picture()]).start();
    let fields = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ncookie: a=b\r\n\
                  referer: x\r\nanthropic-beta: a\r\nx-forwarded-for: 9.9.9.9\r\n";
    let reply = Caller::Openai.ask(&gateway, fields, &asking(Caller::Openai, &["http://pics.test:8080/"])).await;
    assert_eq!(reply.status, 200);
    let asked = gateway.provider("pics").request();
    let names: Vec<&str> =
        asked.head.lines().skip(1).filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(names, ["host", "user-agent", "accept", "accept-encoding", "connection"]);
    assert_eq!((asked.header("host"), asked.header("user-agent")), (Some("pics.test:8080"), Some("crossway")));
    for secret in [gateway.secret.as_str(), &credential("p"), &gateway.assembly.core.instance] {
        assert!(!asked.head.contains(secret), "{}", asked.head);
    }
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_named_twice_is_fetched_once() {
    let gateway = builder("gemini").host("pics", vec![picture()]).start();
    let body = asking(Caller::Openai, &["http://pics.test/a", "http://pics.test/b", "http://pics.test/a"]);
    assert_eq!(Caller::Openai.ask(&gateway, "", &body).await.status, 200);
    assert_eq!(gateway.provider("pics").requests().len(), 2);
    assert_eq!(pictures("gemini", &gateway.provider("p").request().json()).len(), 3);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_fetches_itself_is_left_to_it() {
    for (kind, url) in [
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/files/abc"),
        ("gemini", "gs://bucket/a.png"),
        ("anthropic", "https://pics.test/a.png"),
        ("openai-responses", "https://pics.test/a.png"),
        ("cohere", "https://pics.test/a.png"),
    ] {
        let gateway = builder(kind).host("pics", vec![picture()]).start();
        let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, &[url])).await;
        assert_eq!(reply.status, 200, "{kind} {url}: {}", reply.text());
        assert!(gateway.provider("p").request().json().to_string().contains(url), "{kind}");
        assert_eq!(gateway.provider("pics").connections(), 0);
        gateway.one().await;
    }
}

/// Nothing is fetched: returns what the caller is told.
async fn refused(builder: Builder, caller: Caller, url: &str) -> String {
    let gateway = builder.start();
    let reply = caller.ask(&gateway, "", &asking(caller, &[url])).await;
    let told = caller.told(&reply);
    assert_eq!(told.verdict(), (400, "invalid_request"), "{url}: {}", told.message);
    assert_eq!(told.param.as_deref(), (caller == Caller::Openai).then_some("messages"), "{url}");
    assert_eq!(gateway.provider("p").requests().len(), 0, "{url}: the provider is not asked");
    let record = gateway.one().await;
    assert_eq!((record.usage.origin.as_str(), record.cost_usd.map(|cost| cost.0)), ("none", Some(0)), "{url}");
    told.message.trim_start_matches("messages: ").to_owned()
}

/// Acceptance SSRF-02.
#[tokio::test(start_paused = true)]
async fn private_addresses_are_not_reached() {
    for kind in KINDS {
        for caller in Caller::BOTH {
            for host in [
                "127.0.0.1",
                "127.1",
                "2130706433",
                "0x7f.1",
                "017700000001",
                "0",
                "10.0.0.7",
                "192.168.0.1",
                "169.254.169.254",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "[fd00::1]",
                "[2002:7f00:1::]",
                "[64:ff9b::a9fe:a9fe]",
                "①②⑦.0.0.1",
            ] {
                let builder = builder(kind).host("127.0.0.1", vec![picture()]).host("10.0.0.7", vec![picture()]);
                let message = refused(builder, caller, &format!("http://{host}/latest/meta-data")).await;
                assert_eq!(message, "the URL could not be fetched: the address is not a public one", "{host}");
            }
        }
    }
}

/// What two parsers would read differently (SSRF-05) is read once: what is checked is what is connected to.
#[tokio::test(start_paused = true)]
async fn tricks_with_addresses_lead_nowhere_private() {
    for url in [
        "http://pics.test@127.0.0.1/",
        "http://pics.test:80@127.0.0.1/",
        "http://127.0.0.1#@pics.test/",
        "http://127.0.0.1?@pics.test/",
        "http://127.0.0.1\\@pics.test/",
        "http:\\\\127.0.0.1/",
        "http:/127.0.0.1/",
        "http:127.0.0.1/",
        "ht\ttp://127.0.0.1/",
        "http://127.0\n.0.1/",
        "http://127.0.0.1%00.pics.test/",
        "http://127.0.0.1\u{0}.pics.test/",
        "http://%31%32%37.0.0.1/",
        "http://127\u{3002}0\u{3002}0\u{3002}1/",
        "http://[::ffff:7f00:1]/",
        "http://127.0.0.1:80:80/",
        " http://127.0.0.1/ ",
        "HTTP://127.0.0.1/",
        "//127.0.0.1/",
        "http://localhost.\u{ad}test@127.0.0.1/",
    ] {
        let inside = vec![picture()];
        let gateway = builder("gemini").host("127.0.0.1", inside).host("pics", vec![picture()]).start();
        let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, &[url])).await;
        assert_eq!(gateway.provider("127.0.0.1").connections(), 0, "{url:?}");
        assert!(reply.status == 200 || reply.status == 400, "{url:?}: {}", reply.text());
        gateway.one().await;
    }
}

/// Whether a name leads to a private address, to nothing, or to a closed port: the caller is told the same.
///
/// Acceptance SSRF-07.
#[tokio::test(start_paused = true)]
async fn a_name_that_leads_inside_is_no_oracle() {
    let mut said = Vec::new();
    for (name, private, script) in
        [("inside", true, picture()), ("inside", true, Script::Refuse), ("closed", false, Script::Refuse)]
    {
        let builder = builder("gemini");
        let builder = if private { builder.private_host(name, vec![script]) } else { builder.host(name, vec![script]) };
        said.push(refused(builder, Caller::Openai, &format!("http://{name}.test/")).await);
    }
    said.push(refused(builder("gemini"), Caller::Openai, "http://nobody.test/").await);
    assert!(said.iter().all(|message| *message == said[0]), "{said:?}");
    for url in ["ftp://pics.test/a", "file:///etc/passwd", "gopher://127.0.0.1:70/_", "http://a:b@pics.test/", "pics"] {
        refused(builder("ollama").host("pics", vec![picture()]), Caller::Openai, url).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_operator_may_allow_private_addresses() {
    for kind in KINDS {
        for url in ["http://10.0.0.7:8000/a.png", "http://inside.test/a.png"] {
            let builder = builder(kind).settings("fetch_private = true").host("10.0.0.7", vec![picture()]);
            let gateway = builder.private_host("inside", vec![picture()]).start();
            let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, &[url])).await;
            assert_eq!(reply.status, 200, "{kind} {url}: {}", reply.text());
            gateway.one().await;
        }
    }
}

fn leads_to(location: &str) -> Script {
    Script::answer(302, &format!("location: {location}\r\n"), "")
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_as_far_as_they_are_public() {
    let gateway = builder("gemini")
        .host("pics", vec![leads_to("/b.png"), leads_to("http://more.test/c.png"), picture()])
        .host("more", vec![picture()])
        .start();
    let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, &["http://pics.test/a.png"])).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let asked = gateway.provider("pics").requests();
    assert!(asked[1].head.starts_with("GET /b.png "), "{}", asked[1].head);
    gateway.one().await;
    for location in [
        "http://127.0.0.1/x",
        "http://inside.test/x",
        "http://[::1]/",
        "file:///etc/passwd",
        "//10.0.0.7/",
        "http://0x7f.1/",
    ] {
        let builder = builder("gemini").host("pics", vec![leads_to(location)]).private_host("inside", vec![picture()]);
        let gateway_inside = builder.host("127.0.0.1", vec![picture()]).host("10.0.0.7", vec![picture()]);
        let message = refused(gateway_inside, Caller::Anthropic, "http://pics.test/a").await;
        assert!(!message.contains("inside") && !message.contains("10."), "{message}");
    }
    let round = builder("gemini").host("pics", vec![leads_to("/again")]);
    assert!(refused(round, Caller::Openai, "http://pics.test/").await.contains("too often"));
    let nowhere = builder("gemini").host("pics", vec![Script::answer(302, "", "")]);
    refused(nowhere, Caller::Openai, "http://pics.test/").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_picture_is_not_passed_on() {
    let secret = "the secret of the intranet";
    for script in [
        Script::answer(200, "content-type: text/html\r\n", secret),
        Script::answer(200, "content-type: application/json\r\n", secret),
        Script::answer(200, "", secret),
        Script::answer(404, "content-type: image/png\r\n", secret),
        Script::answer(500, "content-type: text/plain\r\n", secret),
        Script::new().send(secret).close(),
        Script::new().send("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 99\r\n\r\nabc").close(),
        Script::new().close(),
    ] {
        for kind in KINDS {
            let builder = builder(kind).host("pics", vec![script.clone()]);
            let message = refused(builder, Caller::Openai, "http://pics.test/a.png").await;
            assert!(!message.contains("secret") && message.starts_with("the URL could not be fetched: "), "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_read() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n";
    let declared = Script::new().send(format!("{head}content-length: 20971521\r\n\r\n")).stall();
    let start = now();
    let message = refused(builder("gemini").host("pics", vec![declared]), Caller::Openai, "http://pics.test/").await;
    assert!(message.contains("20 MiB") && start.elapsed().as_secs() < 1, "{message}");
    let flood = Step::Flood(chunk(&[0; 1 << 16]).into());
    let endless = Script::new().send(format!("{head}transfer-encoding: chunked\r\n\r\n")).step(flood);
    let gateway = builder("gemini").host("pics", vec![endless]).start();
    let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, &["http://pics.test/"])).await;
    assert!(Caller::Openai.told(&reply).message.contains("20 MiB"));
    gateway.provider("pics").cancelled().await;
    let sent = gateway.provider("pics").request().sent;
    assert!(sent < 22 << 20, "{sent}");
    gateway.one().await;
    // Too many, and too much together.
    let urls: Vec<String> = (0..33).map(|number| format!("http://pics.test/{number}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let large = vec![0; 19 << 20];
    let large =
        Script::new().send([format!("{head}content-length: {}\r\n\r\n", large.len()).into_bytes(), large].concat());
    for (urls, script, says) in [(urls.as_slice(), picture(), "more than 32"), (&urls[..3], large, "48 MiB")] {
        let gateway = builder("gemini").host("pics", vec![script]).start();
        let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, urls)).await;
        let told = Caller::Openai.told(&reply);
        assert!(told.verdict() == (400, "invalid_request") && told.message.contains(says), "{told:?}");
        assert_eq!(gateway.provider("p").requests().len(), 0);
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_host_is_given_up() {
    let trickle = |script: Script| (0..60).fold(script, |script, _| script.wait(1).send("x"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 9999\r\n\r\n";
    for script in [Script::Unreachable, Script::new().stall(), trickle(Script::new().send(head))] {
        for (fields, seconds) in [("", 10), ("x-crossway-timeout-ms: 3000\r\n", 3)] {
            let gateway = builder("gemini").host("pics", vec![script.clone()]).start();
            let start = now();
            let reply = Caller::Openai.ask(&gateway, fields, &asking(Caller::Openai, &["http://pics.test/"])).await;
            let told = Caller::Openai.told(&reply);
            assert!(told.message.contains("did not arrive in time"), "{told:?}");
            assert_eq!((told.status, start.elapsed().as_secs()), (400, seconds));
            gateway.one().await;
        }
    }
}

/// Another target that takes the URL itself answers.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_fetched_leads_to_a_target_that_does_it_itself() {
    let gateway = builder("gemini").provider("q", Script::chat("Hello")).start();
    let url = "http://nobody.test/a.png";
    let reply = Caller::Openai.ask(&gateway, "", &asking(Caller::Openai, &[url])).await;
    assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("q")));
    assert!(gateway.provider("q").request().json().to_string().contains(url));
    gateway.one().await;
}

/// A caller who leaves while a picture is fetched has cost nothing.
#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_is_fetched_pays_nothing() {
    for caller in Caller::BOTH {
        let gateway = builder("gemini").host("pics", vec![Script::new().stall()]).start();
        let mut body = asking(caller, &["http://pics.test/"]);
        body["stream"] = json!(true);
        let client = caller.begin(&gateway, "", &body).await;
        gateway.provider("pics").received(1).await;
        drop(client);
        gateway.provider("pics").cancelled().await;
        let record = gateway.one().await;
        assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("cancelled", "none"));
        assert_eq!(record.cost_usd.map(|cost| cost.0), Some(0));
    }
}

/// A document by its URL.
#[tokio::test(start_paused = true)]
async fn documents_are_fetched_too() {
    let pdf = Script::answer(200, "content-type: application/pdf\r\n", "%PDF-");
    let gateway = builder("gemini").host("docs", vec![pdf]).start();
    let mut body = Caller::Anthropic.request(false);
    let source = json!({ "type": "url", "url": "http://docs.test/a.pdf" });
    body["messages"][0]["content"] = json!([{ "type": "document", "source": source }]);
    let reply: Reply = Caller::Anthropic.ask(&gateway, "", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let part = gateway.provider("p").request().json()["contents"][0]["parts"][0]["inlineData"].clone();
    assert_eq!(part, json!({ "mimeType": "application/pdf", "data": STANDARD.encode("%PDF-") }));
    gateway.one().await;
}

//! Where a request ends, and what is none.

use super::*;

const ONE: &str = "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
const TWO: &str =
    "POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n";
const THREE: &str = "\r\nGET /c?q HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn any_way_of_cutting_gives_the_same_requests() {
    let all = [ONE, TWO, THREE].concat();
    let expect = ["POST /a hello", "POST /b abcde", "GET /c "];
    let mut replies = Vec::new();
    for cut in 0..=all.len() {
        let mut client = Client::new();
        client.send(&all[..cut]).await;
        client.settle().await;
        client.send(&all[cut..]).await;
        let said = client.until_closed().await;
        assert_eq!(client.seen(), expect, "cut at {cut}");
        replies.push(said);
    }
    let mut client = Client::new();
    for byte in all.as_bytes().chunks(1) {
        client.send(byte).await;
        tokio::task::yield_now().await;
    }
    replies.push(client.until_closed().await);
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    assert_eq!(replies[0].matches("HTTP/1.1 200 OK\r\n").count(), 3, "{}", replies[0]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_has_its_head() {
    let mut client = Client::new();
    client.send(ONE).await;
    assert_eq!(
        client.rest().await,
        "HTTP/1.1 200 OK\r\ncontent-length: 13\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nPOST /a hello"
    );
}

/// What is no request is refused, nothing behind it is read, and the connection ends.
async fn refused(head: &str, status: u16) {
    let mut client = Client::new();
    client.send(format!("{head}{ONE}{ONE}")).await;
    let said = client.until_closed().await;
    assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {said}");
    assert_eq!(said.matches(&format!("HTTP/1.1 {status} ")).count(), 1, "{head:?}: {said}");
    assert!(!said.contains("HTTP/1.1 200"), "{head:?}: {said}");
    assert!(said.contains("connection: close\r\n"), "{said}");
    assert_eq!(client.seen(), [""; 0], "{head:?}");
}

#[tokio::test(start_paused = true)]
async fn what_two_parsers_could_read_as_two_requests_is_refused() {
    for fields in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5\r\ncontent-length: 5",
        "content-length: 5, 6",
        "content-length: 5, 5",
        "content-length: 05",
        "content-length: 00",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: +5",
        "content-length: -0",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length: 5;",
        "content-length:",
        "content-length: ,",
        "content-length: 18446744073709551616",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: \x0bchunked",
        "transfer-encoding:",
        "content-length : 5",
        "transfer-encoding : chunked",
        " content-length: 5",
        "x: y\r\n content-length: 5",
        "x: y\r\n\tz",
        "x\r\ncontent-length: 5",
        ": y",
        "x\u{0}: y",
        "x: y\u{0}z",
        "x: y\rz",
        "x y: z",
        "x: y\ncontent-length: 5",
    ] {
        refused(&format!("POST /a HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n"), 400).await;
    }
    for head in [
        "POST /a HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\nhost: x\n\n",
        "POST /a HTTP/1.1\r\nhost: x\n\r\n",
        "POST /a HTTP/2.0\r\n\r\n",
        "POST /a HTTP/1.2\r\n\r\n",
        "POST /a\r\n\r\n",
        "POST  /a HTTP/1.1\r\n\r\n",
        "POST /a b HTTP/1.1\r\n\r\n",
        "P@ST{} /a HTTP/1.1\r\n\r\n",
        "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.0\r\nx: y\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\nPOST /a HTTP/1.1\r\n\r\n",
    ] {
        refused(head, 400).await;
    }
}

#[tokio::test(start_paused = true)]
async fn heads_that_are_too_large_are_refused() {
    refused(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000)), 431).await;
    refused(&format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(70_000)), 431).await;
    refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)), 431).await;
    let mut client = Client::new();
    client.send("GET / HTTP/1.1\r\nx: ").await;
    client.send("y".repeat(70_000)).await;
    assert!(client.until_closed().await.starts_with("HTTP/1.1 431"), "without an end, too");
}

#[tokio::test(start_paused = true)]
async fn large_heads_and_bodies_within_the_bounds_are_read() {
    let (field, body) = ("y".repeat(60_000), "b".repeat(300_000));
    let mut client = Client::new();
    let head = format!("POST /a HTTP/1.1\r\nx: {field}\r\ncontent-length: {}\r\n\r\n", body.len());
    client.send(format!("{head}{body}{ONE}")).await;
    client.settle().await;
    assert_eq!(client.seen(), [format!("POST /a {body}"), "POST /a hello".to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn chunks_that_are_framed_wrongly_end_the_connection() {
    for chunks in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "11111111111111111\r\n",
        "5\r\nhello\r\n0\r\nt: u\n\r\n",
    ] {
        let mut client = Client::new();
        client.send(format!("POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{ONE}")).await;
        let said = client.until_closed().await;
        assert!(said.starts_with("HTTP/1.1 400") && said.matches("HTTP/1.1 ").count() == 1, "{chunks:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_extensions_and_trailers_is_not_read() {
    let extensions = format!("1;{}\r\nx\r\n", "e".repeat(3_000)).repeat(10);
    let trailers = format!("0\r\n{}\r\n", "t: u\r\n".repeat(5_000));
    for chunks in [extensions, trailers] {
        let mut client = Client::new();
        client.send(format!("POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")).await;
        assert!(client.until_closed().await.starts_with("HTTP/1.1 400"));
    }
}

#[tokio::test(start_paused = true)]
async fn replies_of_unknown_length_come_in_chunks() {
    let mut client = Client::new();
    client.send("GET /parts HTTP/1.1\r\n\r\n").await;
    let said = client.rest().await;
    assert!(said.contains("transfer-encoding: chunked\r\n") && !said.contains("content-length"), "{said}");
    assert!(said.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\nb\r\nGET /parts \r\n0\r\n\r\n"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_old_version_is_answered_in_its_way() {
    for (line, fields, tells, ends) in [
        ("GET /a HTTP/1.0", "", "connection: close", true),
        ("GET /a HTTP/1.0", "connection: keep-alive\r\n", "connection: keep-alive", false),
        ("GET /parts HTTP/1.0", "connection: keep-alive\r\n", "connection: close", true),
    ] {
        let mut client = Client::new();
        client.send(format!("{line}\r\n{fields}\r\n{line}\r\n\r\n")).await;
        let said = client.until_closed().await;
        assert!(said.contains(tells) && !said.contains("chunked"), "{said}");
        assert_eq!(client.seen().len(), if ends { 1 } else { 2 }, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_body_has_none() {
    let mut client = Client::new();
    client
        .send("HEAD /a HTTP/1.1\r\n\r\nGET /empty HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\nconnection: close\r\n\r\n")
        .await;
    let said = client.until_closed().await;
    let replies: Vec<&str> = said.split("HTTP/1.1 ").skip(1).collect();
    assert!(replies[0].contains("content-length: 8\r\n") && replies[0].ends_with("\r\n\r\n"), "{said}");
    assert!(replies[1].starts_with("204 ") && !replies[1].contains("content-length"), "{said}");
    assert!(replies[2].ends_with("GET /a "), "{said}");
}

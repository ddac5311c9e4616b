//! What is refused, and what is accepted although it looks odd.

use super::script::{Step, cut, exchange};
use crate::h1::H1Error;

async fn refused(response: &str) {
    let result = exchange("GET", [Step::Bytes(response.as_bytes().to_vec())]).await;
    assert!(matches!(result, Err(H1Error::Malformed(_))), "{response:?} gave {result:?}");
    let bytewise: Vec<_> = (0..response.len()).collect();
    let result = exchange("GET", cut(response.as_bytes(), &bytewise)).await;
    assert!(matches!(result, Err(H1Error::Malformed(_))), "{response:?} in bytes gave {result:?}");
}

async fn accepted(response: &str, body: &str, reusable: bool) {
    let outcome = exchange("GET", [Step::Bytes(response.as_bytes().to_vec())]).await.unwrap();
    assert_eq!((outcome.body(), outcome.reusable), (body.into(), reusable), "{response:?}");
}

#[tokio::test]
async fn malformed_heads() {
    for response in [
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n\n",
        "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\u{e9}: b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    ] {
        refused(response).await;
    }
}

#[tokio::test]
async fn malformed_framings() {
    for fields in [
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5a",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: ",
        "Content-Length: 5,",
        "Content-Length: 5, 6",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 05a",
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: gzip\r\nContent-Length: 5",
    ] {
        refused(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello")).await;
    }
    refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn malformed_chunks() {
    for body in [
        "\r\n",
        "g\r\n",
        ";a\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n",
        "5 \n\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "0\n\n",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\rC\r\n\r\n",
    ] {
        refused(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
    }
}

#[tokio::test]
async fn odd_but_right() {
    for (response, body, reusable) in [
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 02, 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length:2\t\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:  Chunked \r\n\r\n2\r\nok\r\n000\r\n\r\n", "ok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000002\r\nok\r\n0\r\n\r\n", "ok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n1\r\nk\r\n0\r\n\r\n", "k", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", "ok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "ok", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", "", false),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", "", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\n\r\nok", "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nok", "ok", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, close\r\n\r\nok", "ok", false),
        ("HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 N\r\n\r\n", "", true),
    ] {
        accepted(response, body, reusable).await;
    }
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    for fields in ["Content-Length: 5", "Transfer-Encoding: chunked", "A: b"] {
        let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        let outcome = exchange("HEAD", [Step::Bytes(response.into_bytes())]).await.unwrap();
        assert!(outcome.body().is_empty() && outcome.reusable, "{fields}");
    }
}

#[tokio::test]
async fn fields_are_found() {
    let response =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: 1\r\nx: 2\r\nEmpty:\r\nUtf: \xc3\xa9\r\nBad: \xff\r\n\
        Content-Length: 0\r\n\r\n";
    let head = exchange("GET", [Step::Bytes(response.to_vec())]).await.unwrap().head;
    assert_eq!(head.get("content-type"), Some("text/plain"));
    assert_eq!(head.get("X"), Some("1"));
    assert_eq!(head.get_all("x").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(head.get("empty"), Some(""));
    assert_eq!(head.get("utf"), Some("\u{e9}"));
    assert_eq!(head.get("bad"), None);
    assert_eq!(head.get("missing"), None);
    let names: Vec<_> = head.iter().map(|field| field.0).collect();
    assert_eq!(names, ["Content-Type", "X", "x", "Empty", "Utf", "Bad", "Content-Length"]);
    assert_eq!(head.iter().nth(5).unwrap().1, b"\xff");
}

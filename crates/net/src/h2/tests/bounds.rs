//! What a peer can make us hold or do.

use super::*;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame: kind, flags, stream and payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Method, scheme and path of `GET /`, or of `GET` with another path, each from the static table.
fn head(path: &str) -> Vec<u8> {
    [&[0x82, 0x86, 0x44, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat()
}

/// Sends frames, and returns the reason of the GOAWAY they lead to, and what came before it.
async fn goaway(frames: &[u8], server_room: usize) -> (Option<u32>, Vec<(u8, u32)>) {
    let (io, server) = Server::start(server_room);
    let (mut from, mut to) = tokio::io::split(io);
    let sent = [PREFACE, &frame(4, 0, 0, &[]), frames].concat();
    let sending = TaskTracker::new().spawn(async move {
        // A server that has closed takes nothing.
        let _ = to.write_all(&sent).await;
        to
    });
    let mut seen = Vec::new();
    let mut reason = None;
    loop {
        let mut start = [0; 9];
        let read = tokio::time::timeout(Duration::from_secs(5), from.read_exact(&mut start)).await;
        if !matches!(read, Ok(Ok(_))) {
            break;
        }
        let [a, b, c, kind, _, stream @ ..] = start;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        from.read_exact(&mut payload).await.unwrap();
        seen.push((kind, u32::from_be_bytes(stream)));
        if kind == 7 {
            reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    drop(sending.await);
    drop(from);
    server.served.await.unwrap();
    (reason, seen)
}

const CALM: Option<u32> = Some(0xb);

/// Acceptance HTTP-04: CVE-2023-44487. Streams are reset before they are looked at, and while they are answered.
#[tokio::test(start_paused = true)]
async fn a_flood_of_resets_ends_the_connection() {
    let one = |at: u32| [frame(1, 5, at * 2 + 1, &head("/wait")), frame(3, 0, at * 2 + 1, &[0, 0, 0, 8])].concat();
    let flood: Vec<u8> = (0..2_000).flat_map(one).collect();
    assert_eq!(goaway(&flood, 1 << 20).await.0, CALM);
    let (io, server) = Server::start(1 << 16);
    let (mut from, mut to) = tokio::io::split(io);
    to.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.unwrap();
    let reading = TaskTracker::new().spawn(async move {
        let mut said = Vec::new();
        from.read_to_end(&mut said).await.unwrap();
        said
    });
    let mut sent = 0;
    while !reading.is_finished() && sent < 1_000 {
        to.write_all(&one(sent)).await.unwrap();
        sent += 1;
        settle().await;
    }
    assert!((100..110).contains(&sent), "{sent} resets of streams that were being answered");
    assert!(reading.await.unwrap().ends_with(&[0, 0, 0, 0xb]));
    drop(to);
    server.served.await.unwrap();
    assert_eq!(server.tasks.len(), 0);
}

/// Who cancels now and then, among requests that are answered, goes on.
#[tokio::test(start_paused = true)]
async fn a_few_resets_are_usual() {
    let client = Client::new().await;
    for _ in 0..400 {
        let (_reply, mut leaves) = client.begin(request(Method::GET, "/wait"), true).await;
        settle().await;
        leaves.send_reset(Reason::CANCEL);
        assert_eq!(client.ask(Method::GET, "/a", "").await.status().as_u16(), 200);
        assert_eq!(client.ask(Method::GET, "/a", "").await.status().as_u16(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn floods_end_the_connection() {
    let begun = frame(1, 0, 1, &head("/a"));
    let continued: Vec<u8> = (0..100_000).flat_map(|_| frame(9, 0, 1, &[])).collect();
    let (reason, _) = goaway(&[begun, continued].concat(), 1 << 20).await;
    assert_eq!(reason, CALM, "CONTINUATION");
    let open = frame(1, 4, 1, &head("/wait"));
    let empty: Vec<u8> = (0..200_000).flat_map(|_| frame(0, 0, 1, &[])).collect();
    let (reason, _) = goaway(&[open, empty].concat(), 1 << 20).await;
    assert_eq!(reason, CALM, "empty DATA");
}

/// Pings and settings are answered one at a time: who does not read is not read from.
#[tokio::test(start_paused = true)]
async fn floods_that_want_answers_are_held_up() {
    for flood in [frame(6, 0, 0, &[7; 8]), frame(4, 0, 0, &[])] {
        let (io, server) = Server::start(1 << 12);
        let (from, mut to) = tokio::io::split(io);
        to.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.unwrap();
        let many = flood.repeat(100_000);
        let written = tokio::time::timeout(Duration::from_secs(30), to.write_all(&many)).await;
        assert!(written.is_err(), "it was read to its end");
        drop((from, to));
        server.served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn more_streams_than_allowed_are_refused() {
    let many: Vec<u8> = (0..129).flat_map(|at| frame(1, 5, at * 2 + 1, &head("/wait"))).collect();
    let (reason, seen) = goaway(&many, 1 << 20).await;
    assert!(reason.is_none() && seen.contains(&(3, 257)), "{reason:?} {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_large_is_refused() {
    let client = Client::new().await;
    let mut head = request(Method::GET, "/a");
    for at in 0..5 {
        head.headers_mut()
            .insert(http::HeaderName::try_from(format!("x-{at}")).unwrap(), "y".repeat(15_000).parse().unwrap());
    }
    let (reply, _stream) = client.begin(head, true).await;
    assert_eq!(reply.await.unwrap().status().as_u16(), 431);
    assert_eq!(client.ask(Method::GET, "/a", "").await.status().as_u16(), 200);
    assert_eq!(client.server.echo.seen.lock().unwrap().len(), 1);
}

/// Acceptance HTTP-06: a window of nothing.
#[tokio::test(start_paused = true)]
async fn a_peer_that_makes_no_room_is_given_up() {
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    let client = Client::with(&builder).await;
    let (reply, _stream) = client.begin(request(Method::GET, "/endless"), true).await;
    let mut body = reply.await.unwrap().into_body();
    let error = tokio::time::timeout(Duration::from_secs(61), body.data()).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    let asked = client.server.echo.asked.load(Ordering::Relaxed);
    assert!(asked <= 2, "{asked} parts were asked for that nobody could take");
    settle().await;
    assert_eq!(client.server.tasks.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_gathered_than_the_peer_takes() {
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 24).initial_connection_window_size(1 << 24);
    let client = Client::with(&builder).await;
    let (reply, _stream) = client.begin(request(Method::GET, "/endless"), true).await;
    let mut body = reply.await.unwrap().into_body();
    let mut taken = 0;
    while taken < 1 << 20 {
        let data = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        taken += data.len();
    }
    client.driver.abort();
    settle().await;
    let asked = client.server.echo.asked.load(Ordering::Relaxed) * 1_000;
    // The pipe holds a mebibyte, the client as much as its window allows.
    assert!(asked < taken + (20 << 20), "{asked} for {taken}");
    assert_eq!(client.server.tasks.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let (mut io, server) = Server::start(1 << 10);
    let window = frame(8, 0, 0, &(1_u32 << 30).to_be_bytes());
    let settings = frame(4, 0, 0, &[0, 4, 0x40, 0, 0, 0]);
    let asked = frame(1, 5, 1, &head("/endless"));
    io.write_all(&[PREFACE, &settings, &window, &asked].concat()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(64), server.served).await.unwrap().unwrap();
    settle().await;
    assert_eq!(server.tasks.len(), 0);
}

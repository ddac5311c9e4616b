//! How connections and their streams begin and end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_is_dropped_and_the_others_go_on() {
    let client = Client::new().await;
    let (one, mut leaves) = client.begin(request(Method::GET, "/wait"), true).await;
    let (two, _stays) = client.begin(request(Method::GET, "/wait"), true).await;
    settle().await;
    assert_eq!(client.server.waiting(), 2);
    leaves.send_reset(Reason::CANCEL);
    assert!(one.await.is_err());
    settle().await;
    assert_eq!(client.server.waiting(), 1);
    client.server.echo.told.notify_waiters();
    assert_eq!(whole(two.await.unwrap()).await.body(), "GET /wait ");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_drops_all_its_streams() {
    let client = Client::new().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(client.begin(request(Method::GET, "/wait"), true).await);
    }
    settle().await;
    assert_eq!(client.server.waiting(), 100);
    client.driver.abort();
    settle().await;
    assert_eq!((client.server.waiting(), client.server.tasks.len()), (0, 0));
    client.server.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_streams_and_begins_none() {
    let client = Client::new().await;
    let (waits, _stream) = client.begin(request(Method::GET, "/wait"), true).await;
    settle().await;
    client.server.stop.cancel();
    settle().await;
    assert!(!client.server.served.is_finished());
    assert!(client.send.clone().ready().await.is_err(), "told by GOAWAY");
    client.server.echo.told.notify_waiters();
    assert_eq!(whole(waits.await.unwrap()).await.body(), "GET /wait ");
    client.server.served.await.unwrap();
    client.driver.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_no_peer_without_a_stream() {
    let (mut io, server) = Server::start(1 << 16);
    io.write_all(&[super::bounds::PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()).await.unwrap();
    settle().await;
    server.stop.cancel();
    // It acknowledges nothing, and does not close.
    tokio::time::timeout(Duration::from_secs(10), server.served).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_a_while_and_not_for_ever() {
    let mut client = Client::new().await;
    tokio::time::advance(Duration::from_secs(80)).await;
    assert_eq!(client.ask(Method::GET, "/a", "").await.status().as_u16(), 200);
    tokio::time::advance(Duration::from_secs(80)).await;
    assert_eq!(client.ask(Method::GET, "/a", "").await.status().as_u16(), 200);
    let ended = tokio::time::timeout(Duration::from_secs(181), &mut client.driver).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_stream_does_not_rest() {
    let client = Client::new().await;
    let (waits, _stream) = client.begin(request(Method::GET, "/wait"), true).await;
    settle().await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    client.server.echo.told.notify_waiters();
    assert_eq!(whole(waits.await.unwrap()).await.body(), "GET /wait ");
}

#[tokio::test(start_paused = true)]
async fn a_preface_that_stops_is_given_up() {
    let (mut io, server) = Server::start(1 << 16);
    io.write_all(b"PRI * HTTP/2.0\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(13), server.served).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_preface_is_one_at_the_beginning_only() {
    let (mut io, _server) = {
        let (io, far) = duplex(1 << 16);
        let served = TaskTracker::new().spawn(async move {
            let stop = CancellationToken::new();
            assert!(crate::h1::serve::serve(Box::new(far), &Echo::default(), &stop).await.is_none());
        });
        (io, served)
    };
    io.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    io.write_all(super::bounds::PREFACE).await.unwrap();
    let mut said = String::new();
    io.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("HTTP/1.1 400"), "{said}");
}

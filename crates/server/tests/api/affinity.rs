//! A conversation stays where the beginning of its prompt is cached.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::script::{Script, Step};

/// A turn of a conversation: what was said so far, and a question.
fn turn(model: &str, conversation: &str, turns: usize, length: usize) -> String {
    let said = |number: usize| {
        let text = format!("{conversation} {number} {}", "word ".repeat(length));
        [json!({ "role": "user", "content": text }), json!({ "role": "assistant", "content": "Hello" })]
    };
    let mut messages: Vec<Value> = (0..turns).flat_map(said).collect();
    messages.pop();
    json!({ "model": model, "messages": messages }).to_string()
}

async fn by(gateway: &Gateway, body: &str) -> String {
    let reply = gateway.chat(body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-crossway-provider").unwrap().to_owned()
}

/// p and q serve `m`; p takes 80 ms, as the clock of the signals has it.
fn gateway() -> Gateway {
    let assembly = std::sync::Arc::new(std::sync::OnceLock::<std::sync::Arc<policy::clock::Hands>>::new());
    let hands = std::sync::Arc::clone(&assembly);
    let slow = Step::Do(std::sync::Arc::new(move || {
        if let Some(hands) = hands.get() {
            hands.advance(Duration::from_millis(80));
        }
    }));
    let Script::Steps(answer) = Script::chat("Hello") else { unreachable!() };
    let slow = Script::Steps([vec![slow], answer].concat());
    let gateway = Gateway::builder().provider("p", slow).provider("q", Script::chat("Hello")).start();
    assert!(assembly.set(std::sync::Arc::clone(&gateway.assembly.hands)).is_ok());
    gateway
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_where_it_began_for_as_long_as_that_is_cached() {
    let gateway = gateway();
    // Nothing is known yet: p is the first configured one.
    assert_eq!(by(&gateway, &turn("m", "one", 1, 900)).await, "p");
    assert_eq!(by(&gateway, &turn("q/m", "two", 1, 10)).await, "q");
    // q is the faster one by now, and gets what is new.
    assert_eq!(by(&gateway, &turn("m", "three", 1, 900)).await, "q");
    assert_eq!(by(&gateway, &turn("m", "one", 2, 900)).await, "p", "where it is cached");
    assert_eq!(by(&gateway, &turn("m", "three", 2, 900)).await, "q");
    assert_eq!(by(&gateway, &turn("m", "one", 3, 900)).await, "p");
    gateway.assembly.hands.advance(Duration::from_secs(301));
    assert_eq!(by(&gateway, &turn("m", "one", 4, 900)).await, "q", "it is cached nowhere any more");
    gateway.records(7).await;
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_left_whatever_is_cached() {
    let scripts =
        vec![Script::chat("Hello"), Script::error(500, "no"), Script::error(500, "no"), Script::chat("Hello")];
    let builder = Gateway::builder().provider_with("p", "", scripts).provider("q", Script::chat("Hello"));
    let gateway = builder.start();
    let mut served = Vec::new();
    for turns in 1..=4 {
        served.push(by(&gateway, &turn("m", "one", turns, 900)).await);
    }
    assert_eq!(served[0], "p");
    assert_eq!(served[1], "q", "p failed");
    // It is cached at q now, and stays there though p is well again.
    gateway.assembly.hands.advance(Duration::from_secs(60));
    assert_eq!(by(&gateway, &turn("m", "one", 5, 900)).await, "q");
    gateway.records(5).await;
}

#[tokio::test(start_paused = true)]
async fn the_price_of_what_is_cached_decides_where_a_policy_chooses() {
    let model = |slug: &str, provider: &str, input: &str, cached: &str| {
        format!(
            "[[models]]\nslug = \"{slug}\"\nprovider = \"{provider}\"\ninput_price = {input}\noutput_price = 1\n\
             cached_input_price = {cached}\nquality = 50\n"
        )
    };
    // Uncached `b` is the cheaper one; once the prompt is cached at `a`, that is.
    let config = [model("a", "p", "1.0", "0.1"), model("b", "q", "0.9", "0.1")].concat();
    let gateway = Gateway::builder()
        .provider("p", Script::chat("Hello"))
        .provider_with("q", "", vec![Script::error(500, "no"), Script::error(500, "no"), Script::chat("Hello")])
        .config(&config)
        .start();
    assert_eq!(by(&gateway, &turn("cheapest", "one", 1, 2_000)).await, "p", "q failed");
    gateway.assembly.hands.advance(Duration::from_secs(60));
    assert_eq!(by(&gateway, &turn("cheapest", "one", 2, 2_000)).await, "p", "half of it is cached there");
    assert_eq!(by(&gateway, &turn("cheapest", "two", 1, 2_000)).await, "p", "q fails again");
    gateway.assembly.hands.advance(Duration::from_secs(60));
    assert_eq!(by(&gateway, &turn("cheapest", "three", 1, 2_000)).await, "q", "nothing of it is cached");
    gateway.recorded().await;
}

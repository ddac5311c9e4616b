//! CLOCK-01: 200 requests in flight over midnight. Each belongs to the day of its admission, the budget starts anew at
//! midnight where the environment is, and everybody is told the same instant.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use policy::spec::key::KeySpec;
use serde_json::Value;
use testkit::client::Client;
use testkit::gateway::Gateway;
use testkit::script::Script;
use tokio::sync::Notify;

use crate::limits::{DEFAULT, limit, number, replies, verdict};

/// Costs 50,000 nano-dollars, and may cost 176,000.
const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;

/// Where it is, and when a day ends there: in UTC and at its edges, at half an hour, before and after the clocks change, in a
/// leap year and at the end of the year.
const ENDS: [(&str, &str); 9] = [
    ("UTC", "2026-11-22T00:00:00Z"),
    ("Pacific/Kiritimati", "2026-11-22T10:00:00Z"),
    ("Etc/GMT+12", "2026-11-22T12:00:00Z"),
    ("Asia/Kolkata", "2026-11-21T18:30:00Z"),
    ("Europe/Berlin", "2027-03-28T22:00:00Z"),
    ("Europe/Berlin", "2027-10-31T23:00:00Z"),
    ("America/New_York", "2026-12-31T05:00:00Z"),
    ("UTC", "2028-03-01T00:00:00Z"),
    ("America/New_York", "2027-01-01T05:00:00Z"),
];

/// Answers once it is told to.
fn waiting(told: &Arc<Notify>) -> Script {
    let body = testkit::data::completion("Hello");
    let head = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    Script::new().until(told).send(format!("{head}{body}"))
}

/// Begins requests, with room in the journal for all of them.
async fn crowd(gateway: &Gateway, count: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(gateway.begin(SHORT).await);
        // Time is paused: it goes on when everybody waits, and by then the request has its room.
        tokio::time::sleep(Duration::from_millis(1)).await;
        gateway.assembly.journal.tick();
    }
    clients
}

/// What the admin API says of the budget and of the requests: what is used, and when it starts anew.
async fn told_by_the_api(gateway: &Gateway) -> [(String, String); 2] {
    let found = gateway.api(&format!("GET {DEFAULT}/limits/effective?key=looks"), &Value::Null).await.json();
    ["usd", "requests"].map(|meter| {
        let limits = found["data"].as_array().unwrap();
        let one = limits.iter().find(|one| one["meter"] == meter).unwrap_or_else(|| panic!("{found}"));
        let text = |name: &str| one[name].to_string().replace('"', "");
        (text("used"), text("resets_at"))
    })
}

#[tokio::test(start_paused = true)]
async fn two_hundred_requests_over_midnight() {
    for (zone, end) in ENDS {
        let told = Arc::new(Notify::new());
        let config = [
            format!("[environment]\ntimezone = \"{zone}\"\n"),
            // Room for 120 of them at a time.
            limit("usd", "day", "0.02112", ""),
            limit("requests", "day", "1000", ""),
        ];
        let gateway = Gateway::builder().provider("p", waiting(&told)).config(&config.concat()).start();
        gateway.assembly.create_key("looks", KeySpec::default());
        let end_ms = u64::try_from(end.parse::<Timestamp>().unwrap().as_millisecond()).unwrap();
        let hands = &gateway.assembly.hands;
        hands.set_unix_ms(end_ms - 1_000);
        let mut evening = crowd(&gateway, 100).await;
        gateway.provider("p").received(100).await;
        let before = told_by_the_api(&gateway).await;
        assert_eq!(before[1].0, "100", "{zone} {end}");
        assert_eq!(before.each_ref().map(|(_, at)| at.parse::<Timestamp>().unwrap()), [end.parse().unwrap(); 2]);
        // 20 more fit, and 30 do not. What they are told is the same to the second.
        evening.extend(crowd(&gateway, 20).await);
        gateway.provider("p").received(120).await;
        for reply in replies(crowd(&gateway, 30).await).await {
            assert_eq!((verdict(&reply), number(&reply, "retry-after")), ((429, "budget_exceeded"), 1), "{zone} {end}");
            assert_eq!(number(&reply, "x-ratelimit-reset"), end_ms / 1_000, "{zone} {end}");
        }
        hands.set_unix_ms(end_ms);
        let morning = crowd(&gateway, 80).await;
        gateway.provider("p").received(200).await;
        assert_eq!(told_by_the_api(&gateway).await[1].0, "80", "{zone} {end}");
        told.notify_waiters();
        for reply in replies(evening.into_iter().chain(morning).collect()).await {
            assert_eq!(reply.status, 200, "{zone} {end}: {}", reply.text());
        }
        let records = gateway.records(230).await;
        let day = |from: u64, to: u64| {
            let of_day = records.iter().filter(|record| {
                let at = record.created_at.parse::<Timestamp>().unwrap().as_millisecond();
                (from..to).contains(&u64::try_from(at).unwrap())
            });
            of_day.map(|record| record.cost_usd.unwrap().0).sum::<u64>()
        };
        let spent = [day(0, end_ms), day(end_ms, u64::MAX)];
        assert_eq!(spent, [120 * 50_000, 80 * 50_000], "{zone} {end}");
        // The windows hold what was spent, each its own, to the nano-dollar.
        let after = told_by_the_api(&gateway).await;
        assert_eq!((after[0].0.as_str(), after[1].0.as_str()), ("0.004", "80"), "{zone} {end}");
        hands.set_unix_ms(end_ms - 500);
        let evening = told_by_the_api(&gateway).await;
        assert_eq!((evening[0].0.as_str(), evening[1].0.as_str()), ("0.006", "120"), "{zone} {end}");
    }
}

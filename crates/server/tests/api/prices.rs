//! What requests cost: by service tier, by length, and where nobody knows.

use testkit::data;
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

/// Rows behind the last model of the configuration.
const ROWS: &str = "[[models.price_rows]]\nservice_tier = \"flex\"\ninput_price = 1\noutput_price = 4\n\
                    [[models.price_rows]]\nabove_input_tokens = 8\ninput_price = 20\noutput_price = 80";

/// The prices of `m` with rows for `flex` and for nothing else.
const FLEX: &str = "[[models.price_rows]]\nservice_tier = \"flex\"\ninput_price = 1\noutput_price = 4";

fn asking(body: &str, tier: &str) -> String {
    body.replacen('{', &format!(r#"{{"service_tier":"{tier}","#), 1)
}

async fn cost(rows: &str, script: Script, body: &str) -> Option<u64> {
    let gateway = Gateway::builder().provider("p", script).config(rows).start();
    assert_eq!(gateway.chat(body).await.status, 200);
    gateway.one().await.cost_usd.map(|cost| cost.0)
}

#[tokio::test(start_paused = true)]
async fn the_tier_that_was_given_is_paid() {
    let usual = 9 * 2_000 + 4 * 8_000;
    let flex = 9 * 1_000 + 4 * 4_000;
    for (asked, given, expect) in [
        (None, None, usual),
        (Some("flex"), None, flex),
        (Some("flex"), Some("flex"), flex),
        (Some("flex"), Some("default"), usual),
        (Some("auto"), Some("flex"), flex),
        (Some("priority"), Some("priority"), usual),
    ] {
        let named = given.map(|given| format!(r#","service_tier":"{given}""#)).unwrap_or_default();
        let named = format!(r#""model":"up-m"{named}"#);
        let whole = Script::json(200, &data::completion("Hello").replace(r#""model":"up-m""#, &named));
        let body = asked.map_or_else(|| REQUEST.to_owned(), |asked| asking(REQUEST, asked));
        assert_eq!(cost(FLEX, whole, &body).await, Some(expect), "{asked:?} {given:?}");
        let events =
            [data::role(), data::delta("Hello"), data::finish(), data::usage(), data::DONE.to_owned()].concat();
        let events = events.replace(r#""model":"up-m""#, &named);
        let body = asked.map_or_else(|| STREAM.to_owned(), |asked| asking(STREAM, asked));
        assert_eq!(cost(FLEX, Script::stream().chunk(events).end(), &body).await, Some(expect), "{asked:?} {given:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_inputs_are_paid_by_their_row() {
    assert_eq!(cost(ROWS, Script::chat("Hello"), REQUEST).await, Some(9 * 20_000 + 4 * 80_000));
    assert_eq!(cost(ROWS, Script::chat("Hello"), &asking(REQUEST, "flex")).await, Some(9 * 1_000 + 4 * 4_000));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_price_is_no_price() {
    let model = "[[models]]\nslug = \"unpriced\"\nprovider = \"p\"";
    let body = REQUEST.replace(r#""m""#, r#""unpriced""#);
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(model).start();
    let reply = gateway.chat(&body).await;
    assert_eq!((reply.status, reply.header("x-crossway-cost-usd")), (200, None));
    assert!(reply.text().contains(r#""cost":null"#), "{}", reply.text());
    assert_eq!(gateway.one().await.cost_usd, None);
    let free = "[[models]]\nslug = \"unpriced\"\nprovider = \"p\"\ninput_price = 0\noutput_price = 0";
    assert_eq!(cost(free, Script::chat("Hello"), &body).await, Some(0));
}

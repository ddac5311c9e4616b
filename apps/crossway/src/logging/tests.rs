//! What lines look like, byte by byte, and what cannot get into them.

use std::io;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// A clock that stands still.
#[derive(Clone, Copy)]
struct Noon;

impl FormatTime for Noon {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str("2025-02-24T00:33:51.127868Z")
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Returns what is written of the events of a function.
fn written(form: Form, events: impl FnOnce()) -> String {
    let written = Written::default();
    let layer = tracing_subscriber::fmt::layer().with_writer(written.clone());
    let layer = layer.event_format(Lines { form, clock: Noon });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn check(events: impl Fn(), json: &str, text: &str) {
    assert_eq!(written(Form::Json, &events), format!("{json}\n"));
    assert_eq!(written(Form::Text, &events), format!("{text}\n"));
}

#[test]
fn failover_reads_as_in_the_ballerina_gateway() {
    let id = "01eff247-0444-1eb0-b153-61183107b722";
    check(
        || {
            let error = "Something wrong with the connection:{}";
            tracing::warn!(component = "failover", requestId = %id, provider = "ollama", error = %error, "{}", "Primary provider failed");
        },
        r#"{"timestamp":"2025-02-24T00:33:51.127868Z","level":"WARN","component":"failover","message":"Primary provider failed","metadata":{"requestId":"01eff247-0444-1eb0-b153-61183107b722","provider":"ollama","error":"Something wrong with the connection:{}"}}"#,
        "2025-02-24T00:33:51.127868Z  WARN failover: Primary provider failed \
         requestId=01eff247-0444-1eb0-b153-61183107b722 provider=ollama error=\"Something wrong with the connection:{}\"",
    );
    check(
        || tracing::info!(component = "failover", requestId = %id, provider = "openai", "Attempting failover"),
        r#"{"timestamp":"2025-02-24T00:33:51.127868Z","level":"INFO","component":"failover","message":"Attempting failover","metadata":{"requestId":"01eff247-0444-1eb0-b153-61183107b722","provider":"openai"}}"#,
        "2025-02-24T00:33:51.127868Z  INFO failover: Attempting failover \
         requestId=01eff247-0444-1eb0-b153-61183107b722 provider=openai",
    );
}

#[test]
fn every_type_of_field_has_its_form() {
    check(
        || tracing::error!(target: "keys", count = 3u64, delta = -1i64, share = 0.5, bad = f64::NAN, open = true, "X"),
        r#"{"timestamp":"2025-02-24T00:33:51.127868Z","level":"ERROR","component":"keys","message":"X","metadata":{"count":3,"delta":-1,"share":0.5,"bad":"NaN","open":true}}"#,
        "2025-02-24T00:33:51.127868Z ERROR keys: X count=3 delta=-1 share=0.5 bad=NaN open=true",
    );
    check(
        || tracing::info!(component = "a", empty = "", "No fields"),
        r#"{"timestamp":"2025-02-24T00:33:51.127868Z","level":"INFO","component":"a","message":"No fields","metadata":{"empty":""}}"#,
        "2025-02-24T00:33:51.127868Z  INFO a: No fields empty=\"\"",
    );
}

#[test]
fn nothing_that_a_request_carries_forges_a_line() {
    let hostile = "m\r\n{\"level\":\"ERROR\"}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{2028}\\n\" a=b";
    check(
        || tracing::warn!(component = "dispatch", provider = hostile, "Failed"),
        r#"{"timestamp":"2025-02-24T00:33:51.127868Z","level":"WARN","component":"dispatch","message":"Failed","metadata":{"provider":"m\r\n{\"level\":\"ERROR\"}\u001b[2J\u009b31m\u007f\u202e\u2028\\n\" a=b"}}"#,
        "2025-02-24T00:33:51.127868Z  WARN dispatch: Failed \
         provider=\"m\\r\\n{\\\"level\\\":\\\"ERROR\\\"}\\u{1b}[2J\\u{9b}31m\\u{7f}\\u{202e}\\u{2028}\\\\n\\\" a=b\"",
    );
    let text = written(Form::Text, || tracing::info!("a\n2025 ERROR forged\u{1b}[0m"));
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn long_values_are_cut() {
    let long = "ü".repeat(8_192);
    let line = written(Form::Json, || tracing::info!(component = "a", error = %long, "Long"));
    let value: Value = serde_json::from_str(&line).unwrap();
    let error = value["metadata"]["error"].as_str().unwrap();
    assert!(error.ends_with("… (8192 more bytes)") && error.len() < 8_300, "{}", error.len());
}

#[test]
fn the_clock_has_microseconds() {
    let mut text = String::new();
    SystemTime.format_time(&mut Writer::new(&mut text)).unwrap();
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000000Z");
}

proptest! {
    #[test]
    fn a_line_is_a_line_and_says_what_was_said(text in any::<String>(), message in any::<String>()) {
        let events = || tracing::info!(component = "a", value = %text, other = text, "{message}");
        let json = written(Form::Json, events);
        prop_assert!(json.ends_with('\n') && !json.trim_end_matches('\n').chars().any(char::is_control));
        let value: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(value["message"].as_str(), Some(message.as_str()));
        prop_assert_eq!(value["metadata"]["value"].as_str(), Some(text.as_str()));
        prop_assert_eq!(value["metadata"]["other"].as_str(), Some(text.as_str()));
        let line = written(Form::Text, events);
        prop_assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control));
    }
}

//! Log lines: JSON on stderr, or text on a terminal.
//!
//! A JSON line is `{timestamp, level, component, message, metadata{…}}`. Control characters are escaped, so that
//! nothing a request carries can forge a line.

use std::fmt;
use std::io::{IsTerminal as _, Write as _, stderr};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::Failure;

/// Starts logging with a filter: a level, or `target=level` items separated by commas.
///
/// # Errors
/// When the filter cannot be understood.
pub fn start(filter: &str) -> Result<(), Failure> {
    let targets: Targets = filter.parse().map_err(|_| format!("`{filter}` is not a log filter"))?;
    let registry = tracing_subscriber::registry().with(targets);
    if stderr().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().with_writer(stderr).with_target(false)).init();
    } else {
        registry.with(tracing_subscriber::fmt::layer().with_writer(stderr).event_format(JsonLine)).init();
    }
    Ok(())
}

/// Prints why a command failed.
pub fn complain(failure: &Failure) {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Nowhere is left to complain to when this fails.
    let _ = writeln!(stderr(), "{text}");
}

struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = json!({
            "timestamp": timestamp,
            "level": event.metadata().level().as_str(),
            "component": fields.component.unwrap_or_else(|| event.metadata().target().to_owned()),
            "message": fields.message,
            "metadata": fields.rest,
        });
        writeln!(writer, "{line}")
    }
}

#[derive(Default)]
struct Fields {
    component: Option<String>,
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("component", Value::String(text)) => self.component = Some(text),
            (name, value) => {
                self.rest.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }
}

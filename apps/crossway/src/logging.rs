//! Log lines on stderr: JSON, or text on a terminal. [`mod@line`] says what they look like.

mod line;

use std::fmt;
use std::io::{IsTerminal as _, Write as _, stderr};

use serde_json::{Number, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::line::Line;
use crate::cli::Failure;

/// Starts logging with a filter: a level, or `target=level` items separated by commas.
///
/// # Errors
/// When the filter cannot be understood.
pub fn start(filter: &str) -> Result<(), Failure> {
    let targets: Targets = filter.parse().map_err(|_| format!("`{filter}` is not a log filter"))?;
    let form = if stderr().is_terminal() { Form::Text } else { Form::Json };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr).event_format(Lines { form, clock: SystemTime });
    tracing_subscriber::registry().with(targets).with(layer).init();
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

#[derive(Clone, Copy, Debug)]
enum Form {
    Json,
    Text,
}

/// Writes events as lines.
struct Lines<T> {
    form: Form,
    clock: T,
}

impl<S, N, T> FormatEvent<S, N> for Lines<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        self.clock.format_time(&mut Writer::new(&mut timestamp))?;
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut line = Line::new(timestamp, level, target);
        event.record(&mut Fields(&mut line));
        let text = match self.form {
            Form::Json => line.json(),
            Form::Text => line.text(),
        };
        writeln!(writer, "{text}")
    }
}

/// Puts the fields of an event into a line.
struct Fields<'a>(&'a mut Line);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.put(field.name(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.put(field.name(), Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        let number = Number::from_f64(value).map(Value::Number);
        self.0.put(field.name(), number.unwrap_or_else(|| Value::String(value.to_string())));
    }
}

#[cfg(test)]
mod tests;

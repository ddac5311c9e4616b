//! `crossway limits`: how limits stand, asked of a running gateway, whose memory alone knows it.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::Failure;
use crate::keys::Format;
use crate::remote::ServerArgs;

/// The environment that always exists.
const ENVIRONMENT: &str = "default";

#[derive(Subcommand)]
pub enum Command {
    /// Show every limit that binds a key, and what is left of each, the tightest first
    Show {
        /// The key's name, or its id
        #[arg(long)]
        key: String,
        /// Those of this user too, as requests name them
        #[arg(long)]
        user: Option<String>,
        /// Those of this peer too
        #[arg(long)]
        ip: Option<String>,
        /// Those of this bucket too
        #[arg(long)]
        bucket: Option<String>,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show whose use a limit counts, those who used most first
    Usage {
        /// The limit's name
        limit: String,
        /// How many are listed, 1 to 1000
        #[arg(long, default_value_t = 50)]
        most: u16,
        #[command(flatten)]
        asked: Asked,
    },
}

/// What both ask for.
#[derive(clap::Args)]
pub struct Asked {
    /// The environment
    #[arg(short = 'E', long, default_value = ENVIRONMENT)]
    environment: String,
    /// What the answer is written in
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs a `limits` command.
///
/// # Errors
/// When it fails.
pub fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Show { key, user, ip, bucket, asked } => {
            let mut query = format!("key={}", escaped(key));
            for (name, value) in [("user", user), ("ip", ip), ("bucket", bucket)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escaped(value)));
                }
            }
            asked.print(&["limits", "effective"], &query, show)?;
        }
        Command::Usage { limit, most, asked } => {
            asked.print(&["limits", limit, "usage"], &format!("limit={most}"), usage)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Asked {
    /// Asks the gateway, and prints what it answers.
    fn print(&self, path: &[&str], query: &str, lines: fn(&Value) -> Vec<String>) -> Result<(), Failure> {
        let mut target = String::from("/admin/v1/environments");
        for part in [self.environment.as_str()].iter().chain(path) {
            target.push('/');
            target.push_str(&escaped(part));
        }
        let answer = self.server.remote()?.get(&format!("{target}?{query}"))?.success()?;
        let mut out = stdout().lock();
        match self.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?,
            Format::Text => {
                for line in lines(&answer) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        Ok(())
    }
}

/// Returns a text in which nothing has a meaning of its own, for a path or a query.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn show(answer: &Value) -> Vec<String> {
    let head = ["LIMIT", "METER", "WINDOW", "SCOPE", "TARGET", "AMOUNT", "USED", "LEFT", "RESETS"];
    let line = |limit: &Value| {
        let scope = match (&limit["scope"], &limit["name"]) {
            (Value::String(scope), Value::String(name)) => format!("{scope}:{name}"),
            (scope, _) => word(scope),
        };
        let of = |member: &str| word(&limit[member]);
        let [name, meter, window] = ["limit", "meter", "window"].map(of);
        let [target, amount, used] = ["target", "amount", "used"].map(of);
        vec![name, meter, window, scope, target, amount, used, of("remaining"), of("resets_at")]
    };
    table(&head, &answer["data"], line)
}

fn usage(answer: &Value) -> Vec<String> {
    let head = ["WHO", "TARGET", "USED", "LEFT", "%", "RESETS"];
    let line = |count: &Value| {
        let subject = &count["subject"];
        let (kind, name) = (word(&subject["kind"]), &subject["name"]);
        let who = match (name, &subject["digest"]) {
            (Value::Null, Value::String(digest)) => format!("{kind} {digest}"),
            (Value::Null, _) => format!("{kind}: several who share a count"),
            (name, _) => format!("{kind} {}", word(name)),
        };
        let of = |member: &str| word(&count[member]);
        vec![who, of("target"), of("used"), of("remaining"), of("used_pct"), of("resets_at")]
    };
    let mut lines = table(&head, &answer["data"], line);
    let of = |member: &str| word(&answer[member]);
    lines.push(format!("{} counted apart; {} of {} each", of("counts"), of("amount"), of("meter")));
    lines
}

/// Returns rows whose columns stand below each other. A name may hold anything: a row is one line.
fn table(head: &[&str], data: &Value, line: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let plain = |cell: String| ir::plain::one_line(&cell);
    let mut rows = vec![head.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    let counts = data.as_array().map_or(&[][..], Vec::as_slice);
    rows.extend(counts.iter().map(|count| line(count).into_iter().map(plain).collect()));
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let shown = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(shown).collect()
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_binds_a_key_is_a_table() {
        let limit = json!({
            "limit": "monthly", "meter": "usd", "window": "month", "scope": "team", "name": "data", "target": "all",
            "amount": "250", "used": "12.5", "remaining": "237.5", "resets_at": null,
        });
        let lines = show(&json!({ "data": [limit] }));
        assert_eq!(
            lines,
            [
                "LIMIT    METER  WINDOW  SCOPE      TARGET  AMOUNT  USED  LEFT   RESETS",
                "monthly  usd    month   team:data  all     250     12.5  237.5  -",
            ]
        );
    }

    #[test]
    fn who_used_most_is_named_where_a_name_is_known() {
        let count = |subject: Value| json!({ "subject": subject, "target": "all", "used": 3, "remaining": 1, "used_pct": 75.0 });
        let data = [
            count(json!({ "kind": "user", "name": "ann\n\u{1b}[31m", "digest": "a0" })),
            count(json!({ "kind": "user", "name": null, "digest": "b1" })),
            count(json!({ "kind": "user", "name": null })),
        ];
        let lines = usage(&json!({ "data": data, "counts": 3, "amount": 4, "meter": "requests" }));
        let who: Vec<&str> = lines.iter().map(|line| line.get(..12).unwrap_or(line)).collect();
        assert_eq!(who, ["WHO         ", "user ann  [3", "user b1     ", "user: severa", "3 counted ap"]);
    }
}

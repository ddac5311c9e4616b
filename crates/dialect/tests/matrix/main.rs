//! What is carried where: every feature of every surface against every dialect of a provider.
//!
//! For each feature the same request is encoded with it and without it. If the body differs, the feature is carried; if
//! it does not, the feature must have been named to the caller; if neither, it was lost in silence, and the test fails.
//! The outcome is the table in `docs/dialects.md`, which must say the same: `UPDATE=1 cargo test -p dialect --test
//! matrix` writes it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking and prints its counts")]

mod estimates;
mod features;
mod replies;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use dialect::lane::Surface;
use dialect::lane::asked::{Asked, Outgoing};
use dialect::translate::Callee;
use ir::dialect::Dialect;
use ir::failure::{Code, Failure};
use serde_json::Value;

use self::features::Feature;

/// What providers speak, in the order of the columns.
pub const DIALECTS: [Dialect; 6] = [
    Dialect::OpenaiChat,
    Dialect::OpenaiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Ollama,
];

/// What needs no word in the body: Gemini is asked for a stream by the path, Cohere cites documents unasked.
const IMPLIED: [(&str, Dialect); 2] = [("stream", Dialect::Gemini), ("citations", Dialect::Cohere)];

fn outgoing(surface: Surface, body: &Value, dialect: Dialect) -> Result<Outgoing, Failure> {
    let mut asked = Asked::decode(surface, Bytes::from(body.to_string()))?;
    let callee =
        Callee { model: "model-1", max_output_tokens: Some(8_192), ask_usage: true, quirks: &[], refuses: &[] };
    asked.outgoing(dialect, &callee, &[])
}

/// Returns the word for the table.
fn outcome(surface: Surface, feature: &Feature, dialect: Dialect) -> String {
    // What the feature belongs to may be refused already.
    let without = outgoing(surface, &feature.without, dialect).unwrap_or_default();
    match outgoing(surface, &feature.with, dialect) {
        Err(failure) => {
            assert_eq!(failure.code, Code::UnsupportedParameter, "{}: {}", feature.name, failure.message);
            assert!(failure.param.is_some(), "{}: a refusal names the field", feature.name);
            if feature.fetched && matches!(dialect, Dialect::Gemini | Dialect::Ollama) { "fetched" } else { "refused" }
                .to_owned()
        }
        Ok(with) => {
            let (body, bare) = (with.body.concat(), without.body.concat());
            if IMPLIED.contains(&(feature.name, dialect)) {
                return "carried".to_owned();
            }
            let named: Vec<&String> = with.dropped.iter().filter(|name| !without.dropped.contains(name)).collect();
            match (body != bare, named.as_slice()) {
                (true, []) => "carried".to_owned(),
                (true, [_, ..]) => "in part".to_owned(),
                (false, [_, ..]) => "named".to_owned(),
                (false, []) => panic!("{} is lost towards {}: {}", feature.name, dialect.name(), text(&body)),
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn table(out: &mut String, title: &str, rows: &[(String, Vec<String>)], columns: &[&str]) {
    writeln!(out, "\n### {title}\n\n| | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len())).unwrap();
    for (name, cells) in rows {
        writeln!(out, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
}

#[test]
fn the_table_in_the_documentation_is_true() {
    let mut out = String::new();
    let columns: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let surfaces = [
        (Surface::OpenaiChat, "Requests of `POST /v1/chat/completions`", features::openai()),
        (Surface::AnthropicMessages, "Requests of `POST /v1/messages`", features::anthropic()),
    ];
    for (surface, title, features) in surfaces {
        let row = |feature: &Feature| {
            let cells = DIALECTS.iter().map(|dialect| outcome(surface, feature, *dialect)).collect();
            (feature.name.to_owned(), cells)
        };
        let rows: Vec<(String, Vec<String>)> = features.iter().map(row).collect();
        rows.iter().flat_map(|(_, cells)| cells).for_each(|cell| *counts.entry(cell.clone()).or_default() += 1);
        table(&mut out, title, &rows, &columns);
    }
    for (title, rows) in replies::tables() {
        table(&mut out, title, &rows, &columns);
    }
    println!("{counts:?}");
    compare(&out);
}

/// Compares with the documentation, or writes it.
fn compare(tables: &str) {
    const BEGIN: &str = "<!-- tables: written by the tests of the dialects -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, written) = page.split_once(BEGIN).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{tables}")).unwrap();
        return;
    }
    assert_eq!(written, tables, "docs/dialects.md is not true: UPDATE=1 cargo test -p dialect --test matrix");
}

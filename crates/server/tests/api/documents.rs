//! What the pages for people say by name is what there is, and the other way round: error codes, metrics, environment variables,
//! headers, fields of settings and resources, components of the log.
//! `UPDATE=1 cargo test -p server --test api documents` writes the table of metrics anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ir::failure::Code;
use policy::spec::settings::SettingsSpec;
use policy::spec::smtp::SmtpSpec;
use serde_json::Value;
use server::admin::openapi::document;
use testkit::gateway::Gateway;
use testkit::script::Script;

/// Variables that are read elsewhere than at a start: by commands, by examples and by the tests.
const OTHERS: [&str; 6] = [
    "CROSSWAY_ADMIN_URL",
    "CROSSWAY_API_KEY",
    "CROSSWAY_BIN",
    "CROSSWAY_CORPUS",
    "CROSSWAY_MANAGEMENT_KEY",
    "CROSSWAY_URL",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the text of every file below `folder` whose name ends so.
fn texts(folder: &str, end: &str) -> String {
    fn collect(folder: &Path, end: &str, out: &mut String) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                collect(&path, end, out);
            } else if path.to_string_lossy().ends_with(end) {
                out.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut out = String::new();
    collect(&root().join(folder), end, &mut out);
    out
}

/// Returns everything that people read about running the gateway.
fn pages() -> String {
    texts("docs", ".md") + &read("README.md")
}

/// Returns the words of a text that begin so; `part` says which characters belong to a word.
fn words<'a>(text: &'a str, begin: &str, part: fn(char) -> bool) -> BTreeSet<&'a str> {
    let starts = text.match_indices(begin).filter(|(at, _)| !text[..*at].ends_with(part));
    starts.map(|(at, _)| text[at..].split(|c| !part(c)).next().unwrap()).collect()
}

/// Returns what stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the first cells of the table that begins with this head.
fn first_cells<'a>(page: &'a str, head: &str) -> Vec<&'a str> {
    let (_, rest) = page.split_once(head).unwrap_or_else(|| panic!("no table {head:?}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap()).collect()
}

#[test]
fn every_error_code_is_documented_with_its_status() {
    let page = read("docs/errors.md");
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut documented = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for code in quoted(cells[3]) {
            let known = Code::ALL.into_iter().find(|known| known.name() == code);
            let known = known.unwrap_or_else(|| panic!("docs/errors.md: there is no code {code}"));
            if cells[1] != "in-stream" {
                assert_eq!(cells[1], known.status().to_string(), "the status of {code}");
            }
            documented.insert(code);
        }
    }
    let all: BTreeSet<&str> = Code::ALL.into_iter().map(Code::name).collect();
    assert_eq!(documented, all);
}

#[tokio::test(start_paused = true)]
async fn every_metric_is_documented() {
    // Two of them are there when something has happened: a guardrail that acts, and a rule that fails.
    let config = "[guardrails.g]\nbanned_phrases = [\"nightjar\"]\napply_to = [\"request\"]\n\
                  [routes.r]\ndefault = true\n\
                  [[routes.r.strategy.rules]]\nwhen = \"labels.tier == 'gold'\"\nthen = \"cheapest\"\n";
    let gateway = Gateway::builder().config(config).provider("p", Script::chat("Hello")).start();
    for said in ["hello", "nightjar"] {
        let body = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{said}\"}}]}}");
        gateway.ask("POST /v1/chat/completions", &gateway.fields(), &body).await;
    }
    gateway.records(2).await;
    let text = gateway.api("GET /metrics", &Value::Null).await.text().to_owned();
    let mut table = "| metric | type | what it counts |\n|---|---|---|\n".to_owned();
    let mut names = BTreeSet::new();
    for (help, kind) in text.lines().zip(text.lines().skip(1)).filter(|(help, _)| help.starts_with("# HELP ")) {
        let (name, what) = help["# HELP ".len()..].split_once(' ').unwrap();
        let kind = kind.rsplit(' ').next().unwrap();
        let name = format!("{name}{}", if kind == "counter" { "_total" } else { "" });
        writeln!(table, "| `{name}` | {kind} | {} |", what.trim_end_matches('.')).unwrap();
        names.insert(name);
    }
    assert!(names.len() > 20, "{text}");
    let path = root().join("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- metrics -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let expected = format!("{before}<!-- metrics -->\n{table}<!-- end -->{after}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert!(page == expected, "docs/metrics.md is not current: UPDATE=1 cargo test -p server --test api documents");
    }
    let pages = pages();
    for name in words(&pages, "crossway_", |c| c.is_ascii_lowercase() || c == '_') {
        let other = name.ends_with('_') || ["crossway_session", "crossway_toml"].contains(&name);
        assert!(other || names.contains(name), "the pages name {name}, which is no metric");
    }
}

#[test]
fn every_environment_variable_is_documented_and_read() {
    let page = read("docs/configuration.md");
    for (field, variable) in SettingsSpec::VARIABLES {
        assert!(
            page.contains(&format!("\n| `{field}` | `{variable}` | ")),
            "docs/configuration.md: {field}, {variable}"
        );
    }
    let settings = first_cells(&page, "| setting | variable | default | meaning |");
    assert_eq!(settings.len(), SettingsSpec::VARIABLES.len(), "{settings:?}");
    let of_files = SettingsSpec::VARIABLES.iter().chain(&SmtpSpec::VARIABLES).map(|(_, variable)| *variable);
    let known: BTreeSet<&str> = of_files.chain(OTHERS).collect();
    let pages = pages() + &read("CONTRIBUTING.md");
    let named = words(&pages, "CROSSWAY_", |c| c.is_ascii_uppercase() || c == '_');
    for variable in &named {
        let address = variable.ends_with("_BASE_URL") || *variable == "CROSSWAY_";
        assert!(address || known.contains(variable), "the pages name {variable}, which nothing reads");
    }
    assert!(known.is_subset(&named), "on no page: {:?}", known.difference(&named));
}

#[test]
fn every_header_of_ours_is_documented() {
    let code = ["crates/engine/src", "crates/dialect/src", "crates/server/src", "crates/settle/src"]
        .map(|folder| texts(folder, ".rs"))
        .concat()
        .to_lowercase()
        .replace("\\r\\n", " ");
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let pages = pages().to_lowercase();
    let (sent, told) = (words(&code, "x-crossway-", part), words(&pages, "x-crossway-", part));
    let sent: BTreeSet<&str> = sent.into_iter().filter(|name| !name.ends_with('-')).collect();
    let told: BTreeSet<&str> = told.into_iter().filter(|name| !name.ends_with('-')).collect();
    assert_eq!(sent.difference(&told).collect::<Vec<_>>(), [&""; 0], "on no page");
    assert_eq!(told.difference(&sent).collect::<Vec<_>>(), [&""; 0], "on a page only");
}

/// Returns the fields of a spec as the admin API's document has them.
fn fields_of(spec: &str) -> BTreeSet<String> {
    let properties = &document()["components"]["schemas"][spec]["properties"];
    properties.as_object().unwrap_or_else(|| panic!("no schema {spec}")).keys().cloned().collect()
}

/// Returns the fields that the first cells of a table name; of `billing.status` the first part.
fn named(page: &str, head: &str) -> BTreeSet<String> {
    let cells = first_cells(page, head).concat();
    quoted(&cells).map(|name| name.split('.').next().unwrap().to_owned()).collect()
}

#[test]
fn every_field_is_documented() {
    let kinds = ["alert", "byok", "environment", "fallback", "guardrail", "key", "limit", "model"];
    for kind in kinds.into_iter().chain(["plan", "prompt", "provider", "route", "team", "webhook"]) {
        let spec = format!("{}{}Spec", kind[..1].to_uppercase(), &kind[1..]);
        let page = format!("docs/resources/{kind}.md");
        assert_eq!(named(&read(&page), "| field | default |"), fields_of(&spec), "{page}");
    }
    let page = read("docs/configuration.md");
    for (section, spec) in [
        ("[environment]", "EnvironmentSpec"),
        ("[providers.NAME]", "ProviderSpec"),
        ("[[models]]", "ModelSpec"),
        ("[[fallbacks]]", "FallbackSpec"),
    ] {
        let (_, rest) = page.split_once(&format!("\n## `{section}`\n")).unwrap();
        let mut found = named(rest, "| field | default | meaning |");
        // It is short for `retention.records_months`.
        found.remove("records_months");
        assert_eq!(found, fields_of(spec), "docs/configuration.md, {section}");
    }
}

#[test]
fn every_component_of_the_log_is_documented() {
    let code: String = ["engine", "server", "control", "settle", "store", "policy", "net", "upstream", "routing"]
        .map(|name| texts(&format!("crates/{name}/src"), ".rs"))
        .concat()
        + &texts("apps/crossway/src", ".rs");
    let begin = "component = \"";
    let named = code.match_indices(begin).map(|(at, _)| code[at + begin.len()..].split('"').next().unwrap());
    let named: BTreeSet<&str> = named.filter(|name| name.len() > 1).collect();
    let page = read("docs/logging.md");
    let missing: Vec<&&str> = named.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/logging.md does not name {missing:?}");
}

#[test]
fn every_kind_is_in_the_admin_apis_page() {
    let page = read("docs/admin-api.md");
    let (_, rest) = page.split_once("Every kind has the same verbs").unwrap();
    let sentence = rest.split("\n\n").next().unwrap();
    for kind in &control::kind::KINDS {
        let name = if kind.plural == "environments" { "/admin/v1/environments" } else { kind.plural };
        assert!(sentence.contains(&format!("`{name}`")), "docs/admin-api.md lists no {name}");
    }
}

//! What people write, fuzzed: resource files in their three languages, the configuration file, and what compiles them.
//!
//! A target takes any bytes and panics when a reader or the compiler does, or when a law does not hold: a resource without
//! faults is written as YAML and TOML that say the same, and every fault is one that can be shown.
//!
//! The file belongs to two programs: `fuzz_targets/configuration.rs`, under libFuzzer, and the test `fuzz` of the crate
//! `policy`, on a stable toolchain.

use std::sync::LazyLock;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use policy::compile::compile;
use policy::load::resources::kind::Kind;
use policy::load::resources::write::{Writable, toml, yaml};
use policy::load::resources::{Document, Resources, parse};
use policy::load::{Parsed, parse as parse_file};
use policy::problem::Problem;
use policy::spec::Specs;
use serde_json::Value;

/// One target.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The folder of `fuzz/seeds` that holds what it starts from.
    pub seeds: &'static str,
    /// What it does with bytes.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "resources_yaml", seeds: "configuration/yaml", run: |data| resources("fuzz.yaml", data) },
    Target { name: "resources_toml", seeds: "configuration/toml", run: |data| resources("fuzz.toml", data) },
    Target { name: "resources_json", seeds: "configuration/json", run: |data| resources("fuzz.json", data) },
    Target { name: "crossway_toml", seeds: "configuration/crossway", run: |data| file("crossway.toml", data) },
    Target { name: "ballerina_toml", seeds: "configuration/ballerina", run: |data| file("Config.toml", data) },
];

static VENDORS: LazyLock<Vendors> = LazyLock::new(Vendors::builtin);
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::default);

fn variable(name: &str) -> Option<String> {
    (name == "SET").then(|| "a: [value".to_owned())
}

/// Reads resources, writes those without faults again, and compiles them together.
fn resources(name: &str, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Resources { documents, problems, .. } = parse(name, text, &variable);
    show(&problems);
    let mut specs = Specs::default();
    for document in &documents {
        document.add_to(&mut specs);
        same_when_written(document);
    }
    compiled(&specs);
}

fn same_when_written(document: &Document) {
    let environment = (document.kind != Kind::Environment).then_some(&*document.environment);
    let written =
        Writable { kind: document.kind.name(), environment, name: &document.name, spec: &document.spec, comments: &[] };
    for (name, text) in [("again.yaml", yaml(&written)), ("again.toml", toml(&written))] {
        let again = parse(name, &text, &|_| None);
        assert_eq!(again.problems, [], "{name}:\n{text}");
        let [read] = &again.documents[..] else { panic!("{name}: not one document\n{text}") };
        assert_eq!((read.kind, &read.environment, &read.name), (document.kind, &document.environment, &document.name));
        let mut expect = Value::Object(document.spec.clone());
        if name.ends_with("toml") {
            without_nulls(&mut expect);
        }
        assert_eq!(Value::Object(read.spec.clone()), expect, "{name}:\n{text}");
    }
}

/// TOML has none.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Reads a configuration file, and compiles it.
fn file(name: &str, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Parsed { specs, problems, .. } = parse_file(name, text, &variable);
    show(&problems);
    compiled(&specs);
}

fn compiled(specs: &Specs) {
    match compile(specs, &VENDORS, &CATALOGUE) {
        Ok(compiled) => show(&compiled.warnings),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused for no reason");
            show(&problems);
        }
    }
}

/// A problem is told in one line, however odd what it is about.
fn show(problems: &[Problem]) {
    for problem in problems {
        let line = problem.to_string();
        assert!(!line.contains('\n'), "{line:?}");
    }
}

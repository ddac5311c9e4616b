//! The rules for `Cargo.toml`: which crate may depend on which.

use super::Problem;

/// Crates without an async runtime, HTTP, SQL or a system clock.
const PURE: [&str; 5] = ["ir", "dialect", "catalog", "policy", "routing"];

/// What no pure crate may depend on: a name, or a family of names by its first word.
const NOT_PURE: [&str; 22] = [
    "async-std",
    "axum",
    "demo",
    "engine",
    "hyper",
    "mcp",
    "net",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "server",
    "settle",
    "smol",
    "socket2",
    "sqlx",
    "store",
    "tokio",
    "tonic",
    "tower",
    "upstream",
    "ureq",
];

/// Single forbidden edges.
const NEVER: [(&str, &str); 9] = [
    ("control", "engine"),
    ("control", "server"),
    ("control", "axum"),
    ("engine", "store"),
    ("engine", "server"),
    ("upstream", "engine"),
    ("settle", "engine"),
    ("store", "settle"),
    ("store", "server"),
];

/// Checks a manifest.
pub fn check(file: &str, text: &str) -> Vec<Problem> {
    let Some(name) = file.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml")) else {
        return Vec::new();
    };
    let forbidden = |dependency: &str| {
        let family = dependency.split('-').next().unwrap_or(dependency);
        let pure = PURE.contains(&name) && (NOT_PURE.contains(&dependency) || NOT_PURE.contains(&family));
        pure || NEVER.contains(&(name, dependency))
    };
    let found = dependencies(text).into_iter().filter(|(_, dependency)| forbidden(dependency));
    found
        .map(|(line, dependency)| Problem::new(file, line, format!("`{name}` may not depend on `{dependency}`")))
        .collect()
}

/// The dependencies that end up in the product; what only tests use is free.
fn dependencies(text: &str) -> Vec<(usize, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if let Some((_, name)) = section.rsplit_once('.').filter(|(kind, _)| is_product(kind)) {
                found.push((index + 1, name));
            }
            continue;
        }
        if is_product(section) && !line.starts_with('#') {
            let name = line.split(['=', '.']).next().unwrap_or_default().trim();
            if !name.is_empty() {
                found.push((index + 1, name));
            }
        }
    }
    found
}

fn is_product(section: &str) -> bool {
    section == "dependencies" || section.starts_with("target.") && section.ends_with(".dependencies")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str, text: &str, expect: &[&str]) {
        let found = check(&format!("crates/{name}/Cargo.toml"), text);
        let found: Vec<String> = found.into_iter().map(|problem| problem.what).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn pure_crates_stay_pure() {
        check_one("dialect", "[dependencies]\nir.workspace = true\n", &[]);
        check_one("dialect", "[dependencies]\ntokio-util = \"1\"\n", &["`dialect` may not depend on `tokio-util`"]);
        check_one("policy", "[dependencies.hyper]\nversion = \"1\"\n", &["`policy` may not depend on `hyper`"]);
        check_one("policy", "[dev-dependencies]\ntokio = \"1\"\n", &[]);
        check_one("server", "[dependencies]\ntokio = \"1\"\n", &[]);
    }

    #[test]
    fn single_edges() {
        check_one("engine", "[dependencies]\nstore.workspace = true\n", &["`engine` may not depend on `store`"]);
        check_one("server", "[dependencies]\nstore.workspace = true\n", &[]);
    }
}

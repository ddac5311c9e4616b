//! What is committed and made from the table of routes: `openapi/admin.json`, and the tables of `docs/admin-api.md`.
//! `UPDATE=1 cargo test -p server --test api admin_documents` writes them anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use control::access::Permission;
use control::actor::Role;
use server::admin::openapi::document;
use server::admin::problem::Code;
use server::admin::table::routes;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn check(name: &str, expected: &str) {
    let path = file(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == expected, "{name} is not current: UPDATE=1 cargo test -p server --test api admin_documents");
}

#[test]
fn the_openapi_document_is_current() {
    check("openapi/admin.json", &(serde_json::to_string_pretty(&document()).unwrap() + "\n"));
}

#[test]
fn the_tables_of_the_documentation_are_current() {
    let text = std::fs::read_to_string(file("docs/admin-api.md")).unwrap();
    let text = put(&text, "errors", &errors());
    let text = put(&text, "roles", &roles());
    check("docs/admin-api.md", &put(&text, "routes", &all_routes()));
}

/// Puts a table between its marks.
fn put(text: &str, name: &str, table: &str) -> String {
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}<!-- {name} -->\n{table}<!-- end -->{after}")
}

fn errors() -> String {
    let mut table = "| status | code | meaning |\n|---|---|---|\n".to_owned();
    for code in Code::ALL {
        writeln!(table, "| {} | `{}` | {} |", code.status().as_u16(), code.name(), code.meaning()).unwrap();
    }
    table
}

fn roles() -> String {
    let names: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
    let mut table = format!("| permission | {} |\n|---|{}\n", names.join(" | "), ":-:|".repeat(names.len()));
    for permission in Permission::ALL {
        let marks: Vec<&str> =
            Role::ALL.into_iter().map(|role| if role.may(permission) { "yes" } else { "" }).collect();
        writeln!(table, "| `{}` | {} |", permission.name(), marks.join(" | ")).unwrap();
    }
    table
}

fn all_routes() -> String {
    let mut table = "| route | permission | rate |\n|---|---|---|\n".to_owned();
    for route in routes() {
        let (permission, rate) = (route.permission.name(), route.rate.name());
        writeln!(table, "| `{} {}` | `{permission}` | {rate} |", route.method, route.path).unwrap();
    }
    table
}

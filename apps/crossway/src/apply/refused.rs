//! What a gateway refuses, in the files that said it.

use policy::load::resources::Document;
use policy::problem::Problem;
use serde_json::Value;

/// Returns the problems of a refusal with files and lines, where they are known.
pub fn in_files(body: &Value, documents: &[Document]) -> Vec<Problem> {
    let listed = body.pointer("/error/problems").and_then(Value::as_array);
    listed.into_iter().flatten().map(|problem| in_file(problem, documents)).collect()
}

fn in_file(problem: &Value, documents: &[Document]) -> Problem {
    let text = |member: &str| problem.get(member).and_then(Value::as_str).unwrap_or_default();
    let (label, path, message) = (text("document"), text("path"), text("message"));
    let hint = problem.get("hint").and_then(Value::as_str).map(str::to_owned);
    let field = match path.strip_prefix("spec") {
        Some(rest) => rest.strip_prefix('.').unwrap_or(rest),
        None => path,
    };
    match find(label, documents) {
        Some(document) => document.origin.problem(field, message).maybe_hint(hint),
        // It is about something else that the gateway has.
        None => Problem::new(if label.is_empty() { "server" } else { label }, path, message).maybe_hint(hint),
    }
}

/// Finds a document by `ENVIRONMENT/KIND/NAME`, by `KIND/NAME`, or by its place: `document 3`.
fn find<'a>(label: &str, documents: &'a [Document]) -> Option<&'a Document> {
    if let Some(number) = label.strip_prefix("document ").and_then(|number| number.parse::<usize>().ok()) {
        return documents.get(number.checked_sub(1)?);
    }
    documents.iter().find(|document| {
        let short = format!("{}/{}", document.kind.plural(), document.name);
        label == short || label == format!("{}/{short}", document.environment)
    })
}

#[cfg(test)]
mod tests {
    use policy::load::resources::parse;
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_are_found_in_their_files() {
        let text = "kind: provider\nname: up\nspec:\n  kind: openai\n  credentials:\n    - value: x\n---\nkind: team\nname: t\nspec: {}\n";
        let documents = parse("r.yaml", text, &|_| None).documents;
        let check = |document: &str, path: &str, expect: &str| {
            let body =
                json!({"error": {"problems": [{"document": document, "path": path, "message": "bad", "hint": "do"}]}});
            let found: Vec<String> = in_files(&body, &documents).iter().map(ToString::to_string).collect();
            assert_eq!(found, [expect]);
        };
        check("default/providers/up", "spec.kind", "r.yaml:4: providers.up.kind: bad (do)");
        check(
            "default/providers/up",
            "spec.credentials[0].value",
            "r.yaml:6: providers.up.credentials[0].value: bad (do)",
        );
        check("default/providers/up", "spec", "r.yaml:1: providers.up: bad (do)");
        check("document 2", "name", "r.yaml:8: teams.t.name: bad (do)");
        check("default/models/other", "spec.provider", "default/models/other: spec.provider: bad (do)");
        check("", "", "server: bad (do)");
        assert!(in_files(&json!({"error": {"message": "no"}}), &documents).is_empty());
    }
}

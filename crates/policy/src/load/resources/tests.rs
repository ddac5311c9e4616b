//! Resource files and their faults.

use super::*;

fn parsed(file: &str, text: &str) -> Resources {
    parse(file, text, &|name| (name == "SET").then(|| "from-the-environment".to_owned()))
}

/// Checks what is wrong with a file, one line for each problem.
fn check(file: &str, text: &str, expect: &[&str]) {
    let found: Vec<String> = parsed(file, text).problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{text}");
}

fn good(file: &str, text: &str) -> Vec<Document> {
    let resources = parsed(file, text);
    assert_eq!(resources.problems, [], "{text}");
    resources.documents
}

const TWO: &str = "\
# a comment
kind: provider
name: house
spec:
  kind: vllm
  base_url: http://10.0.0.7:8000/v1
  credentials:
    - {value: '${SET}', weight: 2}
  headers: {X-Team: \"$${literal}\"}
---
kind: models
environment: staging
spec:
  slug: house-model
  provider: house
  input_price: 0.10
  output_price: 3
  capabilities: [tools]
";

#[test]
fn reads_several_documents() {
    let documents = good("a.yaml", TWO);
    let seen: Vec<_> = documents.iter().map(|d| (d.kind, &*d.environment, &*d.name, d.origin.line)).collect();
    assert_eq!(
        seen,
        [(Kind::Provider, "default", "house", Some(2)), (Kind::Model, "staging", "house-model", Some(11))]
    );
    let spec = |index: usize| Value::Object(documents[index].spec.clone());
    assert_eq!(
        spec(0),
        serde_json::json!({
            "kind": "vllm", "base_url": "http://10.0.0.7:8000/v1",
            "credentials": [{"value": "from-the-environment", "weight": 2}], "headers": {"X-Team": "${literal}"},
        })
    );
    assert_eq!(
        spec(1),
        serde_json::json!({
            "slug": "house-model", "provider": "house", "input_price": "0.10", "output_price": 3,
            "capabilities": ["tools"],
        }),
        "a price is kept as it was written"
    );
}

#[test]
fn reads_the_same_from_toml_and_json() {
    let toml = "kind = \"key\"\nname = \"k\"\n\n[spec]\nteam = \"t\"\nexpires_at = 2027-01-31T00:00:00Z\n[spec.labels]\na = \"b\"\n";
    let json = "{\n\t\"kind\": \"key\",\n\t\"name\": \"k\",\n\t\"spec\": {\"team\": \"t\", \"labels\": {\"a\": \"b\"}, \"expires_at\": \"2027-01-31T00:00:00Z\"}\n}\n";
    let yaml = "kind: key\nname: k\nspec: {team: t, labels: {a: b}, expires_at: 2027-01-31T00:00:00Z}\n";
    for (file, text) in [("a.toml", toml), ("a.json", json), ("a.yml", yaml)] {
        let documents = good(file, text);
        let Typed::Key(spec) = &documents[0].typed else { panic!("a key") };
        assert_eq!((spec.team.as_deref(), spec.expires_at.map(|t| t.0)), (Some("t"), Some(1_801_353_600)), "{file}");
        assert_eq!(spec.labels.get("a").map(String::as_str), Some("b"), "{file}");
    }
}

#[test]
fn json_escapes_are_json() {
    let documents = good("a.json", r#"{"kind": "prompt", "name": "p", "spec": {"text": "\ud83d\ude00 \/ \u00e9\n"}}"#);
    assert_eq!(documents[0].spec["text"], "😀 / é\n");
}

#[test]
fn names_what_is_missing_or_unknown() {
    check(
        "a.yaml",
        "spec: {}\n",
        &[
            "a.yaml:1: kind: missing (one of environment, provider, model, team, plan, key, fallback, guardrail, prompt, limit, webhook, alert, byok, route)",
        ],
    );
    check("a.yaml", "kind: provder\nname: a\nspec: {}\n", &["a.yaml:1: kind: unknown kind (did you mean provider?)"]);
    check("a.yaml", "kind: key\nspec: {}\n", &["a.yaml:1: name: missing (the name of the key)"]);
    check(
        "a.yaml",
        "kind: team\nname: a\n",
        &["a.yaml:1: spec: missing (write spec: {} when there is nothing to say)"],
    );
    check("a.yaml", "kind: team\nname: a\nspec: [1]\n", &["a.yaml:3: spec: expected a mapping, found a list"]);
    check("a.yaml", "- 1\n", &["a.yaml:1: expected a resource with kind, name and spec, found a list"]);
    check(
        "a.yaml",
        "kind: team\nname: a\nspecs: {}\nspec: {descripton: x}\n",
        &[
            "a.yaml:3: specs: unknown setting (a resource has kind, environment, name and spec)",
            "a.yaml:4: teams.a.descripton: unknown setting (did you mean description?)",
        ],
    );
    check(
        "a.yaml",
        "kind: environment\nname: a\nenvironment: b\nspec: {}\n",
        &["a.yaml:3: environment: an environment belongs to no other one (leave this out)"],
    );
    check(
        "a.yaml",
        "kind: 7\nname: a\nspec: {}\n",
        &["a.yaml:1: kind: expected a string in quotes, found a whole number"],
    );
}

#[test]
fn names_every_faulty_part_with_its_line() {
    check(
        "a.yaml",
        "kind: provider\nname: a\nspec:\n  timeout_ms: -1\n  enabled: yes\n  credentials:\n    - value: x\n      wait: 2\n    - value: [1]\n      weight: many\n    - just-text\n  headers:\n    a: b\n    c: 1.5\n",
        &[
            "a.yaml:4: providers.a.timeout_ms: expected a whole number that is not negative, found a negative number",
            "a.yaml:5: providers.a.enabled: expected true or false, found a string",
            "a.yaml:8: providers.a.credentials[0].wait: unknown setting (one of name, value, weight)",
            "a.yaml:9: providers.a.credentials[1].value: expected a string in quotes, found a list",
            "a.yaml:10: providers.a.credentials[1].weight: expected a whole number that is not negative, found a string",
            "a.yaml:11: providers.a.credentials[2]: expected a mapping, found a string",
            "a.yaml:14: providers.a.headers.c: expected a string in quotes, found a decimal number",
        ],
    );
}

#[test]
fn names_flaws_of_the_form() {
    check(
        "a.yaml",
        "kind: team\nname: a\nkind: key\nspec: {}\n",
        &["a.yaml:3: kind is written twice: the first time on line 1"],
    );
    check(
        "a.yaml",
        "kind: team\nname: !!str a\nspec: {}\n",
        &["a.yaml:2: a tag is not read here (leave out what begins with !)"],
    );
    check("a.yaml", "kind: team\n? [a]\n: b\n", &["a.yaml:2: the name of a member is not text"]);
    check(
        "a.yaml",
        "kind: team\nname: a\nspec:\n  <<: {a: b}\n",
        &["a.yaml:4: teams.a.<<: unknown setting (merge keys are not read: write the members out)"],
    );
    check("a.yaml", "\n\n# nothing\n---\n", &["a.yaml: warning: holds no resource"]);
    check("a.yaml", "", &["a.yaml: warning: holds no resource"]);
    check("a.toml", "", &["a.toml: warning: holds no resource"]);
    check(
        "a.yaml",
        "kind: team\nname: ${UNSET}\nspec: {}\n",
        &["a.yaml:2: name: environment variable UNSET is not set"],
    );
}

#[test]
fn a_flaw_in_one_document_does_not_hide_the_next() {
    let text = "kind: team\nname: a\n\tspec: {}\n---\nkind: team\nname: b\nspec: {x: 1}\n---\nkind: team\nname: [\n--- # good\nkind: team\nname: d\nspec: {}\n";
    let resources = parsed("a.yaml", text);
    let lines: Vec<_> = resources.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines.len(), 3, "{:?}", resources.problems);
    assert_eq!(lines[1], Some(7));
    assert!(resources.problems[0].message.starts_with("not YAML: "), "{}", resources.problems[0]);
    assert_eq!(resources.problems[0].hint.as_deref(), Some("line 3 is indented with a tab: use spaces"));
    assert_eq!(resources.documents.len(), 1);
    assert_eq!(resources.documents[0].origin.line, Some(12));
}

#[test]
fn three_hundred_faults_are_all_named() {
    let mut text = String::new();
    for number in 0..300 {
        text.push_str(&format!("---\nkind: provider\nname: p{number}\nspec:\n  bas_url: x\n"));
    }
    let problems = parsed("a.yaml", &text).problems;
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, (0..300).map(|number| number * 5 + 5).collect::<Vec<_>>());
    let list: String = (0..300).map(|number| format!("    - {{weight: x{number}}}\n")).collect();
    let text = format!("kind: provider\nname: p\nspec:\n  credentials:\n{list}");
    let lines: Vec<_> = parsed("a.yaml", &text).problems.iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, (5..305).collect::<Vec<_>>());
}

#[test]
fn no_message_repeats_a_value() {
    let text = "kind: provider\nname: a\nspec:\n  api_key: [sk-secret]\n  timeout_ms: sk-secret\n  credentials: sk-secret\n  headers: [sk-secret]\n";
    for problem in parsed("a.yaml", text).problems {
        assert!(!problem.to_string().contains("sk-secret"), "{problem}");
    }
}

#[test]
fn aliases_stand_for_values_but_not_for_millions() {
    let documents = good("a.yaml", "kind: fallback\nspec:\n  model: &m a\n  fallbacks: [b, *m]\n");
    assert_eq!(documents[0].spec["fallbacks"], serde_json::json!(["b", "a"]));
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ('b'..='i').zip('a'..) {
        bomb.push_str(&format!("{this}: &{this} [{}]\n", vec![format!("*{last}"); 9].join(", ")));
    }
    check("a.yaml", &bomb, &["a.yaml:5: anchors and aliases stand for more than 50000 values"]);
    let mut nested = String::from("a: &a x\n");
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    for (this, last) in names.iter().zip(std::iter::once("a".to_owned()).chain(names.iter().cloned())) {
        nested.push_str(&format!("{this}: &{this} [*{last}]\n"));
    }
    check("a.yaml", &nested, &["a.yaml:65: more than 64 levels deep"]);
    check("a.yaml", &["[".repeat(70), "]".repeat(70)].concat(), &["a.yaml:1: more than 64 levels deep"]);
    assert_eq!(parsed("a.yaml", &"[".repeat(100_000)).problems.len(), 1);
    check("a.yaml", "a: &a [*a]\n", &["a.yaml:1: an alias inside of what it stands for"]);
}

#[test]
fn deep_toml_is_refused() {
    let problems = parsed("a.toml", &format!("a = {}", "[".repeat(100_000))).problems;
    assert!(!problems.is_empty());
    let problems = parsed("a.toml", &format!("[{}]", vec!["a"; 50_000].join("."))).problems;
    assert!(!problems.is_empty());
}

#[test]
fn the_same_resource_in_two_files_names_both() {
    let folder = std::env::temp_dir().join(format!("crossway-resources-{}", std::process::id()));
    let write = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let team = |name: &str| format!("# a team\nkind: team\nname: {name}\nspec: {{}}\n");
    write("a.yaml", team("one").as_bytes());
    write("b/c.yml", team("one").as_bytes());
    write("b/d.toml", b"kind = \"team\"\nname = \"two\"\n[spec]\n");
    write(".hidden.yaml", b"[");
    write(".git/x.yaml", b"[");
    write("notes.txt", b"[");
    write("bad.yaml", b"kind: team\nname: \xff\n");
    write("in.yaml", b"");
    std::fs::remove_file(folder.join("in.yaml")).unwrap();
    std::os::unix::fs::symlink("b/d.toml", folder.join("in.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("out.yaml")).unwrap();
    std::os::unix::fs::symlink(".", folder.join("loop")).unwrap();
    let resources = read(&[PathBuf::from("r"), PathBuf::from("r/a.yaml")], &folder, &|_| None);
    assert_eq!(resources.problems[0].to_string(), "r: cannot be read: there is no such file or folder");
    let name = folder.display().to_string();
    let resources = read(&[folder.clone(), folder.join("a.yaml")], Path::new("/"), &|_| None);
    std::fs::remove_dir_all(&folder).unwrap();
    let mut problems: Vec<String> =
        resources.problems.iter().map(|problem| problem.to_string().replace(&name, "r")).collect();
    problems.sort();
    assert_eq!(
        problems,
        [
            "r/b/c.yml:2: teams.one: written twice: also at r/a.yaml:2 (keep one of them)",
            "r/bad.yaml:2: cannot be read: not UTF-8",
            "r/out.yaml: warning: left out: the link leads out of the folder (name the file itself with -f)",
        ]
    );
    assert_eq!(resources.files.len(), 3);
    assert_eq!(resources.documents.len(), 3);
}

#[test]
fn files_are_written_as_people_write_them() {
    let spec = serde_json::json!({
        "kind": "openai", "base_url": "https://api.example.com/v1", "enabled": true, "timeout_ms": 1000, "headers": {},
        "credentials": [{"weight": 2, "value": "a: b"}], "on": ["429", "5xx"], "text": "one\n  two\n\nthree\n",
        "labels": {"a b": "yes", "price": "0.10"},
    });
    let Value::Object(spec) = spec else { panic!("an object") };
    let resource =
        write::Writable { kind: "provider", environment: Some("default"), name: "up", spec: &spec, comments: &[] };
    let yaml = "kind: provider\nenvironment: default\nname: up\nspec:\n  kind: openai\n  base_url: \"https://api.example.com/v1\"\n  enabled: true\n  timeout_ms: 1000\n  headers: {}\n  credentials:\n    - {weight: 2, value: \"a: b\"}\n  \"on\": [\"429\", \"5xx\"]\n  text: |\n    one\n      two\n\n    three\n  labels:\n    \"a b\": \"yes\"\n    price: \"0.10\"\n";
    assert_eq!(write::yaml(&resource), yaml);
    let toml = "kind = \"provider\"\nenvironment = \"default\"\nname = \"up\"\n\n[spec]\nkind = \"openai\"\nbase_url = \"https://api.example.com/v1\"\nenabled = true\ntimeout_ms = 1000\nheaders = {}\ncredentials = [{ weight = 2, value = \"a: b\" }]\non = [\"429\", \"5xx\"]\ntext = \"one\\n  two\\n\\nthree\\n\"\nlabels = { \"a b\" = \"yes\", price = \"0.10\" }\n";
    assert_eq!(write::toml(&resource), toml);
}

#[test]
fn every_field_is_on_the_page_of_its_kind() {
    use super::super::fields::fields_of;
    use crate::spec::provider::{CredentialSpec, ProviderSpec};
    use crate::spec::{alert, environment, fallback, guardrail, key, limit, model, plan, prompt, route, team, webhook};

    let check = |page: &str, fields: &[&str]| {
        assert!(!fields.is_empty());
        let path = format!("{}/../../docs/resources/{page}.md", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        for field in fields {
            assert!(text.contains(&format!("`{field}`")), "{field} is not on the page of the {page}");
        }
    };
    check("environment", fields_of::<environment::EnvironmentSpec>());
    check("environment", fields_of::<environment::RetentionSpec>());
    check("environment", fields_of::<environment::BillingSpec>());
    check("provider", fields_of::<ProviderSpec>());
    check("provider", fields_of::<CredentialSpec>());
    check("model", fields_of::<model::ModelSpec>());
    check("team", fields_of::<team::TeamSpec>());
    check("key", fields_of::<key::KeySpec>());
    check("fallback", fields_of::<fallback::FallbackSpec>());
    check("guardrail", fields_of::<guardrail::GuardrailSpec>());
    check("prompt", fields_of::<prompt::PromptSpec>());
    check("limit", fields_of::<limit::LimitSpec>());
    check("plan", fields_of::<plan::PlanSpec>());
    check("webhook", fields_of::<webhook::WebhookSpec>());
    check("alert", fields_of::<alert::AlertSpec>());
    check("route", fields_of::<route::RouteSpec>());
    check("route", fields_of::<route::StrategySpec>());
    check("route", fields_of::<route::TargetSpec>());
    let index = std::fs::read_to_string(format!("{}/../../docs/resources.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for kind in Kind::ALL {
        assert!(index.contains(&format!("(resources/{}.md)", kind.name())), "{}", kind.name());
    }
}

#[test]
fn the_examples_of_the_pages_are_without_faults() {
    for kind in Kind::ALL {
        let path = format!("{}/../../docs/resources/{}.md", env!("CARGO_MANIFEST_DIR"), kind.name());
        let text = std::fs::read_to_string(path).unwrap();
        let example = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let resources = parse("example.yaml", example, &|_| Some("value".to_owned()));
        assert_eq!(resources.problems, [], "{}", kind.name());
        assert!(resources.documents.iter().any(|document| document.kind == kind));
    }
}

mod law {
    use proptest::prelude::*;

    use super::*;

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("kind: provider\n"),
            Just("name: a\n"),
            Just("spec:\n"),
            Just("  api_key: x\n"),
            Just("---\n"),
            Just("- "),
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(": "),
            Just("&a "),
            Just("*a "),
            Just("? "),
            Just("!!str "),
            Just("'"),
            Just("\""),
            Just("\t"),
            Just("  "),
            Just("\n"),
            Just("| \n"),
            Just("%YAML 1.2\n"),
            Just("...\n"),
            Just("${SET}"),
            Just("${"),
            Just("# x\n"),
            Just("<<: *a\n"),
            Just("\u{feff}"),
            Just("\r\n"),
            Just("credentials:\n"),
            Just("[spec]\n"),
            Just("kind = \"key\"\n"),
            Just("1e999"),
            Just("-0x7"),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in prop_oneof![any::<String>(), pieces()], end in "(yaml|toml|json)") {
            let file = format!("a.{end}");
            let resources = parsed(&file, &text);
            let lines = text.lines().count() + 1;
            for problem in &resources.problems {
                prop_assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{}: {}", problem, text);
            }
            prop_assert!(!resources.documents.is_empty() || !resources.problems.is_empty());
        }

        #[test]
        fn what_is_written_is_read_back(
            name in "[^\u{0}-\u{1f}\u{7f}]{1,12}",
            texts in proptest::collection::btree_map("[ -~]{1,8}", prop_oneof![any::<String>(), "( |x|\n|\\$|\\{|#|-|:|yes|0x1){0,12}"], 0..5),
            list in proptest::collection::vec(any::<String>(), 0..3),
            number in any::<i64>(),
        ) {
            let mut spec = Map::new();
            spec.insert("labels".into(), texts.iter().map(|(n, t)| (n.clone(), Value::from(t.as_str()))).collect());
            spec.insert("cost_tags".into(), list.iter().map(|text| Value::from(text.as_str())).collect());
            spec.insert("description".into(), texts.values().next().map_or("", String::as_str).into());
            spec.insert("expires_at".into(), Value::from(number.unsigned_abs() % 4_000_000_000));
            let comments = ["a comment\nof two lines".to_owned()];
            let resource =
                write::Writable { kind: "key", environment: Some("default"), name: &name, spec: &spec, comments: &comments };
            for (file, text) in [("a.yaml", write::yaml(&resource)), ("a.toml", write::toml(&resource))] {
                let read = parsed(file, &text);
                prop_assert!(read.problems.is_empty(), "{:?} in {}", read.problems, text);
                prop_assert_eq!(&read.documents[0].name, &name, "{}", text);
                prop_assert_eq!(&read.documents[0].spec, &spec, "{}", text);
            }
        }

        #[test]
        fn what_is_written_as_json_is_read_back(names in proptest::collection::btree_map("[a-zA-Z_]{1,8}", any::<String>(), 0..6)) {
            let labels: Map<String, Value> =
                names.iter().map(|(name, text)| (name.clone(), Value::String(text.replace("${", "$${")))).collect();
            let document = serde_json::json!({"kind": "key", "name": "k", "spec": {"labels": labels}});
            let resources = parsed("a.json", &document.to_string());
            prop_assert!(resources.problems.is_empty(), "{:?} in {}", resources.problems, document);
            let Some(Typed::Key(spec)) = resources.documents.first().map(|document| &document.typed) else {
                return Err(TestCaseError::fail("a key"));
            };
            prop_assert_eq!(&spec.labels, &names);
        }
    }
}

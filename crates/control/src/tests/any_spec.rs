//! Every kind, and specs that nobody chose: the examples of the documentation with parts of them replaced. The examples
//! themselves are taken; whatever else is sent is taken whole or refused whole, and no message repeats what may be a secret.

use std::fs;

use policy::load::resources::parse;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Map;

use super::*;
use crate::kind::{ENVIRONMENTS, KINDS};

/// What stands for every secret; no refusal and no read-back repeats it.
const CANARY: &str = "canary-5f1c0d9e-8b62";

/// Returns the specs that the page of a kind shows.
fn examples(plural: &str) -> Vec<Spec> {
    let folder = format!("{}/../../docs/resources", env!("CARGO_MANIFEST_DIR"));
    let mut specs = Vec::new();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for example in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let read = parse("page.yaml", example, &|_| Some(CANARY.to_owned()));
            for mut document in read.documents.into_iter().filter(|one| one.kind.plural() == plural) {
                if plural == "fallbacks" {
                    document.spec.entry("model").or_insert(document.name.into());
                }
                specs.push(document.spec);
            }
        }
    }
    specs
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("60s"),
            Just("10 seconds"),
            Just("-1"),
            Just("1e999"),
            Just("0x7f.1"),
            Just("month"),
            Just("http://[::1"),
            Just("http://169.254.169.254/"),
            Just("10.0.0.0/33"),
            Just("2026-02-30T00:00:00Z"),
            Just("${HOME}"),
            Just("a\0b"),
            Just("model:x"),
            Just("provider:none"),
            Just("*"),
            Just(CANARY),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// One change: at which place, counted through the document, and what stands there then. Without a value it goes.
type Twist = (usize, Option<Value>, bool);

/// Replaces, removes or adds something at a place.
fn twist(spec: &mut Spec, (at, value, unknown): &Twist) {
    if *unknown {
        spec.insert("unknwon".to_owned(), value.clone().unwrap_or(Value::Null));
        return;
    }
    let names: Vec<String> = spec.keys().cloned().collect();
    let Some(name) = names.get(at % names.len().max(1)) else { return };
    let slot = spec.get_mut(name).unwrap();
    match (slot, at / 7 % 3) {
        (Value::Array(items), 0) if !items.is_empty() => {
            let index = at / 3 % items.len();
            if let (Value::Object(members), true) = (&mut items[index], at % 2 == 0) {
                twist(members, &(at / 5, value.clone(), false));
            } else {
                items[index] = value.clone().unwrap_or(Value::Null);
            }
        }
        (Value::Object(members), 0 | 1) if !members.is_empty() => twist(members, &(at / 5, value.clone(), false)),
        (slot, _) => match value {
            Some(value) => *slot = value.clone(),
            None => _ = spec.shift_remove(name),
        },
    }
}

/// What the pages' examples refer to.
fn world(kind: &str) -> Rig {
    let rig = Rig::new();
    for provider in ["openai", "house", "house-2"] {
        rig.provider(provider);
    }
    for model in ["house-model", "small-model", "house-large", "house-small"].into_iter().filter(|_| kind != "models") {
        let spec = json!({"slug": model, "provider": "house", "input_price": 1, "output_price": 2});
        rig.create("models", model, spec).unwrap();
    }
    for key in ["support", "trial"].into_iter().filter(|_| kind != "keys") {
        rig.create("keys", key, json!({})).unwrap();
    }
    for team in ["data", "search"] {
        rig.create("teams", team, json!({})).unwrap();
    }
    rig
}

#[test]
fn whatever_is_written_is_taken_whole_or_refused_whole() {
    let mut told = 0;
    for kind in &KINDS {
        let examples = examples(kind.plural);
        // That every kind has a page with an example is a test of the files' readers.
        if examples.is_empty() {
            continue;
        }
        let rig = world(kind.plural);
        let strategy = (
            0..examples.len(),
            proptest::collection::vec(
                (0..1_000_usize, proptest::option::of(anything()), prop::bool::weighted(0.1)),
                0..4,
            ),
            any::<bool>(),
        );
        let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
        let taken = std::cell::Cell::new(0);
        let law = |(example, twists, replace): (usize, Vec<Twist>, bool)| {
            let mut spec = examples[example].clone();
            twists.iter().for_each(|change| twist(&mut spec, change));
            one(&rig, kind.plural, spec, replace, &taken)
        };
        for (number, example) in examples.iter().enumerate() {
            law((number, Vec::new(), true)).unwrap();
            assert_eq!(taken.get(), number + 1, "{}: a page shows what is refused: {example:?}", kind.plural);
        }
        TestRunner::new(config).run(&strategy, law).unwrap_or_else(|error| panic!("{}: {error}", kind.plural));
        told += 1;
    }
    assert!(told > 10, "{told} kinds have examples");
}

fn one(rig: &Rig, kind: &str, spec: Spec, replace: bool, taken: &std::cell::Cell<usize>) -> Result<(), TestCaseError> {
    let environment = if kind == ENVIRONMENTS { "" } else { "default" };
    let before = rig.plane.export(&operator(), "default").unwrap();
    let name = format!("n{}", taken.get());
    let draft = Draft { name: Some(name.clone()), spec: spec.clone() };
    let made = rig.plane.create(&operator(), environment, kind, draft);
    let refusal = match made {
        Ok(created) => {
            taken.set(taken.get() + 1);
            let text = serde_json::to_string(&created.resource.spec).unwrap();
            prop_assert!(
                kind != "providers" || !text.contains(CANARY) || !spec_holds_canary_only_in_secrets(&spec),
                "{}",
                text
            );
            if replace {
                // What was read can be written back, and says the same.
                let read = created.resource.spec.clone();
                let again = rig.plane.replace(&operator(), environment, kind, &name, read.clone(), Expect::Any);
                match again {
                    Ok(resource) => prop_assert_eq!(resource.spec, read),
                    Err(refusal) => return Err(TestCaseError::fail(format!("{refusal:?} {spec:?}"))),
                }
            }
            let gone = rig.plane.delete(&operator(), environment, kind, &name, Expect::Any);
            prop_assert!(gone.is_ok(), "{:?}", gone);
            prop_assert_eq!(rig.plane.export(&operator(), "default").unwrap(), before);
            return Ok(());
        }
        Err(refusal) => refusal,
    };
    prop_assert!(!matches!(refusal, Refusal::Unavailable(_)), "{:?}", refusal);
    prop_assert!(!refusal.to_string().is_empty());
    if let Refusal::Invalid(problems) = &refusal {
        prop_assert!(!problems.is_empty());
        for problem in problems {
            prop_assert!(!problem.to_string().contains('\n'), "{}", problem);
        }
    }
    prop_assert_eq!(rig.plane.export(&operator(), "default").unwrap(), before);
    Ok(())
}

/// A canary that was put where no secret belongs is read back like everything else.
fn spec_holds_canary_only_in_secrets(spec: &Spec) -> bool {
    let mut open = spec.clone();
    for secret in ["api_key", "credentials", "headers"] {
        open.shift_remove(secret);
    }
    !serde_json::to_string(&open).unwrap().contains(CANARY)
}

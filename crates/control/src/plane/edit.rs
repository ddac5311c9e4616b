//! What documents become: names, secrets that stay, patches; and whether something may be removed.

use std::sync::Arc;

use ir::id::ResourceId;
use ir::plain::{is_invisible, is_unsafe, joins};
use policy::problem::Problem;
use policy::snapshot::Snapshot;
use serde_json::Value;
use store::resources::ResourceReader;

use super::write::stored_environment;
use crate::document::{self, Document};
use crate::files::Files;
use crate::kind::secrets::{self, Secrets};
use crate::kind::{ENVIRONMENTS, KEYS, Kind, references};
use crate::refusal::Refusal;
use crate::resource::{Draft, Spec};
use crate::set::{Documents, Tools};

/// How many of those who use a thing are named.
const NAMED: usize = 10;

/// The longest name, in characters.
const NAME_CHARACTERS: usize = 128;

/// The longest name of kinds that are named after a model, which may bear its provider's name too.
const MODEL_NAME_CHARACTERS: usize = 264;

/// Returns the name of a document that is to be.
pub(super) fn name_of(
    kind: &Kind,
    environment: &str,
    draft: &Draft,
    taken: impl Fn(&str) -> bool,
) -> Result<String, Refusal> {
    let text = |field: &str| draft.spec.get(field).and_then(Value::as_str).map(str::to_owned);
    let given = draft.name.clone();
    let name = given.or_else(|| {
        let name = kind.name_field.and_then(text)?;
        match text("provider").filter(|_| taken(&name)) {
            Some(provider) => Some(format!("{provider}/{name}")),
            None => Some(name),
        }
    });
    let Some(name) = name else {
        let hint = kind.name_field.map(|field| format!("or write spec.{field}"));
        let problem = Problem::new(document::label(kind, environment, ""), "name", "missing").maybe_hint(hint);
        return Err(Refusal::Invalid(vec![problem]));
    };
    match name_fault(kind, &name) {
        None => Ok(name),
        Some(fault) => Err(Refusal::Invalid(vec![Problem::new(document::label(kind, environment, ""), "name", fault)])),
    }
}

/// Returns what is wrong with a name. Kinds that are compiled may be stricter.
pub(super) fn name_fault(kind: &Kind, name: &str) -> Option<&'static str> {
    let characters = name.chars().count();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let longest = if kind.name_field.is_some() { MODEL_NAME_CHARACTERS } else { NAME_CHARACTERS };
    if characters == 0 || characters > longest || name.chars().any(char::is_control) {
        return Some("a name has 1 to 128 characters (264 if it is a model's) and no control characters");
    }
    if name.chars().any(is_unsafe) {
        return Some("a name holds no characters that turn the direction of writing or break lines");
    }
    let mut before = ' ';
    let unseen = |c: char| {
        // Scripts and emoji have joiners between their own characters; after an ASCII one it joins nothing.
        let last = std::mem::replace(&mut before, c);
        is_invisible(c) && (!joins(c) || last.is_ascii())
    };
    if name.chars().any(unseen) {
        return Some("a name holds no characters that nobody sees: two names that look alike would be two things");
    }
    if name.trim() != name {
        return Some("a name neither begins nor ends with a space");
    }
    if matches!(name, "." | "..") {
        return Some("`.` and `..` are no names: in the path of a URL they mean something else");
    }
    if kind.plural == "limits" && name == "effective" {
        return Some("reserved: limits/effective lists what binds a key");
    }
    if ResourceId::parse(name).is_some() {
        return Some("a name does not look like an id");
    }
    if kind.plural == ENVIRONMENTS && (name.len() > 63 || !name.bytes().all(plain) || name.starts_with(['.', '_', '-']))
    {
        return Some("not a name: 1 to 63 lower-case letters, digits, dots, dashes or underscores");
    }
    None
}

/// Returns a new document.
pub(super) fn made(
    kind: &'static Kind,
    environment: &str,
    name: String,
    mut spec: Spec,
    now_ms: u64,
    tools: &Tools,
) -> Result<Document, Refusal> {
    let secrets = secrets::take(kind, &mut spec);
    let mut document = Document {
        kind,
        environment: stored_environment(kind, environment),
        id: ResourceId::new(now_ms),
        name,
        version: 1,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        spec: without_nulls(kind, spec),
        sealed: std::collections::BTreeMap::new(),
    };
    seal(&mut document, &secrets, tools)?;
    Ok(document)
}

/// Returns a document with another spec. Secrets that the spec wants and does not give stay as they are.
pub(super) fn changed(before: &Document, mut spec: Spec, now_ms: u64, tools: &Tools) -> Result<Document, Refusal> {
    let given = secrets::take(before.kind, &mut spec);
    let wanted = secrets::wanted(before.kind, &spec);
    let stays = |path: &String| wanted.contains(path) && !given.contains_key(path);
    let kept = before.sealed.iter().filter(|(path, _)| stays(path)).map(|(path, text)| (path.clone(), text.clone()));
    let mut after = Document {
        version: before.version + 1,
        updated_at_ms: now_ms,
        spec: without_nulls(before.kind, spec),
        sealed: kept.collect(),
        ..before.clone()
    };
    seal(&mut after, &given, tools)?;
    Ok(after)
}

/// Seals secrets into a document.
///
/// # Errors
/// When one is nothing but `${NAME}`: a variable of whoever runs `crossway apply`, which this process does not know.
fn seal(document: &mut Document, secrets: &Secrets, tools: &Tools) -> Result<(), Refusal> {
    const WHY: &str =
        "`${…}` stands for a variable where `crossway apply` reads a file; here the value itself is wanted";
    let unread = secrets.iter().filter(|(_, secret)| secrets::is_variable(secret));
    let problems: Vec<_> =
        unread.map(|(path, _)| Problem::new(document.label(), format!("spec.{path}"), WHY)).collect();
    if !problems.is_empty() {
        return Err(Refusal::Invalid(problems));
    }
    document.seal(secrets, &tools.master).map_err(store::StoreError::from)?;
    Ok(())
}

/// Returns whether two versions of a document say the same, secrets included.
pub(super) fn same(one: &Document, other: &Document, tools: &Tools) -> bool {
    let opened = |document: &Document| -> Secrets { document.open(&tools.master, &mut Vec::new()) };
    one.spec == other.spec && opened(one) == opened(other)
}

/// Merges a patch into a spec (RFC 7396). A secret that the patch clears stays null, so that it is not kept.
pub(super) fn patched(kind: &Kind, spec: &Spec, patch: Spec) -> Spec {
    let cleared: Vec<String> = kind
        .secrets
        .iter()
        .filter_map(|path| match path {
            secrets::SecretPath::Field(field) => Some((*field).to_owned()),
            _ => None,
        })
        .filter(|field| patch.get(field).is_some_and(Value::is_null))
        .collect();
    let mut merged = spec.clone();
    merge(&mut merged, patch);
    merged.extend(cleared.into_iter().map(|field| (field, Value::Null)));
    merged
}

fn merge(target: &mut Spec, patch: Spec) {
    for (name, value) in patch {
        match value {
            Value::Null => _ = target.shift_remove(&name),
            Value::Object(patch) => {
                let slot = target.entry(name).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Spec::new());
                }
                if let Value::Object(target) = slot {
                    merge(target, patch);
                }
            }
            value => _ = target.insert(name, value),
        }
    }
}

/// Null says that a member is absent, but for the members that stand for secrets.
pub(super) fn without_nulls(kind: &Kind, mut spec: Spec) -> Spec {
    spec.retain(|_, value| !value.is_null());
    for path in kind.secrets {
        if let secrets::SecretPath::Each { list, .. } = path {
            let items = spec.get_mut(*list).and_then(Value::as_array_mut);
            for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
                item.retain(|_, value| !value.is_null());
            }
        }
    }
    spec
}

/// Checks that nothing uses a document that goes. `documents` and `snapshot` are what would be left.
pub(super) fn check_unused(
    gone: &Arc<Document>,
    documents: &Documents,
    files: Option<&Files>,
    snapshot: Option<&Snapshot>,
    reader: &dyn ResourceReader,
) -> Result<(), Refusal> {
    let kind = gone.kind.plural;
    // Another of the name takes its place.
    if files.is_some_and(|files| files.hides(documents, kind, &gone.name)) {
        return Ok(());
    }
    let lost = lost_names(gone, snapshot);
    let mut by: Vec<String> = Vec::new();
    for other in documents.values() {
        if other.references().iter().any(|reference| reference.kind == kind && lost.contains(&reference.name)) {
            by.push(format!("{} {}", other.kind.singular, other.name));
        }
    }
    for written in referring_kinds(kind) {
        for (name, entry) in files.into_iter().flat_map(|files| files.of_kind(documents, written.plural)) {
            let found = references::of(written, name, &entry.spec);
            if found.iter().any(|reference| reference.kind == kind && lost.contains(&reference.name)) {
                by.push(format!("{} {name} ({})", written.singular, entry.place()));
            }
        }
    }
    // What keys lose without harm does not forbid it.
    let kept = lost.iter().filter(|_| references::cleared_in_keys(gone.kind).is_none());
    for name in kept {
        let keys = reader.referrers(gone.about(), kind, name, NAMED)?;
        by.extend(keys.iter().filter(|other| other.kind == KEYS).map(|other| format!("key {}", other.name)));
    }
    by.dedup();
    by.truncate(NAMED);
    if by.is_empty() {
        return Ok(());
    }
    Err(Refusal::InUse { what: format!("{} {}", gone.kind.singular, gone.name), by })
}

fn referring_kinds(kind: &str) -> impl Iterator<Item = &'static Kind> {
    crate::kind::KINDS.iter().filter(move |other| other.references.iter().any(|rule| rule.kind == kind))
}

/// Returns the names that mean nothing any more when a document is gone, as they are compared.
fn lost_names(gone: &Document, snapshot: Option<&Snapshot>) -> Vec<String> {
    let text = |field: &str| gone.spec.get(field).and_then(Value::as_str);
    match gone.kind.plural {
        // A provider's own name is never given up silently: keys that name it would mean another one.
        "providers" => {
            let kind = text("kind").filter(|kind| snapshot.is_none_or(|s| s.provider_named(kind).is_none()));
            let names = std::iter::once(gone.name.as_str()).chain(kind);
            names.map(|name| references::normal("providers", name)).collect()
        }
        // The catalogue, or another provider, may still know a model's name.
        "models" => {
            let slug = text("slug").unwrap_or(&gone.name);
            let mut names = vec![gone.name.clone(), slug.to_owned()];
            names.extend(text("provider").map(|provider| format!("{provider}/{slug}")));
            let aliases = gone.spec.get("aliases").and_then(Value::as_array);
            names.extend(aliases.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            names.retain(|name| snapshot.is_none_or(|snapshot| snapshot.resolve(name).is_empty()));
            names.iter().map(|name| references::normal("models", name)).collect()
        }
        "teams" | "plans" | "webhooks" | crate::kind::BYOK => vec![gone.name.clone()],
        _ => Vec::new(),
    }
}

/// Returns the documents that name a key.
pub(super) fn users_of_key(documents: &Documents, key: &str) -> Vec<String> {
    let names = |document: &&Arc<Document>| {
        document.references().iter().any(|reference| reference.kind == KEYS && reference.name == key)
    };
    documents.values().filter(names).map(|document| format!("{} {}", document.kind.singular, document.name)).collect()
}

//! A resource as the control plane keeps it: what can be shown, and its secrets, sealed.

use std::collections::BTreeMap;

use ir::id::ResourceId;
use policy::problem::{Origin, Problem};
use policy::spec::Specs;
use serde_json::Value;
use store::resources::row::{Labels, Reference, Row};
use store::seal::{MasterKey, SealError};

use crate::kind::secrets::{self, Secrets};
use crate::kind::{ENVIRONMENTS, Incoming, Kind, references};
use crate::resource::Spec;

/// A resource of any kind but keys.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) kind: &'static Kind,
    /// Empty for an environment.
    pub(crate) environment: String,
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) created_at_ms: u64,
    pub(crate) updated_at_ms: u64,
    /// What can be shown.
    pub(crate) spec: Spec,
    /// The secrets by their paths, sealed.
    pub(crate) sealed: BTreeMap<String, String>,
}

impl Document {
    /// Reads a stored document. One that is not JSON says nothing, which the compiler complains about.
    pub(crate) fn of_row(kind: &'static Kind, row: Row) -> Self {
        let mut spec: Spec = serde_json::from_str(&row.spec).unwrap_or_else(|_| {
            tracing::error!(component = "control", kind = kind.plural, name = %row.name, "A stored document is damaged");
            Spec::new()
        });
        let sealed = secrets::take(kind, &mut spec);
        let sealed = sealed.into_iter().map(|(path, text)| (path, text.expose().to_owned())).collect();
        Self {
            kind,
            environment: row.environment,
            id: row.id,
            name: row.name,
            version: row.version,
            created_at_ms: row.created_at_ms,
            updated_at_ms: row.updated_at_ms,
            spec,
            sealed,
        }
    }

    /// Returns the document as it is stored.
    pub(crate) fn row(&self) -> Row {
        let mut spec = self.spec.clone();
        secrets::put_back(self.kind, &mut spec, |path| self.sealed.get(path).cloned());
        Row {
            kind: self.kind.plural.to_owned(),
            environment: self.environment.clone(),
            id: self.id,
            name: self.name.clone(),
            version: self.version,
            schema: 1,
            spec: Value::Object(spec).to_string(),
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
            revoked_at_ms: None,
            labels: Labels::default(),
        }
    }

    /// Returns what it refers to.
    pub(crate) fn references(&self) -> Vec<Reference> {
        references::of(self.kind, &self.name, &self.spec)
    }

    /// Returns the environment that it says something about: its own name for an environment.
    pub(crate) fn about(&self) -> &str {
        about(self.kind, &self.environment, &self.name)
    }

    /// Returns how it is called in problems.
    pub(crate) fn label(&self) -> String {
        label(self.kind, &self.environment, &self.name)
    }

    /// Seals secrets into the document.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn seal(&mut self, secrets: &Secrets, master: &MasterKey) -> Result<(), SealError> {
        for (path, secret) in secrets {
            let sealed = master.seal(&self.place(path), secret)?;
            self.sealed.insert(path.clone(), sealed);
        }
        Ok(())
    }

    /// Opens the document's secrets; a secret that cannot be opened is reported.
    pub(crate) fn open(&self, master: &MasterKey, problems: &mut Vec<Problem>) -> Secrets {
        let mut opened = Secrets::new();
        for (path, sealed) in &self.sealed {
            match master.open(&self.place(path), sealed) {
                Ok(secret) => _ = opened.insert(path.clone(), secret),
                Err(error) => problems.push(Problem::new(self.label(), format!("spec.{path}"), error.to_string())),
            }
        }
        opened
    }

    /// Reads the document into the specs of its environment.
    pub(crate) fn add_to(&self, specs: &mut Specs, master: &MasterKey, problems: &mut Vec<Problem>) {
        let secrets = self.open(master, problems);
        read(self.kind, &self.name, Origin::new(self.label(), "spec"), &self.spec, &secrets, specs, problems);
    }

    /// Where a secret belongs: sealed text that is moved elsewhere cannot be opened there.
    fn place(&self, path: &str) -> String {
        format!("{}\n{}\n{}\n{path}", self.kind.plural, self.environment, self.id)
    }
}

/// Reads a spec and its secrets into the specs of an environment.
pub(crate) fn read(
    kind: &Kind,
    name: &str,
    mut origin: Origin,
    shown: &Spec,
    secrets: &Secrets,
    specs: &mut Specs,
    problems: &mut Vec<Problem>,
) {
    let mut spec = shown.clone();
    secrets::put_back(kind, &mut spec, |path| secrets.get(path).map(|secret| secret.expose().to_owned()));
    for path in secrets::wanted(kind, &spec) {
        if let Some(member) = path.strip_prefix("headers.") {
            problems.push(origin.problem(&path, "missing: nothing is stored for it"));
            origin.broken.insert(path.clone());
            if let Some(headers) = spec.get_mut("headers").and_then(Value::as_object_mut) {
                headers.shift_remove(member);
            }
        }
    }
    (kind.add)(Incoming { name, spec: &spec, origin, problems }, specs);
    // What is taken out is wiped.
    drop(secrets::take(kind, &mut spec));
}

/// Returns the environment that a resource says something about.
pub(crate) fn about<'a>(kind: &Kind, environment: &'a str, name: &'a str) -> &'a str {
    if kind.plural == ENVIRONMENTS { name } else { environment }
}

/// Returns how a document is called in problems.
pub(crate) fn label(kind: &Kind, environment: &str, name: &str) -> String {
    if environment.is_empty() {
        format!("{}/{name}", kind.plural)
    } else {
        format!("{environment}/{}/{name}", kind.plural)
    }
}

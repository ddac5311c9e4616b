//! What the configuration file and the environment variables say, as resources that nobody can change here.

use std::collections::BTreeMap;

use ir::id::ResourceId;
use policy::problem::Origin;
use policy::spec::Specs;

use crate::kind::{ENVIRONMENTS, KINDS};
use crate::resource::Spec;
use crate::set::Documents;

/// The environment that the file describes.
pub(crate) const FILE_ENVIRONMENT: &str = "default";

/// What a configuration file says.
#[derive(Default)]
pub(crate) struct Files {
    written: Specs,
    /// Whether the demo provider only stands in while there is no other.
    stand_in: bool,
    entries: BTreeMap<(&'static str, String), FileEntry>,
}

/// A resource that a file holds.
#[derive(Clone)]
pub(crate) struct FileEntry {
    pub(crate) id: ResourceId,
    pub(crate) spec: Spec,
    pub(crate) origin: Origin,
    pub(crate) version: u64,
    pub(crate) read_at_ms: u64,
}

impl FileEntry {
    /// Returns where it is written, for people.
    pub(crate) fn place(&self) -> String {
        match self.origin.line {
            Some(line) => format!("{}:{line}", self.origin.file),
            None if &*self.origin.file == "environment" => "the environment variables".to_owned(),
            None => self.origin.file.to_string(),
        }
    }
}

impl Files {
    /// Takes over what was read. Entries that were there before keep counting their versions.
    pub(crate) fn new(written: Specs, stand_in: bool, before: &Self, now_ms: u64) -> Self {
        let mut entries = BTreeMap::new();
        for kind in &KINDS {
            for filed in (kind.of_file)(&written) {
                let name = if kind.plural == ENVIRONMENTS { FILE_ENVIRONMENT.to_owned() } else { filed.name };
                let key = (kind.plural, name);
                let (version, read_at_ms) = match before.entries.get(&key) {
                    Some(before) if before.spec == filed.spec => (before.version, before.read_at_ms),
                    Some(before) => (before.version + 1, now_ms),
                    None => (1, now_ms),
                };
                let id = id_of(kind.plural, &key.1);
                entries.insert(key, FileEntry { id, spec: filed.spec, origin: filed.origin, version, read_at_ms });
            }
        }
        Self { written, stand_in, entries }
    }

    /// Returns what is written, as it applies beside the stored documents.
    pub(crate) fn specs(&self, documents: &Documents) -> Specs {
        let mut specs = self.written.clone();
        if self.stand_in && !self.stands_in(documents) {
            specs.providers.retain(|entry| entry.name != "demo");
        }
        specs
    }

    /// Returns whether the demo stands in, because no other provider is there.
    pub(crate) fn stands_in(&self, documents: &Documents) -> bool {
        let enabled = |spec: &Spec| spec.get("enabled").and_then(serde_json::Value::as_bool) != Some(false);
        self.stand_in && !documents.values().any(|other| other.kind.plural == "providers" && enabled(&other.spec))
    }

    /// Returns an entry that applies beside the stored documents.
    pub(crate) fn get(&self, documents: &Documents, kind: &'static str, name: &str) -> Option<&FileEntry> {
        let stands = |entry: &&FileEntry| !self.is_stand_in(kind, entry) || self.stands_in(documents);
        self.entries.get(&(kind, name.to_owned())).filter(stands)
    }

    /// Returns the entries of a kind that apply beside the stored documents.
    pub(crate) fn of_kind<'a>(
        &'a self,
        documents: &Documents,
        kind: &'static str,
    ) -> impl Iterator<Item = (&'a str, &'a FileEntry)> {
        let stands = self.stands_in(documents);
        self.entries
            .iter()
            .filter(move |((other, _), entry)| *other == kind && (stands || !self.is_stand_in(kind, entry)))
            .map(|((_, name), entry)| (name.as_str(), entry))
    }

    /// Returns whether an entry is used instead of a stored document of the same name.
    pub(crate) fn hides(&self, documents: &Documents, kind: &'static str, name: &str) -> bool {
        self.get(documents, kind, name).is_some()
    }

    /// Returns whether an entry gives way to a stored document of the same name.
    pub(crate) fn yields(&self, kind: &'static str, name: &str) -> bool {
        self.entries.get(&(kind, name.to_owned())).is_some_and(|entry| self.is_stand_in(kind, entry))
    }

    fn is_stand_in(&self, kind: &str, entry: &FileEntry) -> bool {
        self.stand_in && kind == "providers" && entry.origin.path == "providers.demo"
    }
}

/// Returns the id of an entry: always the same for the same kind and name. It bears the instant 0, so that lists begin
/// with the file, and version 8 (RFC 9562 section 5.8), so that no stored resource has it.
fn id_of(kind: &str, name: &str) -> ResourceId {
    // FNV-1a with 128 bits: enough for names that an operator chose.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in kind.bytes().chain([b'/']).chain(name.bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let hash = (hash & 0x0000_0000_0000_0fff_3fff_ffff_ffff_ffff) | 0x0000_0000_0000_8000_8000_0000_0000_0000;
    ResourceId(hash.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_names_and_come_first() {
        assert_eq!(id_of("providers", "openai"), id_of("providers", "openai"));
        assert_ne!(id_of("providers", "openai"), id_of("providers", "openai2"));
        assert_ne!(id_of("providers", "openai"), id_of("models", "openai"));
        assert!(id_of("z", "z") < ResourceId::new(1));
    }
}

//! Reads the embedded vendor files. A file that does not parse is left out; a test makes sure that none is.

use std::sync::Arc;

use crate::vendor::Vendor;

/// The embedded files: name and text.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/vendors.rs"));

/// Every vendor that is known, in alphabetical order of kinds.
#[derive(Clone, Debug)]
pub struct Vendors {
    rows: Vec<Arc<Vendor>>,
}

impl Vendors {
    /// Returns the vendors of `data/providers`.
    pub fn builtin() -> Self {
        let mut rows: Vec<Arc<Vendor>> = Vec::with_capacity(FILES.len());
        for (name, text) in FILES {
            match parse(text) {
                Ok(vendor) => rows.push(Arc::new(vendor)),
                Err(error) => debug_assert!(false, "{name}: {error}"),
            }
        }
        rows.sort_by(|a, b| a.kind.cmp(&b.kind));
        Self { rows }
    }

    /// Returns the vendor of a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<Vendor>> {
        self.rows.iter().find(|vendor| &*vendor.kind == kind)
    }

    /// Returns every vendor, in alphabetical order of kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vendor>> {
        self.rows.iter()
    }
}

/// Reads one vendor file.
///
/// # Errors
/// When it is not TOML, or not a vendor.
pub fn parse(text: &str) -> Result<Vendor, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ir::dialect::{Dialect, Quirk};

    use super::*;

    #[test]
    fn every_file_is_a_vendor_named_like_it() {
        assert!(FILES.len() >= 25);
        for (name, text) in FILES {
            let vendor = parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(*name, format!("{}.toml", vendor.kind));
        }
        let kinds: BTreeSet<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(kinds.len(), Vendors::builtin().iter().count());
    }

    #[test]
    fn every_address_is_encrypted_or_local() {
        for vendor in Vendors::builtin().iter() {
            let Some(base) = vendor.base_url.as_deref() else { continue };
            let local = base.starts_with("http://127.0.0.1:") || base == "demo:";
            assert!(base.starts_with("https://") || local, "{}", vendor.kind);
            assert!(!base.ends_with('/'), "{}", vendor.kind);
            assert!(vendor.chat_path.starts_with('/'), "{}", vendor.kind);
        }
    }

    #[test]
    fn every_vendor_links_its_documentation() {
        for vendor in Vendors::builtin().iter() {
            let link = &vendor.documentation;
            assert!(link.starts_with("https://") || &*vendor.kind == "demo", "{}", vendor.kind);
        }
    }

    #[test]
    fn departures_are_consistent() {
        let forms = [Quirk::ReasoningContent, Quirk::Reasoning, Quirk::ReasoningParts, Quirk::ReasoningDetails];
        for vendor in Vendors::builtin().iter() {
            let departs = !vendor.quirks.is_empty() || !vendor.refuses.is_empty();
            assert!(!departs || vendor.dialect == Dialect::OpenaiChat, "{}: only this dialect knows any", vendor.kind);
            let ways = vendor.quirks.iter().filter(|quirk| forms.contains(quirk)).count();
            assert!(ways <= 1, "{}: thoughts go back in one form", vendor.kind);
            let paths: BTreeSet<&str> = vendor.refuses.iter().map(|path| &**path).collect();
            assert_eq!(paths.len(), vendor.refuses.len(), "{}: a path twice", vendor.kind);
            let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
            assert!(paths.iter().all(|path| path.split('.').all(is_name)), "{}: a path that is none", vendor.kind);
        }
    }

    #[test]
    fn credential_variables_are_unique() {
        let all = Vendors::builtin();
        let mut seen = BTreeSet::new();
        for variable in all.iter().filter_map(|vendor| vendor.credential_env.as_deref()) {
            assert!(seen.insert(variable), "{variable}");
        }
    }
}

//! What a backup says about itself: its last entry.

use std::io::{self, Read};

use ir::civil::rfc3339;
use serde::{Deserialize, Serialize};
use store::backup::Digest;

use crate::cli::Failure;

/// The name of the manifest in a backup.
pub const MANIFEST: &str = "manifest.json";

/// The folder of the journal, in a data directory and in a backup.
pub const JOURNAL: &str = "journal";

/// The name of the file with the master key, in a data directory and in a backup.
pub const MASTER_KEY: &str = "master.key";

/// The version of the format. It is raised when a backup can no longer be read by an older version of the product.
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    format: u32,
    /// The version of the product that wrote it.
    crossway: String,
    /// When it was begun, RFC 3339 in UTC.
    pub created_at: String,
    /// Where the master key is.
    pub master_key: MasterKeyNote,
    /// The files in it, but for this one.
    pub files: Vec<Packed>,
}

/// Where the master key is, without which keys and credentials are of no use.
#[derive(Debug, Serialize, Deserialize)]
pub struct MasterKeyNote {
    /// Whether it is in the backup.
    pub included: bool,
    /// Whether it lay in the data directory, not in the environment or the configuration file.
    pub in_data_dir: bool,
    /// What tells it from others: the first half of a SHA-256 of it.
    pub fingerprint: Option<String>,
}

/// One file of a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its path in the data directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Returns the manifest of a backup that is being made.
    pub fn new(now_ms: u64, master_key: MasterKeyNote, files: Vec<Packed>) -> Self {
        let crossway = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, crossway, created_at: rfc3339(now_ms), master_key, files }
    }

    /// Returns the text of the manifest.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which does not happen.
    pub fn to_json(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is none, or one of a newer format.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let manifest: Self = serde_json::from_str(text).map_err(|_| "its manifest cannot be read: it is damaged")?;
        if manifest.format > FORMAT {
            return Err(format!("it was written by crossway {}: upgrade crossway", manifest.crossway).into());
        }
        Ok(manifest)
    }

    /// Says what has to be there besides the backup.
    pub fn needed_to_restore(&self) -> String {
        let note = &self.master_key;
        match (note.included, note.in_data_dir) {
            (true, _) => {
                "The master key is in it: whoever has the file has every key and credential. Keep it like one."
            }
            (false, true) => {
                "The master key is NOT in it. To restore, have master.key of the data directory too: keep a copy of it \
                 in another place, or make the backup with --include-master-key."
            }
            (false, false) => {
                "The master key is NOT in it. To restore, set it as it is set now (CROSSWAY_MASTER_KEY or master_key)."
            }
        }
        .to_owned()
    }
}

/// Returns what tells a master key from others, without saying anything about it.
pub fn fingerprint(key: &str) -> String {
    let mut digest = Digest::default();
    digest.update(b"crossway master key fingerprint v1\n");
    digest.update(key.trim().to_ascii_lowercase().as_bytes());
    digest.finish().chars().take(32).collect()
}

/// A reader that sums up what goes through it.
pub struct Summing<R> {
    from: R,
    bytes: u64,
    digest: Digest,
}

impl<R: Read> Summing<R> {
    /// Wraps a reader.
    pub fn new(from: R) -> Self {
        Self { from, bytes: 0, digest: Digest::default() }
    }

    /// Returns how many bytes went through, and their SHA-256.
    pub fn finish(self) -> (u64, String) {
        (self.bytes, self.digest.finish())
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused() {
        let note = MasterKeyNote { included: false, in_data_dir: true, fingerprint: None };
        let text = Manifest::new(0, note, Vec::new()).to_json().unwrap();
        assert!(Manifest::parse(&text).is_ok());
        let refused = Manifest::parse(&text.replace("\"format\": 1", "\"format\": 2")).unwrap_err().to_string();
        assert!(refused.ends_with("upgrade crossway"), "{refused}");
        assert!(Manifest::parse("{}").is_err());
    }

    #[test]
    fn fingerprints_tell_keys_apart_however_they_are_written() {
        assert_eq!(fingerprint("AB\n"), fingerprint("ab"));
        assert_ne!(fingerprint("ab"), fingerprint("ac"));
        assert_eq!(fingerprint("ab").len(), 32);
    }
}

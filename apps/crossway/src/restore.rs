//! `crossway restore`: a backup becomes a data directory, whole or not at all.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write as _, stdout};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use store::backup::{check, databases};
use tar::Archive;

use crate::assemble::prepare_data_dir;
use crate::backup::manifest::{JOURNAL, MANIFEST, MASTER_KEY, Manifest, Packed, Summing, fingerprint};
use crate::cli::{ConfigArgs, Failure};

/// The folder in which a backup is unpacked and checked before it counts.
const UNPACKED: &str = ".restoring";

/// The largest manifest that is read, in bytes.
const MANIFEST_LIMIT: u64 = 16 << 20;

/// Restores a backup into the configured data directory, which has to be empty.
///
/// # Errors
/// When the directory is not empty, and when the backup is damaged or cannot be read or written; then the directory is
/// as empty as before.
pub fn restore(config: &ConfigArgs, from: &Path) -> Result<ExitCode, Failure> {
    let settings = config.read(false)?.settings;
    let data_dir = &settings.data_dir;
    let file = File::open(from).map_err(|error| format!("cannot open {}: {error}", from.display()))?;
    prepare_data_dir(data_dir)?;
    refuse_what_is_there(data_dir)?;
    let unpacked = Unpacked(data_dir.join(UNPACKED));
    let manifest = unpack(file, &unpacked.0).map_err(|error| explain(&error, from))?;
    let given = settings.master_key.as_ref().map(|key| key.expose());
    refuse_another_key(given, &manifest)?;
    for name in databases().filter(|name| unpacked.0.join(name).exists()) {
        check(&unpacked.0.join(name))?;
    }
    take_over(&unpacked.0, data_dir)?;
    drop(unpacked);
    let mut out = stdout().lock();
    writeln!(out, "{}: restored what was backed up at {}", data_dir.display(), manifest.created_at)?;
    if !manifest.master_key.included && given.is_none() {
        let place = data_dir.join(MASTER_KEY);
        writeln!(
            out,
            "The master key was not in the backup. Before the first start put it into {} (mode 0600), or set \
             CROSSWAY_MASTER_KEY: without it no API key and no stored credential works.",
            place.display()
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(error: &Failure, from: &Path) -> Failure {
    let full = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::StorageFull);
    let why = if full { "no room is left on the disk".to_owned() } else { error.to_string() };
    format!("{} was not restored: {why}", from.display()).into()
}

/// A lock that an earlier process left, and what an interrupted restore left, are nothing.
fn refuse_what_is_there(data_dir: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        if name == UNPACKED {
            fs::remove_dir_all(data_dir.join(UNPACKED))?;
        } else if name != "lock" && name != "lost+found" {
            let (directory, name) = (data_dir.display(), name.display());
            let message = format!("{directory} is not empty ({name}): restore into another directory, or move it away");
            return Err(message.into());
        }
    }
    Ok(())
}

fn refuse_another_key(given: Option<&str>, manifest: &Manifest) -> Result<(), Failure> {
    let (Some(given), Some(wanted)) = (given, &manifest.master_key.fingerprint) else { return Ok(()) };
    if fingerprint(given) == *wanted {
        return Ok(());
    }
    Err("the master key that is set (CROSSWAY_MASTER_KEY or master_key) is not the one of this backup: set that one, or \
         unset it and put master.key into the data directory afterwards"
        .into())
}

/// The folder of what is not checked yet; it goes away with this.
struct Unpacked(PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        // There is nothing to do about a folder that cannot be removed; the next restore tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks a backup and compares it with its manifest.
fn unpack(from: File, to: &Path) -> Result<Manifest, Failure> {
    DirBuilder::new().mode(0o700).create(to)?;
    DirBuilder::new().mode(0o700).create(to.join(JOURNAL))?;
    let (mut seen, mut manifest) = (HashMap::new(), None);
    let cut = |error: io::Error| -> Failure {
        match error.kind() {
            ErrorKind::StorageFull => error.into(),
            _ => format!("it is no backup, or a damaged one ({error})").into(),
        }
    };
    for entry in Archive::new(from).entries().map_err(cut)? {
        let mut entry = entry.map_err(cut)?;
        let name = entry.path().map_err(cut)?.to_string_lossy().into_owned();
        if name == MANIFEST {
            let mut text = String::new();
            entry.by_ref().take(MANIFEST_LIMIT).read_to_string(&mut text).map_err(cut)?;
            manifest = Some(Manifest::parse(&text)?);
            continue;
        }
        if !is_expected(&name) || !entry.header().entry_type().is_file() {
            return Err(format!("it holds {name:?}, which is no part of a backup").into());
        }
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to.join(&name))?;
        let mut summing = Summing::new(entry);
        io::copy(&mut summing, &mut target).map_err(cut)?;
        target.sync_all()?;
        let (bytes, sha256) = summing.finish();
        seen.insert(name.clone(), Packed { path: name, bytes, sha256 });
    }
    let manifest = manifest.ok_or("it has no manifest: it was cut short")?;
    let listed = manifest.files.iter().all(|file| seen.get(&file.path) == Some(file));
    if !listed || seen.len() != manifest.files.len() {
        return Err("its files are not those that its manifest names: it is damaged".into());
    }
    Ok(manifest)
}

/// Returns whether a backup has such a file; nothing else is ever written.
fn is_expected(name: &str) -> bool {
    let segment = |name: &str| {
        name.strip_suffix(".seg")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    match name.strip_prefix("journal/") {
        Some(file) => segment(file),
        None => name == MASTER_KEY || databases().any(|database| database == name),
    }
}

/// Moves everything to its place. The control database comes last: without it there is nothing to serve.
fn take_over(unpacked: &Path, data_dir: &Path) -> Result<(), Failure> {
    let names = [JOURNAL, MASTER_KEY].into_iter().chain(databases());
    for name in names.filter(|name| unpacked.join(name).exists()) {
        let target = data_dir.join(name);
        fs::rename(unpacked.join(name), &target)
            .map_err(|error| format!("cannot write {}: {error}", target.display()))?;
    }
    File::open(data_dir)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_a_backup_is_written() {
        for name in ["control.db", "records.db", "master.key", "journal/0123abcd.seg"] {
            assert!(is_expected(name), "{name}");
        }
        for name in ["", "../control.db", "/etc/passwd", "journal/../x.seg", "journal/.seg", "journal/a.b.seg", "lock"]
        {
            assert!(!is_expected(name), "{name}");
        }
    }
}

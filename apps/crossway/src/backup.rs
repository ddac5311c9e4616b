//! `crossway backup`: one file with everything that a data directory knows, made while the gateway runs.
//!
//! The journal's segments are copied first, then what happened, then what is configured: a request that is settled in
//! between is then in at least one of the copies, and recovery records none twice. The manifest comes last, so that a
//! file without one is known to be cut short.

pub mod manifest;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write as _, stdout};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use policy::clock::Clock;
use store::backup::{CopyError, check, copy, databases};
use tar::{Builder, EntryType, Header};

use self::manifest::{JOURNAL, MANIFEST, MASTER_KEY, Manifest, MasterKeyNote, Packed, Summing, fingerprint};
use crate::cli::{ConfigArgs, Failure};

/// What is kept of the zeros that end a segment: more than the end mark of its entries.
const KEPT_ZEROS: u64 = 64;

/// How much of a segment is looked at in one go, in bytes.
const CHUNK: usize = 64 << 10;

/// Makes a backup.
///
/// # Errors
/// When the file exists, the data directory holds nothing, or something cannot be read or written; then no file is
/// left behind.
pub fn backup(config: &ConfigArgs, to: &Path, include_master_key: bool) -> Result<ExitCode, Failure> {
    let settings = config.read(false)?.settings;
    if to.exists() {
        return Err(format!("{} exists already: name another file, or remove it", to.display()).into());
    }
    if !settings.data_dir.join("control.db").exists() {
        let directory = settings.data_dir.display();
        return Err(format!("there is nothing to back up in {directory}: name the right configuration").into());
    }
    let given = settings.master_key.as_ref().map(|key| key.expose());
    if include_master_key && given.is_some() {
        let message = "the master key is not in the data directory but in CROSSWAY_MASTER_KEY or the configuration \
                       file: leave out --include-master-key, and keep the key where it is kept now";
        return Err(message.into());
    }
    let staged = Staged::new(to);
    let packed = pack(&settings.data_dir, &staged, given, include_master_key).map_err(|error| explain(error, to))?;
    staged.finish(to).map_err(|error| explain(error.into(), to))?;
    let mut out = stdout().lock();
    writeln!(out, "{}: {} files, {} bytes", to.display(), packed.files.len(), fs::metadata(to)?.len())?;
    writeln!(out, "{}", packed.needed_to_restore())?;
    Ok(ExitCode::SUCCESS)
}

/// Says what a failure means for the one who waits for the file.
fn explain(error: Failure, to: &Path) -> Failure {
    let full = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::StorageFull)
        || matches!(error.downcast_ref::<CopyError>(), Some(CopyError::Full));
    if full {
        let message =
            format!("{} was not written: no room is left on the disk, and nothing was left behind", to.display());
        return message.into();
    }
    match error.downcast::<io::Error>() {
        Ok(error) => format!("{} was not written: {error}", to.display()).into(),
        Err(other) => other,
    }
}

/// The files that are written before there is a backup; they go away with this.
struct Staged {
    tar: PathBuf,
    database: PathBuf,
}

impl Staged {
    fn new(to: &Path) -> Self {
        let beside = |what: &str| {
            let name = to.file_name().unwrap_or_default().to_string_lossy();
            to.with_file_name(format!(".{name}.{}.{what}", std::process::id()))
        };
        Self { tar: beside("partial"), database: beside("database") }
    }

    /// Makes the written file the backup.
    fn finish(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.tar, to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What is not there any more has become the backup.
        let _ = fs::remove_file(&self.tar);
        let _ = fs::remove_file(&self.database);
        let _ = fs::remove_file(self.database.with_added_extension("journal"));
    }
}

/// Returns a new file that nobody else can read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn pack(data_dir: &Path, staged: &Staged, given_key: Option<&str>, with_key: bool) -> Result<Manifest, Failure> {
    let now = Clock::system().unix_ms();
    let mut packer = Packer { tar: Builder::new(private(&staged.tar)?), files: Vec::new(), mtime: now / 1_000 };
    for path in segments(data_dir)? {
        packer.segment(&path)?;
    }
    for file in databases() {
        drop(private(&staged.database)?);
        if copy(data_dir, file, &staged.database)? {
            check(&staged.database)?;
            let opened = File::open(&staged.database)?;
            let bytes = opened.metadata()?.len();
            packer.add(file, bytes, opened)?;
        }
        fs::remove_file(&staged.database)?;
    }
    let note = master_key(data_dir, given_key, with_key, &mut packer)?;
    let manifest = Manifest::new(now, note, std::mem::take(&mut packer.files));
    let text = manifest.to_json()?;
    packer.add(MANIFEST, text.len() as u64, text.as_bytes())?;
    let file = packer.tar.into_inner()?;
    file.sync_all()?;
    Ok(manifest)
}

/// Adds the master key when it is wanted, and says which one it is.
fn master_key(
    data_dir: &Path,
    given: Option<&str>,
    included: bool,
    packer: &mut Packer,
) -> Result<MasterKeyNote, Failure> {
    if let Some(given) = given {
        return Ok(MasterKeyNote { included: false, in_data_dir: false, fingerprint: Some(fingerprint(given)) });
    }
    let path = data_dir.join(MASTER_KEY);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !included => {
            return Ok(MasterKeyNote { included: false, in_data_dir: true, fingerprint: None });
        }
        Err(error) => return Err(format!("cannot read {}: {error}", path.display()).into()),
    };
    if included {
        packer.add(MASTER_KEY, text.len() as u64, text.as_bytes())?;
    }
    Ok(MasterKeyNote { included, in_data_dir: true, fingerprint: Some(fingerprint(&text)) })
}

/// Returns the journal's segments, oldest names first.
fn segments(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(data_dir.join(JOURNAL)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    found.sort();
    Ok(found)
}

/// Writes entries and notes what they are.
struct Packer {
    tar: Builder<File>,
    files: Vec<Packed>,
    mtime: u64,
}

impl Packer {
    fn add(&mut self, path: &str, bytes: u64, from: impl Read) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(self.mtime);
        header.set_size(bytes);
        let mut summing = Summing::new(from.take(bytes));
        self.tar.append_data(&mut header, path, &mut summing)?;
        let (read, sha256) = summing.finish();
        if read != bytes {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{path} became shorter while it was read")));
        }
        self.files.push(Packed { path: path.to_owned(), bytes, sha256 });
        Ok(())
    }

    /// Adds a segment without most of the zeros that its room is made of. One that is gone has been recorded.
    fn segment(&mut self, path: &Path) -> io::Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = used(&file)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.add(&format!("{JOURNAL}/{name}"), bytes, file)
    }
}

/// Returns how much of a file is used: up to its last byte that is not zero, and a few more.
fn used(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let wanted = usize::try_from(end - start).unwrap_or(CHUNK);
        let part = chunk.get_mut(..wanted).unwrap_or_default();
        file.read_exact_at(part, start)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            return Ok((start + last as u64 + 1 + KEPT_ZEROS).min(length));
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_cut_behind_what_it_holds() {
        let path = std::env::temp_dir().join(format!("crossway-used-{}", std::process::id()));
        let check = |bytes: &[u8], expect: u64| {
            fs::write(&path, bytes).unwrap();
            assert_eq!(used(&File::open(&path).unwrap()).unwrap(), expect);
        };
        check(b"", 0);
        check(&[0; 100], 0);
        check(&[1], 1);
        let mut long = vec![0; 3 * CHUNK + 7];
        long[5] = 1;
        check(&long, 6 + KEPT_ZEROS);
        long[2 * CHUNK + 9] = 1;
        check(&long, 2 * CHUNK as u64 + 10 + KEPT_ZEROS);
        let last = long.len() - 2;
        long[last] = 1;
        check(&long, long.len() as u64);
        fs::remove_file(&path).unwrap();
    }
}

//! The seam to the disk: what the journal asks of a file system, and the real one.
//!
//! It is a seam so that a test can make the disk full or broken at run time, which no real disk does on request.

use std::any::Any;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;

/// A file system that holds segments.
pub trait Disk: Send + Sync {
    /// Creates the directory, private to its owner, when it does not exist, and keeps other processes out of it until the value is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process holds it, or what the system says.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;

    /// Creates a file of zeros whose room is taken, so that writing within it cannot find the disk full.
    ///
    /// # Errors
    /// When there is no room; then no file is left behind.
    fn create_segment(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn SegmentFile>>;

    /// Returns the files of the directory, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Returns at most `length` bytes from an offset; fewer at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>>;

    /// Removes a file; one that does not exist is no error.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A segment that can be written.
pub trait SegmentFile: Send + Sync {
    /// Writes all bytes at an offset. They survive the death of the process.
    ///
    /// # Errors
    /// What the system says; then any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Waits until everything written is on the disk. It then survives a power loss.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join("lock"))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }

    fn create_segment(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Err(error) = allocate(&file, bytes).and_then(|()| sync_directory(path)) {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl SegmentFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Takes the room, by writing zeros where the file system cannot reserve it.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        other => return Ok(other?),
    }
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(ZEROS.len());
        FileExt::write_all_at(file, ZEROS.get(..length).unwrap_or(&ZEROS), at)?;
        at += length as u64;
    }
    Ok(())
}

/// The file's name has to survive a power loss as well as its content.
fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

//! A disk that fails when it is told to: full, or broken. It wraps another disk and is steered at run time.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;

use super::disk::{Disk, SegmentFile};

/// What is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creating a segment.
    Create,
    /// Writing an entry.
    Write,
    /// Waiting for the disk.
    Sync,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `ENOSPC`: no space left on the device.
    NoSpace,
    /// `EIO`: the device failed. A write that fails like this leaves half of its bytes behind.
    Broken,
}

/// A disk whose operations can be made to fail.
#[derive(Clone)]
pub struct FaultyDisk {
    disk: Arc<dyn Disk>,
    switches: Arc<Switches>,
}

#[derive(Default)]
struct Switches {
    create: AtomicI32,
    write: AtomicI32,
    sync: AtomicI32,
}

impl FaultyDisk {
    /// Wraps a disk. Nothing fails until it is told to.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, switches: Arc::default() }
    }

    /// Makes an operation fail from now on, or work again.
    pub fn fail(&self, operation: Operation, fault: Option<Fault>) {
        let code = match fault {
            None => 0,
            Some(Fault::NoSpace) => Errno::NOSPC.raw_os_error(),
            Some(Fault::Broken) => Errno::IO.raw_os_error(),
        };
        self.switches.of(operation).store(code, Ordering::SeqCst);
    }
}

impl Switches {
    fn of(&self, operation: Operation) -> &AtomicI32 {
        match operation {
            Operation::Create => &self.create,
            Operation::Write => &self.write,
            Operation::Sync => &self.sync,
        }
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        match self.of(operation).load(Ordering::SeqCst) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

impl Disk for FaultyDisk {
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.disk.lock(dir)
    }

    fn create_segment(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.switches.check(Operation::Create)?;
        let file = self.disk.create_segment(path, bytes)?;
        Ok(Box::new(FaultyFile { file, switches: Arc::clone(&self.switches) }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }

    fn read(&self, path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.disk.read(path, offset, length)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
}

struct FaultyFile {
    file: Box<dyn SegmentFile>,
    switches: Arc<Switches>,
}

impl SegmentFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let verdict = self.switches.check(Operation::Write);
        if verdict.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::IO.raw_os_error())) {
            let half = bytes.get(..bytes.len() / 2).unwrap_or(bytes);
            self.file.write_at(half, offset)?;
        }
        verdict?;
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.switches.check(Operation::Sync)?;
        self.file.sync()
    }
}

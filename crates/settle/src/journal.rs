//! The journal: append-only segments on disk, between the data plane and the records.
//!
//! Appending is a plain write to a file whose room was taken before: it survives the death of the process at once, and a
//! power loss after the next sync (`sync_interval`, the stated window). Every worker thread has a writer with segments of
//! its own. One background thread prepares segments, syncs them, and retries what a broken disk did not take; its body
//! is [`Journal::tick`]. A segment goes when it is full, all its requests are settled, and all of that is committed.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use policy::clock::{Clock, Monotonic};

use crate::recover::Recovery;
use crate::stop::StopSignal;

use disk::Disk;
use segment::{Header, MIN_SEGMENT_BYTES, Segment};
use writer::{Desk, Shared, Writer};

pub mod batch;
pub mod disk;
pub mod entry;
pub mod faults;
pub mod permit;
pub mod reader;
pub mod segment;
pub mod writer;

/// The longest the background thread rests when nobody wakes it.
const MAX_REST: Duration = Duration::from_millis(100);

/// The shortest, however short the interval between two syncs.
const MIN_REST: Duration = Duration::from_millis(1);

/// How the journal uses the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// The size of a segment, in bytes; too small a value is raised to the smallest that works.
    pub segment_bytes: u64,
    /// What was written longer ago than this survives a power loss.
    pub sync_interval: Duration,
    /// How many empty segments each writer has in reserve; at least 1.
    pub spare_segments: usize,
    /// How many settlements may wait in memory at each writer; beyond that, the drainer reads them from the file.
    pub handover_limit: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            sync_interval: Duration::from_secs(1),
            spare_segments: 1,
            handover_limit: 50_000,
        }
    }
}

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes to it.
    #[error("the journal is in use by another process")]
    InUse,
    /// A segment was written by a newer version of the product.
    #[error("a journal segment has format {found}, newer than this version knows: upgrade crossway")]
    NewerVersion {
        /// The format found.
        found: u16,
    },
    /// The directory cannot be created or read.
    #[error("cannot open the journal")]
    Disk(#[from] io::Error),
}

/// The journal of one process.
pub struct Journal {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    options: JournalOptions,
    clock: Clock,
    shared: Arc<Shared>,
    desks: Mutex<Vec<Arc<Desk>>>,
    segments: Mutex<Vec<Arc<Segment>>>,
    synced_at_ns: AtomicU64,
    /// Keeps other processes out; dropped last, after everything that writes.
    _lock: Box<dyn Any + Send + Sync>,
}

impl Journal {
    /// Opens the journal in `<data_dir>/journal`, and returns it with what earlier processes left there.
    ///
    /// # Errors
    /// When another process uses it, a segment is of a newer version, or the directory cannot be created or read.
    pub fn open(
        data_dir: &Path,
        disk: Arc<dyn Disk>,
        options: JournalOptions,
        clock: Clock,
    ) -> Result<(Arc<Self>, Recovery), JournalError> {
        let dir = data_dir.join("journal");
        let lock = disk.lock(&dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => JournalError::InUse,
            _ => JournalError::Disk(error),
        })?;
        let found = find_segments(&*disk, &dir)?;
        let recovery = Recovery::new(Arc::clone(&disk), found);
        let options = JournalOptions {
            segment_bytes: options.segment_bytes.max(MIN_SEGMENT_BYTES),
            spare_segments: options.spare_segments.max(1),
            ..options
        };
        let journal = Self {
            dir,
            disk,
            options,
            synced_at_ns: AtomicU64::new(clock.now().0),
            clock,
            shared: Arc::default(),
            desks: Mutex::default(),
            segments: Mutex::default(),
            _lock: lock,
        };
        Ok((Arc::new(journal), recovery))
    }

    /// Returns a new writer, for one worker thread. Its first segments are created here; when the disk refuses them, it
    /// gives no permit until the background thread has created them.
    pub fn writer(self: &Arc<Self>) -> Writer {
        let mut desks = lock(&self.desks);
        let number = u16::try_from(desks.len()).unwrap_or(u16::MAX);
        let desk = Arc::new(Desk::new(number, self.options.handover_limit, Arc::clone(&self.shared)));
        desks.push(Arc::clone(&desk));
        drop(desks);
        self.prepare(&desk, self.options.spare_segments + 1);
        Writer(desk)
    }

    /// Returns whether every settlement is on file, segments can be created and the disk can be synced.
    pub fn healthy(&self) -> bool {
        self.shared.unwritten.load(Ordering::Relaxed) == 0
            && !self.shared.create_failed.load(Ordering::Relaxed)
            && !self.shared.sync_failed.load(Ordering::Relaxed)
    }

    /// Returns how many permits were dropped between intent and settlement: a bug of whoever dropped them.
    pub fn lost_permits(&self) -> u64 {
        self.shared.lost_permits.load(Ordering::Relaxed)
    }

    /// Returns how many segments this process holds on the disk, spare ones included.
    pub fn segment_count(&self) -> usize {
        lock(&self.segments).len()
    }

    /// Does once what the background thread does: writes what the disk did not take before, prepares segments, lets go
    /// of those that a burst left behind, and syncs when it is time.
    pub fn tick(&self) {
        let desks = lock(&self.desks).clone();
        for desk in &desks {
            desk.retry();
            self.prepare(desk, self.options.spare_segments);
            seal_idle(desk);
        }
        let since = self.clock.now().since(Monotonic(self.synced_at_ns.load(Ordering::Relaxed)));
        if since >= self.options.sync_interval {
            self.sync();
        }
    }

    /// Waits until everything written is on the disk. A failure makes the journal unhealthy and is tried again.
    pub fn sync(&self) {
        self.synced_at_ns.store(self.clock.now().0, Ordering::Relaxed);
        let segments = lock(&self.segments).clone();
        let mut failed = false;
        for segment in segments {
            if let Err(error) = segment.sync() {
                failed = true;
                tracing::debug!(error = %error, "failed to sync a journal segment");
            }
        }
        report(&self.shared.sync_failed, failed, "the journal cannot be synced to the disk");
    }

    /// Starts the background thread. On the signal it does its work once more, syncs, and ends; give the signal after
    /// the last permit is settled.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(self: &Arc<Self>, stop: Arc<StopSignal>) -> io::Result<JoinHandle<()>> {
        let journal = Arc::clone(self);
        thread::Builder::new().name("journal".into()).spawn(move || journal.run(&stop))
    }

    fn run(&self, stop: &StopSignal) {
        stop.listen();
        *lock(&self.shared.keeper) = Some(thread::current());
        while !stop.is_stopped() {
            self.tick();
            thread::park_timeout(self.options.sync_interval.clamp(MIN_REST, MAX_REST));
        }
        self.tick();
        self.sync();
    }

    /// Brings a writer's reserve up to a number of segments, as far as the disk has room.
    fn prepare(&self, desk: &Desk, target: usize) {
        while desk.wants_spare(target) {
            let (bytes, now_ms) = (self.options.segment_bytes, self.clock.unix_ms());
            match Segment::create(&*self.disk, &self.dir, bytes, desk.number, now_ms) {
                Ok(segment) => {
                    let segment = Arc::new(segment);
                    lock(&self.segments).push(Arc::clone(&segment));
                    report(&self.shared.create_failed, false, "");
                    if !desk.add_spare(Arc::clone(&segment)) {
                        // The journal was closed in the meantime; a blank segment that stays is recovered for nothing.
                        let _ = self.remove(&segment);
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %error, "failed to create a journal segment");
                    return report(&self.shared.create_failed, true, "the journal cannot create segments");
                }
            }
        }
    }

    /// Gives no permit any more, so that every segment may go when what it holds is committed: what is left is what the
    /// next start has to recover.
    pub(crate) fn close(&self) {
        self.desks().iter().for_each(|desk| desk.close());
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Names the thread that is woken when many settlements wait.
    pub(crate) fn wake_on_settlements(&self) {
        *lock(&self.shared.drainer) = Some(thread::current());
    }

    pub(crate) fn desks(&self) -> Vec<Arc<Desk>> {
        lock(&self.desks).clone()
    }

    /// Returns the segments that a condition holds for.
    pub(crate) fn segments_where(&self, condition: impl Fn(&Segment) -> bool) -> Vec<Arc<Segment>> {
        lock(&self.segments).iter().filter(|segment| condition(segment)).map(Arc::clone).collect()
    }

    /// Deletes a segment that is spent and whose watermark is forgotten.
    pub(crate) fn remove(&self, segment: &Segment) -> io::Result<()> {
        self.disk.remove(&segment.path)?;
        lock(&self.segments).retain(|other| other.id != segment.id);
        Ok(())
    }
}

/// A burst of long requests opens segments because of what it reserves, not of what it writes. When it is over, one is
/// enough, and the others may go.
fn seal_idle(desk: &Desk) {
    let mut state = desk.lock();
    let last = state.open.last().map(|segment| segment.id);
    state.open.retain(|segment| {
        let keep = Some(segment.id) == last || !segment.is_idle();
        if !keep {
            segment.seal();
        }
        keep
    });
}

/// Returns the segments in the directory that may hold something, and refuses those of a newer version.
fn find_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut found = disk.list(dir)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    for path in &found {
        if let Header::Newer(found) = segment::read_header(&disk.read(path, 0, segment::HEADER_BYTES)?) {
            return Err(JournalError::NewerVersion { found });
        }
    }
    Ok(found)
}

/// Keeps a state of health, and logs when it changes.
fn report(flag: &std::sync::atomic::AtomicBool, failed: bool, message: &'static str) {
    let before = flag.swap(failed, Ordering::Relaxed);
    match (before, failed) {
        (false, true) => tracing::error!("{message}"),
        (true, false) => tracing::info!("the journal's disk works again"),
        _ => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

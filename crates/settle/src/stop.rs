//! The signal that tells the background threads to finish their work and end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

/// Given once, seen by every thread that listens, at once.
#[derive(Debug, Default)]
pub struct StopSignal {
    stopped: AtomicBool,
    listeners: Mutex<Vec<Thread>>,
}

impl StopSignal {
    /// Tells every listener to stop, those that begin to listen later included.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for thread in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.unpark();
        }
    }

    /// Returns whether the signal was given.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Wakes the current thread when the signal is given.
    pub fn listen(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current());
    }
}

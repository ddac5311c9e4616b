//! What is asked of the store of idempotent requests, until the one task that works takes it.

use std::sync::Arc;

use engine::idempotency::{Claimed, Kept, Name, Wanted};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Inner, lock};

/// The most that waits. It is more than a database that works ever has.
const MOST_WAITING: usize = 4_096;

/// The most that is committed at once.
const AT_ONCE: usize = 128;

/// One thing to do, and who waits for it.
pub(super) enum Op {
    /// Claims a name.
    Claim(Box<Wanted>, oneshot::Sender<Claimed>),
    /// Keeps a reply.
    Keep(Name, Option<Box<Kept>>, oneshot::Sender<()>),
    /// Frees a name.
    Free(Name, oneshot::Sender<()>),
}

impl Op {
    /// Tells whoever waits. A claim that nobody hears of is to be freed.
    pub(super) fn answer(self, said: Option<Claimed>) -> Option<Self> {
        match (self, said) {
            (Self::Claim(_, waiting), Some(claimed)) => match waiting.send(claimed) {
                Err(Claimed::New(name)) => Some(Self::Free(name, oneshot::channel().0)),
                Ok(()) | Err(_) => None,
            },
            (Self::Keep(_, _, waiting) | Self::Free(_, waiting), _) => {
                // Nobody has to wait for it.
                let _ = waiting.send(());
                None
            }
            (Self::Claim(..), None) => None,
        }
    }
}

/// What waits.
#[derive(Default)]
pub(super) struct Queue {
    ops: Vec<Op>,
    /// Whether somebody works.
    working: bool,
}

/// Puts something into the queue, and sees to it that somebody works. What does not fit is refused: whoever waits for it
/// sees that at once.
pub(super) fn put(inner: &Arc<Inner>, op: Op) {
    let refused = {
        let mut queue = lock(&inner.queue);
        if queue.ops.len() < MOST_WAITING {
            queue.ops.push(op);
            if std::mem::replace(&mut queue.working, true) {
                return;
            }
            None
        } else {
            Some(op)
        }
    };
    if let Some(op) = refused {
        if let Op::Keep(name, ..) | Op::Free(name, _) = &op {
            lock(&inner.live).remove(name);
        }
        return;
    }
    let work = Work { inner: Arc::clone(inner), over: false };
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || work.run())),
        // The runtime is gone with the process: nobody is kept from work.
        Err(_) => work.run(),
    }
}

/// The one who works. When it is dropped before it is over, somebody else may.
struct Work {
    inner: Arc<Inner>,
    over: bool,
}

impl Work {
    fn run(mut self) {
        loop {
            let ops: Vec<Op> = {
                let mut queue = lock(&self.inner.queue);
                let some = queue.ops.len().min(AT_ONCE);
                if some == 0 {
                    (queue.working, self.over) = (false, true);
                    return;
                }
                queue.ops.drain(..some).collect()
            };
            self.inner.commit(ops);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // Never begun, or panicked: what waits is taken by whoever asks next.
        lock(&self.inner.queue).working = false;
    }
}

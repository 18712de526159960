//! What wakes a thread that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes one thread.
///
/// Not just by unparking it: between the decision to sleep and the sleep it may run code of others, such as that of an
/// interpreter, or a destructor. If that sleeps too, it takes the wake-up for one of its own. What has rung here stays so until
/// it is heard here.
pub(crate) struct Alarm {
    thread: Thread,
    has_rung: AtomicBool,
}

impl Alarm {
    /// Wakes the calling thread.
    pub(crate) fn here() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), has_rung: AtomicBool::new(false) })
    }

    /// Sleeps until it has rung since the last time, or until the deadline. For the thread that it wakes.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) {
        while !self.has_rung.swap(false, Ordering::Acquire) {
            if !park_until(deadline) {
                return;
            }
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Sleeps until the calling thread is unparked, perhaps for no reason. False if the deadline has passed already.
pub(crate) fn park_until(deadline: Option<Instant>) -> bool {
    match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
        None => thread::park(),
        Some(Duration::ZERO) => return false,
        Some(left) => thread::park_timeout(left),
    }
    true
}

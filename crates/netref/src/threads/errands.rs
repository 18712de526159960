//! What the thread that reads does for others: callbacks of calls, and destructors of what the peer lets go of.
//!
//! They are code of the program's, which may wait for calls, and thus read more of the kind. A peer could exhaust a thread's
//! stack with them. So deeper ones go to the pool.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::call::MAX_NESTING;
use super::{Host, Link};
use crate::running::contained;

thread_local! {
    /// How many the calling thread is in the middle of, one inside the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Pool threads of a link that do them, at most.
const MAX_WORKERS: usize = 32;

/// What is left to the pool.
#[derive(Default)]
pub(super) struct Errands {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    workers: usize,
}

impl<H: Host> Link<H> {
    /// Does it here, or leaves it to the pool.
    pub(super) fn run_errand(self: &Arc<Self>, errand: impl FnOnce() + Send + 'static) {
        if DEPTH.get() < MAX_NESTING {
            return run(errand);
        }
        let mut errands = self.errands();
        errands.waiting.push_back(Box::new(errand));
        if errands.workers < MAX_WORKERS {
            errands.workers += 1;
            drop(errands);
            self.spawn(Self::work_off_errands);
        }
    }

    fn work_off_errands(self: &Arc<Self>) {
        while let Some(errand) = self.next_errand() {
            run(errand);
        }
    }

    /// The next one for a worker, which is none any more if there is none.
    fn next_errand(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut errands = self.errands();
        let next = errands.waiting.pop_front();
        if next.is_none() {
            errands.workers -= 1;
        }
        next
    }

    fn errands(&self) -> MutexGuard<'_, Errands> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(errand: impl FnOnce()) {
    DEPTH.set(DEPTH.get() + 1);
    contained(errand);
    DEPTH.set(DEPTH.get() - 1);
}

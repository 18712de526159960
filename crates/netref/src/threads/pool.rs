//! The pool: threads of the process that run what no waiting thread is due to run.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::memory::Room;
use crate::process::PerProcess;

/// A pool thread ends after idling for as long.
const IDLE: Duration = Duration::from_secs(2);
/// Threads that the pool starts at most: each idle client connection keeps one, to read, and each request that runs long
/// one more. Work beyond that waits its turn.
const MAX_THREADS: usize = 16_384;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

static POOL: PerProcess<Pool> = PerProcess::new();
static ROOM: Room = Room::for_requests();

/// Runs `work` on a pool thread. Work starts in the order in which it is given.
pub(super) fn spawn(work: impl FnOnce() + Send + 'static) {
    let pool = POOL.get();
    let mut state = pool.lock();
    state.work.push_back(Box::new(work));
    if state.idle >= state.work.len() {
        drop(state);
        pool.arrived.notify_one();
    } else if state.threads < MAX_THREADS {
        let others = state.threads;
        state.threads += 1;
        drop(state);
        let room = ROOM.for_one_more(others);
        let start = |starting| {
            let work = || {
                drop(starting);
                POOL.get().work();
            };
            thread::Builder::new().name("netref-pool".into()).spawn(work)
        };
        if room.and_then(start).is_err() {
            // The work stays queued for the threads there are.
            pool.lock().threads -= 1;
        }
    }
}

/// Makes sure that no thread is in the middle of setting up the pool while the process forks.
pub(super) fn prepare_fork() {
    POOL.get();
}

impl Pool {
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                work();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (woken, timeout) =
                self.arrived.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.work.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The pool: threads of the process that run what no waiting thread is due to run, and what may block for the tasks of tokio.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    /// Threads that are kept for work that has yet to be [given](Place::run).
    kept: usize,
}

static POOL: PerProcess<Pool> = PerProcess::new();
static ROOM: Room = Room::for_requests();

/// Runs `work` on a pool thread. Work starts in the order in which it is given. Where there is no thread for it, it waits for one of
/// those there are.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) {
    match place() {
        Ok(place) => place.run(work),
        Err(_) => POOL.get().give(POOL.get().lock(), Box::new(work)),
    }
}

/// A thread of the pool's for work that is yet to be given. If there are as many threads as may be, here or for the system, it waits
/// its turn.
///
/// # Errors
/// If no thread is idle and there is no memory for one more, or there is none at all.
pub(crate) fn place() -> io::Result<Place> {
    let pool = POOL.get();
    let mut state = pool.lock();
    let place = Place(pool);
    state.kept += 1;
    if state.idle < state.work.len() + state.kept && state.threads < MAX_THREADS {
        let others = state.threads;
        state.threads += 1;
        drop(state);
        if let Err(error) = ROOM.spawn(others, "netref-pool", || POOL.get().work()) {
            state = pool.lock();
            state.threads -= 1;
            if state.threads == 0 || error.kind() != io::ErrorKind::WouldBlock {
                drop(state);
                return Err(error);
            }
        }
    }
    Ok(place)
}

/// A thread that is kept, until this is dropped.
pub(crate) struct Place(&'static Pool);

impl Place {
    /// Gives the thread its work.
    pub(crate) fn run(self, work: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock();
        state.kept -= 1;
        self.0.give(state, Box::new(work));
        std::mem::forget(self);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().kept -= 1;
    }
}

/// Makes sure that no thread is in the middle of setting up the pool while the process forks.
pub(crate) fn prepare_fork() {
    POOL.get();
}

impl Pool {
    fn give(&self, mut state: MutexGuard<'_, State>, work: Work) {
        state.work.push_back(work);
        drop(state);
        self.arrived.notify_one();
    }

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
            if timeout.timed_out() && state.work.is_empty() && state.idle >= state.kept {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "in tests, a panic is the report")]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_that_is_kept_is_taken_by_no_other_work() {
        let place = place().unwrap();
        let (release, blocked) = mpsc::channel::<()>();
        spawn(move || {
            let _ = blocked.recv();
        });
        let (report, ran) = mpsc::channel();
        place.run(move || report.send(true).unwrap());
        assert_eq!(ran.recv(), Ok(true));
        drop(release);
    }
}

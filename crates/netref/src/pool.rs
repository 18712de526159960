//! Threads that are used again, for to start one takes as long as several calls.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::memory::Room;
use crate::process::PerProcess;

/// Runs what no waiting thread is due to run, and what may block for the tasks of tokio.
pub(crate) static POOL: Pool = Pool::new("netref-pool", Room::for_requests());

/// A thread ends after idling for as long.
const IDLE: Duration = Duration::from_secs(2);
/// Threads that a pool starts at most: each idle client connection keeps one, to read, and each request that runs long
/// one more.
const MAX_THREADS: usize = 16_384;

type Work = Box<dyn FnOnce() + Send>;

/// Threads for one kind of work.
pub(crate) struct Pool {
    name: &'static str,
    room: Room,
    threads: PerProcess<Threads>,
}

#[derive(Default)]
struct Threads {
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

impl Pool {
    pub(crate) const fn new(name: &'static str, room: Room) -> Self {
        Self { name, room, threads: PerProcess::new() }
    }

    /// Runs `work` on a thread. Work starts in the order in which it is given. Where there is no thread for it, it waits for one of
    /// those there are.
    pub(crate) fn spawn(&'static self, work: impl FnOnce() + Send + 'static) {
        match self.place() {
            Ok(place) => place.run(work),
            Err(_) => self.threads.get().give(self.threads.get().lock(), Box::new(work)),
        }
    }

    /// A [thread](Self::thread), or if there are as many as may be, a turn after others.
    ///
    /// # Errors
    /// If no thread is idle and there is no memory for one more, or there is none at all.
    pub(crate) fn place(&'static self) -> io::Result<Place> {
        self.thread().or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => self.threads.get().next_idle().ok_or(error),
            _ => Err(error),
        })
    }

    /// A thread for work that is yet to be given.
    ///
    /// # Errors
    /// If none is idle, and there are as many as may be, here or for the system (`WouldBlock`), or there is no memory for one more.
    pub(crate) fn thread(&'static self) -> io::Result<Place> {
        let threads = self.threads.get();
        let mut state = threads.lock();
        if state.idle > state.work.len() + state.kept {
            state.kept += 1;
            return Ok(Place(threads));
        }
        let others = state.threads;
        if others >= MAX_THREADS {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.threads += 1;
        state.kept += 1;
        drop(state);
        let place = Place(threads);
        let started = self.room.spawn(others, self.name, || self.threads.get().work());
        started.inspect_err(|_| threads.lock().threads -= 1)?;
        Ok(place)
    }

    /// Makes sure that no thread is in the middle of setting up the pool while the process forks.
    pub(crate) fn prepare_fork(&self) {
        self.threads.get();
    }
}

/// A thread that is kept, until this is dropped.
pub(crate) struct Place(&'static Threads);

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

impl Threads {
    /// The next thread to be idle, if there is any thread.
    fn next_idle(&'static self) -> Option<Place> {
        let mut state = self.lock();
        if state.threads == 0 {
            return None;
        }
        state.kept += 1;
        Some(Place(self))
    }

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
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_is_kept_is_taken_by_no_other_work() {
        let place = POOL.place().unwrap();
        let (release, blocked) = mpsc::channel::<()>();
        POOL.spawn(move || {
            let _ = blocked.recv();
        });
        let (report, ran) = mpsc::channel();
        place.run(move || report.send(true).unwrap());
        assert_eq!(ran.recv(), Ok(true));
        drop(release);
    }

    #[test]
    fn a_thread_whose_work_is_done_takes_more() {
        static POOL: Pool = Pool::new("netref-test", Room::for_requests());
        let run = || {
            let (report, ran) = mpsc::channel();
            POOL.thread().unwrap().run(move || report.send(thread::current().id()).unwrap());
            ran.recv().unwrap()
        };
        let first = run();
        while POOL.threads.get().lock().idle == 0 {
            thread::yield_now();
        }
        assert_eq!(run(), first);
    }

    #[test]
    fn where_there_are_as_many_threads_as_may_be_work_waits_for_one() {
        static POOL: Pool = Pool::new("netref-test", Room::for_requests());
        let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        POOL.threads.get().lock().threads = MAX_THREADS;
        assert!(POOL.thread().is_err_and(|error| is_refused(&error)));
        drop(POOL.place().unwrap());
        POOL.threads.get().lock().threads = 0;
        assert!(POOL.thread().is_ok());
        assert_eq!(POOL.threads.get().lock().kept, 0);
    }
}

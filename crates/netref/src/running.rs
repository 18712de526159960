//! Which requests of peers the calling thread is executing, so that calls made meanwhile can say what they are part of.
//!
//! A thread that runs a request is marked for as long as that takes. A task that runs one marks whatever thread polls it,
//! for the length of the poll. Either way, code that makes a call finds the request it is part of.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use netref_core::message::Seq;

thread_local! {
    /// Innermost last: the connection's address in memory and the request's number.
    static RUNNING: RefCell<Vec<(usize, Seq)>> = const { RefCell::new(Vec::new()) };
}

/// Marks the calling thread as executing a request for as long as the value lives.
pub(crate) struct RunningRequest {
    outer: usize,
}

impl RunningRequest {
    /// Request `seq` of the connection at this address.
    pub(crate) fn enter(connection: usize, seq: Seq) -> Self {
        Self::enter_all(&[(connection, seq)])
    }

    /// The requests that another thread [was executing](all), for work handed over by it.
    pub(crate) fn enter_all(requests: &[(usize, Seq)]) -> Self {
        RUNNING.with_borrow_mut(|running| {
            let outer = running.len();
            running.extend_from_slice(requests);
            Self { outer }
        })
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| running.truncate(self.outer));
    }
}

/// The request of the connection at this address that the calling thread is executing, if any.
pub(crate) fn request_of(connection: usize) -> Option<Seq> {
    RUNNING.with_borrow(|running| running.iter().rev().find(|(at, _)| *at == connection).map(|(_, seq)| *seq))
}

/// How many requests of the connection at this address the calling thread is executing.
pub(crate) fn requests_of(connection: usize) -> usize {
    RUNNING.with_borrow(|running| running.iter().filter(|(at, _)| *at == connection).count())
}

/// Every request that the calling thread is executing.
#[cfg(feature = "tokio")]
pub(crate) fn all() -> Vec<(usize, Seq)> {
    RUNNING.with_borrow(Vec::clone)
}

/// A number that no other thread of this process has, for peers that are told which thread a message is from.
pub(crate) fn thread_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: u64 = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    }
    NUMBER.with(|number| *number)
}

/// How many requests the calling thread is executing, one inside the other.
pub(crate) fn nesting() -> usize {
    RUNNING.with_borrow(Vec::len)
}

/// Runs code of the program's for nobody in particular: a destructor, or what is told of an end. A panic of it must not take the
/// thread along, which is here by chance; the panic hook has reported it.
pub(crate) fn contained(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

/// Drops objects that peers have let go of. Two destructors that panic in one go would end the process.
pub(crate) fn drop_each<T>(garbage: impl IntoIterator<Item = T>) {
    garbage.into_iter().for_each(|object| contained(|| drop(object)));
}

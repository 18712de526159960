//! Memory that is kept free for the clients that there are, because an allocation that fails ends the process with all of them.
//!
//! Where the system says that there is none (`RLIMIT_AS`, no overcommitting), who has least to lose is refused first: new clients,
//! and requests that need one more thread; then large messages, which the core tries; and at last whoever takes most, when there
//! is too little left for the many small things that nobody tries.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use netref_core::memory::{RESERVE, Store, can_be_had, pass_through};
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};

use crate::process::PerProcess;

const MIB: usize = 1024 * 1024;
/// Addresses for a client's thread, whose stack is larger in Python, and what is to be left over for those that are there.
const CLIENT: usize = 26 * MIB;
/// The same for a request's thread.
const REQUEST: usize = 12 * MIB;
/// What each client can take as soon as it sends a byte.
const BUFFER: usize = 64 * 1024;
/// Addresses that glibc sets aside for the small things of one more thread, if there are so many.
const ARENA: usize = 64 * MIB;
/// Addresses that small things are to find.
const FEW: usize = 8 * MIB;
/// After so much has arrived, in all connections together, it is looked again whether they do.
const BETWEEN_LOOKS: usize = 8 * MIB;

/// What part of the addresses that are left when they are first looked at requests may hold as objects: they also take messages,
/// and answers, and what lies between them.
const SHARE: usize = 8;

/// Counts what the requests of all connections hold, which pass through the [gate].
pub(crate) fn store() -> &'static Store {
    static STORE: Store = Store::new(most_held);
    pass_through(gate);
    &STORE
}

fn most_held() -> Option<usize> {
    /// The limit on addresses, and what it comes to.
    static KNOWN: PerProcess<Mutex<(u64, usize)>> = PerProcess::new();
    let limit = getrlimit(Resource::As).current?;
    let mut known = KNOWN.get().lock().unwrap_or_else(PoisonError::into_inner);
    if known.0 != limit {
        *known = (limit, addresses_left()? / SHARE);
    }
    let is_little = addresses_left()? < FEW && !can_be_had(FEW);
    Some(if is_little { 0 } else { known.1 })
}

/// What has arrived since it was looked.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Takes note of so many bytes from a peer. False if there is too little left for small things.
pub(crate) fn arrived(bytes: usize) -> bool {
    if ARRIVED.fetch_add(bytes, Ordering::Relaxed) + bytes < BETWEEN_LOOKS {
        return true;
    }
    let is_there = addresses_left().is_some_and(|left| left >= FEW) || can_be_had(RESERVE);
    if is_there {
        ARRIVED.store(0, Ordering::Relaxed);
    }
    is_there
}

/// Whether memory that was asked for is taken only when it is written to: there is no limit on addresses, and the system does not
/// set memory aside for all that anybody asks for.
pub(crate) fn is_taken_as_written() -> bool {
    static OVERCOMMITS: LazyLock<bool> = LazyLock::new(|| {
        !std::fs::read("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.starts_with(b"2"))
    });
    *OVERCOMMITS && getrlimit(Resource::As).current.is_none()
}

/// For how many clients of a server, or requests of theirs, there is room at a time, each with a thread.
#[derive(Debug)]
pub struct Room {
    /// For so many there was. What their threads had is used again by others: the C library keeps it.
    known: AtomicUsize,
    /// What has to be there for one more, and how much more for each that is.
    size: usize,
    each: usize,
}

impl Room {
    /// For one client, until more is known.
    #[must_use]
    pub const fn for_clients() -> Self {
        Self { known: AtomicUsize::new(1), size: CLIENT, each: BUFFER }
    }

    /// For one request, until more is known.
    pub(crate) const fn for_requests() -> Self {
        Self { known: AtomicUsize::new(1), size: REQUEST, each: 0 }
    }

    /// Checks that there is room for one more beside so many.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn check_one_more(&self, others: usize) -> io::Result<()> {
        self.hold_one_more(others).map(drop)
    }

    /// Starts a thread for one more beside so many, if there is room.
    pub(crate) fn spawn(
        &self,
        others: usize,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        start(self.hold_one_more(others)?, name, work)
    }

    /// Checks that there is room for one more, and keeps others from taking it while the gate is held.
    fn hold_one_more(&self, others: usize) -> io::Result<Option<Gate>> {
        let gate = gate_of_limit();
        let is_known = others < self.known.load(Ordering::Relaxed);
        let size = others.saturating_mul(self.each).saturating_add(self.size);
        let is_there = match addresses_left() {
            Some(left) if is_known => left >= FEW,
            Some(left) => left_by_an_arena(left) >= size,
            None => is_known || can_be_had(size.saturating_add(RESERVE)),
        };
        if !is_there {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.known.fetch_max(others + 1, Ordering::Relaxed);
        Ok(gate)
    }
}

/// Has all others who take much wait: those that start threads, and large messages.
pub(crate) fn gate() -> Gate {
    static GATE: PerProcess<Mutex<()>> = PerProcess::new();
    GATE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

type Gate = MutexGuard<'static, ()>;

/// The [gate], held, if there is a limit on addresses.
fn gate_of_limit() -> Option<Gate> {
    getrlimit(Resource::As).current.map(|_| gate())
}

/// Starts a thread that is none of those which a [`Room`] is for.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start(gate_of_limit(), name, work)
}

/// Starts a thread. If the gate is held, it is until the thread has all that it begins with: a stack, another for signals, and an
/// arena, which comes with the first thing that it allocates. A thread that finds no room for one of them ends the process.
fn start(gate: Option<Gate>, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (starting, started) = gate.is_some().then(mpsc::channel::<()>).unzip();
    let run = move || {
        drop(black_box(Box::new(0)));
        drop(starting);
        work();
    };
    thread::Builder::new().name(name.into()).spawn(run)?;
    if let Some(started) = started {
        let _ = started.recv(); // returns when the other end is dropped
    }
    drop(gate);
    Ok(())
}

/// What an arena leaves of so many addresses. Where it does not fit, there is none.
fn left_by_an_arena(left: usize) -> usize {
    left.checked_sub(ARENA).unwrap_or(left)
}

/// Addresses that the process may still use, if there is a limit on them. An allocation tells less: it may be in addresses that
/// were set aside for other threads' small things.
fn addresses_left() -> Option<usize> {
    let limit = getrlimit(Resource::As).current?;
    let used = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = used.split(' ').next()?.parse().ok()?;
    usize::try_from(limit.saturating_sub(pages * page_size() as u64)).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "in tests, a panic is the report")]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_taken_where_it_fits() {
        assert_eq!(left_by_an_arena(63 * MIB), 63 * MIB, "there is none to be had");
        assert_eq!(left_by_an_arena(64 * MIB), 0, "and nothing for a stack");
        assert_eq!(left_by_an_arena(200 * MIB), 136 * MIB);
    }

    #[test]
    fn what_there_was_room_for_there_is_room_for_again() {
        let room = Room { known: AtomicUsize::new(1), size: usize::MAX / 2, each: 0 };
        assert!(room.check_one_more(0).is_ok());
        assert_eq!(
            room.check_one_more(1).map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::OutOfMemory)
        );
        let room = Room { size: MIB, ..room };
        assert!(room.check_one_more(1).is_ok());
        let room = Room { size: usize::MAX / 2, ..room };
        assert!(room.check_one_more(1).is_ok() && room.check_one_more(2).is_err());
    }

    #[test]
    fn a_thread_that_has_started_holds_nobody_up() {
        let (report, ran) = mpsc::channel();
        start(Some(gate()), "netref-test", move || {
            let _gate = gate();
            report.send(true).unwrap();
        })
        .unwrap();
        assert_eq!(ran.recv(), Ok(true));
    }
}

//! Memory that is kept free for the clients that there are, because an allocation that fails ends the process with all of them.
//!
//! Where the system says that there is none (`RLIMIT_AS`, no overcommitting), who has least to lose is refused first: new clients,
//! and requests that need one more thread; then large messages, which the core tries; and at last whoever takes most, when there
//! is too little left for the many small things that nobody tries.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use netref_core::memory::{RESERVE, Store, can_be_had};
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};

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

/// What the requests of all connections hold.
pub(crate) static STORE: Store = Store::new(most_held);

fn most_held() -> Option<usize> {
    /// The limit on addresses, and what it comes to.
    static KNOWN: Mutex<(u64, usize)> = Mutex::new((0, 0));
    let limit = getrlimit(Resource::As).current?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.0 != limit {
        *known = (limit, addresses_left()? / SHARE);
    }
    let is_little = addresses_left()? < FEW && !can_be_had(FEW);
    Some(if is_little { 0 } else { known.1 })
}

/// Threads that may still take an arena.
static STARTING: AtomicUsize = AtomicUsize::new(0);
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
    pub fn for_one_more(&self, others: usize) -> io::Result<Starting> {
        let starting = Starting::new();
        if others < self.known.load(Ordering::Relaxed) {
            return Ok(starting);
        }
        let size = others.saturating_mul(self.each).saturating_add(self.size);
        let is_there = match addresses_left() {
            Some(left) => left_by_arenas(left, STARTING.load(Ordering::SeqCst)) >= size,
            None => can_be_had(size.saturating_add(RESERVE)),
        };
        if !is_there {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.known.fetch_max(others + 1, Ordering::Relaxed);
        Ok(starting)
    }
}

/// A thread that may be about to start, until this is dropped: by the thread itself, which has an arena then or found no room for
/// one.
#[derive(Debug)]
pub struct Starting(());

impl Starting {
    fn new() -> Self {
        STARTING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        black_box(Box::new(0)); // if it is the first that the thread allocates
        STARTING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What so many arenas leave of so many addresses. Where one does not fit, there is none.
fn left_by_arenas(left: usize, arenas: usize) -> usize {
    left - ARENA * arenas.min(left / ARENA)
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
mod tests {
    use super::*;

    #[test]
    fn arenas_take_what_they_fit_into() {
        let left = |mib, arenas| left_by_arenas(mib * MIB, arenas) / MIB;
        assert_eq!(left(63, 1), 63, "there is none to be had");
        assert_eq!(left(64, 1), 0, "and nothing for a stack");
        assert_eq!(left(200, 1), 136);
        assert_eq!(left(200, 2), 72);
        assert_eq!(left(200, 9), 8);
    }

    #[test]
    fn what_there_was_room_for_there_is_room_for_again() {
        let room = Room { known: AtomicUsize::new(1), size: usize::MAX / 2, each: 0 };
        assert!(room.for_one_more(0).is_ok());
        assert_eq!(
            room.for_one_more(1).map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::OutOfMemory)
        );
        let room = Room { size: MIB, ..room };
        assert!(room.for_one_more(1).is_ok());
        let room = Room { size: usize::MAX / 2, ..room };
        assert!(room.for_one_more(1).is_ok() && room.for_one_more(2).is_err());
    }
}

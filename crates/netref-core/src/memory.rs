//! Whether there is memory for what a peer makes this side take.
//!
//! An allocation that fails ends a Rust process. So what is large is tried first, and refused where there is none: on machines, or in
//! processes, that say so (`RLIMIT_AS`, no overcommitting) rather than be ended for it. It is taken behind a driver's [`Gate`], for
//! threads that try at the same time could all be right and then not all get it. What has to be left over is for the many small things
//! that nobody tries; a driver looks after that [`RESERVE`]. Requests that are not large by themselves can be together, so a [`Store`]
//! counts what they hold.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{MutexGuard, OnceLock};

/// Less than that is not tried.
const LARGE: usize = 1024 * 1024;
/// What is kept for small things. So much glibc gives back to the system at once, and does not remember how much was asked for.
pub const RESERVE: usize = 33 * 1024 * 1024;
/// What has to be left over by what is large, so that it is not for want of a little that small things find less than the reserve.
const REST: usize = RESERVE + 8 * 1024 * 1024;

/// There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory;

/// Whether so many bytes can be had at this moment. No less than the [reserve](RESERVE) should be asked for.
#[must_use]
pub fn can_be_had(size: usize) -> bool {
    let mut trial = Vec::<u8>::new();
    let is_there = trial.try_reserve_exact(size).is_ok();
    black_box(&trial); // for else it is known that nobody uses it, and not even tried
    is_there
}

/// A lock: all others who take much wait until it is free, so that what is there when it is looked is there when it is taken. Not held
/// while anything waits for a peer, or runs code of the program's.
pub type Gate = fn() -> MutexGuard<'static, ()>;

static GATE: OnceLock<Gate> = OnceLock::new();

/// Has whoever takes much pass through a driver's gate. There is one: later ones are ignored.
pub fn pass_through(gate: Gate) {
    let _ = GATE.set(gate);
}

/// Whether so many bytes can be taken, at this moment.
pub(crate) fn is_there(size: usize) -> bool {
    take(size, || true).is_ok()
}

/// Makes room for so many bytes at the end of a buffer, which may be grown by more if it grows often.
pub(crate) fn reserve(buffer: &mut Vec<u8>, more: usize) -> Result<(), OutOfMemory> {
    let room = buffer.capacity() - buffer.len();
    if room >= more {
        return Ok(());
    }
    take(more.max(buffer.capacity()), || buffer.try_reserve(more).is_ok())
}

/// Makes room for just so many.
pub(crate) fn reserve_exact(buffer: &mut Vec<u8>, more: usize) -> Result<(), OutOfMemory> {
    let room = buffer.capacity() - buffer.len();
    if room >= more { Ok(()) } else { take(more, || buffer.try_reserve_exact(more).is_ok()) }
}

/// Has so many bytes taken, if they are there.
fn take(size: usize, is_taken: impl FnOnce() -> bool) -> Result<(), OutOfMemory> {
    let is_large = size >= LARGE;
    let _gate = if is_large { GATE.get().map(|gate| gate()) } else { None };
    let is_there = !is_large || can_be_had(size.saturating_add(REST));
    if is_there && is_taken() { Ok(()) } else { Err(OutOfMemory) }
}

/// What the requests of all connections hold together, where there is little memory: none of them may be large by itself.
#[derive(Debug)]
pub struct Store {
    held: AtomicUsize,
    most: fn() -> Option<usize>,
}

/// Requests that take less are not counted, and always taken.
const COUNTED: usize = 16 * 1024;

impl Store {
    /// A store with nothing in it. `most` says how much may be; `None` where memory does not end.
    #[must_use]
    pub const fn new(most: fn() -> Option<usize>) -> Self {
        Self { held: AtomicUsize::new(0), most }
    }

    /// Room for a request that takes so many bytes. Where there is any, and nothing else, there is room for any request.
    pub(crate) fn hold(&'static self, size: usize) -> Result<Option<Held>, OutOfMemory> {
        if size < COUNTED {
            return Ok(None);
        }
        let Some(most) = (self.most)() else { return Ok(None) };
        let others = self.held.fetch_add(size, Ordering::SeqCst);
        let held = Held { store: self, size };
        let is_alone = others == 0 && most > 0;
        if is_alone || others.saturating_add(size) <= most { Ok(Some(held)) } else { Err(OutOfMemory) }
    }
}

/// Room for a request, until this is dropped.
#[derive(Debug)]
pub struct Held {
    store: &'static Store,
    size: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.held.fetch_sub(self.size, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[test]
    fn who_takes_much_holds_the_gate_until_it_is_taken() {
        static LOCK: Mutex<()> = Mutex::new(());
        pass_through(|| LOCK.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(take(LARGE, || LOCK.try_lock().is_err()), Ok(()));
    }
}

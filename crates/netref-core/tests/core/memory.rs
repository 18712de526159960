//! How much memory a piece of code takes, and what it does where there is none, by a global allocator that counts for each thread.
#![allow(unsafe_code, reason = "a global allocator can be written in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// Blocks of that size and more are refused.
    static REFUSED: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs `work` and returns what it returns, with the most bytes that it had allocated at one time.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

/// Runs `work` where there is no memory for blocks of so many bytes, and returns what it returns.
#[allow(dead_code, reason = "the tests of fuzz targets only count")]
pub(crate) fn scarce<T>(refused: usize, work: impl FnOnce() -> T) -> T {
    REFUSED.set(refused);
    let result = work();
    REFUSED.set(usize::MAX);
    result
}

fn is_refused(size: usize) -> bool {
    REFUSED.try_with(|refused| size >= refused.get()).unwrap_or(false)
}

fn count(change: isize) {
    // Not there while the thread itself is being torn down.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged, or fails without a change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return std::ptr::null_mut();
        }
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_refused(size) {
            return std::ptr::null_mut();
        }
        // The old and the new block may be there at the same time.
        count(size.cast_signed());
        count(-layout.size().cast_signed());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

//! Memory that requests of the peer take which have not begun.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// Bytes that requests of the peer take which have not begun, of one session.
#[derive(Debug, Default)]
pub struct Unbegun {
    size: AtomicUsize,
    is_watched: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Unbegun {
    /// How many.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size.load(Ordering::SeqCst)
    }

    /// Wakes whoever [watches](Self::watch).
    pub(crate) fn wake(&self) {
        if self.is_watched.load(Ordering::SeqCst) && self.is_watched.swap(false, Ordering::SeqCst) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Has `waker` woken, once, when there are fewer, or something else [happens](Self::wake).
    pub(crate) fn watch(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.is_watched.store(true, Ordering::SeqCst);
    }
}

/// A request that has not begun, as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting {
    unbegun: Arc<Unbegun>,
    size: usize,
}

impl Waiting {
    /// What a request takes beside its payload, about.
    const OVERHEAD: usize = 256;

    pub(crate) fn new(unbegun: &Arc<Unbegun>, payload: usize) -> Self {
        let size = payload + Self::OVERHEAD;
        unbegun.size.fetch_add(size, Ordering::SeqCst);
        Self { unbegun: unbegun.clone(), size }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.unbegun.size.fetch_sub(self.size, Ordering::SeqCst);
        self.unbegun.wake();
    }
}

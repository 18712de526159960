//! How much memory the unfinished requests of all clients of this process take together (limit `total_buffered`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::process::PerProcess;

/// Ends a connection for taking too much. Called with no lock held; must not block or run user code.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// One connection's share.
pub(crate) struct Share {
    number: u64,
    bytes: usize,
    wake: Wake,
}

#[derive(Default)]
struct Total {
    bytes: usize,
    shares: HashMap<u64, (usize, Wake)>,
}

static TOTAL: PerProcess<Mutex<Total>> = PerProcess::new();

impl Share {
    pub(crate) fn new(wake: Wake) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self { number: NUMBERS.fetch_add(1, Ordering::Relaxed), bytes: 0, wake }
    }

    /// Says how much the connection takes now. If all together take more than `max`, the one that takes most is ended.
    pub(crate) fn set(&mut self, bytes: usize, max: usize) {
        if bytes == self.bytes {
            return;
        }
        self.bytes = bytes;
        let mut total = TOTAL.get().lock().unwrap_or_else(PoisonError::into_inner);
        total.remove(self.number);
        total.insert(self.number, bytes, &self.wake);
        let largest = if total.bytes > max { total.take_largest() } else { None };
        drop(total);
        if let Some(wake) = largest {
            wake();
        }
    }
}

/// Ends the connection that takes most. False if none takes any.
pub(crate) fn end_largest() -> bool {
    let largest = TOTAL.get().lock().unwrap_or_else(PoisonError::into_inner).take_largest();
    largest.is_some_and(|wake| {
        wake();
        true
    })
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            TOTAL.get().lock().unwrap_or_else(PoisonError::into_inner).remove(self.number);
        }
    }
}

impl Total {
    fn insert(&mut self, number: u64, bytes: usize, wake: &Wake) {
        if bytes > 0 {
            self.bytes += bytes;
            self.shares.insert(number, (bytes, wake.clone()));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Wake> {
        let (bytes, wake) = self.shares.remove(&number)?;
        self.bytes -= bytes;
        Some(wake)
    }

    /// Forgets the largest share: its connection is as good as gone.
    fn take_largest(&mut self) -> Option<Wake> {
        let (&number, _) = self.shares.iter().max_by_key(|(_, (bytes, _))| *bytes)?;
        self.remove(number)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "in tests, a panic is the report")]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_largest_is_ended_and_what_it_took_is_free_again() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let mut shares: Vec<_> = (0..3)
            .map(|index| {
                let ended = ended.clone();
                Share::new(Arc::new(move || ended.lock().unwrap().push(index)))
            })
            .collect();
        // Far above what connections of other tests in this process take.
        let unit = 1 << 40;
        shares[0].set(3 * unit, 10 * unit);
        shares[1].set(5 * unit, 10 * unit);
        assert!(ended.lock().unwrap().is_empty());
        shares[2].set(4 * unit, 10 * unit);
        assert_eq!(*ended.lock().unwrap(), [1], "the largest, not the last");
        shares[2].set(0, 10 * unit);
        shares[2].set(6 * unit, 10 * unit);
        assert_eq!(*ended.lock().unwrap(), [1], "3 + 6 are within the limit");
        shares[0].set(5 * unit, 10 * unit);
        assert_eq!(*ended.lock().unwrap(), [1, 2]);
        drop(shares);
        assert!(TOTAL.get().lock().unwrap().bytes < unit);
    }
}

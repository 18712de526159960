use std::sync::atomic::{AtomicU64, Ordering};

/// What has become of a server's clients so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Clients that connected.
    pub accepted: u64,
    /// Those of them that were hung up on at once (limit `max_connections`).
    pub refused: u64,
    /// Those that were lost before they were served: the handshake failed or took too long, or the service did not want them.
    pub failed: u64,
    /// Those that were served and are gone.
    pub served: u64,
    /// Clients that are there now.
    pub clients: usize,
    /// Times that accepting a client failed, for want of file descriptors, memory or threads.
    pub accept_errors: u64,
}

/// The counters that only grow.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
}

impl ServerCounters {
    pub(crate) fn with(&self, clients: usize) -> ServerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            refused: read(&self.refused),
            failed: read(&self.failed),
            served: read(&self.served),
            accept_errors: read(&self.accept_errors),
            // Last of all, so that no client seems to be gone that has not come.
            accepted: read(&self.accepted),
            clients,
        }
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

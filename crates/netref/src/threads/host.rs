use std::sync::Arc;

use netref_core::message::Inbound;
use netref_core::payload::Place;

use super::{Closed, Interrupted, Link};

/// The object world on this side of a link, and the process it lives in.
pub trait Host: Send + Sync + Sized + 'static {
    /// What the tables keep of an object.
    type Shared: Clone + Send + 'static;

    /// Carries out a request of the peer and [replies](Link::reply). This is where user code runs: no lock is held, and
    /// the calling thread does not read.
    ///
    /// # Errors
    /// [`Interrupted`] to end what the calling thread waits for; the request is answered all the same.
    fn handle(&self, link: &Arc<Link<Self>>, request: Inbound<Self::Shared>) -> Result<(), Interrupted>;

    /// The connection has ended. Called once, with no lock held.
    fn ended(&self, link: &Arc<Link<Self>>, closed: &Closed);

    /// Memory for large bytes that are about to arrive, if the world has such that it makes objects of without copying.
    fn place(&self, len: usize) -> Option<Box<dyn Place>> {
        let _ = len;
        None
    }

    /// Runs `wait`, which blocks. Python gives up its interpreter lock meanwhile.
    fn blocking<R: Send>(&self, wait: impl FnOnce() -> R + Send) -> R {
        wait()
    }

    /// Runs `work` on a thread of the driver's own, which may not be known to the world yet. Python attaches it.
    fn on_driver_thread(&self, work: impl FnOnce()) {
        work();
    }

    /// Whether a signal may have the calling thread stop waiting, so that it must look for one from time to time.
    fn heeds_signals(&self) -> bool {
        false
    }

    /// Called when a wait was interrupted by a signal, and from time to time in a thread that is parked and
    /// [heeds signals](Self::heeds_signals).
    ///
    /// # Errors
    /// [`Interrupted`] to end the wait.
    fn check_signals(&self) -> Result<(), Interrupted> {
        Ok(())
    }
}

/// Where requests of the peer run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dispatch {
    /// On the thread that waits for the call they belong to, where that is known or can be guessed; else on the pool.
    #[default]
    CallChain,
    /// Always on the pool: with a stock peer, the only way to keep callbacks off a thread that holds a lock.
    Pool,
}

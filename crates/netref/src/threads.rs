//! The thread driver: runs a [`Session`](netref_core::Session) with ordinary threads and blocking calls.
//!
//! A [`Link`] is one connection. It is generic over its [`Host`], the object world on this side: the Rust values of this
//! crate, or Python's objects in the extension module.
//!
//! # Which thread runs what
//!
//! - **The thread that waits for a reply reads the socket itself.** Reading is a *turn* that one thread has at a time; the
//!   others that wait are parked and take over when the turn is free. A thread gives up the turn before it runs user
//!   code, so replies keep flowing whatever user code does.
//! - **A request of the peer runs on the thread that waits for the call it belongs to**, if the peer says which call that
//!   is (netref peers do). A stock peer does not say: then the thread that read the request runs it, as in stock,
//!   unless it is nested too deep. Everything else runs on a pool thread.
//! - **Nobody waiting:** shortly after the turn was given up and not taken again, a pool thread reads in the
//!   background, and steps back when a caller comes. The *watch*, one thread of the process, notices both.
//! - **A side that is not ready, or serves by itself:** what the peer asks is held back ([`Link::hold`],
//!   [`Link::serve_by_hand`]) until it may begin, or until the program's own thread comes for it.
//! - PING, DEL and CLOSE are dealt with by whoever reads. So are callbacks of calls, and destructors of what the peer lets go
//!   of, unless they are nested too deep.
//!
//! # Why it does not hang
//!
//! Each lock is held for a few instructions, never while user code runs or anything blocks: those of the session, the
//! turn, the unsent bytes, the outcome of a call, of what waits for the pool, and of what is held back. Only "unsent, then
//! session" is ever nested. (The deframer's lock is the turn in another guise: nobody but the holder of the turn ever asks
//! for it.) A thread that cannot write keeps reading, or leaves the reading to another thread that does; so two peers that write to each other at
//! the same time both make progress.
//!
//! # Fork
//!
//! A forked child has none of the driver's threads, and what its parent had locked stays locked. So it starts with a watch
//! and a pool of its own, and leaves the links of its parent alone: calls fail with [`EndReason::Forked`], and nothing is
//! read or written. Links made in the child are like any others.

mod backlog;
mod call;
mod errands;
mod event_loop;
mod heartbeat;
mod held;
mod host;
mod link;
mod pipes;
mod sending;
mod serving;
mod sync;
#[cfg(test)]
mod tests;
mod transport;
mod turn;
mod watch;

pub use crate::failure::{CallError, Closed, EndReason, Interrupted, StartError};
pub use crate::memory::Room;
pub use crate::process::follow_forks;
pub use call::{Call, Callback, Outcome, WaitError};
pub use host::{Dispatch, Host};
pub use link::{Link, LinkOptions};
pub use pipes::PipeTransport;
pub use sending::ExchangeError;
pub use transport::{Interest, SocketTransport, Transport};

/// Whether the calling thread is carrying out a request of some peer.
#[must_use]
pub fn is_serving() -> bool {
    crate::running::nesting() > 0
}

/// To be called right before the process forks, by a program that may be making its first connection at that moment.
pub fn prepare_fork() {
    drop(crate::memory::gate());
    watch::prepare_fork();
    crate::pool::POOL.prepare_fork();
}

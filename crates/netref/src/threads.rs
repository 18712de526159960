//! The thread driver: runs a [`Session`](netref_core::Session) with ordinary threads and blocking calls.
//!
//! A [`Link`] is one connection. It is generic over its [`Host`], the object world on this side: the Rust values of this
//! crate, or Python's objects in the extension module.
//!
//! # Which thread runs what
//!
//! - **The thread that waits for a reply reads the socket itself.** Reading is a [turn](turn::Turn) that one thread has at
//!   a time; the others that wait are parked and take over when the turn is free. A thread gives up the turn before it
//!   runs user code, so replies keep flowing whatever user code does.
//! - **A request of the peer runs on the thread that waits for the call it belongs to**, if the peer says which call that
//!   is (netref peers do). A stock peer does not say: then the thread that read the request runs it, as in stock,
//!   unless it is nested too deep. Everything else runs on a pool thread.
//! - **Nobody waiting:** shortly after the turn was given up and not taken again, a pool thread reads in the
//!   background, and steps back when a caller comes. [`watch`] notices both.
//! - PING, DEL and CLOSE are dealt with by whoever reads.
//!
//! # Why it does not hang
//!
//! Four locks, each held for a few instructions, never while user code runs or anything blocks: the session, the
//! turn, the unsent bytes, the outcome of a call. Only "unsent, then session" is ever nested. A thread that cannot
//! write keeps reading, or leaves the reading to another thread that does; so two peers that write to each other at the
//! same time both make progress.

mod call;
mod closed;
mod host;
mod link;
mod pool;
mod sending;
mod serving;
mod transport;
mod turn;
mod watch;

pub use call::{Call, CallError, Callback, Outcome, WaitError};
pub use closed::{Closed, EndReason};
pub use host::{Dispatch, Host, Interrupted};
pub use link::{Link, LinkOptions};
pub use sending::StartError;
pub use transport::{Interest, SocketTransport, Transport};

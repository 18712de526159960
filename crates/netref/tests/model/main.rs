//! The thread driver's calls and turns, the very same code, under a model checker: threads run in every order that a seed
//! says, and a thread that sleeps for ever is found out as a deadlock.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "of the driver's code only the locked parts are here"
)]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod failure;
mod link;
mod running;
mod threads;

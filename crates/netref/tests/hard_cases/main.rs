//! The ten hard cases of `python/tests/hard_cases.py`, and what holds at length: Rust with Rust over real sockets, each driver
//! with each.
//!
//! Both drivers are used through the blocking API, which both have. Where tasks make a case another one, it is in
//! `tests/tokio/hard_cases.rs` too.
//!
//! Not here, because Rust leaves nothing of it:
//!
//! - of case 6, text that is not Unicode, and of case 7, an exception that cannot be made: a `String` is Unicode, and all
//!   exceptions are of one type;
//! - of case 8, garbage collections that run destructors anywhere;
//! - case 10: there are no pickles, and a program must be unsafe to fork. (The thread driver's part in a fork is tested in
//!   Python.)

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test; its service takes what peers pass"
)]

mod cases;
#[path = "../drivers/mod.rs"]
mod drivers;
mod load;
mod references;
mod restarts;
mod service;
mod stage;

//! The Rust face, over real sockets: Rust with Rust, and Rust with stock RPyC where that is what a test is about.
//!
//! Stock interpreters are found through `NETREF_STOCK6_PYTHON` and `NETREF_STOCK5_PYTHON`.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test; its services take what peers pass"
)]

mod bad_input;
mod callbacks;
mod concurrency;
mod containers;
mod conversions;
mod exceptions;
mod files;
mod lab;
mod macros;
mod operations;
mod reconnecting;
mod references;
mod stock;

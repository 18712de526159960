//! What calls and turns are made of. `tests/model` checks them in all orders, with something else in this place.

pub(super) use std::sync::atomic::AtomicBool;
pub(super) use std::sync::{Mutex, MutexGuard};
pub(super) use std::thread::{Thread, current};

pub(super) use crate::alarm::park_until;

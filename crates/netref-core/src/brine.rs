//! Brine: plain immutable data as bytes, byte for byte what stock RPyC writes.
//!
//! [`Writer`] turns scalars and sequence headers into bytes; a [`World`](crate::World) drives it from its own objects.
//! [`Reader`] is the checked cursor underneath everything that decodes, [`read`] builds a world's objects from bytes,
//! and [`skip`] walks a value without building it.

mod reader;
mod tags;
mod writer;

/// From this length on, bytes that can be kept are not copied: into a message that is sent in pieces, or out of one that has
/// arrived.
const SHARED_MIN: usize = 64 * 1024;

pub use reader::{DecodeError, Reader, Token, read, read_bytes, scalar, skip};
pub use writer::{EncodeError, Writer};

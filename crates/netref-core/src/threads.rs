//! Thread numbers on messages (`bind_threads`), for a peer that wants to know which thread a message is for.
//!
//! Both sides must have chosen it: nothing on the wire says so.

use crate::brine::DecodeError;
use crate::payload::Payload;

/// Before each message: which thread of the sender's it is from, and which thread of the receiver's it is for.
///
/// Each side numbers its own threads as it likes; 0 is no thread in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// The sending thread.
    pub from: u64,
    /// The thread that the message is for.
    pub to: u64,
}

impl Threads {
    /// How long they are on the wire.
    pub const SIZE: usize = 16;

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.from.to_be_bytes());
        bytes[8..].copy_from_slice(&self.to.to_be_bytes());
        bytes
    }

    /// Takes the numbers off the front of a payload.
    pub(crate) fn take(payload: &mut Payload) -> Result<Self, DecodeError> {
        let mut next = || payload.take_u64().ok_or(DecodeError::UnexpectedEnd);
        Ok(Self { from: next()?, to: next()? })
    }

    pub(crate) fn answered(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

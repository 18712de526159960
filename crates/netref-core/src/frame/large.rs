//! Payloads that are received into a buffer of their own, which then is the payload, without a copy.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use super::{BAD_END, END, FrameError, HEAD, RECEIVE_CHUNK};
use crate::memory;

/// A buffer is used at most this much ahead of the bytes that arrived.
const STEP: usize = 1024 * 1024;
/// A larger buffer is not kept.
const KEPT_MAX: usize = 32 * 1024 * 1024;

/// The rest of a frame under way.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) claimed: usize,
    /// Received bytes, the one after the payload included, are `buffer[..end]`.
    buffer: Vec<u8>,
    end: usize,
}

/// A buffer that was used, for the next large payload: to have the kernel find fresh memory takes longer than receiving into it.
#[derive(Debug, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<u8>>>);

/// A payload whose buffer is kept as a spare one when nobody needs the payload any more.
struct Received {
    buffer: Vec<u8>,
    len: usize,
    spare: Weak<Mutex<Vec<u8>>>,
}

impl Large {
    pub(super) fn new(claimed: usize, arrived: &[u8], spare: &Spare) -> Self {
        let mut buffer = spare.take(claimed);
        let overwritten = buffer.len().min(arrived.len());
        buffer[..overwritten].copy_from_slice(&arrived[..overwritten]);
        buffer.extend_from_slice(&arrived[overwritten..]);
        Self { claimed, buffer, end: arrived.len() }
    }

    pub(super) fn missing(&self) -> usize {
        self.claimed + 1 - self.end
    }

    /// Makes room for what is to be received next. Where there is none, all but the beginning is given back at once.
    pub(super) fn make_room(&mut self) -> Result<(), FrameError> {
        let more = self.growth();
        if self.buffer.capacity() > self.end || memory::reserve_exact(&mut self.buffer, more).is_ok() {
            return Ok(());
        }
        self.end = self.end.min(HEAD);
        self.buffer.truncate(self.end);
        self.buffer.shrink_to_fit();
        Err(FrameError::OutOfMemory { size: self.claimed })
    }

    /// At most as much again as has arrived, so that a claim alone takes no memory.
    fn growth(&self) -> usize {
        self.missing().min(self.end.max(RECEIVE_CHUNK))
    }

    /// Where to put what is received next, in the room that was [made](Self::make_room).
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() == self.end {
            let more = self.growth();
            let room = self.buffer.capacity() - self.end;
            self.buffer.resize(self.end + more.min(room).min(STEP), 0);
        }
        let end = self.buffer.len().min(self.claimed + 1);
        &mut self.buffer[self.end..end]
    }

    /// Takes note of `count` bytes put at the start of the space.
    pub(super) fn filled(&mut self, count: usize) {
        let space = self.buffer.len().min(self.claimed + 1) - self.end;
        assert!(count <= space, "filled more than there was space for");
        self.end += count;
    }

    /// What has arrived of the payload.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.buffer[..self.end.min(self.claimed)]
    }

    pub(super) fn memory(&self) -> usize {
        self.buffer.len()
    }

    /// The payload, once nothing is missing.
    pub(super) fn into_payload(self, spare: &Spare) -> Result<Bytes, FrameError> {
        if self.buffer.get(self.claimed) != Some(&END) {
            return Err(FrameError::NotRpyc(BAD_END));
        }
        let spare = Arc::downgrade(&spare.0);
        Ok(Bytes::from_owner(Received { buffer: self.buffer, len: self.claimed, spare }))
    }
}

impl Spare {
    /// The buffer, if it is not much too large for that; else an empty one.
    fn take(&self, claimed: usize) -> Vec<u8> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() / 2 <= claimed { std::mem::take(&mut spare) } else { Vec::new() }
    }

    /// Gives the memory back.
    pub(super) fn forget(&self) {
        let buffer = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(buffer);
    }

    pub(super) fn memory(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(spare) = self.spare.upgrade() else { return };
        let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < self.buffer.len() && self.buffer.len() <= KEPT_MAX {
            std::mem::swap(&mut *spare, &mut self.buffer);
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("len", &self.len).finish_non_exhaustive()
    }
}

//! Payloads that are received into a buffer of their own, which then is the payload, without a copy.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use super::{BAD_END, END, FrameError, HEAD, RECEIVE_CHUNK};
use crate::memory;
use crate::payload::{Landed, Payload, Place};

/// A buffer is used at most this much ahead of the bytes that arrived.
const STEP: usize = 1024 * 1024;
/// A larger buffer is not kept.
const KEPT_MAX: usize = 32 * 1024 * 1024;

/// The rest of a frame under way.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) claimed: usize,
    /// Received bytes, the one after the payload included, are `buffer[..end]`, but for those that land.
    buffer: Vec<u8>,
    end: usize,
    /// What the next bytes are put into, until there are all of them.
    landing: Option<Landing>,
    landed: Option<Box<Landed>>,
    /// Nobody has been asked yet whether some of it is to land.
    is_new: bool,
}

/// Bytes of a payload that are received into memory of the driver's.
struct Landing {
    at: usize,
    len: usize,
    place: Box<dyn Place>,
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
        Self { claimed, buffer, end: arrived.len(), landing: None, landed: None, is_new: true }
    }

    /// What has arrived, if nobody has asked before.
    pub(super) fn beginning(&mut self) -> Option<&[u8]> {
        if std::mem::take(&mut self.is_new) { Some(&self.buffer[..self.end.min(self.claimed)]) } else { None }
    }

    /// Has these bytes of the payload put there, unless all of them have arrived, or they are not all of the payload's.
    pub(super) fn land(&mut self, bytes: Range<usize>, mut place: Box<dyn Place>, spare: &Spare) {
        let Range { start: at, end } = bytes;
        if !(at..end).contains(&self.end) || end > self.claimed {
            return;
        }
        let arrived = &self.buffer[at..self.end];
        place.space(0..arrived.len()).copy_from_slice(arrived);
        self.landing = Some(Landing { at, len: end - at, place, end: arrived.len() });
        let before = self.buffer[..at].to_vec();
        spare.keep(std::mem::replace(&mut self.buffer, before));
        self.end = at;
    }

    pub(super) fn missing(&self) -> usize {
        self.claimed + 1 - self.end - self.elsewhere()
    }

    /// Makes room for what is to be received next. Where there is none, all but the beginning is given back at once.
    pub(super) fn make_room(&mut self) -> Result<(), FrameError> {
        let more = self.growth();
        let has_room = self.landing.is_some() || self.buffer.capacity() > self.end;
        if has_room || memory::reserve_exact(&mut self.buffer, more).is_ok() {
            return Ok(());
        }
        self.landed = None;
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
        let (more, missing) = (self.growth(), self.missing());
        if let Some(landing) = &mut self.landing {
            return landing.place.space(landing.end..landing.next_end());
        }
        if self.buffer.len() == self.end {
            let room = self.buffer.capacity() - self.end;
            self.buffer.resize(self.end + more.min(room).min(STEP), 0);
        }
        let end = self.buffer.len().min(self.end + missing);
        &mut self.buffer[self.end..end]
    }

    /// Takes note of `count` bytes put at the start of the space.
    pub(super) fn filled(&mut self, count: usize) {
        let space = match &self.landing {
            Some(landing) => landing.next_end() - landing.end,
            None => self.buffer.len().min(self.end + self.missing()) - self.end,
        };
        assert!(count <= space, "filled more than there was space for");
        let Some(mut landing) = self.landing.take() else {
            self.end += count;
            return;
        };
        landing.end += count;
        if landing.end == landing.len {
            let Landing { at, place, .. } = landing;
            self.landed = Some(Box::new(Landed { at, place }));
        } else {
            self.landing = Some(landing);
        }
    }

    /// How much of what has arrived is not in the buffer.
    fn elsewhere(&self) -> usize {
        let landing = self.landing.as_ref().map_or(0, |landing| landing.end);
        landing + self.landed.as_ref().map_or(0, |landed| landed.content().len())
    }

    /// What has arrived of the payload, but for what lands.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.buffer[..self.end.min(self.claimed)]
    }

    pub(super) fn memory(&self) -> usize {
        self.buffer.len() + self.elsewhere()
    }

    /// The payload, once nothing is missing.
    pub(super) fn into_payload(self, spare: &Spare) -> Result<Payload, FrameError> {
        let Self { buffer, end, landed, .. } = self;
        let len = end - 1;
        if buffer.get(len) != Some(&END) {
            return Err(FrameError::NotRpyc(BAD_END));
        }
        let spare = Arc::downgrade(&spare.0);
        Ok(Payload { bytes: Bytes::from_owner(Received { buffer, len, spare }), landed })
    }
}

impl Landing {
    /// Where the space for the next bytes ends: it is not written to before about as many have arrived.
    fn next_end(&self) -> usize {
        self.len.min(self.end + self.end.clamp(RECEIVE_CHUNK, STEP))
    }
}

impl Spare {
    /// The buffer, if it is not much too large for that; else an empty one.
    fn take(&self, claimed: usize) -> Vec<u8> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() / 2 <= claimed { std::mem::take(&mut spare) } else { Vec::new() }
    }

    /// Keeps the buffer, unless there is a larger one, or it is too large.
    fn keep(&self, mut buffer: Vec<u8>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < buffer.len() && buffer.len() <= KEPT_MAX {
            std::mem::swap(&mut *spare, &mut buffer);
        }
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
        if let Some(spare) = self.spare.upgrade() {
            Spare(spare).keep(std::mem::take(&mut self.buffer));
        }
    }
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, len, end, .. } = self;
        let mut fields = f.debug_struct("Landing");
        fields.field("at", at).field("len", len).field("end", end).finish_non_exhaustive()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("len", &self.len).finish_non_exhaustive()
    }
}

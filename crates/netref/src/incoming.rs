//! What arrives on a connection: frames, the time that each may take, and the memory that unfinished ones may take together.
//! For both drivers.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use netref_core::frame::{Deframer, FrameError};
use netref_core::limits::Limits;
use netref_core::payload::{Payload, Place};

use crate::buffered::{self, Share, Wake};
use crate::failure::EndReason;
use crate::memory;

/// The bytes of one connection that have arrived and make no whole frame yet.
pub(crate) struct Incoming {
    deframer: Deframer,
    limits: Arc<Limits>,
    /// When the frame under way began, once somebody had to wait for the rest of it.
    began: Option<Instant>,
    /// When the last bytes came; noted only where idle connections are ended.
    heard: Option<Instant>,
    share: Option<Share>,
    /// Bytes that nobody has taken note of yet.
    unnoted: usize,
}

/// What a message takes beside its bytes, about.
const MESSAGE: usize = 512;

impl Incoming {
    /// Nothing so far. `wake` ends the connection for taking more than its share; the connections of clients have none.
    pub(crate) fn new(limits: Arc<Limits>, wake: Option<Wake>) -> Self {
        let heard = limits.idle_timeout.map(|_| Instant::now());
        Self {
            deframer: Deframer::new(),
            limits,
            began: None,
            heard,
            share: wake.map(Share::new),
            unnoted: 0,
        }
    }

    /// Where to put received bytes; no more than the rest of the frame under way if it must be `exact`.
    pub(crate) fn space(&mut self, exact: bool) -> &mut [u8] {
        let missing = self.deframer.missing();
        let space = self.deframer.space();
        let wanted = if exact { missing.min(space.len()) } else { space.len() };
        &mut space[..wanted]
    }

    /// Takes note of `count` bytes put at the start of [`space`](Self::space).
    pub(crate) fn filled(&mut self, count: usize) {
        self.deframer.filled(count);
        self.unnoted += count;
        if self.heard.is_some() {
            self.heard = Some(Instant::now());
        }
        if let Some(share) = &mut self.share {
            share.set(self.deframer.memory(), self.limits.total_buffered);
        }
    }

    pub(crate) fn is_mid_frame(&self) -> bool {
        self.deframer.is_mid_frame()
    }

    /// Whether [`next_payload`](Self::next_payload) has one.
    pub(crate) fn has_whole_frame(&self) -> bool {
        self.deframer.missing() == 0
    }

    /// The next whole frame's payload; see [`Deframer::next_payload`]. `place` says where bytes of a payload that begins with
    /// those are to be received; see [`Deframer::land`].
    pub(crate) fn next_payload(
        &mut self,
        expects: impl FnOnce(&[u8]) -> Option<bool>,
        place: impl FnOnce(&[u8]) -> Option<(Range<usize>, Box<dyn Place>)>,
    ) -> Result<Option<Payload>, FrameError> {
        // Where too little is left, somebody has to go.
        if !memory::arrived(std::mem::take(&mut self.unnoted)) && !buffered::end_largest() {
            return Err(FrameError::OutOfMemory { size: self.deframer.claimed().unwrap_or(0) });
        }
        let payload = self.deframer.next_payload(&self.limits, expects)?;
        if payload.is_some() {
            self.began = None;
            self.unnoted += MESSAGE;
        } else if let Some((bytes, place)) = self.deframer.large_beginning().and_then(place) {
            self.deframer.land(bytes, place);
        }
        Ok(payload)
    }

    /// The beginning of the payload under way; see [`Deframer::beginning`].
    pub(crate) fn beginning(&self) -> Vec<u8> {
        self.deframer.beginning()
    }

    /// Until when the peer has to send something more, if there is such a time, and what ends the connection then. A
    /// connection `is_quiet` while neither side owes the other an answer.
    pub(crate) fn due(&mut self, is_quiet: bool) -> Option<(Instant, EndReason)> {
        if self.is_mid_frame() {
            let claimed = self.deframer.claimed();
            let limit = if claimed.is_some() { "frame_timeout" } else { "header_timeout" };
            let began = *self.began.get_or_insert_with(Instant::now);
            let at = began.checked_add(self.limits.frame_time(claimed)?)?;
            return Some((at, EndReason::ReadTimeout { limit }));
        }
        let patience = self.limits.idle_timeout.filter(|_| is_quiet)?;
        Some((self.heard?.checked_add(patience)?, EndReason::Idle { limit: patience }))
    }
}

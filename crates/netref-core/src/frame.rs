//! Frames: `u32 length | u8 compressed | payload | 0x0a`.
//!
//! [`seal`] finishes an outgoing [`Frame`]; a [`Deframer`] cuts arriving bytes into payloads, whatever way the transport
//! chopped them up.

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::Limits;
use crate::memory;
use crate::payload::{Payload, Place};

mod large;
mod sealing;

use large::{Large, Spare};
pub(crate) use sealing::shared_len;
pub use sealing::{Frame, Piece, Shared, open, seal};

/// Bytes before the payload.
pub const HEADER_LEN: usize = 5;
/// The byte after the payload.
pub const END: u8 = b'\n';
/// Stock compresses payloads longer than this; the receiver takes any payload either way.
pub const COMPRESSION_THRESHOLD: usize = 3000;

/// The buffer of a connection all of whose messages have been small.
const FIRST_CHUNK: usize = 4 * 1024;
const RECEIVE_CHUNK: usize = 64 * 1024;
/// A buffer for large payloads is given back after as many small ones in a row.
const SMALL_ONES: u32 = 16;
/// An empty buffer that is larger is given back.
const KEPT: usize = 256 * 1024;
/// So many bytes of a payload are sure to hold its message's kind and number.
const HEAD: usize = 64;
/// Deflate makes at most as many bytes of one.
const BEST_DEFLATION: usize = 1032;

/// Whether outgoing frames are compressed. The receiver follows the flag in each frame, so this is the sender's choice
/// alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Compress what is longer than [`COMPRESSION_THRESHOLD`], unless a sample of it shows that it does not shrink.
    #[default]
    Auto,
    /// Never compress: right for loopback, unix sockets and pipes.
    Off,
}

/// What is wrong with the peer's framing. None of these can be recovered from: the connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A header claims more than the limit.
    #[error("a frame of {claimed} bytes is more than the {max} that its receiver takes (limit {limit})")]
    TooLarge {
        /// Length in the header.
        claimed: usize,
        /// The limit in force.
        max: usize,
        /// Its name.
        limit: &'static str,
    },
    /// A compressed payload is larger than the limit once inflated.
    #[error("a compressed frame holds more than the {max} bytes that its receiver takes (limit {limit})")]
    InflatesTooLarge {
        /// The limit in force.
        max: usize,
        /// Its name.
        limit: &'static str,
    },
    /// The compression flag is neither 0 nor 1, or the byte after the payload is not 0x0a.
    #[error("these are not RPyC frames: {0}")]
    NotRpyc(&'static str),
    /// There is no memory for it on this side.
    #[error("its receiver has no memory for a frame of {size} bytes")]
    OutOfMemory {
        /// Length of the frame, or of what a compressed one holds as far as it is known.
        size: usize,
    },
    /// A compressed payload is not one whole zlib stream.
    #[error("a compressed frame is not a valid zlib stream")]
    BadCompression,
}

/// Length of the sealed frame that `bytes` begins with.
///
/// # Panics
/// If not even the header's length field is there.
#[must_use]
pub fn sealed_len(bytes: &[u8]) -> usize {
    let claimed = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    claimed.saturating_add(HEADER_LEN + 1)
}

/// Cuts a stream of bytes into payloads.
///
/// Ask for [`space`](Self::space), put received bytes at its start, say how many with [`filled`](Self::filled), then
/// take payloads with [`next_payload`](Self::next_payload) until it returns `None`. Memory follows the bytes that really
/// arrived: a header that claims gigabytes reserves nothing.
#[derive(Debug)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Received bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// The rest of the frame under way, if it is a large one.
    large: Option<Large>,
    spare: Spare,
    /// How many small payloads came after a large one.
    small_ones: Option<u32>,
}

const BAD_END: &str = "a frame does not end in a line feed";

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// An empty deframer.
    #[must_use]
    pub fn new() -> Self {
        let buffer = vec![0; FIRST_CHUNK];
        Self { buffer, start: 0, end: 0, large: None, spare: Spare::default(), small_ones: None }
    }

    /// Where to put received bytes; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.large.is_none() {
            return self.space_in_buffer();
        }
        self.large.as_mut().map_or(&mut [], Large::space)
    }

    fn space_in_buffer(&mut self) -> &mut [u8] {
        let is_too_small = self.start != self.end || self.end == self.buffer.len();
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > KEPT {
                self.buffer = vec![0; RECEIVE_CHUNK];
            }
        } else if self.start > 0 && self.buffer.len() - self.end < RECEIVE_CHUNK / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if is_too_small && self.buffer.len() < RECEIVE_CHUNK {
            self.buffer.resize(RECEIVE_CHUNK, 0);
        }
        if self.buffer.len() == self.end {
            self.buffer.resize(self.end + self.growth(), 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Makes room for what is to be received next of such a frame.
    fn make_room(&mut self, size: usize) -> Result<(), FrameError> {
        let more = if self.buffer.len() == self.end { self.growth() } else { 0 };
        memory::reserve(&mut self.buffer, more).map_err(|_| FrameError::OutOfMemory { size })
    }

    /// By how much the buffer grows when it is full.
    fn growth(&self) -> usize {
        let missing = self.announced().map_or(0, |frame| frame.saturating_sub(self.end - self.start));
        missing.clamp(RECEIVE_CHUNK, KEPT)
    }

    /// Takes note of `count` bytes put at the start of [`space`](Self::space).
    ///
    /// # Panics
    /// If `count` is more than there was space for.
    pub fn filled(&mut self, count: usize) {
        if let Some(large) = &mut self.large {
            return large.filled(count);
        }
        assert!(count <= self.buffer.len() - self.end, "filled more than there was space for");
        self.end += count;
    }

    /// True when part of a frame has arrived.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.start != self.end || self.large.is_some()
    }

    /// How many bytes to the end of what is under way, a header or the rest of a frame: for a stream that can only be
    /// asked for an exact number. Never 0 after [`next_payload`](Self::next_payload) returned `None`.
    #[must_use]
    pub fn missing(&self) -> usize {
        if let Some(large) = &self.large {
            return large.missing();
        }
        let received = self.end - self.start;
        match self.announced() {
            Some(frame) if received >= HEADER_LEN => frame.saturating_sub(received),
            _ => HEADER_LEN - received,
        }
    }

    /// Memory taken for received bytes, beyond what every deframer has.
    #[must_use]
    pub fn memory(&self) -> usize {
        let large = self.large.as_ref().map_or(0, Large::memory);
        let spare = self.small_ones.map_or(0, |_| self.spare.memory());
        self.buffer.len().saturating_sub(RECEIVE_CHUNK) + large + spare
    }

    /// The length that the header of the frame under way claims, once it is there.
    #[must_use]
    pub fn claimed(&self) -> Option<usize> {
        self.large.as_ref().map_or_else(|| Some(self.header()?.0), |large| Some(large.claimed))
    }

    /// The payload of the next whole frame, inflated if it was compressed, or `None` until more bytes arrive.
    ///
    /// `expects` says of the beginning of a payload whether it is a reply that a call waits for, or `None` if that takes more
    /// bytes; it is asked only about what is longer than a request may be.
    ///
    /// # Errors
    /// [`FrameError`]: what arrives is not RPyC or is too large. The connection cannot go on.
    pub fn next_payload(
        &mut self,
        limits: &Limits,
        expects: impl FnOnce(&[u8]) -> Option<bool>,
    ) -> Result<Option<Payload>, FrameError> {
        if let Some(large) = self.large.take_if(|large| large.missing() == 0) {
            self.small_ones = Some(0);
            return large.into_payload(&self.spare).map(Some);
        }
        if let Some(large) = &mut self.large {
            return large.make_room().map(|()| None);
        }
        let Some((claimed, is_compressed)) = self.header() else { return Ok(None) };
        // The flag first: a peer that speaks HTTP or TLS is told apart before its "length" is believed.
        let is_compressed = match is_compressed {
            0 => false,
            1 => true,
            _ => return Err(FrameError::NotRpyc("the compression flag of a frame is neither 0 nor 1")),
        };
        let may_inflate = if is_compressed { claimed.saturating_mul(BEST_DEFLATION) } else { 0 };
        let bounds = if claimed <= limits.max_frame && may_inflate <= limits.max_inflated {
            Bounds::request(limits)
        } else {
            match self.bounds_of_long(claimed, limits, expects) {
                Some(bounds) => bounds,
                None => return self.make_room(claimed).map(|()| None),
            }
        };
        if claimed > bounds.frame.0 {
            return Err(FrameError::TooLarge { claimed, max: bounds.frame.0, limit: bounds.frame.1 });
        }
        let rest = &self.buffer[self.start + HEADER_LEN..self.end];
        let Some(&end) = rest.get(claimed) else {
            // A claim alone takes no memory.
            if claimed > KEPT && rest.len() >= RECEIVE_CHUNK / 2 && !is_compressed {
                let large = self.large.insert(Large::new(claimed, rest, &self.spare));
                (self.start, self.end) = (0, 0);
                return large.make_room().map(|()| None);
            }
            return self.make_room(claimed).map(|()| None);
        };
        if end != END {
            return Err(FrameError::NotRpyc(BAD_END));
        }
        let payload = if is_compressed {
            let (max, limit) = bounds.inflated;
            inflate(&rest[..claimed], max, limit)?
        } else {
            rest[..claimed].to_vec()
        };
        self.start += HEADER_LEN + claimed + 1;
        self.count_small_one();
        Ok(Some(payload.into()))
    }

    /// What has arrived of a large payload, once for each: so that [`land`](Self::land) can follow.
    pub fn large_beginning(&mut self) -> Option<&[u8]> {
        self.large.as_mut()?.beginning()
    }

    /// Has these bytes of the large payload under way received into that place, of which the payload then says that they are
    /// there. They are copied if it is too late for that.
    pub fn land(&mut self, bytes: Range<usize>, place: Box<dyn Place>) {
        if let Some(large) = &mut self.large {
            large.land(bytes, place, &self.spare);
        }
    }

    fn count_small_one(&mut self) {
        let Some(count) = &mut self.small_ones else { return };
        *count += 1;
        if *count == SMALL_ONES {
            self.spare.forget();
            // Again and again, for the last large payload may have been in use until now.
            *count = 0;
        }
    }

    /// The beginning of the payload under way, as far as it has arrived, which is enough to tell its message's number: for
    /// an answer to what is not taken.
    #[must_use]
    pub fn beginning(&self) -> Vec<u8> {
        if let Some(large) = &self.large {
            let arrived = large.arrived();
            return arrived[..arrived.len().min(HEAD)].to_vec();
        }
        let Some((claimed, flag)) = self.header() else { return Vec::new() };
        let arrived = &self.buffer[self.start + HEADER_LEN..self.end];
        let arrived = &arrived[..arrived.len().min(claimed)];
        if flag != 1 {
            return arrived[..arrived.len().min(HEAD)].to_vec();
        }
        let mut head = Vec::with_capacity(HEAD);
        // What is no zlib stream has no beginning.
        let _ = Decompress::new(true).decompress_vec(arrived, &mut head, FlushDecompress::Sync);
        head
    }

    /// Whether what is longer than a request may be is a reply; `None` until that can be told.
    fn bounds_of_long(
        &self,
        claimed: usize,
        limits: &Limits,
        expects: impl FnOnce(&[u8]) -> Option<bool>,
    ) -> Option<Bounds> {
        if claimed > limits.max_frame.max(limits.max_reply) {
            return Some(Bounds::request(limits));
        }
        let beginning = self.beginning();
        let is_whole = self.end - self.start - HEADER_LEN > claimed;
        match expects(&beginning) {
            Some(true) => Some(Bounds::reply(limits)),
            None if beginning.len() < HEAD && !is_whole => None,
            _ => Some(Bounds::request(limits)),
        }
    }

    /// Claimed length and flag, once they are there.
    fn header(&self) -> Option<(usize, u8)> {
        let header = self.buffer[self.start..self.end].get(..HEADER_LEN)?;
        Some((u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize, header[4]))
    }

    /// Length of the frame whose header is here, with its header and end byte.
    fn announced(&self) -> Option<usize> {
        let header = self.buffer[self.start..self.end].get(..4)?;
        let claimed = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        Some(claimed.saturating_add(HEADER_LEN + 1))
    }
}

/// What bounds one frame: values and names of limits.
struct Bounds {
    frame: (usize, &'static str),
    inflated: (usize, &'static str),
}

impl Bounds {
    fn request(limits: &Limits) -> Self {
        Self { frame: (limits.max_frame, "max_frame"), inflated: (limits.max_inflated, "max_inflated") }
    }

    /// What may be sent as a request may be sent as a reply.
    fn reply(limits: &Limits) -> Self {
        let request = Self::request(limits);
        let frame = (limits.max_reply, "max_reply");
        let inflated = (limits.max_inflated_reply, "max_inflated_reply");
        Self { frame: frame.max(request.frame), inflated: inflated.max(request.inflated) }
    }
}

/// Inflates one zlib stream, never storing more than `max` bytes. Where it could hold more, a first pass counts what it
/// holds and stores nothing. `limit` is the name of the limit, for the error.
///
/// # Errors
/// [`FrameError`] if it is larger or malformed.
pub fn inflate(input: &[u8], max: usize, limit: &'static str) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    if input.len().saturating_mul(BEST_DEFLATION) > max {
        let mut size = 0;
        inflate_into(input, &mut Vec::with_capacity(RECEIVE_CHUNK), |chunk| {
            size += chunk.len();
            chunk.clear();
            if size > max { Err(FrameError::InflatesTooLarge { max, limit }) } else { Ok(()) }
        })?;
        // One more, so that the end is noticed without growing.
        memory::reserve_exact(&mut out, size + 1).map_err(|_| FrameError::OutOfMemory { size })?;
    }
    inflate_into(input, &mut out, |out| {
        if out.len() == out.capacity() {
            memory::reserve(out, 4096).map_err(|_| FrameError::OutOfMemory { size: out.len() })?;
        }
        Ok(())
    })?;
    Ok(out)
}

/// Inflates into the free capacity of `out`, for which `make_room` is called before each step.
fn inflate_into(
    mut input: &[u8],
    out: &mut Vec<u8>,
    mut make_room: impl FnMut(&mut Vec<u8>) -> Result<(), FrameError>,
) -> Result<(), FrameError> {
    let mut state = Decompress::new(true);
    loop {
        make_room(out)?;
        let before = state.total_in();
        let status = state
            .decompress_vec(input, out, FlushDecompress::None)
            .map_err(|_| FrameError::BadCompression)?;
        input = &input[(state.total_in() - before) as usize..];
        match status {
            Status::StreamEnd if input.is_empty() => return make_room(out),
            Status::StreamEnd => return Err(FrameError::BadCompression),
            _ if input.is_empty() && out.len() < out.capacity() => return Err(FrameError::BadCompression),
            _ => {}
        }
    }
}

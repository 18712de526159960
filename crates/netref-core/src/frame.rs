//! Frames: `u32 length | u8 compressed | payload | 0x0a`.
//!
//! [`seal`] finishes an outgoing frame in place; a [`Deframer`] cuts arriving bytes into payloads, whatever way the
//! transport chopped them up.

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};

use crate::limits::Limits;

/// Bytes before the payload.
pub const HEADER_LEN: usize = 5;
/// The byte after the payload.
pub const END: u8 = b'\n';
/// Stock compresses payloads longer than this; the receiver takes any payload either way.
pub const COMPRESSION_THRESHOLD: usize = 3000;

const RECEIVE_CHUNK: usize = 64 * 1024;
/// A large frame's buffer grows at most this much ahead of the bytes that arrived.
const GROWTH_CHUNK: usize = 1024 * 1024;
/// How much of a payload is compressed to find out whether compressing the rest is worth it.
const SAMPLE: usize = 16 * 1024;

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
    #[error("the peer announced a frame of {claimed} bytes, more than {max} (limit max_frame or max_reply)")]
    TooLarge {
        /// Length in the header.
        claimed: usize,
        /// The limit in force.
        max: usize,
    },
    /// A compressed payload is larger than the limit once inflated.
    #[error(
        "a compressed frame inflates to more than {max} bytes (limit max_inflated or max_inflated_reply)"
    )]
    InflatesTooLarge {
        /// The limit in force.
        max: usize,
    },
    /// The compression flag is neither 0 nor 1, or the byte after the payload is not 0x0a.
    #[error("these are not RPyC frames: {0}")]
    NotRpyc(&'static str),
    /// A compressed payload is not one whole zlib stream.
    #[error("a compressed frame is not a valid zlib stream")]
    BadCompression,
}

/// A buffer with room for the header of the frame that will be written to it.
#[must_use]
pub fn open() -> Vec<u8> {
    let mut frame = Vec::with_capacity(256);
    frame.extend_from_slice(&[0; HEADER_LEN]);
    frame
}

/// Turns a buffer from [`open`], with the payload appended, into a whole frame.
///
/// # Panics
/// If the payload does not fit the header's 32-bit length.
#[must_use]
pub fn seal(mut frame: Vec<u8>, compression: Compression) -> Vec<u8> {
    let mut flag = 0;
    if compression == Compression::Auto
        && frame.len() - HEADER_LEN > COMPRESSION_THRESHOLD
        && let Some(smaller) = deflate(&frame[HEADER_LEN..])
    {
        frame = smaller;
        flag = 1;
    }
    let length = u32::try_from(frame.len() - HEADER_LEN).expect("the payload fits a 32-bit length");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame[4] = flag;
    frame.push(END);
    frame
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

/// The compressed payload after room for a header, or `None` where compressing does not pay.
fn deflate(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > 4 * SAMPLE {
        let sample = &payload[payload.len() / 2..][..SAMPLE];
        let size = deflate_into(sample, Vec::with_capacity(SAMPLE + 1024)).len();
        if size > SAMPLE - SAMPLE / 8 {
            return None;
        }
    }
    let mut frame = Vec::with_capacity(payload.len() / 2 + 64);
    frame.extend_from_slice(&[0; HEADER_LEN]);
    let frame = deflate_into(payload, frame);
    (frame.len() < payload.len()).then_some(frame)
}

fn deflate_into(mut input: &[u8], mut out: Vec<u8>) -> Vec<u8> {
    let mut state = Compress::new(Level::fast(), true);
    loop {
        out.reserve(4096.max(input.len() / 4));
        let before = state.total_in();
        let status = state.compress_vec(input, &mut out, FlushCompress::Finish);
        input = &input[(state.total_in() - before) as usize..];
        if !matches!(status, Ok(Status::Ok | Status::BufError)) {
            return out;
        }
    }
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
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// An empty deframer.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: vec![0; RECEIVE_CHUNK], start: 0, end: 0 }
    }

    /// Where to put received bytes; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > 4 * GROWTH_CHUNK {
                self.buffer = vec![0; RECEIVE_CHUNK];
            }
        } else if self.start > 0 && self.buffer.len() - self.end < RECEIVE_CHUNK / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() == self.end {
            let missing = self.announced().map_or(0, |frame| frame.saturating_sub(self.end - self.start));
            let more = missing.clamp(RECEIVE_CHUNK, GROWTH_CHUNK);
            self.buffer.resize(self.end + more, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Takes note of `count` bytes put at the start of [`space`](Self::space).
    ///
    /// # Panics
    /// If `count` is more than there was space for.
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.buffer.len() - self.end, "filled more than there was space for");
        self.end += count;
    }

    /// True when part of a frame has arrived.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.start != self.end
    }

    /// How many bytes to the end of what is under way, a header or the rest of a frame: for a stream that can only be
    /// asked for an exact number. Never 0 after [`next_payload`](Self::next_payload) returned `None`.
    #[must_use]
    pub fn missing(&self) -> usize {
        let received = self.end - self.start;
        match self.announced() {
            Some(frame) if received >= HEADER_LEN => frame.saturating_sub(received),
            _ => HEADER_LEN - received,
        }
    }

    /// The payload of the next whole frame, inflated if it was compressed, or `None` until more bytes arrive.
    /// `awaiting_reply` says whether a call of ours is outstanding, which allows frames the size of a reply.
    ///
    /// # Errors
    /// [`FrameError`]: what arrives is not RPyC or is too large. The connection cannot go on.
    pub fn next_payload(
        &mut self,
        limits: &Limits,
        awaiting_reply: bool,
    ) -> Result<Option<Vec<u8>>, FrameError> {
        let (max, max_inflated) = if awaiting_reply {
            (limits.max_reply.max(limits.max_frame), limits.max_inflated_reply.max(limits.max_inflated))
        } else {
            (limits.max_frame, limits.max_inflated)
        };
        let received = &self.buffer[self.start..self.end];
        let Some((header, rest)) = received.split_at_checked(HEADER_LEN) else { return Ok(None) };
        // The flag first: a peer that speaks HTTP or TLS is told apart before its "length" is believed.
        if header[4] > 1 {
            return Err(FrameError::NotRpyc("the compression flag of a frame is neither 0 nor 1"));
        }
        let claimed = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if claimed > max {
            return Err(FrameError::TooLarge { claimed, max });
        }
        let Some(&end) = rest.get(claimed) else { return Ok(None) };
        if end != END {
            return Err(FrameError::NotRpyc("a frame does not end in a line feed"));
        }
        let payload =
            if header[4] == 1 { inflate(&rest[..claimed], max_inflated)? } else { rest[..claimed].to_vec() };
        self.start += HEADER_LEN + claimed + 1;
        Ok(Some(payload))
    }

    /// Length of the frame whose header is here, with its header and end byte.
    fn announced(&self) -> Option<usize> {
        let header = self.buffer[self.start..self.end].get(..4)?;
        let claimed = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        Some(claimed.saturating_add(HEADER_LEN + 1))
    }
}

/// Inflates one zlib stream, never storing more than `max` bytes.
///
/// # Errors
/// [`FrameError`] if it is larger or malformed.
pub fn inflate(mut input: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
    let mut state = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        if out.len() == out.capacity() {
            // Doubling up to the limit, plus one byte that tells "exactly at the limit" from "over it".
            let room = (out.capacity().max(4096)).min(max.saturating_add(1).saturating_sub(out.len()));
            if room == 0 {
                return Err(FrameError::InflatesTooLarge { max });
            }
            out.reserve_exact(room);
        }
        let before = (state.total_in(), out.len());
        let status = state
            .decompress_vec(input, &mut out, FlushDecompress::None)
            .map_err(|_| FrameError::BadCompression)?;
        input = &input[(state.total_in() - before.0) as usize..];
        if out.len() > max {
            return Err(FrameError::InflatesTooLarge { max });
        }
        match status {
            Status::StreamEnd if input.is_empty() => return Ok(out),
            Status::StreamEnd => return Err(FrameError::BadCompression),
            _ if input.is_empty() && out.len() < out.capacity() => return Err(FrameError::BadCompression),
            _ => {}
        }
    }
}

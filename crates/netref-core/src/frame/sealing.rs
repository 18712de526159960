//! Outgoing frames.

use bytes::Bytes;
use flate2::{Compress, Compression as Level, FlushCompress, Status};

use super::{COMPRESSION_THRESHOLD, Compression, END, HEADER_LEN};
use crate::memory;

/// How much of a payload is compressed to find out whether compressing the rest is worth it.
const SAMPLE: usize = 16 * 1024;

/// Large bytes that a frame takes in without copying them: each has its place after so many bytes of the frame's own.
pub type Shared = Vec<(usize, Bytes)>;

/// A whole frame.
#[derive(Debug)]
pub struct Frame {
    own: Vec<u8>,
    shared: Shared,
}

/// Bytes to be written.
#[derive(Debug)]
pub enum Piece {
    /// Whole frames, or parts of one.
    Own(Vec<u8>),
    /// Part of a frame that belongs to somebody else too.
    Shared(Bytes),
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Frame {
    /// Length in bytes, header included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame has a header at least")]
    pub fn len(&self) -> usize {
        self.own.len() + shared_len(&self.shared)
    }

    /// The frame, if it is in one piece of its own.
    ///
    /// # Errors
    /// Itself, if it is not.
    pub fn into_vec(self) -> Result<Vec<u8>, Self> {
        if self.shared.is_empty() { Ok(self.own) } else { Err(self) }
    }

    /// All of it, in the order to be written.
    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        let Self { mut own, shared } = self;
        let mut pieces = Vec::with_capacity(2 * shared.len() + 1);
        for (at, bytes) in shared.into_iter().rev() {
            pieces.push(Piece::Own(own.split_off(at)));
            pieces.push(Piece::Shared(bytes));
        }
        pieces.push(Piece::Own(own));
        pieces.into_iter().rev()
    }
}

/// A buffer with room for the header of the frame that will be written to it.
#[must_use]
pub fn open() -> Vec<u8> {
    let mut frame = Vec::with_capacity(256);
    frame.extend_from_slice(&[0; HEADER_LEN]);
    frame
}

/// Turns a buffer from [`open`], with the payload appended but for what is `shared`, into a whole frame.
///
/// # Panics
/// If the payload does not fit the header's 32-bit length.
#[must_use]
pub fn seal(mut own: Vec<u8>, mut shared: Shared, compression: Compression) -> Frame {
    let mut flag = 0;
    let payload_len = |own: &[u8], shared: &Shared| own.len() - HEADER_LEN + shared_len(shared);
    if compression == Compression::Auto
        && payload_len(&own, &shared) > COMPRESSION_THRESHOLD
        && let Some(smaller) = compress(&own, &shared)
    {
        (own, shared) = (smaller, Vec::new());
        flag = 1;
    }
    let length = u32::try_from(payload_len(&own, &shared)).expect("the payload fits a 32-bit length");
    own[..4].copy_from_slice(&length.to_be_bytes());
    own[4] = flag;
    own.push(END);
    Frame { own, shared }
}

pub(crate) fn shared_len(shared: &Shared) -> usize {
    shared.iter().map(|(_, bytes)| bytes.len()).sum()
}

/// The compressed payload after room for a header, or `None` where compressing does not pay.
fn compress(own: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let Some((_, largest)) = shared.iter().max_by_key(|(_, bytes)| bytes.len()) else {
        return deflate(&own[HEADER_LEN..]);
    };
    let size = own.len() + shared_len(shared);
    if !shrinks(largest) || !memory::is_there(size) {
        return None;
    }
    let mut payload = Vec::with_capacity(size);
    let mut from = HEADER_LEN;
    for (at, bytes) in shared {
        payload.extend_from_slice(&own[from..*at]);
        payload.extend_from_slice(bytes);
        from = *at;
    }
    payload.extend_from_slice(&own[from..]);
    deflate(&payload)
}

fn deflate(payload: &[u8]) -> Option<Vec<u8>> {
    if !shrinks(payload) || !memory::is_there(payload.len()) {
        return None;
    }
    let mut frame = Vec::with_capacity(payload.len() / 2 + 64);
    frame.extend_from_slice(&[0; HEADER_LEN]);
    let frame = deflate_into(payload, frame);
    (frame.len() < payload.len()).then_some(frame)
}

/// Whether compressing is worth it, as far as a sample of what is long can tell.
fn shrinks(payload: &[u8]) -> bool {
    if payload.len() <= 4 * SAMPLE {
        return true;
    }
    let sample = &payload[payload.len() / 2..][..SAMPLE];
    deflate_into(sample, Vec::with_capacity(SAMPLE + 1024)).len() <= SAMPLE - SAMPLE / 8
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

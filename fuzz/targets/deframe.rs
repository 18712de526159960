//! A stream of bytes in pieces of any size gives the same payloads, and the same error, as in one piece.

use netref_core::Limits;
use netref_core::frame::{Deframer, FrameError};

/// Runs the target on one input; a panic is a finding.
pub fn run(input: &[u8]) {
    let Some((pieces, stream)) = input.split_at_checked(4) else { return };
    let mut limits = Limits::strict();
    limits.max_inflated = 1 << 16;
    let whole = deframe(stream, &[255], &limits);
    assert_eq!(deframe(stream, pieces, &limits), whole);
}

/// All payloads, and the error that ended them. Pieces are as long as `pieces` says in turn.
fn deframe(mut stream: &[u8], pieces: &[u8], limits: &Limits) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut deframer = Deframer::new();
    let mut payloads = Vec::new();
    for piece in pieces.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let space = deframer.space();
        let wanted = if *piece == 255 { usize::MAX } else { usize::from(*piece) + 1 };
        let count = wanted.min(stream.len()).min(space.len());
        space[..count].copy_from_slice(&stream[..count]);
        deframer.filled(count);
        stream = &stream[count..];
        loop {
            match deframer.next_payload(limits, |_| Some(false)) {
                Ok(Some(payload)) => payloads.push(payload.to_vec()),
                Ok(None) => break,
                Err(error) => return (payloads, Some(error)),
            }
        }
    }
    (payloads, None)
}

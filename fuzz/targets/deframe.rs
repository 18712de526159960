//! A stream of bytes in pieces of any size gives the same payloads, and the same error, as in one piece.

use std::iter::repeat_n;

use netref_core::Limits;
use netref_core::frame::{Deframer, FrameError, HEADER_LEN};

/// Payloads that the input leaves out: as many zeros as the header before them claims, of three frames at most.
const LEFT_OUT: std::ops::Range<usize> = 200_000..2_000_000;

/// Runs the target on one input; a panic is a finding.
pub fn run(input: &[u8]) {
    let Some((pieces, stream)) = input.split_at_checked(4) else { return };
    let mut limits = Limits::strict();
    limits.max_inflated = 1 << 16;
    let stream = filled(stream);
    let is_reply = pieces[0].is_multiple_of(2);
    let whole = deframe(&stream, &[255], &limits, is_reply);
    assert_eq!(deframe(&stream, pieces, &limits, is_reply), whole);
}

fn filled(mut rest: &[u8]) -> Vec<u8> {
    let (mut stream, mut large) = (Vec::new(), 0);
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let claimed = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let is_left_out = LEFT_OUT.contains(&claimed) && large < 3;
        let given = if is_left_out { 1 } else { claimed.saturating_add(1).min(after.len()) };
        let (frame, next) = after.split_at(given.min(after.len()));
        stream.extend_from_slice(header);
        if is_left_out {
            stream.extend(repeat_n(0, claimed));
            large += 1;
        }
        stream.extend_from_slice(frame);
        rest = next;
    }
    stream.extend_from_slice(rest);
    stream
}

/// All payloads, and the error that ended them. Pieces are as long as `pieces` says in turn, and longer where much is left.
fn deframe(
    mut stream: &[u8],
    pieces: &[u8],
    limits: &Limits,
    is_reply: bool,
) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut deframer = Deframer::new();
    let mut payloads = Vec::new();
    for piece in pieces.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let space = deframer.space();
        let wanted = if *piece == 255 { usize::MAX } else { (usize::from(*piece) + 1) * (1 + stream.len() / 4096) };
        let count = wanted.min(stream.len()).min(space.len());
        space[..count].copy_from_slice(&stream[..count]);
        deframer.filled(count);
        stream = &stream[count..];
        loop {
            match deframer.next_payload(limits, |_| Some(is_reply)) {
                Ok(Some(payload)) => payloads.push(payload.to_vec()),
                Ok(None) => break,
                Err(error) => return (payloads, Some(error)),
            }
        }
    }
    (payloads, None)
}

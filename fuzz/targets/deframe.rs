//! A stream of bytes in pieces of any size gives the same payloads, and the same error, as in one piece; also if no more is asked for
//! than is missing, if a few bytes do not tell whether a payload is a reply, and if some of a large one is received elsewhere.

use std::iter::repeat_n;
use std::ops::Range;

use netref_core::Limits;
use netref_core::frame::{Deframer, FrameError, HEADER_LEN};
use netref_core::payload::Place;

/// Payloads that the input leaves out: as many zeros as the header before them claims, of three frames at most.
const LEFT_OUT: Range<usize> = 200_000..2_000_000;

/// Runs the target on one input; a panic is a finding.
pub fn run(input: &[u8]) {
    let Some((pieces, stream)) = input.split_at_checked(4) else { return };
    let mut limits = Limits::strict();
    limits.max_inflated = 1 << 16;
    let stream = filled(stream);
    let is_reply = |beginning: &[u8]| match pieces[0] % 4 {
        0 => Some(true),
        1 => Some(false),
        // It takes so many bytes to tell.
        _ => beginning.get(usize::from(pieces[1] % 64)).map(|byte| byte.is_multiple_of(2)),
    };
    let start = 16 * usize::from(pieces[2]);
    let landing = start..start + (usize::from(pieces[3]) << 13);
    let whole = deframe(&stream, &[255], &limits, is_reply, false, None);
    assert_eq!(deframe(&stream, pieces, &limits, is_reply, false, None), whole);
    assert_eq!(deframe(&stream, pieces, &limits, is_reply, false, Some(&landing)), whole);
    assert_eq!(deframe(&stream, pieces, &limits, is_reply, true, Some(&landing)), whole);
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

/// Where bytes land.
struct Room(Vec<u8>);

impl Place for Room {
    fn space(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.0[range]
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// All payloads, and the error that ended them. Pieces are as long as `pieces` says in turn, and longer where much is left.
fn deframe(
    mut stream: &[u8],
    pieces: &[u8],
    limits: &Limits,
    is_reply: impl Fn(&[u8]) -> Option<bool>,
    exactly: bool,
    landing: Option<&Range<usize>>,
) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut deframer = Deframer::default();
    let (mut payloads, total) = (Vec::new(), stream.len());
    for piece in pieces.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let missing = if exactly { deframer.missing() } else { usize::MAX };
        assert!(missing > 0, "what is asked for exactly is never nothing");
        let space = deframer.space();
        let wanted =
            if *piece == 255 { usize::MAX } else { (usize::from(*piece) + 1) * (1 + stream.len() / 4096) };
        let count = wanted.min(missing).min(stream.len()).min(space.len());
        space[..count].copy_from_slice(&stream[..count]);
        deframer.filled(count);
        stream = &stream[count..];
        loop {
            match deframer.next_payload(limits, &is_reply) {
                Ok(Some(payload)) => payloads.push(payload.pieces().concat()),
                Ok(None) => break,
                Err(error) => {
                    assert!(deframer.beginning().len() <= 64);
                    return (payloads, Some(error));
                }
            }
        }
        if let (Some(bytes), Some(_)) = (landing, deframer.large_beginning()) {
            deframer.land(bytes.clone(), Box::new(Room(vec![0; bytes.len()])));
        }
        assert!(deframer.is_mid_frame() || deframer.claimed().is_none());
        assert!(
            deframer.memory() <= 2 * (total - stream.len()) + (1 << 20),
            "memory follows what has arrived"
        );
    }
    (payloads, None)
}

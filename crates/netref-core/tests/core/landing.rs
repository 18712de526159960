//! Large bytes that are received to where they are to be.

use std::ops::Range;

use netref_core::boxing::ScanError;
use netref_core::brine::{DecodeError, Writer};
use netref_core::frame::{Compression, Deframer};
use netref_core::payload::{Payload, Place};
use netref_core::request::handlers;
use netref_core::session::{Event, Options};
use netref_core::threads::Threads;
use netref_core::{Dialect, Limits};
use proptest::prelude::*;

use crate::brine::cases;
use crate::frames::frame;
use crate::value::{Side, Value};
use crate::wire::{boxed, int, message, plain_request, request, text, tuple};

const LARGE: usize = 700_000;

/// Memory that fits.
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

/// The payload of a frame that arrives in pieces of these lengths, in turn. `find` says of its beginning what is to land.
fn receive(
    mut frame: &[u8],
    pieces: &[usize],
    mut find: impl FnMut(&[u8]) -> Option<Range<usize>>,
) -> Payload {
    let mut deframer = Deframer::new();
    let size = frame.len();
    for piece in pieces.iter().cycle() {
        let arrived = size - frame.len();
        let space = deframer.space();
        assert!(space.len() <= arrived.max(64 * 1024), "memory follows what arrives");
        let count = frame.len().min(space.len()).min(*piece);
        assert!(count > 0, "there is always room for more");
        space[..count].copy_from_slice(&frame[..count]);
        deframer.filled(count);
        frame = &frame[count..];
        if let Some(payload) = deframer.next_payload(&Limits::compat(), |_| Some(false)).unwrap() {
            assert!(frame.is_empty() && !deframer.is_mid_frame());
            return payload;
        }
        if let Some(bytes) = deframer.large_beginning().and_then(&mut find) {
            let room = Room(vec![0; bytes.len()]);
            deframer.land(bytes, Box::new(room));
        }
        assert!(deframer.missing() >= frame.len());
    }
    unreachable!()
}

proptest! {
    #![proptest_config(cases(60))]

    /// Whatever part of a payload is to land, and however it arrives: it is the same payload.
    #[test]
    fn any_part_of_a_payload_can_land(
        seed in any::<u64>(),
        len in 300_000..3_000_000usize,
        start in prop_oneof![0..100usize, 0..70_000usize],
        landed in prop_oneof![0..3_000_000usize, Just(usize::MAX / 2)],
        pieces in prop::collection::vec(1..200_000usize, 1..10),
    ) {
        let payload: Vec<u8> =
            (0..len as u64).map(|at| (seed.wrapping_add(at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let end = if landed > len { landed } else { (start + landed).min(len) };
        let frame = frame(&payload, Compression::Off);
        let received = receive(&frame, &pieces, |_| (end <= len).then_some(start..end.max(start)));
        let [before, elsewhere, after] = received.pieces();
        prop_assert!(elsewhere.is_empty() || elsewhere == &payload[start..end]);
        prop_assert!([before, elsewhere, after].concat() == payload);
        prop_assert_eq!(received.len(), len);
    }
}

fn side(dialect: Dialect, bind_threads: bool) -> Side {
    let limits = Limits::compat();
    Side::new(Options { limits, dialect: Some(dialect), bind_threads, ..Options::default() })
}

fn bytes(content: &[u8]) -> Vec<u8> {
    let mut brine = Vec::new();
    Writer::new(&mut brine, &Limits::compat()).bytes(content).unwrap();
    brine
}

/// Arguments that a request of this payload has, and how many bytes of it have landed.
fn arguments(side: &Side, payload: &[u8], pieces: &[usize]) -> (Vec<Value>, usize) {
    let find = |beginning: &[u8]| side.session.borrow().large_bytes(beginning);
    let received = receive(&frame(payload, Compression::Off), pieces, find);
    let landed = received.pieces()[1].len();
    let Ok(Event::Request(mut request)) = side.session.borrow_mut().accept(received) else {
        panic!("no request")
    };
    (request.arguments(side).unwrap(), landed)
}

/// Wherever they are in a message, in both dialects, and behind thread numbers: large bytes land, and are read as ever.
#[test]
fn large_bytes_land_wherever_they_are_in_a_message() {
    let content: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    let (large, value) = (bytes(&content), Value::Bytes(content));
    let plain = |items: &[Vec<u8>]| plain_request(7, handlers::CALL, items);
    let boxes = |items: &[Vec<u8>]| request(7, handlers::CALL, items);
    let pair = |one: &Value, other: &Value| Value::Tuple(vec![one.clone(), other.clone()]);
    let cases = [
        (plain(std::slice::from_ref(&large)), vec![value.clone()]),
        (
            plain(&[int(3), large.clone(), text("after")]),
            vec![Value::Int(3), value.clone(), Value::Str("after".into())],
        ),
        (plain(&[tuple(&[large.clone(), large.clone()])]), vec![pair(&value, &value)]),
        (
            boxes(&[boxed(1, &int(1)), boxed(1, &large), boxed(1, &bytes(b"small"))]),
            vec![Value::Int(1), value.clone(), Value::Bytes(b"small".to_vec())],
        ),
        (
            boxes(&[boxed(2, &tuple(&[boxed(1, &large), boxed(1, &int(2))]))]),
            vec![pair(&value, &Value::Int(2))],
        ),
    ];
    for pieces in [&[usize::MAX][..], &[1000], &[40_000, 1, 300_000]] {
        for (payload, wanted) in &cases {
            let (values, landed) = arguments(&side(Dialect::V6, false), payload, pieces);
            assert!(values == *wanted && landed == LARGE, "{landed} bytes landed");
            // The same for a peer that says whom its requests are for, and for one of the older dialect.
            let bound = [&[0; Threads::SIZE][..], payload].concat();
            let (values, landed) = arguments(&side(Dialect::V6, true), &bound, pieces);
            assert!(values == *wanted && landed == LARGE, "{landed} bytes landed behind thread numbers");
            let body = &payload[payload.iter().position(|byte| *byte == int(7)[0]).unwrap() + 1..];
            let old = tuple(&[int(1), int(7), body.to_vec()]);
            let (values, landed) = arguments(&side(Dialect::V5, false), &old, pieces);
            assert!(values == *wanted && landed == LARGE, "{landed} bytes landed in the old dialect");
        }
    }
}

/// What is no bytes, or comes after much else, or has arrived by then, is received like anything.
#[test]
fn other_large_things_do_not_land() {
    let much = tuple(&vec![text("much else"); 20_000]);
    let long = "x".repeat(LARGE);
    for items in
        [[text(&long), int(1)], [much, bytes(&[1; LARGE])], [bytes(&[2; 200_000]), bytes(&[3; 200_000])]]
    {
        let side = side(Dialect::V6, false);
        let (values, landed) = arguments(&side, &plain_request(7, handlers::CALL, &items), &[64 * 1024]);
        assert_eq!((values.len(), landed), (2, 0));
    }
}

/// A PING is answered by the session from the bytes of the message, which have to be in one piece.
#[test]
fn a_ping_whose_data_has_landed_is_for_the_driver() {
    let side = side(Dialect::V6, false);
    let (values, landed) =
        arguments(&side, &plain_request(7, handlers::PING, &[bytes(&[5; LARGE])]), &[64 * 1024]);
    assert!(values == [Value::Bytes(vec![5; LARGE])] && landed == LARGE);
}

/// What has landed is never passed over: no other bytes are taken for those that it belongs between, even if they make a message.
#[test]
fn what_landed_in_the_middle_of_something_is_malformed() {
    let side = side(Dialect::V6, false);
    let sent = side.session.borrow_mut().start_request(handlers::GETROOT, None);
    side.session.borrow_mut().send_request(sent.seal().unwrap(), 0).unwrap();
    let (long, filler) = (text(&"x".repeat(LARGE)), text(&"y".repeat(LARGE / 2)));
    let payload = message(2, 0, &boxed(1, &tuple(&[long, [&filler[..], &int(1)].concat()])));
    let within = 1000..1000 + filler.len();
    let received = receive(&frame(&payload, Compression::Off), &[64 * 1024], |_| Some(within.clone()));
    assert_eq!(received.pieces()[1].len(), filler.len());
    match side.session.borrow_mut().accept(received) {
        Ok(Event::Reply { message: Err(ScanError::Malformed(DecodeError::TrailingBytes(_))), .. }) => {}
        other => panic!("{other:?}"),
    }
}

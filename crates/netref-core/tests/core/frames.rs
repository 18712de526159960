//! Frames: any way of cutting the stream, both kinds of payload, every kind of nonsense, and no memory for claims.

use netref_core::Limits;
use netref_core::frame::{Compression, Deframer, FrameError, HEADER_LEN, inflate, open, seal, sealed_len};
use proptest::prelude::*;

use crate::brine::cases;
use crate::memory;

const MIB: usize = 1024 * 1024;

/// One whole frame around `payload`.
pub(crate) fn frame(payload: &[u8], compression: Compression) -> Vec<u8> {
    let mut frame = open();
    frame.extend_from_slice(payload);
    seal(frame, Vec::new(), compression).into_vec().unwrap()
}

/// Puts all of `bytes` in, in pieces of at most `piece` bytes, and takes out every payload as soon as it is there.
pub(crate) fn feed(
    deframer: &mut Deframer,
    mut bytes: &[u8],
    piece: usize,
    limits: &Limits,
) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let space = deframer.space();
        let count = bytes.len().min(space.len()).min(piece.max(1));
        space[..count].copy_from_slice(&bytes[..count]);
        deframer.filled(count);
        bytes = &bytes[count..];
        while let Some(payload) = deframer.next_payload(limits, |_| Some(false))? {
            payloads.push(payload.pieces().concat());
        }
    }
    Ok(payloads)
}

fn deframe(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
    feed(&mut Deframer::new(), bytes, usize::MAX, &Limits::default())
}

/// A frame whose header claims `claimed` bytes, with `payload` for a start.
fn claiming(claimed: u32, flag: u8, payload: &[u8]) -> Vec<u8> {
    [&claimed.to_be_bytes()[..], &[flag], payload].concat()
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 2900..9000usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => prop::collection::vec(any::<u8>(), 2900..9000),
        1 => (any::<u8>(), 60_000..200_000usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_chunking_gives_the_same_payloads(
        payloads in prop::collection::vec((payload(), any::<bool>()), 0..12),
        pieces in prop::collection::vec(1..70_000usize, 1..20),
    ) {
        let mut stream = Vec::new();
        for (payload, compress) in &payloads {
            let compression = if *compress { Compression::Auto } else { Compression::Off };
            stream.extend(frame(payload, compression));
        }
        let mut deframer = Deframer::new();
        let mut received = Vec::new();
        let mut rest = &stream[..];
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*piece));
            received.extend(feed(&mut deframer, now, *piece, &Limits::default()).unwrap());
            rest = later;
        }
        let sent: Vec<_> = payloads.into_iter().map(|(payload, _)| payload).collect();
        prop_assert_eq!(received, sent);
        prop_assert!(!deframer.is_mid_frame());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..20usize) {
        let _ = feed(&mut Deframer::new(), &bytes, piece, &Limits::default());
        let _ = inflate(&bytes, 1000, "max_x");
    }
}

#[test]
fn byte_by_byte() {
    let stream = [frame(b"one", Compression::Off), frame(&[7; 5000], Compression::Auto)].concat();
    let received = feed(&mut Deframer::new(), &stream, 1, &Limits::default()).unwrap();
    assert_eq!(received, [b"one".to_vec(), vec![7; 5000]]);
}

#[test]
fn asking_for_what_is_missing_never_reads_into_the_next_frame() {
    let large = vec![7; 3 * MIB];
    let payloads: [&[u8]; 4] = [b"", b"small", &large, b"last"];
    let frames = payloads.map(|payload| frame(payload, Compression::Off));
    let stream = frames.concat();
    let mut deframer = Deframer::new();
    let mut rest = &stream[..];
    for payload in payloads {
        assert_eq!(sealed_len(rest), payload.len() + HEADER_LEN + 1);
        let got = loop {
            let missing = deframer.missing();
            assert!(missing > 0 && missing <= rest.len());
            let space = deframer.space();
            let count = missing.min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            deframer.filled(count);
            rest = &rest[count..];
            if let Some(got) = deframer.next_payload(&Limits::default(), |_| Some(false)).unwrap() {
                break got.pieces().concat();
            }
        };
        assert_eq!(got, payload);
        assert!(!deframer.is_mid_frame());
    }
    assert!(rest.is_empty());
}

#[test]
fn what_does_not_shrink_is_not_compressed() {
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    for len in [3001, 100_000] {
        let payload: Vec<u8> = (0..len).map(|_| noise()).collect();
        let sealed = frame(&payload, Compression::Auto);
        assert_eq!((sealed[4], sealed.len()), (0, HEADER_LEN + len + 1));
    }
    assert_eq!(frame(&[0; 3000], Compression::Auto)[4], 0, "stock's threshold");
    assert_eq!(frame(&[0; 3001], Compression::Auto)[4], 1);
    assert_eq!(frame(&[0; 3001], Compression::Off)[4], 0);
}

#[test]
fn other_protocols_are_told_apart() {
    let others: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        b"\x16\x03\x01\x02\x05\x01\x00\x02\x01\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\x03\0abc\r",
    ];
    for bytes in others {
        assert!(matches!(deframe(bytes), Err(FrameError::NotRpyc(_))), "{bytes:?}");
    }
}

#[test]
fn a_broken_zlib_stream_is_refused() {
    let whole = frame(&[1; 5000], Compression::Auto);
    let stream = &whole[HEADER_LEN..whole.len() - 1];
    let trailing = [stream, b"more"].concat();
    let mut flipped = stream.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for broken in [&b""[..], b"abc", &stream[..stream.len() - 1], &trailing, &flipped] {
        let mut bytes = claiming(u32::try_from(broken.len()).unwrap(), 1, broken);
        bytes.push(b'\n');
        assert_eq!(deframe(&bytes), Err(FrameError::BadCompression), "{broken:02x?}");
    }
}

#[test]
fn a_frame_is_as_large_as_the_limit_says() {
    let mut limits = Limits::default();
    (limits.max_frame, limits.max_reply) = (10, 20);
    let exceeds = |claimed, max, limit| Err(FrameError::TooLarge { claimed, max, limit });
    let next = |len: u8, is_reply| {
        let mut deframer = Deframer::new();
        let bytes = frame(&vec![1; usize::from(len)], Compression::Off);
        deframer.space()[..bytes.len()].copy_from_slice(&bytes);
        deframer.filled(bytes.len());
        deframer.next_payload(&limits, |_| Some(is_reply)).map(|payload| payload.unwrap().len())
    };
    assert_eq!((next(10, false), next(11, false)), (Ok(10), exceeds(11, 10, "max_frame")));
    assert_eq!((next(20, true), next(21, true)), (Ok(20), exceeds(21, 10, "max_frame")));
}

#[test]
fn only_a_reply_that_is_waited_for_may_be_longer_than_a_request() {
    let mut limits = Limits::default();
    (limits.max_frame, limits.max_reply) = (1000, 5000);
    (limits.max_inflated, limits.max_inflated_reply) = (1000, 5000);
    let payload: Vec<u8> = (0..4000_u32).flat_map(u32::to_be_bytes).take(4000).collect();
    for compression in [Compression::Off, Compression::Auto] {
        let bytes = frame(&payload, compression);
        let asked = std::cell::RefCell::new(Vec::new());
        let mut deframer = Deframer::new();
        let mut arrive = |bytes: &[u8], answer: Option<bool>| {
            deframer.space()[..bytes.len()].copy_from_slice(bytes);
            deframer.filled(bytes.len());
            let payload = deframer.next_payload(&limits, |beginning| {
                asked.borrow_mut().push(beginning.len());
                answer
            });
            payload.map(|payload| payload.map(|payload| payload.pieces().concat()))
        };
        assert_eq!(arrive(&bytes[..HEADER_LEN + 3], None), Ok(None), "nobody can tell yet");
        let half = bytes.len() / 2;
        assert_eq!(arrive(&bytes[HEADER_LEN + 3..half], Some(true)), Ok(None), "the rest is missing");
        assert_eq!(arrive(&bytes[half..], Some(true)), Ok(Some(payload.clone())));
        assert!(asked.borrow().iter().all(|count| *count <= 64), "{asked:?}");
        assert!(asked.borrow().len() >= 2, "asked while the frame is on its way");
    }
    let mut deframer = Deframer::new();
    let bytes = frame(&payload, Compression::Off);
    deframer.space()[..100].copy_from_slice(&bytes[..100]);
    deframer.filled(100);
    let refused = FrameError::TooLarge { claimed: 4000, max: 1000, limit: "max_frame" };
    assert_eq!(deframer.next_payload(&limits, |_| None).err(), Some(refused), "64 bytes tell enough");
    assert_eq!(deframer.beginning(), payload[..64]);
}

#[test]
fn an_inflated_payload_is_as_large_as_the_limit_says() {
    let sealed = frame(&[9; 100_000], Compression::Auto);
    let stream = &sealed[HEADER_LEN..sealed.len() - 1];
    for max in [0, 1, 4095, 4096, 4097, 99_999] {
        assert_eq!(inflate(stream, max, "max_x"), Err(FrameError::InflatesTooLarge { max, limit: "max_x" }));
    }
    for max in [100_000, 100_001, usize::MAX] {
        assert_eq!(inflate(stream, max, "max_x").map(|payload| payload.len()), Ok(100_000));
    }
}

#[test]
fn a_header_that_claims_gigabytes_allocates_a_buffer_like_any_other() {
    for claimed in [u32::MAX, 64 * 1024 * 1024] {
        let mut deframer = Deframer::new();
        let (result, peak) = memory::peak(|| {
            feed(&mut deframer, &claiming(claimed, 0, b"x"), 1, &Limits::default()).map(|payloads| {
                deframer.space();
                payloads.len()
            })
        });
        assert!(result == Ok(0) || claimed == u32::MAX, "64 MiB is within the limit: {result:?}");
        assert!(peak < 128 * 1024, "{peak} bytes for a claim of {claimed}");
    }
}

#[test]
fn a_large_frame_takes_memory_as_it_arrives() {
    let sent = 24 * MIB;
    let bytes = claiming(240 * 1024 * 1024, 0, &vec![0; sent]);
    let (_, peak) = memory::peak(|| feed(&mut Deframer::new(), &bytes, 100_000, &Limits::compat()));
    assert!(peak <= 2 * (2 * sent + MIB), "{peak} bytes for {sent} received");
}

#[test]
fn a_zlib_bomb_takes_no_more_memory_than_the_limit() {
    let bomb = frame(&vec![0; 40 * MIB], Compression::Auto);
    assert!(bomb.len() < 200_000);
    let mut limits = Limits::strict();
    limits.max_inflated = MIB;
    let (result, peak) = memory::peak(|| feed(&mut Deframer::new(), &bomb, usize::MAX, &limits));
    assert_eq!(result, Err(FrameError::InflatesTooLarge { max: MIB, limit: "max_inflated" }));
    // The buffer of received bytes; of the payload, nothing is stored.
    assert!(peak < 2 * bomb.len() + 200_000, "{peak} bytes");
}

#[test]
fn a_frame_that_there_is_no_memory_for_is_refused() {
    let size = 30 * MIB;
    let noise: Vec<u8> =
        (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for compression in [Compression::Off, Compression::Auto] {
        for payload in [&noise, &vec![0; size]] {
            let bytes = frame(payload, compression);
            let mut deframer = Deframer::new();
            let result = memory::scarce(40 * MIB, || feed(&mut deframer, &bytes, MIB, &Limits::compat()));
            assert!(matches!(result, Err(FrameError::OutOfMemory { .. })), "{compression:?}: {result:?}");
            assert!(deframer.memory() <= 7 * MIB, "and what there was is given back: {}", deframer.memory());
        }
    }
}

#[test]
fn the_buffer_of_a_large_frame_is_given_back() {
    let large = frame(&vec![0; 20 * MIB], Compression::Off);
    let mut deframer = Deframer::new();
    assert_eq!(feed(&mut deframer, &large, MIB, &Limits::default()).unwrap().len(), 1);
    let (_, peak) = memory::peak(|| deframer.space().len());
    assert!(
        peak < 70_000 && deframer.space().len() < 70_000,
        "a small buffer takes the place of the large one"
    );
}

#[test]
fn a_large_payloads_buffer_is_used_again_and_given_back() {
    let limits = Limits::compat();
    let mut deframer = Deframer::new();
    let mut arrive = |size: usize| {
        let bytes = frame(&vec![b'x'; size], Compression::Off);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let space = deframer.space();
            let count = rest.len().min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            deframer.filled(count);
            rest = &rest[count..];
            if let Some(payload) = deframer.next_payload(&limits, |_| Some(false)).unwrap() {
                assert!(rest.is_empty() && payload.pieces()[0] == vec![b'x'; size]);
                return (payload, deframer.memory());
            }
        }
        unreachable!()
    };
    let (first, _) = arrive(2 * MIB);
    let address = first.pieces()[0].as_ptr();
    drop(first);
    let (smaller, memory) = arrive(MIB + 1);
    assert_eq!(smaller.pieces()[0].as_ptr(), address, "the same buffer");
    assert_eq!(memory, 0, "it is the payload's now");
    let (beside, _) = arrive(MIB);
    assert_ne!(beside.pieces()[0].as_ptr(), address, "not while it is in use");
    drop((smaller, beside));
    let (small, memory) = arrive(10);
    assert!(small.len() == 10 && memory >= 2 * MIB, "counted while it is kept");
    let (too_small, _) = arrive(300 * 1024);
    assert_ne!(too_small.pieces()[0].as_ptr(), address, "what is small does not hold what is large");
    drop(too_small);
    for _ in 0..15 {
        assert!(arrive(10).1 >= 2 * MIB);
    }
    assert_eq!(arrive(10).1, 0);
}

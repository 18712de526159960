//! Large bytes that are not copied: into frames of several pieces, and out of messages.

use std::cell::Cell;

use bytes::Bytes;
use netref_core::boxing::Boxer;
use netref_core::brine::{EncodeError, Writer};
use netref_core::frame::{Compression, Piece};
use netref_core::limits::Limits;
use netref_core::message::{Dialect, Draft};
use netref_core::threads::Threads;

const LARGE: usize = 100_000;

/// A frame with shared bytes is, byte for byte, the one without.
#[test]
fn pieces_make_the_same_frame() {
    for compression in [Compression::Off, Compression::Auto] {
        for data in [noise(LARGE), Bytes::from(vec![b'x'; LARGE])] {
            for dialect in [Dialect::V5, Dialect::V6] {
                let write = |draft: Draft| sealed(draft, compression, |boxer| nested(boxer, &data));
                let whole = write(Draft::reply(dialect, 1));
                let pieces = write(Draft::reply(dialect, 1).sharing(true));
                assert_eq!(whole.len(), 1);
                assert!(joined(&whole) == joined(&pieces), "{compression:?}");
                let is_compressed = joined(&pieces)[4] == 1;
                assert_eq!(pieces.len(), if is_compressed { 1 } else { 5 });
                assert_eq!(is_compressed, compression == Compression::Auto && data[0] == data[1]);
            }
        }
    }
}

#[test]
fn what_is_shared_is_the_bytes_themselves() {
    let data = noise(LARGE);
    let frame = sealed(Draft::reply(Dialect::V6, 1).sharing(true), Compression::Auto, |boxer| {
        boxer.out.shared_bytes(&data, || data.clone())
    });
    assert!(matches!(&frame[1], Piece::Shared(bytes) if bytes.as_ptr() == data.as_ptr()));
}

#[test]
fn small_bytes_are_not_kept() {
    let asked = Cell::new(false);
    let frame = sealed(Draft::reply(Dialect::V6, 1).sharing(true), Compression::Off, |boxer| {
        boxer.out.shared_bytes(b"small", || {
            asked.set(true);
            Bytes::from_static(b"small")
        })
    });
    assert_eq!(frame.len(), 1);
    assert!(!asked.get());
}

/// A tuple is written by value first, and once more if an item turns out to be no plain data.
#[test]
fn what_is_rewound_is_not_shared() {
    let data = noise(LARGE);
    let write = |draft: Draft| {
        sealed(draft, Compression::Off, |boxer| {
            boxer.out.shared_bytes(&data, || data.clone())?;
            let kept = boxer.out.position();
            boxer.out.shared_bytes(&data, || data.clone())?;
            boxer.out.int(1);
            boxer.out.rewind(kept);
            boxer.out.int(2);
            Ok(())
        })
    };
    let (whole, pieces) =
        (write(Draft::reply(Dialect::V6, 1)), write(Draft::reply(Dialect::V6, 1).sharing(true)));
    assert!(joined(&whole) == joined(&pieces));
    assert_eq!(pieces.len(), 3);
}

#[test]
fn thread_numbers_come_before_what_is_shared() {
    let data = noise(LARGE);
    let write = |mut draft: Draft| {
        draft.boxer(&Limits::compat()).out.shared_bytes(&data, || data.clone()).unwrap();
        draft.bind(Threads { from: 1, to: 2 });
        joined(&draft.seal(Compression::Off).into_pieces().collect::<Vec<_>>())
    };
    assert!(write(Draft::reply(Dialect::V6, 1)) == write(Draft::reply(Dialect::V6, 1).sharing(true)));
}

fn sealed(
    mut draft: Draft,
    compression: Compression,
    write: impl FnOnce(&mut Boxer<'_>) -> Result<(), EncodeError>,
) -> Vec<Piece> {
    write(&mut draft.boxer(&Limits::compat())).unwrap();
    draft.seal(compression).into_pieces().collect()
}

fn nested(boxer: &mut Boxer<'_>, data: &Bytes) -> Result<(), EncodeError> {
    let out: &mut Writer<'_> = &mut boxer.out;
    out.begin_tuple(3)?;
    out.shared_bytes(data, || data.clone())?;
    out.str("between")?;
    out.shared_bytes(data, || data.clone())?;
    out.end();
    Ok(())
}

fn joined(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(AsRef::as_ref).copied().collect()
}

fn noise(size: usize) -> Bytes {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

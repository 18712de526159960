//! What stock servers do with input that no stock client sends, recorded, and what a session does with the same.

use netref_core::Dialect;
use netref_core::frame::{Compression, Deframer};
use netref_core::message::Kind;
use netref_core::session::{Event, Options};
use netref_core::{Limits, extension::Features};

use crate::frames::feed;
use crate::oracle::unhex;
use crate::value::Side;
use crate::vectors::{Outline, field, folder, lines};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// An exception came back.
    Refused,
    Ignored,
    /// The connection ended.
    Ended,
    /// Part of it is still to come.
    Awaited,
    /// The session leaves it to the driver, whatever that makes of it.
    Driver,
}

/// What stock takes and we refuse. No stock encoder makes any of it.
const STRICTER: [&str; 12] = [
    "frame: last byte is not 0x0a",
    "frame: compression flag 2, payload compressed",
    "frame: flag 1, bytes after the zlib stream",
    "message: sequence number is a str",
    "message: bytes after the brine",
    "brine: bytes shorter than their length",
    "brine: int '+1'",
    "brine: int '1_0'",
    "brine: int ' 7 '",
    "brine: int '007'",
    "brine: frozenset over bytes",
    "request: label 4, ids are str, built-in name",
];

/// What stock does not take and the session does, each for its reason.
const LAXER: [(&str, &str); 4] = [
    ("message: the other dialect", "a side that has not spoken yet follows its peer"),
    ("message: reply with box label 9", "a reply to nothing is not even looked at"),
    ("brine: frozenset that holds a slice", "what is hashable is for the object world to say"),
    ("request: three items (handler, args, 5)", "the third is the parent of the chain extension"),
];

#[test]
fn malformed_input_fares_as_with_stock_but_for_these() {
    for dialect in [Dialect::V5, Dialect::V6] {
        let path = folder().join(format!("{dialect:?}").to_lowercase()).join("malformed.json");
        let (mut stricter, mut laxer) = (Vec::new(), Vec::new());
        for line in lines(&path) {
            let case = field(&line, "case").to_owned();
            if case.starts_with("closing") {
                // Well-formed: what these record is how a stock server goes.
                continue;
            }
            let (stock, ours) =
                (stocks_fate(dialect, &line), our_fate(dialect, &unhex(field(&line, "send"))));
            match (stock, ours) {
                (Fate::Answered, Fate::Refused | Fate::Ended) => stricter.push(case),
                (Fate::Refused | Fate::Ended, Fate::Answered | Fate::Ignored) => laxer.push(case),
                (Fate::Answered, ours) => {
                    assert!(matches!(ours, Fate::Answered | Fate::Driver), "{case}: {ours:?}");
                }
                (Fate::Ignored | Fate::Awaited, ours) => assert_eq!(ours, stock, "{case}"),
                _ => {}
            }
        }
        assert_eq!(stricter, STRICTER, "{dialect:?}");
        assert_eq!(laxer, LAXER.map(|(case, _)| case), "{dialect:?}");
    }
}

fn stocks_fate(dialect: Dialect, line: &str) -> Fate {
    if line.contains("\"then\": \"silent") {
        return Fate::Awaited;
    }
    let received = line.split("\"received\": [").nth(1).unwrap().split(']').next().unwrap();
    let Some(first) = received.split('"').nth(1) else { return Fate::Ignored };
    let frame = unhex(first);
    let payload = feed(&mut Deframer::new(), &frame, usize::MAX, &Limits::compat()).unwrap().remove(0);
    match Outline::kind(dialect, &payload) {
        // It asks to close.
        Kind::Request => Fate::Ended,
        Kind::Reply => Fate::Answered,
        Kind::Exception => Fate::Refused,
    }
}

fn our_fate(dialect: Dialect, bytes: &[u8]) -> Fate {
    let (limits, features) = (Limits::compat(), Features::NONE);
    let side = Side::new(Options {
        limits,
        dialect: Some(dialect),
        compression: Compression::Off,
        features,
        ..Options::default()
    });
    let Ok(payloads) = feed(&mut Deframer::new(), bytes, usize::MAX, &Limits::compat()) else {
        return Fate::Ended;
    };
    let Some(payload) = payloads.into_iter().next() else { return Fate::Awaited };
    match side.accept(payload) {
        Err(_) => Fate::Ended,
        Ok(Event::Request(_)) => Fate::Driver,
        Ok(Event::Reply { .. }) => panic!("nothing was asked"),
        Ok(Event::Handled | Event::Close) => {
            match side.payloads().first().map(|payload| {
                let spoken = Dialect::detect(payload).unwrap();
                Outline::kind(spoken, payload)
            }) {
                None => Fate::Ignored,
                Some(Kind::Reply) => Fate::Answered,
                Some(Kind::Exception) => Fate::Refused,
                Some(Kind::Request) => panic!("a session asks nothing by itself here"),
            }
        }
    }
}

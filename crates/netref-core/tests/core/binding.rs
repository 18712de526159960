//! Thread numbers on messages, with a side that was told to use them.

use netref_core::extension::Features;
use netref_core::frame::{Compression, Deframer, FrameError};
use netref_core::request::handlers;
use netref_core::session::{Event, Options, ProtocolError, ReplyKind};
use netref_core::{Dialect, Limits};

use crate::value::Side;
use crate::wire::{self, int};

/// The thread of the peer's that asks, and the one of ours that it asks.
const THEIRS: u64 = 0x1122;
const OURS: u64 = 0x77;

fn side() -> Side {
    Side::new(Options {
        limits: Limits::compat(),
        dialect: Some(Dialect::V6),
        compression: Compression::Off,
        features: Features::NONE,
        bind_threads: true,
        shares: false,
        ..Options::default()
    })
}

fn from_to(from: u64, to: u64, message: &[u8]) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), message].concat()
}

/// The thread numbers of the messages that the side has to send.
fn sent(side: &Side) -> Vec<(u64, u64)> {
    let (mut deframer, limits) = (Deframer::new(), Limits::compat());
    let mut numbers = Vec::new();
    while let Some(bytes) = side.session.borrow_mut().take_output() {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let space = deframer.space();
            let count = rest.len().min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            deframer.filled(count);
            rest = &rest[count..];
            while let Some(payload) = deframer.next_payload(&limits, |_| Some(false)).unwrap() {
                let [numbers_first, ..] = payload.pieces();
                let number = |at: usize| u64::from_be_bytes(numbers_first[at..at + 8].try_into().unwrap());
                numbers.push((number(0), number(8)));
            }
        }
    }
    numbers
}

#[test]
fn requests_say_whom_they_are_for_and_replies_go_back_to_who_asked() {
    let side = side();
    let asked = from_to(THEIRS, OURS, &wire::request(5, handlers::GETROOT, &[]));
    let Ok(Event::Request(request)) = side.session.borrow_mut().accept(asked) else { panic!("no request") };
    assert_eq!(request.thread(), Some(OURS));

    // What the asked thread asks in turn, meanwhile, is for the thread that waits for it; what another does is for none.
    for (parent, to) in [(Some(5), THEIRS), (None, 0)] {
        let mut message = side.session.borrow_mut().start_request(handlers::GETROOT, parent);
        message.from_thread(OURS);
        message.boxer(&Limits::compat()).no_arguments().unwrap();
        side.session.borrow_mut().send_request(message.seal().unwrap(), 0).unwrap();
        assert_eq!(sent(&side), [(OURS, to)]);
    }

    let mut reply = side.session.borrow().start_reply(5, ReplyKind::Result);
    reply.boxer(&Limits::compat()).no_arguments().unwrap();
    side.session.borrow_mut().send_reply(reply.seal().unwrap());
    assert_eq!(sent(&side), [(OURS, THEIRS)]);
    // The request is over, and no more is known of its thread.
    let late = side.session.borrow_mut().start_request(handlers::GETROOT, Some(5));
    side.session.borrow_mut().send_request(late.seal().unwrap(), 0).unwrap();
    assert_eq!(sent(&side), [(0, 0)]);
}

#[test]
fn what_the_session_answers_itself_goes_back_to_who_asked_too() {
    let side = side();
    let ping = from_to(THEIRS, OURS, &wire::plain_request(1, handlers::PING, &[int(3)]));
    assert!(matches!(side.session.borrow_mut().accept(ping), Ok(Event::Handled)));
    assert_eq!(sent(&side), [(OURS, THEIRS)]);
}

/// A reply longer than a request may be ended the connection: its number was looked for where those of the threads are.
#[test]
fn the_beginning_of_a_reply_is_behind_the_numbers() {
    let side = side();
    let message = side.session.borrow_mut().start_request(handlers::GETROOT, None);
    let seq = message.seq();
    side.session.borrow_mut().send_request(message.seal().unwrap(), 0).unwrap();
    let reply = |seq| from_to(OURS, THEIRS, &wire::message(2, seq, &int(1)));
    let expects = |beginning: &[u8]| side.session.borrow().expects(beginning);
    assert_eq!(expects(&reply(seq)), Some(true));
    assert_eq!(expects(&reply(seq + 1)), Some(false));
    assert_eq!((expects(&reply(seq)[..10]), expects(&reply(seq)[..17])), (None, None));

    let too_long = from_to(THEIRS, OURS, &wire::plain_request(9, handlers::PING, &[int(1)]));
    let error = FrameError::TooLarge { claimed: 9, max: 8, limit: "max_frame" };
    side.session.borrow_mut().refuse_frame(&too_long, &error);
    assert_eq!(sent(&side).len(), 2, "its sender is told");
}

#[test]
fn a_message_too_short_for_the_numbers_is_malformed() {
    let outcome = side().session.borrow_mut().accept(vec![1; 15]);
    assert!(matches!(outcome, Err(ProtocolError::Malformed(_))), "{outcome:?}");
}

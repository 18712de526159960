//! Defects found once, by the other tests here, by fuzzing or by reading. Each says what went wrong.

use netref_core::Limits;
use netref_core::brine::{DecodeError, Reader, Writer};
use netref_core::exception::ExceptionData;
use netref_core::limits::DEPTH_CEILING;
use netref_core::refs::IdPack;
use netref_core::request::handlers;
use netref_core::session::{Event, ProtocolError, ReplyKind};

use crate::brine::load;
use crate::value::{Side, Value};
use crate::wire::{Sent, boxed, int, message, pack, raised, request, side};

/// Sends a request that is answered by `token`.
fn call(side: &Side, token: u64) -> i64 {
    let mut session = side.session.borrow_mut();
    let mut message = session.start_request(handlers::GETROOT, None);
    message.boxer(&Limits::default()).arguments(side, &[]).unwrap();
    let seq = message.seq();
    session.send_request(message.seal().unwrap(), token).unwrap();
    seq
}

/// The token of a call whose reply was one malformed message too many was dropped: that call never ended.
#[test]
fn the_reply_that_ends_the_connection_ends_its_call_too() {
    let mut limits = Limits::default();
    limits.protocol_errors = 0;
    let side = side(limits);
    let seq = call(&side, 77);
    let ended = side.accept(message(2, seq, &boxed(9, &int(0))));
    assert_eq!(ended.unwrap_err(), ProtocolError::TooManyErrors { count: 1, last: DecodeError::BadLabel(9) });
    assert_eq!(side.session.borrow_mut().end().tokens, [77]);
}

/// A message that was being written while the connection ended lent its objects to nobody, and kept them alive as long
/// as the session; a class that had just been registered was gone, which was a panic.
#[test]
fn after_the_end_nothing_is_lent() {
    let side = side(Limits::default());
    let lend = |value: &Value| {
        let mut reply = side.session.borrow().start_reply(1, ReplyKind::Result);
        reply.boxer(&Limits::default()).object(&side, value).unwrap();
        reply
    };
    let class_known = Value::Thing(side.thing("app.Known"));
    let sent_before = lend(&class_known).seal().unwrap();
    side.session.borrow_mut().send_reply(sent_before);
    drop(side.session.borrow_mut().end());
    let things = Value::Tuple(vec![class_known, Value::Thing(side.thing("app.New"))]);
    let sent_after = lend(&things).seal().unwrap();
    side.session.borrow_mut().send_reply(sent_after);
    let rolled_back = lend(&things);
    assert!(side.session.borrow_mut().roll_back(rolled_back).is_empty());
    assert!(side.session.borrow_mut().exports().is_empty());
    drop(things);
    assert_eq!(side.alive(), 0);
}

/// A reader that had taken a payload off the wire before the end still got requests to carry out after it.
#[test]
fn after_the_end_nothing_is_accepted() {
    let side = side(Limits::default());
    let seq = call(&side, 1);
    side.sent();
    drop(side.session.borrow_mut().end());
    let theirs = boxed(4, &pack(&IdPack { name: "x".into(), class: 1, instance: 2 }));
    for payload in [
        request(5, handlers::REPR, std::slice::from_ref(&theirs)),
        request(6, handlers::CLOSE, &[]),
        message(2, seq, &theirs),
        b"anything".to_vec(),
    ] {
        assert!(matches!(side.accept(payload), Ok(Event::Handled)));
    }
    assert_eq!((side.sent(), side.session.borrow().inflight()), (vec![], 0));
}

/// Two threads that lent one object for the first time, each having looked before the other wrote, made two entries,
/// of which the second could be found no more when the first was given back.
#[test]
fn lending_for_the_first_time_twice_is_lending_again() {
    let side = side(Limits::default());
    let thing = side.thing("app.Thing");
    let mut session = side.session.borrow_mut();
    let exports = session.exports();
    exports.register_class(1, "app.Thing", thing.clone());
    let first = exports.lend(thing.identity, 1, None, thing.clone()).unwrap();
    let second = exports.lend(thing.identity, 1, None, thing.clone()).unwrap();
    assert_eq!(first, second);
    assert_eq!(exports.lend_class(1, thing.clone()), exports.lend_class(1, thing.clone()));
    assert_eq!(exports.iter().map(|(_, count)| count).collect::<Vec<_>>(), [2, 2]);
    assert!(exports.take_back(first.as_ref(), 2).unwrap().is_some());
    assert_eq!(exports.lend_again(thing.identity), None);
}

/// A DEL was obeyed by its instance number alone, where every other request looks at the class number as well.
#[test]
fn a_del_names_its_object_as_other_requests_do() {
    let side = side(Limits::default());
    let mut reply = side.session.borrow().start_reply(1, ReplyKind::Result);
    reply.boxer(&Limits::default()).object(&side, &Value::Thing(side.thing("app.Thing"))).unwrap();
    side.session.borrow_mut().send_reply(reply.seal().unwrap());
    side.sent();
    let lent = side.session.borrow_mut().exports().iter().next().unwrap().0.clone();
    let other = IdPack { class: lent.class + 100, ..lent };
    let del = request(2, handlers::DEL, &[boxed(3, &pack(&other)), boxed(1, &int(1))]);
    assert_eq!(side.handled(del), [raised(2, "KeyError")]);
    assert_eq!(side.session.borrow_mut().exports().len(), 1);
}

/// Every reference in a refused message cost a DEL of its own: 10 bytes from the peer made us send 25.
#[test]
fn one_object_given_back_many_times_takes_one_del() {
    let side = side(Limits::default());
    let theirs = boxed(4, &pack(&IdPack { name: "x".into(), class: 1, instance: 2 }));
    let malformed = boxed(9, &int(0));
    let refused = request(5, handlers::REPR, &[vec![theirs; 1000], vec![malformed]].concat());
    assert_eq!(side.handled(refused), [raised(5, "ValueError"), Sent::Request(handlers::DEL)]);
}

/// Reading the deepest value allowed took more than the 2 MiB of stack that a thread has, most of all for slices.
#[test]
fn the_deepest_value_fits_a_threads_stack() {
    let slices = [&[0x19, 0x12].repeat(DEPTH_CEILING)[..], &[0; 2 * DEPTH_CEILING + 1]].concat();
    let tuples = [&[0x10].repeat(DEPTH_CEILING)[..], &[0]].concat();
    let sets = [&[0x1a, 0x10].repeat(DEPTH_CEILING)[..], &[0]].concat();
    for bytes in [slices, tuples, sets] {
        let read = move || {
            let mut limits = Limits::compat();
            limits.max_depth = usize::MAX;
            load(&bytes, &limits).is_ok()
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(read);
        assert!(thread.unwrap().join().unwrap());
    }
}

/// With "no limit" as the limit, counting one byte past it overflowed.
#[test]
fn no_limit_on_inflating_is_a_limit_too() {
    let empty = [0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01];
    assert_eq!(netref_core::frame::inflate(&empty, usize::MAX, "max_x"), Ok(Vec::new()));
}

/// A message read a second time counted its references a second time: the proxy then gave back more than it had got.
#[test]
fn a_message_read_twice_counts_its_references_once() {
    let side = side(Limits::default());
    let theirs = IdPack { name: "x".into(), class: 1, instance: 2 };
    let mut message = match side.accept(request(5, handlers::REPR, &[boxed(4, &pack(&theirs))])) {
        Ok(Event::Request(message)) => message,
        other => panic!("not a request: {other:?}"),
    };
    let first = message.arguments(&side);
    assert!(first.is_ok() && message.arguments(&side).is_err());
    drop((first, message));
    assert_eq!(side.session.borrow().releases().take(usize::MAX), [(theirs, 1)]);
}

/// Small ints cost nothing, so that a tuple of them took four times the memory that `max_decoded` allows.
#[test]
fn small_ints_count_as_values() {
    let mut limits = Limits::default();
    limits.max_decoded = 30_000;
    let ints = [&[0x15, 0, 0, 4, 0][..], &[0x50; 1024]].concat();
    assert_eq!(load(&ints, &limits), Err(DecodeError::OverBudget { max: 30_000 }.into()));
}

/// The levels of an exception around its arguments counted when it was written and not when it was read: one that was read could
/// not be passed on.
#[test]
fn an_exception_that_was_read_can_be_written() {
    let side = side(Limits::default());
    for limits in [Limits::strict(), Limits::default(), Limits::compat()] {
        let nested = |levels| (0..levels).fold(Value::None, |value, _| Value::Tuple(vec![value]));
        let write = |levels, as_argument: bool| {
            let mut exception = ExceptionData::builtin("ValueError", Vec::new());
            if as_argument {
                exception.args.push(nested(levels));
            } else {
                exception.attributes.push(("inside".to_owned(), nested(levels)));
            }
            let mut bytes = Vec::new();
            exception
                .write(&side, &mut Writer::new(&mut bytes, &Limits::compat()))
                .map(|()| (exception, bytes))
                .ok()
        };
        let depth = limits.max_depth;
        for (levels, as_argument) in
            (depth - 4..depth + 2).flat_map(|levels| [(levels, true), (levels, false)])
        {
            let Some((exception, bytes)) = write(levels, as_argument) else { continue };
            let read = ExceptionData::read(&side, &mut Reader::new(&bytes, &limits), &limits);
            let written = exception.write(&side, &mut Writer::new(&mut Vec::new(), &limits));
            assert_eq!(read.is_ok(), written.is_ok(), "{levels} levels as an argument: {as_argument}");
        }
    }
}

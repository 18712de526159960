//! What a peer gets for asking too much, and whether the connection outlives it.

use std::collections::HashMap;
use std::rc::Rc;

use netref_core::brine::DecodeError;
use netref_core::extension::{DESCRIBE, Features, HELLO};
use netref_core::memory::Store;
use netref_core::message::Inbound;
use netref_core::refs::{IdPack, give_room_back};
use netref_core::request::{BadRequest, handlers};
use netref_core::session::{Event, Options, ProtocolError, ReplyKind};
use netref_core::{Dialect, Limits, Request};

use crate::brine::{dump, nested};
use crate::memory;
use crate::value::{Side, Thing, Value, WorldError};
use crate::wire::{Sent, boxed, done, int, message, pack, plain_request, raised, request, side, text, tuple};

/// Lends one new object `times` times, as that many replies would.
fn lend(side: &Side, times: usize) -> IdPack {
    let thing = Value::Thing(side.thing("app.Thing"));
    for seq in 0..times {
        let mut reply = side.session.borrow().start_reply(seq as i64, ReplyKind::Result);
        reply.boxer(&Limits::default()).object(side, &thing).unwrap();
        side.session.borrow_mut().send_reply(reply.seal().unwrap());
    }
    side.sent();
    let mut session = side.session.borrow_mut();
    session.exports().iter().next().unwrap().0.clone()
}

fn del(seq: i64, target: &IdPack, count: &[u8]) -> Vec<u8> {
    request(seq, handlers::DEL, &[boxed(3, &pack(target)), boxed(1, count)])
}

fn lent(side: &Side) -> usize {
    side.session.borrow_mut().exports().len()
}

/// The request that `payload` must be.
fn inbound(side: &Side, payload: Vec<u8>) -> Inbound<Rc<Thing>> {
    match side.accept(payload).unwrap() {
        Event::Request(message) => message,
        other => panic!("not a request: {other:?}"),
    }
}

/// Starts a call that is part of the peer's request `parent`, if given.
fn call(side: &Side, parent: Option<i64>) -> i64 {
    let mut session = side.session.borrow_mut();
    let mut message = session.start_request(handlers::GETROOT, parent);
    message.boxer(&Limits::default()).arguments(side, &[]).unwrap();
    let seq = message.seq();
    session.send_request(message.seal().unwrap(), 0).unwrap();
    seq
}

fn ping(seq: i64) -> Vec<u8> {
    plain_request(seq, handlers::PING, &[text("still there?")])
}

fn echoed(seq: i64) -> Sent {
    Sent::Result(seq, Value::Tuple(vec![Value::Int(1), Value::Str("still there?".to_owned())]))
}

#[test]
fn del_gives_back_what_it_counts() {
    let side = side(Limits::default());
    let thing = lend(&side, 5);
    assert_eq!(side.handled(del(9, &thing, &int(4))), [done(9)]);
    assert_eq!((lent(&side), side.session.borrow_mut().take_garbage().len()), (1, 0));
    assert_eq!(side.handled(del(10, &thing, &int(1))), [done(10)]);
    assert_eq!((lent(&side), side.session.borrow_mut().take_garbage().len()), (0, 1));
    assert_eq!(side.handled(del(11, &thing, &int(1))), [raised(11, "KeyError")]);
}

#[test]
fn del_without_a_count_gives_back_one() {
    let side = side(Limits::default());
    let thing = lend(&side, 2);
    let once = |seq| request(seq, handlers::DEL, &[boxed(3, &pack(&thing))]);
    assert_eq!((side.handled(once(1)), lent(&side)), (vec![done(1)], 1));
    assert_eq!((side.handled(once(2)), lent(&side)), (vec![done(2)], 0));
}

#[test]
fn del_of_more_than_there_is_removes_and_never_wraps() {
    for count in [3, 1 << 40, i64::MAX] {
        let side = side(Limits::default());
        let thing = lend(&side, 2);
        assert_eq!(side.handled(del(1, &thing, &int(count))), [done(1)]);
        assert_eq!(lent(&side), 0);
        assert!(lend(&side, 1).instance > thing.instance, "a number never comes again");
    }
}

#[test]
fn del_with_a_count_that_is_none_changes_nothing() {
    let side = side(Limits::default());
    let thing = lend(&side, 2);
    let huge = dump(&Value::Big("9".repeat(30)));
    for count in [int(0), int(-1), int(i64::MIN), huge, text("1"), vec![0x03]] {
        assert_eq!(side.handled(del(1, &thing, &count)), [raised(1, "ValueError")]);
    }
    assert_eq!(side.handled(del(2, &thing, &int(1))), [done(2)]);
    assert_eq!(lent(&side), 1, "one of two was given back");
}

#[test]
fn a_reference_that_names_nothing_fails_its_request_alone() {
    let side = side(Limits::strict());
    let thing = lend(&side, 1);
    let wrong = [
        IdPack { instance: 99, ..thing.clone() },
        IdPack { class: 99, ..thing.clone() },
        IdPack { class: thing.instance, instance: 0, ..thing.clone() },
        IdPack { instance: i64::MIN, ..thing.clone() },
    ];
    for (seq, wrong) in (0..).zip(wrong.iter().cycle().take(100)) {
        let repr = request(seq, handlers::REPR, &[boxed(3, &pack(wrong))]);
        assert_eq!(side.handled(repr), [raised(seq, "KeyError")]);
        assert_eq!(side.handled(del(seq, wrong, &int(1))), [raised(seq, "KeyError")]);
    }
    assert_eq!(lent(&side), 1);
    inbound(&side, request(1, handlers::REPR, &[boxed(3, &pack(&thing))]));
}

#[test]
fn lending_stops_at_max_exported() {
    let mut limits = Limits::default();
    limits.max_exported = 2;
    let side = side(limits.clone());
    let things = |count| Value::Tuple((0..count).map(|_| Value::Thing(side.thing("app.Thing"))).collect());
    let mut reply = side.session.borrow().start_reply(1, ReplyKind::Result);
    let refused = reply.boxer(&limits).object(&side, &things(3)).unwrap_err();
    assert!(matches!(refused, WorldError::TooManyExports(ref error) if error.max == 2), "{refused}");
    assert_eq!(lent(&side), 2);
    assert_eq!(side.session.borrow_mut().roll_back(reply).len(), 2);
    assert_eq!(lent(&side), 0, "all or nothing");
    let mut reply = side.session.borrow().start_reply(1, ReplyKind::Result);
    assert!(reply.boxer(&limits).object(&side, &things(2)).is_ok());
}

#[test]
fn requests_beyond_max_backlog_are_refused_and_give_their_references_back() {
    let mut limits = Limits::default();
    limits.max_backlog = 600;
    let side = side(limits);
    let theirs = IdPack { name: "their.Thing".into(), class: 5, instance: 6 };
    let repr = |seq| request(seq, handlers::REPR, &[boxed(4, &pack(&theirs))]);
    let mut waiting = [inbound(&side, repr(1)), inbound(&side, repr(2)), inbound(&side, repr(3))];
    assert!(side.session.borrow().is_overloaded());
    // Nothing more is read then, unless a reply is awaited.
    let ours = call(&side, None);
    side.sent();
    assert_eq!(side.handled(repr(4)), [raised(4, "RuntimeError"), Sent::Request(handlers::DEL)]);
    side.accept(message(2, ours, &boxed(1, &int(0)))).unwrap();
    assert_eq!(side.handled(ping(5)), [echoed(5)], "PING is answered inline");
    assert_eq!(side.session.borrow().inflight(), 3);
    drop(waiting[0].arguments(&side).unwrap());
    assert!(!side.session.borrow().is_overloaded(), "one has begun");
    assert_eq!(side.session.borrow().releases().take(usize::MAX).len(), 1);
    let another = inbound(&side, repr(6));
    drop((waiting, another));
    assert_eq!(side.session.borrow().releases().take(usize::MAX), [(theirs, 3)], "of those never read");
}

/// A side that waits for a reply goes on reading, since the reply may be behind any number of requests.
#[test]
fn a_side_that_waits_is_never_overloaded() {
    let mut limits = Limits::default();
    limits.max_backlog = 0;
    let side = side(limits);
    let waiting = inbound(&side, plain_request(1, handlers::GETROOT, &[]));
    assert!(side.session.borrow().is_overloaded());
    let seq = call(&side, None);
    assert!(!side.session.borrow().is_overloaded());
    side.accept(message(2, seq, &boxed(1, &int(0)))).unwrap();
    assert!(side.session.borrow().is_overloaded());
    drop(waiting);
    assert!(!side.session.borrow().is_overloaded());
}

/// Each side refuses what is too deep, so neither needs to trust the other's count.
#[test]
fn calls_nest_no_deeper_than_max_call_depth() {
    let mut limits = Limits::default();
    limits.max_call_depth = 3;
    let side = side(limits);
    let part_of =
        |seq, parent| message(1, seq, &tuple(&[int(handlers::GETROOT), boxed(2, &tuple(&[])), int(parent)]));
    let first = inbound(&side, plain_request(1, handlers::GETROOT, &[]));
    let ours = call(&side, Some(first.seq()));
    let second = inbound(&side, part_of(2, ours));
    assert_eq!((first.depth(), second.depth()), (0, 2));
    let deeper = call(&side, Some(second.seq()));
    side.sent();
    assert_eq!(side.handled(part_of(3, deeper)), [raised(3, "RecursionError")]);
    let beside = call(&side, None);
    assert_eq!(inbound(&side, part_of(4, beside)).depth(), 1, "another chain is not concerned");
}

/// A peer that never answers costs no memory for each call that is given up.
#[test]
fn calls_given_up_are_forgotten_in_the_end_but_their_references_are_not() {
    let side = side(Limits::default());
    let calls: Vec<_> = (0..5000).map(|_| call(&side, None)).collect();
    for seq in &calls {
        assert_eq!(side.session.borrow_mut().abandon(*seq), Some(0));
        assert_eq!(side.session.borrow_mut().abandon(*seq), None);
    }
    side.sent();
    let theirs = IdPack { name: "their.Thing".into(), class: 5, instance: 6 };
    for seq in [calls[0], calls[4999], calls[4998], 1_000_000] {
        side.accept(message(2, seq, &boxed(4, &pack(&theirs)))).unwrap();
    }
    let released = side.session.borrow().releases().take(usize::MAX);
    assert_eq!(released, [(theirs, 3)], "what was never asked for is not looked at");
    assert!(format!("{:?}", side.session.borrow()).len() < 50_000, "they are not kept");
}

/// A program that drops a great many references has messages for all of them made piece by piece, as they are written.
#[test]
fn references_given_back_take_little_memory_as_messages() {
    let side = side(Limits::default());
    let released = side.session.borrow().releases().clone();
    for instance in 1..=100_000 {
        released.push(IdPack { name: "their.Thing".into(), class: 5, instance }, 1);
    }
    let mut most = 0;
    while side.session.borrow_mut().take_output().is_some() {
        most = most.max(side.session.borrow().queued());
    }
    assert!(most < 200_000, "{most} bytes wait to be written");
    assert_eq!(side.session.borrow().counters().references_released, 100_000);
}

#[test]
fn each_limit_on_data_has_its_exception() {
    let mut limits = Limits::strict();
    (limits.protocol_errors, limits.max_decoded) = (100, 10_000);
    let side = side(limits.clone());
    let many = dump(&Value::Tuple(vec![Value::None; 2000]));
    let cases = [
        ("RecursionError", dump(&nested(limits.max_depth))),
        ("RecursionError", vec![0x10; 100_000]),
        ("ValueError", dump(&Value::Big("9".repeat(limits.max_int_digits + 1)))),
        ("MemoryError", many),
        ("ValueError", vec![0x16, 2, b'+', b'5']),
        ("ValueError", vec![0x0e, 200, 1]),
        ("ValueError", vec![0x07]),
    ];
    for (seq, (class, value)) in (0..).zip(cases) {
        assert_eq!(side.handled(plain_request(seq, handlers::PING, &[value])), [raised(seq, class)]);
        assert_eq!(side.handled(ping(seq)), [echoed(seq)], "the connection lives");
    }
}

#[test]
fn what_there_is_no_memory_for_is_answered_each_time() {
    let side = side(Limits::strict());
    let many = dump(&Value::Tuple(vec![Value::None; 40_000]));
    for seq in 0..20 {
        let payload = plain_request(seq, handlers::PING, std::slice::from_ref(&many));
        let answer = memory::scarce(34 << 20, || side.handled(payload));
        assert_eq!(answer, [raised(seq, "MemoryError")]);
        assert_eq!(side.handled(ping(seq)), [echoed(seq)], "the connection lives");
    }
}

#[test]
fn malformed_messages_are_answered_up_to_a_number() {
    let mut limits = Limits::default();
    limits.protocol_errors = 3;
    let side = side(limits);
    let malformed = [
        message(1, 7, &tuple(&[int(1), boxed(9, &int(0))])),
        message(1, 7, &[&tuple(&[int(1), boxed(1, &tuple(&[int(0)]))]), &b"more"[..]].concat()),
        message(1, 7, &int(5)),
    ];
    for payload in malformed {
        assert_eq!(side.handled(payload), [raised(7, "ValueError")]);
    }
    let last = DecodeError::BadLabel(9);
    let ended = side.accept(message(1, 7, &tuple(&[int(1), boxed(9, &int(0))])));
    assert_eq!(ended.unwrap_err(), ProtocolError::TooManyErrors { count: 4, last });
    assert_eq!(side.sent(), []);
}

#[test]
fn without_a_readable_head_the_connection_ends() {
    let ping = boxed(1, &tuple(&[int(0)]));
    let body = tuple(&[int(1), ping]);
    let heads = [
        ("kind 0", message(0, 1, &body)),
        ("kind 9", message(9, 1, &body)),
        ("kind alone", vec![1]),
        ("number is a str", [&[1], &tuple(&[text("x"), body.clone()])[..]].concat()),
        ("number is huge", [&[1], &tuple(&[dump(&Value::Big("9".repeat(30))), body.clone()])[..]].concat()),
        ("three items", [&[1], &tuple(&[int(1), body.clone(), int(0)])[..]].concat()),
    ];
    for (what, payload) in heads {
        let ended = side(Limits::default()).accept(payload);
        assert!(matches!(ended, Err(ProtocolError::Malformed(_))), "{what}: {ended:?}");
    }
}

/// A PING in each dialect, v5 first.
fn pings() -> [(Vec<u8>, Dialect); 2] {
    let v5 = tuple(&[int(1), int(1), tuple(&[int(1), boxed(1, &tuple(&[int(0)]))])]);
    [(v5, Dialect::V5), (ping(1), Dialect::V6)]
}

fn speaking(dialect: Option<Dialect>) -> Side {
    Side::new(Options { dialect, ..Default::default() })
}

#[test]
fn the_other_dialect_is_named() {
    for [(payload, theirs), (right, ours)] in [pings(), {
        let [v5, v6] = pings();
        [v6, v5]
    }] {
        let spoke = speaking(Some(ours));
        drop(spoke.session.borrow_mut().start_request(handlers::GETROOT, None));
        assert_eq!(spoke.accept(payload.clone()).unwrap_err(), ProtocolError::WrongDialect { peer: theirs });
        let heard = speaking(Some(ours));
        heard.accept(right).unwrap();
        assert_eq!(heard.accept(payload).unwrap_err(), ProtocolError::WrongDialect { peer: theirs });
    }
}

#[test]
fn a_side_that_has_not_spoken_follows_its_peer() {
    for (payload, dialect) in pings() {
        for known in [None, Some(Dialect::V5), Some(Dialect::V6)] {
            let side = speaking(known);
            assert!(matches!(side.accept(Vec::new()), Ok(Event::Handled)), "an empty frame says nothing");
            assert_eq!(side.session.borrow().dialect(), known);
            side.accept(payload.clone()).unwrap();
            assert_eq!(side.session.borrow().dialect(), Some(dialect));
        }
    }
    let other = speaking(None).accept(b"GET /".to_vec());
    assert_eq!(other.unwrap_err(), ProtocolError::NotRpyc { first_byte: b'G' });
}

#[test]
fn an_unknown_request_reaches_the_driver() {
    let side = side(Limits::default());
    for handler in [0, 21, 4711, -1, i64::MAX] {
        let mut message = inbound(&side, plain_request(1, handler, &[int(3), text("x")]));
        let args = vec![Value::Int(3), Value::Str("x".to_owned())];
        assert_eq!(Request::read(&side, &mut message).unwrap(), Request::Other { handler, args });
    }
}

#[test]
fn a_request_to_a_name_is_refused_and_gives_its_references_back() {
    let side = side(Limits::strict());
    let theirs = boxed(4, &pack(&IdPack { name: "x".into(), class: 1, instance: 2 }));
    for seq in 0..20 {
        let named =
            message(1, seq, &tuple(&[text("getattr"), boxed(2, &tuple(std::slice::from_ref(&theirs)))]));
        assert_eq!(side.handled(named), [raised(seq, "KeyError"), Sent::Request(handlers::DEL)]);
    }
}

#[test]
fn a_request_takes_its_own_arguments_only() {
    let side = side(Limits::default());
    let counts =
        [(3, 0..=0), (4, 2..=2), (6, 3..=3), (7, 2..=3), (8, 3..=4), (9, 1..=1), (11, 2..=3), (18, 6..=6)];
    for (handler, right) in counts {
        for count in 0..8 {
            let args = vec![boxed(1, &int(0)); count];
            let mut message = inbound(&side, request(1, handler, &args));
            let read = Request::read(&side, &mut message);
            if right.contains(&count) {
                assert!(read.is_ok(), "{handler} with {count}: {read:?}");
            } else {
                let request = Request::<Value>::describe(handler);
                assert_eq!(read, Err(BadRequest::Arguments { request, count }));
            }
            let reply = side.session.borrow().start_reply(1, ReplyKind::Exception);
            side.session.borrow_mut().send_reply(reply.seal().unwrap());
        }
    }
}

#[test]
fn a_malformed_hello_is_refused() {
    let side = side(Limits::default());
    for args in [vec![], vec![int(0), text("x"), tuple(&[])], vec![int(1), text("x"), text("chain")]] {
        assert_eq!(side.handled(plain_request(1, HELLO, &args)), [raised(1, "ValueError")]);
    }
    assert_eq!(side.handled(ping(2)), [echoed(2)]);
}

/// A side that is told what the peer's objects can do.
fn told(limits: Limits) -> Side {
    let side = Side::new(Options { limits, features: Features::ALL, ..Options::default() });
    side.handled(plain_request(0, HELLO, &[int(1), text("x"), tuple(&[text(Features::DESCRIPTIONS)])]));
    side
}

fn description(class: i64, methods: &[Vec<u8>]) -> Vec<u8> {
    let pack = pack(&IdPack { name: "app.Thing".into(), class, instance: 7 });
    plain_request(-1, DESCRIBE, &[pack, tuple(methods)])
}

/// What is known of the class, without asking.
fn known(side: &Side, class: i64) -> Option<Value> {
    let pack = IdPack { name: "app.Thing".into(), class, instance: 8 };
    let description = side.session.borrow_mut().take_description(&pack)?;
    Some(description.methods(side).unwrap())
}

#[test]
fn a_description_is_not_answered_and_taken_once() {
    let side = told(Limits::default());
    assert_eq!(side.handled(description(1, &[text("read")])), []);
    assert_eq!(side.handled(description(1, &[text("write")])), [], "the first one counts");
    assert_eq!(known(&side, 2), None);
    assert_eq!(known(&side, 1), Some(Value::Tuple(vec![Value::Str("read".into())])));
    assert_eq!(known(&side, 1), None);
}

#[test]
fn a_description_that_cannot_be_used_is_as_good_as_none() {
    let side = told(Limits::default());
    for args in [vec![], vec![text("app.Thing"), tuple(&[])], vec![int(1), int(2), int(3)]] {
        assert_eq!(side.handled(plain_request(-1, DESCRIBE, &args)), []);
    }
    let theirs = boxed(4, &pack(&IdPack { name: "app.Thing".into(), class: 1, instance: 7 }));
    assert_eq!(side.handled(request(-1, DESCRIBE, &[theirs])), [Sent::Request(handlers::DEL)]);
    assert_eq!(side.handled(description(1, &[text(&"x".repeat(65_000)), text(&"x".repeat(1000))])), []);
    assert_eq!(known(&side, 1), None, "it is longer than one may be");
    assert_eq!(side.handled(ping(2)), [echoed(2)]);
}

#[test]
fn descriptions_take_no_more_than_classes_may() {
    let mut limits = Limits::default();
    limits.max_class_memory = 10_000;
    let side = told(limits);
    let long = || [text(&"x".repeat(900))];
    for class in 0..1000 {
        side.handled(description(class, &long()));
    }
    let kept: Vec<_> = (0..1000).filter(|class| known(&side, *class).is_some()).collect();
    assert!((5..=11).contains(&kept.len()), "{kept:?}");
    side.handled(description(2000, &long()));
    assert!(known(&side, 2000).is_some(), "there is room again");
}

#[test]
fn descriptions_are_for_those_who_asked_for_them() {
    let side = side(Limits::default());
    let request = inbound(&side, description(1, &[text("read")]));
    assert_eq!(request.handler(), DESCRIBE, "it is a request like any that is not known");
    assert_eq!(known(&side, 1), None);
}

#[test]
fn requests_hold_no_more_together_than_there_is() {
    static STORE: Store = Store::new(|| Some(100_000));
    let sides = [0, 1].map(|_| {
        Side::new(Options { dialect: Some(Dialect::V6), store: Some(&STORE), ..Options::default() })
    });
    let large = |seq| plain_request(seq, 4711, &vec![int(1); 2000]);
    let first = inbound(&sides[0], large(1));
    assert_eq!(sides[1].handled(large(1)), [raised(1, "MemoryError")]);
    let small = inbound(&sides[1], plain_request(2, 4711, &[int(1)]));
    drop(first);
    let mut third = inbound(&sides[1], large(3));
    let held = third.take_held();
    drop((small, third));
    assert_eq!(sides[0].handled(large(4)), [raised(4, "MemoryError")], "it is not answered yet");
    drop(held);
    let huge = inbound(&sides[0], plain_request(5, 4711, &vec![int(1); 20_000]));
    assert!(huge.handler() == 4711, "alone, it may be as large as any");
}

#[test]
fn references_that_arrive_cost_what_the_budget_says() {
    let limits = Limits::strict();
    let side = side(limits.clone());
    let theirs = boxed(4, &pack(&IdPack { name: "".into(), class: 1, instance: 1 }));
    let payload = request(1, 4711, &vec![theirs; 400_000]);
    let allowed = limits.max_decoded + 2 * payload.len();
    let (event, peak) = memory::peak(|| side.accept(payload));
    assert!(matches!(event, Ok(Event::Handled)), "{event:?}");
    assert_eq!(side.sent(), [raised(1, "MemoryError"), Sent::Request(handlers::DEL)]);
    assert!(peak <= 2 * allowed, "{peak} bytes where {allowed} are allowed");
}

#[test]
fn tables_of_many_give_their_room_back() {
    let mut table: HashMap<u32, u32> = (0..100_000).map(|number| (number, number)).collect();
    for number in 10..100_000 {
        table.remove(&number);
        give_room_back(&mut table);
    }
    assert!(table.capacity() <= 1024);
    assert_eq!(table.len(), 10);
}

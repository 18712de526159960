//! Any payload is taken by a session of either dialect, built into objects or into boxes as a program's own steps want them, and
//! leaves no reference behind; with thread numbers before it, too.

use std::rc::Rc;

use netref_core::message::{Inbound, Kind};
use netref_core::request::handlers;
use netref_core::session::{Event, Options, ReplyKind};
use netref_core::{Dialect, Limits, Request};

use value::{Side, Thing, Value};

#[allow(dead_code, reason = "shared with the tests of the core; each target needs a part of it")]
#[path = "../../crates/netref-core/tests/core/value.rs"]
mod value;

/// Runs the target on one input; a panic is a finding.
pub fn run(payload: &[u8]) {
    let Some(dialect) = Dialect::detect(payload) else { return };
    take(&side(dialect, false), payload.to_vec(), read);
    take(&side(dialect, false), payload.to_vec(), read_boxes);
    let bound = [&[0; 15], &payload[..1], payload].concat();
    take(&side(dialect, true), bound, read);
}

fn take(side: &Side, payload: Vec<u8>, read: fn(&Side, Inbound<Rc<Thing>>)) {
    let event = side.session.borrow_mut().accept(payload);
    if let Ok(Event::Request(message) | Event::Reply { message: Ok(message), .. }) = event {
        read(side, message);
    }
    while side.session.borrow_mut().take_output().is_some() {}
    assert!(side.session.borrow().releases().is_empty());
    let ended = side.session.borrow_mut().end();
    assert!(ended.tokens.len() <= 4);
    drop(ended);
    assert_eq!(side.alive(), 0);
}

/// A side that has lent objects (the first has class 1 and number 2) and waits for the replies to 0, 1, 2 and 3.
fn side(dialect: Dialect, bind_threads: bool) -> Side {
    let mut limits = Limits::strict();
    // So little that an input can be over it; and here and there the first malformed message is the last.
    (limits.max_decoded, limits.protocol_errors) = (1 << 15, usize::from(!bind_threads));
    let side = Side::new(Options { limits, dialect: Some(dialect), bind_threads, ..Options::default() });
    for token in 0..4 {
        let mut request = side.session.borrow_mut().start_request(handlers::GETROOT, None);
        request.boxer(&Limits::strict()).no_arguments().expect("an empty tuple");
        let sent = side.session.borrow_mut().send_request(request.seal().expect("a small message"), token);
        assert!(sent.is_ok());
    }
    for _ in 0..3 {
        let mut reply = side.session.borrow().start_reply(0, ReplyKind::Result);
        reply.boxer(&Limits::strict()).object(&side, &Value::Thing(side.thing("app.Thing"))).expect("lent");
        side.session.borrow_mut().send_reply(reply.seal().expect("a small message"));
    }
    side
}

fn read(side: &Side, mut message: Inbound<Rc<Thing>>) {
    match message.kind() {
        Kind::Request => drop(Request::read(side, &mut message)),
        Kind::Reply => drop(message.result(side)),
        Kind::Exception => drop(message.exception(side)),
    }
}

fn read_boxes(side: &Side, message: Inbound<Rc<Thing>>) {
    match message.kind() {
        Kind::Request | Kind::Reply => drop(message.into_box(side)),
        Kind::Exception => drop(message.exception_value(side)),
    }
}

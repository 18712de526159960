//! Any payload is taken by a session of either dialect, built into objects, and leaves no reference behind.

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
    let side = side(dialect);
    let event = side.session.borrow_mut().accept(payload.to_vec());
    match event {
        Ok(Event::Request(mut message)) => drop(Request::read(&side, &mut message)),
        Ok(Event::Reply { message: Ok(message), .. }) => read_reply(&side, message),
        _ => {}
    }
    while side.session.borrow_mut().take_output().is_some() {}
    assert!(side.session.borrow().releases().is_empty());
    let ended = side.session.borrow_mut().end();
    assert!(ended.tokens.len() <= 4);
    drop(ended);
    assert_eq!(side.alive(), 0);
}

/// A side that has lent objects (the first has class 1 and number 2) and waits for the replies to 0, 1, 2 and 3.
fn side(dialect: Dialect) -> Side {
    let side = Side::new(Options { limits: Limits::strict(), dialect: Some(dialect), ..Options::default() });
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

fn read_reply(side: &Side, mut message: Inbound<Rc<Thing>>) {
    if message.kind() == Kind::Reply {
        drop(message.result(side));
    } else {
        drop(message.exception(side));
    }
}

//! What the programs on both ends of the simulated link do: call, call back, keep, pass on, let go.

use std::rc::Rc;

use netref_core::exception::ExceptionData;
use netref_core::message::{Inbound, Seq};
use netref_core::request::{Request, handlers};

use crate::harness::{Peer, Random};
use crate::value::{Thing, Value};

/// The class of everything that these programs raise themselves.
const RAISED: &str = "ValueError";

pub(crate) fn exception(text: &str) -> ExceptionData<Value> {
    ExceptionData::builtin(RAISED, vec![Value::Str(text.to_owned())])
}

/// A peer may be too busy, but no reference between two honest peers is ever unknown.
pub(crate) fn check_exception(exception: &ExceptionData<Value>) {
    let busy = exception.class == "RuntimeError" && exception.traceback.contains("max_backlog");
    let deep = exception.class == "RecursionError" && exception.traceback.contains("max_call_depth");
    assert!(exception.class == RAISED || busy || deep, "{exception:?}");
}

/// Starts a call of any kind, on behalf of the peer's request `answers` if there is one.
pub(crate) fn call(peer: &mut Peer, answers: Option<Seq>, random: &mut Random) {
    peer.calls_to_make -= 1;
    let argument = value(peer, random, 3);
    let target = peer
        .held
        .iter()
        .find(|value| matches!(value, Value::Proxy(_)))
        .cloned()
        .unwrap_or_else(|| Value::Thing(peer.side.thing("app.Lonely")));
    match random.below(5) {
        0 => peer.call(handlers::PING, vec![argument.clone()], answers, Some(argument), random),
        1 => peer.call(handlers::GETROOT, Vec::new(), answers, None, random),
        2 => peer.call(handlers::GETATTR, vec![target, Value::Str("name".to_owned())], answers, None, random),
        _ => {
            let args = Value::Tuple(vec![argument, value(peer, random, 2)]);
            peer.call(handlers::CALL, vec![target, args, Value::Tuple(Vec::new())], answers, None, random);
        }
    }
}

/// Carries out a request of the other side's.
pub(crate) fn execute(peer: &mut Peer, mut message: Inbound<Rc<Thing>>, random: &mut Random) {
    let seq = message.seq();
    if random.once_in(20) {
        // Never read: what came with it goes back.
        return peer.raise(seq, "not interested");
    }
    let request = Request::read(&peer.side, &mut message).unwrap();
    drop(message);
    match request {
        Request::Ping { data } => peer.reply(seq, data),
        Request::GetRoot => {
            let root = Value::Thing(peer.side.thing("app.Service"));
            peer.reply(seq, root);
        }
        Request::GetAttr { object, .. } => {
            keep(peer, object, random);
            answer(peer, seq, random);
        }
        Request::Call { object, args, .. } => {
            keep(peer, object, random);
            keep(peer, args, random);
            if peer.calls_to_make > 0 && random.once_in(2) {
                call(peer, Some(seq), random);
            } else {
                answer(peer, seq, random);
            }
        }
        other => panic!("nobody asks that: {other:?}"),
    }
}

/// Answers a request in any way.
pub(crate) fn answer(peer: &mut Peer, seq: Seq, random: &mut Random) {
    if random.once_in(6) {
        peer.raise(seq, "failed");
    } else {
        let result = value(peer, random, 3);
        peer.reply(seq, result);
    }
}

/// Keeps what arrived, or some of it.
pub(crate) fn keep(peer: &mut Peer, value: Value, random: &mut Random) {
    match value {
        Value::Tuple(items) if random.once_in(2) => {
            for item in items {
                keep(peer, item, random);
            }
        }
        value if random.once_in(2) => peer.held.push(value),
        _ => {}
    }
}

/// Anything that the program could send: plain data, objects of either side, tuples of all that.
fn value(peer: &mut Peer, random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 8 } else { 11 }) {
        0 => Value::Int(7),
        1 => Value::Str("text".to_owned()),
        2 => {
            let thing = Value::Thing(peer.side.thing("app.Thing"));
            peer.held.push(thing.clone());
            thing
        }
        3 => Value::Thing(peer.side.thing("app.Temporary")),
        4 if random.once_in(3) => Value::Thing(peer.side.class("app.Class")),
        4 if random.once_in(3) => Value::Unsendable,
        4..=7 => match peer.held.len() {
            0 => Value::None,
            held => peer.held[random.below(held)].clone(),
        },
        8 => Value::Frozenset(vec![Value::Int(1), Value::Str("two".to_owned())]),
        _ => Value::Tuple((0..random.below(4)).map(|_| value(peer, random, depth - 1)).collect()),
    }
}

//! Hand-made messages of a peer that need not be honest, and what is answered to them.

use std::rc::Rc;

use netref_core::brine::{Reader, Writer, read};
use netref_core::extension::Features;
use netref_core::frame::{Compression, Deframer};
use netref_core::message::Seq;
use netref_core::refs::IdPack;
use netref_core::session::{Event, Options, ProtocolError};
use netref_core::{Dialect, Limits};

use crate::frames::feed;
use crate::value::{Side, Thing, Token, Value};

pub(crate) type TestEvent = Event<Rc<Thing>, Token>;

/// One end that speaks v6, and this test at the other.
pub(crate) fn side(limits: Limits) -> Side {
    let features = Features::NONE;
    Side::new(Options {
        limits,
        dialect: Some(Dialect::V6),
        compression: Compression::Off,
        features,
        ..Options::default()
    })
}

pub(crate) fn int(value: i64) -> Vec<u8> {
    write(|out| out.int(value))
}

pub(crate) fn text(value: &str) -> Vec<u8> {
    write(|out| out.str(value).unwrap())
}

pub(crate) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    let mut brine = write(|out| out.begin_tuple(items.len()).unwrap());
    brine.extend(items.concat());
    brine
}

/// A box: a pair `(label, value)`.
pub(crate) fn boxed(label: i64, value: &[u8]) -> Vec<u8> {
    tuple(&[int(label), value.to_vec()])
}

pub(crate) fn pack(pack: &IdPack) -> Vec<u8> {
    tuple(&[text(&pack.name), int(pack.class), int(pack.instance)])
}

/// A request with its arguments boxed one by one.
pub(crate) fn request(seq: Seq, handler: i64, args: &[Vec<u8>]) -> Vec<u8> {
    message(1, seq, &tuple(&[int(handler), boxed(2, &tuple(args))]))
}

/// A request with its arguments by value.
pub(crate) fn plain_request(seq: Seq, handler: i64, args: &[Vec<u8>]) -> Vec<u8> {
    message(1, seq, &tuple(&[int(handler), boxed(1, &tuple(args))]))
}

pub(crate) fn message(kind: u8, seq: Seq, body: &[u8]) -> Vec<u8> {
    [&[kind], &tuple(&[int(seq), body.to_vec()])[..]].concat()
}

fn write(value: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut brine = Vec::new();
    value(&mut Writer::new(&mut brine, &Limits::compat()));
    brine
}

/// What a side sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Sent {
    Request(i64),
    /// The reply's box.
    Result(Seq, Value),
    /// The class of an exception.
    Raised(Seq, String),
}

/// An answer without a value: the box of `None`.
pub(crate) fn done(seq: Seq) -> Sent {
    Sent::Result(seq, Value::Tuple(vec![Value::Int(1), Value::None]))
}

pub(crate) fn raised(seq: Seq, class: &str) -> Sent {
    Sent::Raised(seq, class.to_owned())
}

impl Side {
    pub(crate) fn accept(&self, payload: Vec<u8>) -> Result<TestEvent, ProtocolError> {
        self.session.borrow_mut().accept(payload)
    }

    /// Takes one payload that is dealt with inside, and returns what was answered.
    pub(crate) fn handled(&self, payload: Vec<u8>) -> Vec<Sent> {
        let event = self.accept(payload).unwrap();
        assert!(matches!(event, Event::Handled), "{event:?}");
        self.sent()
    }

    /// What this side has written.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.payloads().iter().map(|payload| parse(payload)).collect()
    }

    pub(crate) fn payloads(&self) -> Vec<Vec<u8>> {
        let mut session = self.session.borrow_mut();
        let mut bytes = Vec::new();
        while let Some(piece) = session.take_output() {
            bytes.extend(piece.as_ref());
        }
        feed(&mut Deframer::new(), &bytes, usize::MAX, &Limits::compat()).unwrap()
    }
}

#[test]
fn the_page_about_the_wire_says_what_is_offered() {
    let options = Options { dialect: Some(Dialect::V6), ..Options::default() };
    let side = Side::new(options);
    let mut session = side.session.borrow_mut();
    let mut message = session.start_request(1, None);
    message.boxer(&Limits::default()).no_arguments().unwrap();
    session.send_request(message.seal().unwrap(), 0).unwrap();
    drop(session);
    let hello = &side.payloads()[0];
    let page = include_str!("../../../../docs/protocol.md");
    let names = page.split("(1, \"<software and version>\", (").nth(1).unwrap().split("))").next().unwrap();
    let names: Vec<_> = names.split(", ").map(|name| text(name.trim_matches('"'))).collect();
    let offered = tuple(&names);
    assert!(hello.windows(offered.len()).any(|part| part == offered), "{hello:?} does not offer {page}");
}

fn parse(payload: &[u8]) -> Sent {
    let limits = Limits::compat();
    let mut reader = Reader::new(&payload[1..], &limits);
    assert_eq!(reader.tuple("a message"), Ok(2));
    let seq = reader.int("a number").unwrap();
    let body = read(&crate::brine::world(), &mut reader).unwrap();
    reader.finish().unwrap();
    match (payload[0], body) {
        (1, Value::Tuple(parts)) => match parts[0] {
            Value::Int(handler) => Sent::Request(handler),
            _ => panic!("a request without a handler: {parts:?}"),
        },
        (2, result) => Sent::Result(seq, result),
        (3, Value::Tuple(parts)) => match &parts[0] {
            Value::Tuple(names) => match &names[..] {
                [Value::Str(module), Value::Str(class)] if module == "builtins" => raised(seq, class),
                _ => panic!("not a built-in exception: {names:?}"),
            },
            _ => panic!("not an exception: {parts:?}"),
        },
        other => panic!("not a message: {other:?}"),
    }
}

//! Any sequence of what a peer and a program can do: the tables stay within their limits, each call ends once, and
//! nothing is left at the end.

use std::collections::BTreeSet;
use std::rc::Rc;

use netref_core::brine::Writer;
use netref_core::message::{Dialect, Inbound, Kind};
use netref_core::refs::IdPack;
use netref_core::request::handlers;
use netref_core::session::{Event, Options, Outgoing, ReplyKind};
use netref_core::{Limits, Request};

use value::{Side, Thing, Token, Value};

#[allow(dead_code, reason = "shared with the tests of the core; each target needs a part of it")]
#[path = "../../crates/netref-core/tests/core/value.rs"]
mod value;

/// Runs the target on one input; a panic is a finding.
pub fn run(input: &[u8]) {
    let mut input = Input(input);
    let mut program = Program::new(&mut input);
    while !input.0.is_empty() && program.step(&mut input) {}
    program.end();
}

/// Choices, drawn from the fuzzer's bytes.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken.to_vec()
    }
}

/// One side and its program; the input plays the peer as well.
struct Program {
    side: Side,
    limits: Limits,
    dialect: Dialect,
    held: Vec<Value>,
    unread: Vec<Inbound<Rc<Thing>>>,
    unsent: Vec<(Outgoing, Option<Token>)>,
    sent: BTreeSet<Token>,
    done: BTreeSet<Token>,
    next: Token,
}

impl Program {
    fn new(input: &mut Input<'_>) -> Self {
        let mut limits = Limits::strict();
        (limits.max_exported, limits.max_backlog, limits.protocol_errors) = (8, 2000, 3);
        limits.max_call_depth = 3;
        let dialect = if input.byte() & 1 == 0 { Dialect::V6 } else { Dialect::V5 };
        let side =
            Side::new(Options { limits: limits.clone(), dialect: Some(dialect), ..Options::default() });
        Self {
            side,
            limits,
            dialect,
            held: Vec::new(),
            unread: Vec::new(),
            unsent: Vec::new(),
            sent: BTreeSet::new(),
            done: BTreeSet::new(),
            next: 0,
        }
    }

    /// Does one thing; false when the connection cannot go on.
    fn step(&mut self, input: &mut Input<'_>) -> bool {
        match input.byte() % 12 {
            0 => return self.accept(input.bytes()),
            1 | 2 => {
                let payload = self.peers_message(input);
                return self.accept(payload);
            }
            3 => self.write(input, true),
            4 => self.write(input, false),
            5 => self.send(),
            6 => {
                if let Some((message, token)) = self.unsent.pop() {
                    drop(self.side.session.borrow_mut().roll_back(message));
                    self.done.extend(token);
                }
            }
            7 => self.read(input),
            8 => {
                let seq = i64::from(input.byte());
                let token = self.side.session.borrow_mut().abandon(seq);
                self.complete(token);
            }
            9 => drop(self.held.pop()),
            10 => while self.side.session.borrow_mut().take_output().is_some() {},
            _ => match input.byte() % 16 {
                0 => self.side.session.borrow_mut().drain(),
                1 => self.side.session.borrow_mut().ignore_requests(),
                2 => return self.accept(self.release(input)),
                3 => {
                    let pack = IdPack { name: "app.Thing".into(), class: input.byte().into(), instance: 1 };
                    let description = self.side.session.borrow_mut().take_description(&pack);
                    drop(description.map(|description| description.methods(&self.side)));
                }
                _ => drop(self.side.session.borrow_mut().take_garbage()),
            },
        }
        let mut session = self.side.session.borrow_mut();
        assert!(session.exports().len() <= self.limits.max_exported);
        // Each request that has not begun takes more than 200 bytes of what they may take in all, but for the last of them.
        let unread = self.unread.iter().filter(|message| message.kind() == Kind::Request).count();
        assert!(unread <= 1 + self.limits.max_backlog / 200);
        true
    }

    fn accept(&mut self, payload: Vec<u8>) -> bool {
        // A driver does not read then, which is part of its contract.
        if self.side.session.borrow().is_overloaded() {
            return true;
        }
        let event = self.side.session.borrow_mut().accept(payload);
        match event {
            Ok(Event::Request(message)) => self.unread.push(message),
            Ok(Event::Reply { token, message }) => {
                self.complete(Some(token));
                self.unread.extend(message.ok());
            }
            Ok(Event::Handled) => {}
            Ok(Event::Close) | Err(_) => return false,
        }
        true
    }

    /// A well-formed message in the peer's place, with references that may be ours, or none.
    fn peers_message(&self, input: &mut Input<'_>) -> Vec<u8> {
        let kind = 1 + input.byte() % 3;
        let mut bytes = Vec::new();
        let mut out = self.begin(&mut bytes, kind, input.byte().into());
        let parent = if kind == 1 {
            let handler = input.byte();
            let is_part = handler >= 192;
            out.begin_tuple(2 + usize::from(is_part)).expect("shallow");
            out.int(i64::from(handler % 24));
            is_part.then_some(i64::from(handler % 8))
        } else {
            None
        };
        let items = input.bytes();
        out.begin_tuple(2).expect("shallow");
        out.int(2);
        out.begin_tuple(items.len()).expect("shallow");
        for item in items {
            out.begin_tuple(2).expect("shallow");
            let label = 1 + i64::from(item % 4);
            out.int(label);
            match label {
                1 => out.int(i64::from(item) - 100),
                2 => {
                    out.begin_tuple(0).expect("shallow");
                    out.end();
                }
                _ => {
                    out.begin_tuple(3).expect("shallow");
                    out.str("x").expect("short");
                    out.int(i64::from(item / 64));
                    out.int(i64::from(item / 4 % 16));
                    out.end();
                }
            }
            out.end();
        }
        out.end();
        out.end();
        if let Some(parent) = parent {
            out.int(parent);
        }
        bytes
    }

    /// The peer gives back references to an object that may have been lent to it.
    fn release(&self, input: &mut Input<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = self.begin(&mut bytes, 1, input.byte().cast_signed().into());
        let which = usize::from(input.byte());
        let mut session = self.side.session.borrow_mut();
        let lent: Vec<_> = session.exports().iter().map(|(pack, _)| pack.clone()).collect();
        drop(session);
        out.begin_tuple(2).expect("shallow");
        out.int(handlers::DEL);
        out.begin_tuple(2).expect("shallow");
        out.int(2);
        out.begin_tuple(2).expect("shallow");
        out.begin_tuple(2).expect("shallow");
        out.int(3);
        let pack = lent.get(which % (lent.len() + 1));
        out.begin_tuple(3).expect("shallow");
        out.str(pack.map_or("x", |pack| &*pack.name)).expect("short");
        out.int(pack.map_or(1, |pack| pack.class));
        out.int(pack.map_or(2, |pack| pack.instance));
        for _ in 0..2 {
            out.end();
        }
        out.begin_tuple(2).expect("shallow");
        out.int(1);
        out.int(i64::from(input.byte().cast_signed()));
        bytes
    }

    /// The head of a message from the peer.
    fn begin<'a>(&'a self, bytes: &'a mut Vec<u8>, kind: u8, seq: i64) -> Writer<'a> {
        if self.dialect == Dialect::V6 {
            bytes.push(kind);
        }
        let mut out = Writer::new(bytes, &self.limits);
        if self.dialect == Dialect::V6 {
            out.begin_tuple(2).expect("shallow");
        } else {
            out.begin_tuple(3).expect("shallow");
            out.int(i64::from(kind));
        }
        out.int(seq);
        out
    }

    /// Writes a request or a reply with some of what is there.
    fn write(&mut self, input: &mut Input<'_>, request: bool) {
        let items = input.bytes().into_iter().take(12).map(|choice| self.value(choice)).collect();
        let value = Value::Tuple(items);
        let (mut message, token) = {
            let mut session = self.side.session.borrow_mut();
            if request {
                self.next += 1;
                (session.start_request(i64::from(input.byte()), Some(3)), Some(self.next))
            } else {
                (session.start_reply(i64::from(input.byte()), ReplyKind::Result), None)
            }
        };
        let boxer = &mut message.boxer(&self.limits);
        let written =
            if request { boxer.arguments(&self.side, &[&value]) } else { boxer.object(&self.side, &value) };
        if written.is_ok() {
            self.unsent.push((message, token));
        } else {
            drop(self.side.session.borrow_mut().roll_back(message));
        }
    }

    fn value(&mut self, choice: u8) -> Value {
        match choice % 4 {
            0 => Value::Int(i64::from(choice)),
            1 => Value::Thing(self.side.thing("app.Thing")),
            2 if choice > 200 => Value::Unsendable,
            2 => Value::Thing(self.side.class("app.Class")),
            _ if self.held.is_empty() => Value::None,
            _ => self.held[usize::from(choice) % self.held.len()].clone(),
        }
    }

    fn send(&mut self) {
        let Some((message, token)) = self.unsent.pop() else { return };
        let sealed = message.seal().expect("a small message");
        let mut session = self.side.session.borrow_mut();
        match token {
            Some(token) => {
                assert!(session.send_request(sealed, token).is_ok());
                self.sent.insert(token);
            }
            None => session.send_reply(sealed),
        }
    }

    fn read(&mut self, input: &mut Input<'_>) {
        if self.unread.is_empty() {
            return;
        }
        let at = usize::from(input.byte()) % self.unread.len();
        let mut message = self.unread.swap_remove(at);
        match message.kind() {
            Kind::Request => drop(Request::read(&self.side, &mut message)),
            Kind::Reply => self.held.extend(message.result(&self.side)),
            Kind::Exception => drop(message.exception(&self.side)),
        }
    }

    fn complete(&mut self, token: Option<Token>) {
        if let Some(token) = token {
            assert!(self.sent.contains(&token) && self.done.insert(token), "call {token} ended twice");
        }
    }

    fn end(mut self) {
        let ended = self.side.session.borrow_mut().end();
        for token in ended.tokens {
            self.complete(Some(token));
        }
        drop(ended.garbage);
        assert!(self.sent.is_subset(&self.done), "a call never ended");
        self.unread.clear();
        self.held.clear();
        for (message, _) in self.unsent.drain(..) {
            drop(self.side.session.borrow_mut().roll_back(message));
        }
        assert!(self.side.session.borrow_mut().exports().is_empty());
        assert_eq!(self.side.alive(), 0);
    }
}

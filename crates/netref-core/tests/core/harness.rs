//! Two peers on a simulated link with a virtual clock: everything that may happen happens in an order drawn from a seed.
//!
//! A peer keeps what it has to do in a list and does any of it next: read an arrived message, carry out a request,
//! send a message that was written a while ago. Between writing and sending anything else may come, as between threads.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use netref_core::frame::Deframer;
use netref_core::message::{Inbound, Kind, Seq};
use netref_core::session::{Ended, Event, Options, Outgoing, ReplyKind};

use crate::script;
use crate::value::{Side, Thing, Token, Value};

/// A small generator of numbers: the same seed, the same run, on every machine.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number less than `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn take<T>(&mut self, list: &mut Vec<T>) -> Option<T> {
        (!list.is_empty()).then(|| list.swap_remove(self.below(list.len())))
    }
}

/// One direction of the link: bytes under way, each piece with the time when it arrives.
#[derive(Debug)]
pub(crate) struct Line {
    delay: usize,
    under_way: VecDeque<(u64, Vec<u8>)>,
}

impl Line {
    pub(crate) fn new(delay: usize) -> Self {
        Self { delay, under_way: VecDeque::new() }
    }

    fn put(&mut self, bytes: Vec<u8>, now: u64, random: &mut Random) {
        let arrival = now + random.below(self.delay + 1) as u64;
        let not_before = self.under_way.back().map_or(0, |(time, _)| *time);
        self.under_way.push_back((arrival.max(not_before), bytes));
    }

    pub(crate) fn next_arrival(&self) -> Option<u64> {
        self.under_way.front().map(|(time, _)| *time)
    }

    /// A piece of any length of what arrives next.
    pub(crate) fn arrive(&mut self, random: &mut Random) -> Vec<u8> {
        let Some((_, bytes)) = self.under_way.front_mut() else { return Vec::new() };
        let count = if random.once_in(3) { 1 + random.below(bytes.len()) } else { bytes.len() };
        let piece = bytes.drain(..count).collect();
        if bytes.is_empty() {
            self.under_way.pop_front();
        }
        piece
    }

    pub(crate) fn cut(&mut self) {
        self.under_way.clear();
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Returned,
    Raised,
    TimedOut,
    ConnectionLost,
    NeverSent,
}

/// A call of ours.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) seq: Seq,
    /// The request of the peer that this call was made for: it is answered when the call has ended.
    pub(crate) answers: Option<Seq>,
    /// What must come back, if that is known.
    pub(crate) echo: Option<Value>,
    pub(crate) outcome: Option<Outcome>,
}

/// Something that a peer can do next.
#[derive(Debug)]
enum Task {
    Execute(Inbound<Rc<Thing>>),
    Finish(Token, Inbound<Rc<Thing>>),
    /// A request, and what it refers to: that must live until the message is on its way.
    SendRequest(Outgoing, Token, Vec<Value>),
    SendReply(Outgoing, Vec<Value>),
}

/// Whether a peer that has stopped reading may go on.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One end of the connection and its program.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) side: Side,
    deframer: Deframer,
    /// Bytes that the deframer has not got yet.
    arrived: Vec<u8>,
    is_paused: bool,
    woken: Arc<Woken>,
    tasks: Vec<Task>,
    /// What the program keeps of what it received or made.
    pub(crate) held: Vec<Value>,
    pub(crate) calls: BTreeMap<Token, Call>,
    garbage: Vec<Rc<Thing>>,
    pub(crate) calls_to_make: usize,
}

impl Peer {
    pub(crate) fn new(options: Options, calls_to_make: usize) -> Self {
        Self {
            side: Side::new(options),
            deframer: Deframer::new(),
            arrived: Vec::new(),
            is_paused: false,
            woken: Arc::default(),
            tasks: Vec::new(),
            held: Vec::new(),
            calls: BTreeMap::new(),
            garbage: Vec::new(),
            calls_to_make,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && !self.is_paused && !self.side.session.borrow().has_output()
    }

    /// Takes bytes from the link.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.arrived.extend(bytes);
        self.read();
    }

    /// Works on what has arrived, unless there are too many requests already. Then it goes on once it is woken, and not before:
    /// a wake that is lost leaves it waiting for ever.
    pub(crate) fn read(&mut self) {
        if self.is_paused && !self.woken.0.swap(false, Ordering::Relaxed) {
            return;
        }
        self.is_paused = false;
        loop {
            let waker = Waker::from(self.woken.clone());
            if self.side.session.borrow().poll_room(&waker).is_pending() {
                self.is_paused = true;
                return;
            }
            let mut session = self.side.session.borrow_mut();
            let limits = session.limits().clone();
            let taken = self.deframer.next_payload(&limits, |beginning| session.expects(beginning));
            let Some(payload) = taken.unwrap() else {
                drop(session);
                if self.arrived.is_empty() {
                    return;
                }
                let space = self.deframer.space();
                let count = space.len().min(self.arrived.len());
                space[..count].copy_from_slice(&self.arrived[..count]);
                self.arrived.drain(..count);
                self.deframer.filled(count);
                continue;
            };
            let event = session.accept(payload).unwrap_or_else(|error| panic!("ProtocolError: {error}"));
            self.garbage.append(&mut session.take_garbage());
            drop(session);
            self.note(event);
        }
    }

    fn note(&mut self, event: Event<Rc<Thing>, Token>) {
        match event {
            Event::Request(message) => self.tasks.push(Task::Execute(message)),
            Event::Reply { token, message } => {
                let message = message.unwrap_or_else(|error| panic!("an unreadable reply: {error}"));
                self.tasks.push(Task::Finish(token, message));
            }
            Event::Handled => {}
            Event::Close => panic!("nobody closes here"),
        }
    }

    /// Puts everything that is to be written on the line.
    pub(crate) fn flush(&mut self, line: &mut Line, now: u64, random: &mut Random) {
        while let Some(bytes) = self.side.session.borrow_mut().take_output() {
            line.put(bytes.as_ref().to_vec(), now, random);
        }
    }

    /// Does one thing, whichever.
    pub(crate) fn work(&mut self, random: &mut Random) {
        if random.once_in(4) {
            self.garbage.clear();
        }
        self.read();
        match random.take(&mut self.tasks) {
            Some(Task::Execute(message)) => script::execute(self, message, random),
            Some(Task::Finish(token, message)) => self.finish(token, message, random),
            Some(Task::SendRequest(message, token, _referred)) => {
                if random.once_in(15) {
                    self.roll_back(message);
                    return self.end_call(token, Outcome::NeverSent, random);
                }
                let sent = self.side.session.borrow_mut().send_request(message.seal().unwrap(), token);
                if let Err(token) = sent {
                    self.end_call(token, Outcome::ConnectionLost, random);
                }
            }
            Some(Task::SendReply(message, _referred)) => {
                self.side.session.borrow_mut().send_reply(message.seal().unwrap());
            }
            None => {}
        }
    }

    /// Writes a request, to be sent later.
    pub(crate) fn call(
        &mut self,
        handler: i64,
        args: Vec<Value>,
        answers: Option<Seq>,
        echo: Option<Value>,
        random: &mut Random,
    ) {
        let (mut message, limits) = {
            let mut session = self.side.session.borrow_mut();
            (session.start_request(handler, answers), session.limits().clone())
        };
        let token = self.calls.len() as Token;
        self.calls.insert(token, Call { seq: message.seq(), answers, echo, outcome: None });
        let written = message.boxer(&limits).arguments(&self.side, &args.iter().collect::<Vec<_>>());
        match written {
            Ok(()) => self.tasks.push(Task::SendRequest(message, token, args)),
            Err(_) => {
                self.roll_back(message);
                self.end_call(token, Outcome::NeverSent, random);
            }
        }
    }

    /// Writes the reply to a request, to be sent later. What cannot be sent becomes an exception.
    pub(crate) fn reply(&mut self, seq: Seq, value: Value) {
        let (mut message, limits) = {
            let session = self.side.session.borrow();
            (session.start_reply(seq, ReplyKind::Result), session.limits().clone())
        };
        match message.boxer(&limits).object(&self.side, &value) {
            Ok(()) => self.tasks.push(Task::SendReply(message, vec![value])),
            Err(error) => {
                self.roll_back(message);
                self.raise(seq, &error.to_string());
            }
        }
    }

    pub(crate) fn raise(&mut self, seq: Seq, text: &str) {
        let (mut message, limits) = {
            let session = self.side.session.borrow();
            (session.start_reply(seq, ReplyKind::Exception), session.limits().clone())
        };
        script::exception(text).write(&self.side, &mut message.boxer(&limits).out).unwrap();
        self.tasks.push(Task::SendReply(message, Vec::new()));
    }

    /// Stops waiting for one of the calls.
    pub(crate) fn time_out(&mut self, random: &mut Random) {
        let waiting: Vec<Seq> =
            self.calls.values().filter(|call| call.outcome.is_none()).map(|call| call.seq).collect();
        if waiting.is_empty() {
            return;
        }
        let seq = waiting[random.below(waiting.len())];
        let token = self.side.session.borrow_mut().abandon(seq);
        if let Some(token) = token {
            self.end_call(token, Outcome::TimedOut, random);
        }
    }

    /// The transport is gone.
    pub(crate) fn lose_connection(&mut self, random: &mut Random) {
        let Ended { mut tokens, mut garbage } = self.side.session.borrow_mut().end();
        self.garbage.append(&mut garbage);
        while self.side.session.borrow_mut().take_output().is_some() {}
        // The session keeps its calls in no particular order.
        tokens.sort_unstable();
        for token in tokens {
            self.end_call(token, Outcome::ConnectionLost, random);
        }
    }

    pub(crate) fn drop_garbage(&mut self) {
        self.garbage.append(&mut self.side.session.borrow_mut().take_garbage());
        self.garbage.clear();
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.calls.values().any(|call| call.outcome.is_none())
    }

    fn finish(&mut self, token: Token, mut message: Inbound<Rc<Thing>>, random: &mut Random) {
        let outcome = if message.kind() == Kind::Reply {
            let value = message.result(&self.side).unwrap();
            if let Some(sent) = &self.calls[&token].echo {
                assert_eq!(&value, sent, "something else came back");
            }
            script::keep(self, value, random);
            Outcome::Returned
        } else {
            script::check_exception(&message.exception(&self.side).unwrap());
            Outcome::Raised
        };
        self.end_call(token, outcome, random);
    }

    fn end_call(&mut self, token: Token, outcome: Outcome, random: &mut Random) {
        let call = self.calls.get_mut(&token).unwrap();
        assert_eq!(call.outcome.replace(outcome), None, "call {token} ended twice, now: {outcome:?}");
        call.echo = None;
        if let Some(seq) = call.answers {
            script::answer(self, seq, random);
        }
    }

    fn roll_back(&mut self, message: Outgoing) {
        let mut garbage = self.side.session.borrow_mut().roll_back(message);
        self.garbage.append(&mut garbage);
    }
}

//! A link reduced to what its threads do with calls and turns: the same steps in the same order as in `threads/serving.rs`,
//! with a queue of messages for a transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use netref_core::message::Inbound;
use netref_core::request::handlers;
use netref_core::session::{Event, Options, Session};
use netref_core::{Dialect, Limits};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

use crate::threads::{self, Call, Step, Turn};

/// Schedules of each scenario.
const SCHEDULES: usize = 2_000;

/// What the peer sends.
#[derive(Clone, Copy, Debug)]
enum Message {
    Reply(usize),
    /// A request that belongs to a call of ours.
    Callback(usize),
}

struct Link {
    turn: Turn,
    calls: Vec<Arc<Call<()>>>,
    wire: Mutex<Vec<Message>>,
    arrived: Condvar,
    /// True while the watch is to look at the link.
    watched: Mutex<bool>,
    asked: Condvar,
    /// The deadline of those who have one has passed.
    time_is_up: AtomicBool,
    /// Threads that still wait for a call.
    waiting: AtomicUsize,
    /// Messages that are still to be read, by whomever.
    unread: AtomicUsize,
    /// Requests run by the thread that waits for their call, and by others.
    run: AtomicUsize,
}

impl Link {
    fn new(calls: usize, messages: usize) -> Self {
        Self {
            turn: Turn::new(),
            calls: (0..calls).map(|seq| threads::new_call(seq as i64)).collect(),
            wire: Mutex::new(Vec::new()),
            arrived: Condvar::new(),
            watched: Mutex::new(false),
            asked: Condvar::new(),
            time_is_up: AtomicBool::new(false),
            waiting: AtomicUsize::new(calls),
            unread: AtomicUsize::new(messages),
            run: AtomicUsize::new(0),
        }
    }

    /// The peer sends something.
    fn send(&self, message: Message) {
        self.wire.lock().unwrap().push(message);
        self.arrived.notify_all();
    }

    /// Has somebody read, if nobody does.
    fn attend(&self) {
        *self.watched.lock().unwrap() = true;
        self.asked.notify_all();
    }

    /// As `wait`: until the call completes, or if the thread is `impatient`, until time is up.
    fn wait(&self, number: usize, impatient: bool) {
        let call = &self.calls[number];
        let is_late = || impatient && self.time_is_up.load(Ordering::SeqCst);
        threads::enter(call);
        loop {
            match threads::next_step(call) {
                Step::Completed => break,
                Step::Run(request) => {
                    self.run(request);
                    continue;
                }
                Step::Wait => {}
            }
            if is_late() {
                break;
            }
            if self.turn.take_or_follow(call) {
                self.read(|| call.is_completed() || is_late(), Some(number));
            } else {
                threads::sleep_elsewhere();
                threads::sleep(call);
            }
        }
        let orphans = threads::leave(call);
        if self.turn.leave(call, orphans.is_some()) {
            self.attend();
        }
        orphans.into_iter().flatten().for_each(|request| self.run(request));
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.look_whether_it_is_over();
    }

    /// If the scenario is over, wakes the watch and who reads in its place.
    fn look_whether_it_is_over(&self) {
        if self.is_over() {
            drop(self.wire.lock().unwrap());
            self.arrived.notify_all();
            drop(self.watched.lock().unwrap());
            self.asked.notify_all();
        }
    }

    fn run(&self, request: Inbound<()>) {
        drop(request);
        self.run.fetch_add(1, Ordering::SeqCst);
    }

    /// As `read_until`: with the turn taken.
    fn read(&self, is_reached: impl Fn() -> bool, mine: Option<usize>) {
        let mut own = None;
        loop {
            if is_reached() || self.is_over() {
                break;
            }
            let message = {
                let mut wire = self.wire.lock().unwrap();
                while wire.is_empty() && !is_reached() && !self.is_over() {
                    wire = self.arrived.wait(wire).unwrap();
                }
                if wire.is_empty() { continue } else { wire.remove(0) }
            };
            self.unread.fetch_sub(1, Ordering::SeqCst);
            self.look_whether_it_is_over();
            match message {
                Reply(number) => threads::complete(&self.calls[number]),
                Callback(number) if mine == Some(number) => {
                    own = Some(request(number));
                    break;
                }
                Callback(number) => {
                    if let Some(request) = threads::hand_over(&self.calls[number], request(number)) {
                        self.run(request);
                    }
                }
            }
        }
        if self.turn.give_up() {
            self.attend();
        }
        if let Some(request) = own {
            self.run(request);
        }
    }

    /// As the watch and the background reader: takes the turn when it is free, until somebody waits for it.
    fn watch(&self) {
        loop {
            {
                let mut watched = self.watched.lock().unwrap();
                while !*watched && !self.is_over() {
                    watched = self.asked.wait(watched).unwrap();
                }
                *watched = false;
            }
            if self.is_over() {
                return;
            }
            if self.turn.try_take() {
                self.read(|| self.turn.has_followers(), None);
            }
        }
    }

    /// The deadline of the first threads passes, whatever they are doing.
    fn end_patience(&self, impatient: usize) {
        self.time_is_up.store(true, Ordering::SeqCst);
        self.calls[..impatient].iter().for_each(|call| threads::wake(call));
        drop(self.wire.lock().unwrap());
        self.arrived.notify_all();
    }

    fn is_over(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0 && self.unread.load(Ordering::SeqCst) == 0
    }
}

/// A request of the peer's, as the session hands it out.
fn request(number: usize) -> Inbound<()> {
    let mut session: Session<(), ()> =
        Session::new(Options { dialect: Some(Dialect::V6), ..Options::default() });
    let mut peer: Session<(), ()> =
        Session::new(Options { dialect: Some(Dialect::V6), ..Options::default() });
    let mut message = peer.start_request(handlers::GETROOT, None);
    message.boxer(&Limits::default()).no_arguments().unwrap();
    let frame = message.seal().unwrap();
    peer.send_request(frame, ()).unwrap();
    let _ = number;
    let mut deframer = netref_core::frame::Deframer::new();
    while let Some(bytes) = peer.take_output() {
        let bytes = bytes.as_ref();
        deframer.space()[..bytes.len()].copy_from_slice(bytes);
        deframer.filled(bytes.len());
    }
    loop {
        let payload = deframer.next_payload(&Limits::default(), |_| Some(false)).unwrap().unwrap();
        if let Event::Request(request) = session.accept(payload).unwrap() {
            return request;
        }
    }
}

/// Runs a scenario: as many threads wait as there are calls, while the peer sends `messages`. The first `impatient` ones do not
/// wait for their replies.
fn check(calls: usize, impatient: usize, messages: &'static [Message]) {
    let callbacks = messages.iter().filter(|message| matches!(message, Callback(_))).count();
    let scenario = move || {
        let link = Arc::new(Link::new(calls, messages.len()));
        let mut running: Vec<_> = (0..calls)
            .map(|number| {
                let link = link.clone();
                thread::spawn(move || link.wait(number, number < impatient))
            })
            .collect();
        if impatient > 0 {
            let timer = link.clone();
            running.push(thread::spawn(move || timer.end_patience(impatient)));
        }
        let watching = link.clone();
        running.push(thread::spawn(move || watching.watch()));
        for message in messages {
            link.send(*message);
        }
        for thread in running {
            thread.join().unwrap();
        }
        assert_eq!(link.run.load(Ordering::SeqCst), callbacks, "each request runs once");
        assert!(!link.turn.is_taken(), "the turn was left with nobody");
        assert!(!link.turn.has_followers(), "somebody follows who has left");
        assert!(link.calls.iter().all(|call| Arc::strong_count(call) == 1), "a call is kept for nobody");
    };
    shuttle::check_random(scenario, SCHEDULES);
}

use Message::{Callback, Reply};

#[test]
fn each_thread_gets_its_reply() {
    check(3, 0, &[Reply(2), Reply(0), Reply(1)]);
}

#[test]
fn callbacks_run_whoever_reads_them() {
    check(2, 0, &[Callback(0), Callback(1), Reply(1), Callback(0), Reply(0)]);
}

#[test]
fn callbacks_that_come_with_the_reply_are_not_lost() {
    check(3, 0, &[Callback(2), Reply(2), Callback(0), Reply(0), Callback(1), Reply(1)]);
}

/// Who is woken to read, and whose time is up just then, has another woken in its place.
#[test]
fn a_thread_that_gives_up_leaves_nobody_behind() {
    check(4, 2, &[Reply(3), Reply(2)]);
    check(3, 1, &[Callback(1), Reply(1), Reply(0), Reply(2)]);
    check(2, 1, &[Reply(1), Reply(0)]);
}

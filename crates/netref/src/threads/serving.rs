//! Waiting: reading while it is this thread's turn, running requests, parking otherwise.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use netref_core::frame::FrameError;
use netref_core::message::{Inbound, Seq};
use netref_core::payload::{Payload, Place};
use netref_core::session::Event;

use super::backlog::NONE;
use super::call::{MAX_NESTING, Step};
use super::held::{Duty, is_addressed};
use super::sending::Flush;
use super::transport::Interest;
use super::{Call, CallError, Callback, Dispatch, EndReason, Host, Interrupted, Link, WaitError};
use crate::incoming::Incoming;
use crate::memory;
use crate::running::{RunningRequest, drop_each, nesting};

/// A parked thread that heeds signals looks for them as often, since waking from a park is not something that a signal does.
pub(super) const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// A thread that reads looks at the clock, and for signals, after as many times at the latest.
const READS_IN_A_ROW: u32 = 64;

/// How long a peer that sent what is not taken may go on sending until it reads why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a thread reads.
pub(super) enum Goal<'a, S> {
    /// Until this call completes; or for ever, if it is a serving one.
    Call(&'a Arc<Call<S>>),
    /// Until one message was worked on, as a serving thread does, which waits by way of this call.
    One(&'a Arc<Call<S>>),
    /// Until nothing waits to be written.
    Output,
    /// Until somebody else wants to.
    Background,
}

/// What a thread that reads must do next, once it has given up the turn.
pub(super) enum Pause<S> {
    /// The goal is reached, or the deadline has passed: the caller knows which.
    Return,
    Run(Inbound<S>),
    CallBack(Callback),
    Drop(Vec<S>),
    End(EndReason),
    CheckSignals,
}

impl<H: Host> Link<H> {
    /// Waits until `call` completes. Meanwhile the thread reads, and runs requests of the peer that belong to it; but not if
    /// less than 30 s are left, since the deadline could not be kept while one runs.
    ///
    /// # Errors
    /// [`WaitError`]; the call goes on, unless it is [abandoned](Self::abandon).
    pub fn wait(
        self: &Arc<Self>,
        call: &Arc<Call<H::Shared>>,
        deadline: Option<Instant>,
    ) -> Result<(), WaitError> {
        // In whole seconds, for some of the limit may have passed already.
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()).as_secs() + 1);
        let left = left.map(Duration::from_secs);
        call.enter(self.is_to_be_punctual(left));
        let sent = self.send_joined(deadline).map_err(WaitError::from);
        let outcome = sent.and_then(|()| self.wait_entered(call, deadline));
        self.stop_waiting(call);
        outcome
    }

    /// The calling thread waits for `call` no more.
    pub(super) fn stop_waiting(self: &Arc<Self>, call: &Arc<Call<H::Shared>>) {
        let orphans = call.leave();
        // Whoever gave up the turn left it to this thread, which got what it waited for all the same.
        if self.turn.leave(call, orphans.is_some()) {
            self.be_watched();
        }
        for request in orphans.into_iter().flatten() {
            self.run_on_pool(request);
        }
    }

    /// Serves the peer's requests until the connection ends.
    ///
    /// # Errors
    /// [`Interrupted`] by a signal handler.
    pub fn serve_all(self: &Arc<Self>) -> Result<(), Interrupted> {
        match self.wait(&self.new_server(), None) {
            Err(WaitError::Interrupted) => Err(Interrupted),
            _ => Ok(()),
        }
    }

    /// Works on one message of the peer, if one comes in time. True if one did.
    ///
    /// # Errors
    /// [`Interrupted`] by a signal handler.
    pub fn serve_one(self: &Arc<Self>, deadline: Option<Instant>) -> Result<bool, Interrupted> {
        self.serve_one_until(deadline, deadline)
    }

    /// Works on one message of the peer, if one has arrived in whole, without waiting for the rest of one. While another
    /// thread reads, which may have it to be worked on here, waits until the deadline. True if there was one.
    ///
    /// # Errors
    /// [`Interrupted`] by a signal handler.
    pub fn serve_ready(self: &Arc<Self>, deadline: Option<Instant>) -> Result<bool, Interrupted> {
        self.serve_one_until(deadline, Some(Instant::now()))
    }

    fn serve_one_until(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        reading: Option<Instant>,
    ) -> Result<bool, Interrupted> {
        self.send_joined(deadline)?;
        let server = self.new_server();
        server.enter(false);
        let outcome = self.serve_one_entered(&server, deadline, reading);
        self.stop_waiting(&server);
        outcome
    }

    fn serve_one_entered(
        self: &Arc<Self>,
        server: &Arc<Call<H::Shared>>,
        deadline: Option<Instant>,
        reading: Option<Instant>,
    ) -> Result<bool, Interrupted> {
        loop {
            match server.next_step() {
                Step::Completed => return Ok(false),
                Step::Run(request) => {
                    self.run(request)?;
                    return Ok(true);
                }
                Step::Wait => {}
            }
            if self.begin_held(&Goal::One(server))? {
                return Ok(true);
            }
            // A deadline that has passed already still allows for what has arrived.
            if self.turn.take_or_follow(server) {
                let worked = self.read_until(&Goal::One(server), reading)?;
                if worked || reading.is_some_and(|at| Instant::now() >= at) {
                    return Ok(worked);
                }
            } else if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(false);
            } else {
                self.sleep(server, deadline)?;
            }
        }
    }

    pub(super) fn wait_entered(
        self: &Arc<Self>,
        call: &Arc<Call<H::Shared>>,
        deadline: Option<Instant>,
    ) -> Result<(), WaitError> {
        let mut has_waited = false;
        loop {
            match call.next_step() {
                Step::Completed => return Ok(()),
                Step::Run(request) => {
                    self.run(request)?;
                    continue;
                }
                Step::Wait => {}
            }
            // Most calls are answered in one go, and need no look at the clock.
            if has_waited && deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(WaitError::TimedOut);
            }
            has_waited = true;
            if self.begin_held(&Goal::Call(call))? {
                continue;
            }
            if self.turn.take_or_follow(call) {
                self.read_until(&Goal::Call(call), deadline)?;
            } else {
                self.sleep(call, deadline)?;
            }
        }
    }

    /// Sleeps until another thread wakes this one, or the deadline passes, or it is time to look for signals.
    fn sleep(&self, call: &Call<H::Shared>, deadline: Option<Instant>) -> Result<(), Interrupted> {
        if !self.host.heeds_signals() {
            self.host.blocking(|| call.sleep(deadline));
            return Ok(());
        }
        let until = earlier(deadline, Some(Instant::now() + SIGNAL_CHECK));
        self.host.blocking(|| call.sleep(until));
        self.host.check_signals()
    }

    /// Reads in the background until somebody else does or wants to. The calling thread has the turn.
    pub(super) fn read_in_background(self: &Arc<Self>) {
        loop {
            let pause = self.read(&Goal::Background, None, &mut false);
            if self.turn.give_up() {
                self.be_watched();
            }
            if matches!(pause, Pause::Return) {
                return;
            }
            // Nobody interrupts a driver thread: signals are the business of the world's own threads.
            let _ = self.carry_out(&Goal::Background, pause);
            // Done with what it gave the turn up for, such as the callback of a call, it goes on.
            if self.is_closed() || self.turn.has_followers() || !self.turn.try_take() {
                return;
            }
        }
    }

    /// Reads, with the turn taken, until the goal is reached or there is something to do for which the turn must be given
    /// up; gives it up and does that. True if it worked on a message.
    pub(super) fn read_until(
        self: &Arc<Self>,
        goal: &Goal<'_, H::Shared>,
        deadline: Option<Instant>,
    ) -> Result<bool, Interrupted> {
        let mut worked = false;
        let pause = self.read(goal, deadline, &mut worked);
        if let (Goal::Call(call) | Goal::One(call), false) = (goal, matches!(pause, Pause::Return)) {
            // Before the turn is offered to those who follow, of whom this thread may be one.
            call.begin_running();
        }
        if self.turn.give_up() {
            self.be_watched();
        }
        self.carry_out(goal, pause)?;
        Ok(worked)
    }

    /// Does what the turn to read was given up for.
    pub(super) fn carry_out(
        self: &Arc<Self>,
        goal: &Goal<'_, H::Shared>,
        pause: Pause<H::Shared>,
    ) -> Result<(), Interrupted> {
        match pause {
            Pause::Return => {}
            Pause::Run(request) => match goal {
                Goal::Background => self.run_in_turn(request),
                _ => self.run(request)?,
            },
            Pause::CallBack(callback) => self.run_errand(callback),
            Pause::Drop(garbage) => self.run_errand(|| drop_each(garbage)),
            Pause::End(reason) => self.end(reason),
            Pause::CheckSignals => self.host.check_signals()?,
        }
        Ok(())
    }

    fn read(
        self: &Arc<Self>,
        goal: &Goal<'_, H::Shared>,
        deadline: Option<Instant>,
        worked: &mut bool,
    ) -> Pause<H::Shared> {
        let mut incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reads = 0;
        loop {
            loop {
                let pause = if let Some(duty) = self.next_held(goal) {
                    self.assign(goal, duty)
                } else {
                    match incoming.next_payload(
                        |beginning| self.session().expects(beginning),
                        |beginning| self.place(beginning),
                    ) {
                        Ok(Some(payload)) => self.accept(goal, payload),
                        Ok(None) => break,
                        Err(error) => return Pause::End(self.refuse(&incoming.beginning(), error)),
                    }
                };
                *worked = true;
                if let Some(pause) = pause {
                    if let Pause::Run(request) = &pause {
                        self.join_answer(goal, request.seq(), incoming.has_whole_frame());
                    }
                    return pause;
                }
                // What has arrived is worked off even if this thread has all it wants: nobody else may look for a while.
                // Usually that is nothing.
                if !incoming.is_mid_frame() && !self.has_unsent() && self.is_reached(goal, *worked) {
                    return Pause::Return;
                }
            }
            self.joined.store(NONE, Ordering::Relaxed);
            let (is_full, given_up_at, failure) = match self.flush() {
                Flush::Done => (false, None, None),
                Flush::Full(given_up_at) => (true, given_up_at, None),
                // What has arrived is read first.
                Flush::Failed(reason @ EndReason::Transport(_)) => (false, None, Some(reason)),
                Flush::Failed(reason) => return Pause::End(reason),
            };
            if self.is_reached(goal, *worked) || self.is_closed() {
                return Pause::Return;
            }
            if self.is_overloaded() {
                return failure.map_or_else(|| self.pause(goal, deadline), Pause::End);
            }
            // A peer that always has something to say would keep this thread from ever looking up.
            reads += 1;
            if reads > READS_IN_A_ROW && !matches!(goal, Goal::Background) {
                let is_over = deadline.is_some_and(|at| Instant::now() >= at);
                return if is_over { Pause::Return } else { Pause::CheckSignals };
            }
            let due = self.due_while(goal, &mut incoming);
            let until = earlier(deadline, due.as_ref().map(|due| due.0));
            // The program serves again when the descriptor shows that there is more.
            let is_step = matches!(goal, Goal::One(_)) && self.is_served_by_hand();
            let space = incoming.space(is_step || self.transport.reads_exactly());
            let outcome = self.host.blocking(|| {
                if is_full {
                    self.wait_for_transport(Interest::ReadOrWrite, earlier(until, given_up_at))?;
                }
                let until = if is_full || failure.is_some() { Some(Instant::now()) } else { until };
                self.transport.receive(space, until)
            });
            match outcome {
                Ok(0) if incoming.is_mid_frame() => return Pause::End(EndReason::Truncated),
                Ok(0) => return Pause::End(EndReason::EndOfStream),
                Ok(count) => {
                    incoming.filled(count);
                    self.received.fetch_add(count as u64, Ordering::Relaxed);
                    self.heard();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Pause::CheckSignals,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(reason) = failure {
                        return Pause::End(reason);
                    }
                    let now = Instant::now();
                    if deadline.is_some_and(|at| now >= at) {
                        return Pause::Return;
                    }
                    // Not while something is owed by now, which makes for another time.
                    if due.is_some_and(|(at, _)| now >= at)
                        && let Some((at, reason)) = self.due_while(goal, &mut incoming)
                        && now >= at
                    {
                        return Pause::End(reason);
                    }
                }
                Err(error) => return Pause::End(EndReason::Transport(error)),
            }
        }
    }

    /// Where bytes of the payload that begins with those are to be received, if they are worth it.
    fn place(&self, beginning: &[u8]) -> Option<(Range<usize>, Box<dyn Place>)> {
        let bytes = self.session().large_bytes(beginning)?;
        let place = memory::is_taken_as_written().then(|| self.host.place(bytes.len()))?;
        Some((bytes, place?))
    }

    /// The calling thread is about to run a request. If the next one is here, and the thread goes on with it, their answers go
    /// out together.
    fn join_answer(self: &Arc<Self>, goal: &Goal<'_, H::Shared>, seq: Seq, more_is_here: bool) {
        let goes_on = match goal {
            Goal::Call(call) => call.is_serving(),
            Goal::Background => true,
            Goal::One(_) | Goal::Output => false,
        };
        let joined = if goes_on && more_is_here { seq } else { NONE };
        self.joined.store(joined, Ordering::Relaxed);
    }

    /// Until when the peer has to send something more, if there is such a time.
    fn due_while(&self, goal: &Goal<'_, H::Shared>, incoming: &mut Incoming) -> Option<(Instant, EndReason)> {
        let waits = matches!(goal, Goal::Call(call) if !call.is_serving());
        let is_quiet = !waits && self.is_quiet();
        incoming.due(is_quiet)
    }

    /// Answers a frame that is not taken, if it is a request, and has the peer read the answer, which is perhaps still
    /// sending. What the connection ends with.
    fn refuse(self: &Arc<Self>, beginning: &[u8], error: FrameError) -> EndReason {
        self.session().refuse_frame(beginning, &error);
        self.unsettled.store(true, Ordering::Release);
        if let Flush::Done = self.flush()
            && !matches!(error, FrameError::NotRpyc(_))
        {
            self.host.blocking(|| self.transport.finish(Instant::now() + LAST_WORDS));
        }
        EndReason::Protocol(error.into())
    }

    fn is_reached(&self, goal: &Goal<'_, H::Shared>, worked: bool) -> bool {
        match goal {
            Goal::Call(call) => call.is_completed(),
            Goal::One(_) => worked,
            Goal::Output => !self.has_unsent(),
            Goal::Background => self.turn.has_followers() || self.is_served_by_hand(),
        }
    }

    /// Works on one message of the peer. Returns what the turn must be given up for, if anything.
    fn accept(self: &Arc<Self>, goal: &Goal<'_, H::Shared>, payload: Payload) -> Option<Pause<H::Shared>> {
        let (event, garbage) = {
            let mut session = self.session();
            let event = session.accept(payload);
            if session.queued() > 0 {
                self.unsettled.store(true, Ordering::Release);
            }
            (event, session.take_garbage())
        };
        let pause = match event {
            Ok(Event::Request(request)) => self.take_on(goal, Duty::Request(request)),
            Ok(Event::Reply { token, message }) => token
                .complete(message.map_err(CallError::Unreadable))
                .and_then(|callback| self.take_on(goal, Duty::CallBack(callback))),
            Ok(Event::Handled) => None,
            Ok(Event::Close) => {
                self.peer_closes.store(true, Ordering::Release);
                // The answer goes out if there is room for it; a peer that closes can do without.
                let _ = self.flush();
                Some(Pause::End(EndReason::ClosedByPeer))
            }
            Err(error) => Some(Pause::End(EndReason::Protocol(error))),
        };
        debug_assert!(
            pause.is_none() || garbage.is_empty(),
            "only a DEL makes garbage, and it does nothing else"
        );
        if garbage.is_empty() { pause } else { Some(Pause::Drop(garbage)) }
    }

    fn take_on(
        self: &Arc<Self>,
        goal: &Goal<'_, H::Shared>,
        duty: Duty<H::Shared>,
    ) -> Option<Pause<H::Shared>> {
        self.hold_back(goal, duty).and_then(|duty| self.assign(goal, duty))
    }

    /// Decides which thread does something: this one if it returns something.
    pub(super) fn assign(
        self: &Arc<Self>,
        goal: &Goal<'_, H::Shared>,
        duty: Duty<H::Shared>,
    ) -> Option<Pause<H::Shared>> {
        let request = match duty {
            Duty::Request(request) => request,
            Duty::CallBack(callback) => return Some(Pause::CallBack(callback)),
        };
        let request = match self.owner(goal, &request) {
            Owner::ThisThread => return Some(Pause::Run(request)),
            Owner::Waiter(call) => match call.hand_over(request) {
                Some(request) => request,
                // A thread that serves reads on when it is done with it, so that the next requests need no handing over.
                None if call.is_serving() && matches!(goal, Goal::Background) => return Some(Pause::Return),
                None => return None,
            },
            Owner::Pool => request,
        };
        self.run_on_pool(request);
        None
    }

    fn owner(&self, goal: &Goal<'_, H::Shared>, request: &Inbound<H::Shared>) -> Owner<H::Shared> {
        if self.dispatch == Dispatch::Pool {
            return Owner::Pool;
        }
        if let Goal::Call(mine) = goal
            && mine.is_serving()
            && !is_addressed(request)
        {
            return Owner::ThisThread;
        }
        let by_hand = self.is_served_by_hand_here();
        let caller = self.caller(request).filter(|call| !by_hand || call.is_awaited());
        let is_told = (request.thread().is_some() || self.session().features().chain)
            && !by_hand
            && !self.is_preparing();
        let has_room = nesting() < MAX_NESTING;
        match (goal, caller) {
            (Goal::Call(mine), Some(call))
                if Arc::ptr_eq(mine, &call) && call.takes_requests() && has_room =>
            {
                Owner::ThisThread
            }
            (_, Some(call)) => Owner::Waiter(call),
            (Goal::One(_), None) => Owner::ThisThread,
            // It says what it is part of, but that is over.
            (Goal::Call(mine), None) if mine.is_serving() => Owner::ThisThread,
            // A stock peer does not say whose callback this is; the waiting thread is the likeliest.
            (Goal::Call(mine), None) if !is_told && mine.takes_requests() && has_room => {
                if self.may_begin(request.seq()) { Owner::ThisThread } else { Owner::Pool }
            }
            (_, None) => {
                let server = self.turn.idle_server();
                match server.or_else(|| if is_told { None } else { self.idle_call() }) {
                    Some(call) if call.is_serving() || self.may_begin(request.seq()) => Owner::Waiter(call),
                    None if matches!(goal, Goal::Background) && self.may_begin_on_pool(request.seq()) => {
                        Owner::ThisThread
                    }
                    _ => Owner::Pool,
                }
            }
        }
    }

    /// The call of this side that a request says it is part of.
    pub(super) fn caller(&self, request: &Inbound<H::Shared>) -> Option<Arc<Call<H::Shared>>> {
        let session = self.session();
        match request.thread() {
            // The innermost call of a thread is its newest.
            Some(number) if number != 0 => {
                let calls: Vec<_> = session.tokens().cloned().collect();
                calls.into_iter().rev().find(|call| call.is_waited_for_by(number))
            }
            _ => request.parent().and_then(|seq| session.token(seq).cloned()),
        }
    }

    /// A call whose thread could run a request of a stock peer: the oldest, since stock works on one call after the other.
    fn idle_call(&self) -> Option<Arc<Call<H::Shared>>> {
        let calls: Vec<_> = self.session().tokens().cloned().collect();
        calls.into_iter().find(|call| call.is_idle())
    }

    pub(super) fn run(self: &Arc<Self>, request: Inbound<H::Shared>) -> Result<(), Interrupted> {
        let seq = request.seq();
        let running = RunningRequest::enter(self.address(), seq);
        let outcome = self.host.handle(self, request);
        drop(running);
        self.note_progress(seq);
        outcome
    }
}

/// The thread that a request is due to run on.
enum Owner<S> {
    ThisThread,
    Waiter(Arc<Call<S>>),
    Pool,
}

/// The earlier of two deadlines, where none is never.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

//! Writing messages and getting them onto the wire.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use netref_core::boxing::Boxer;
use netref_core::frame::Piece;
use netref_core::message::{Handler, Seq};
use netref_core::request::handlers;
use netref_core::session::{Outgoing, ReplyKind, Sealed};
use smallvec::SmallVec;

use super::serving::{Goal, SIGNAL_CHECK, earlier};
use super::transport::{Interest, Transport};
use super::{Call, Host, Interrupted, Link, Outcome, WaitError};
use crate::failure::{Closed, EndReason, StartError};
use crate::running;

/// While more bytes than this wait to be sent, no message is added to them but by the thread that reads.
const HIGH_WATER: usize = 8 * 1024 * 1024;

/// Requests that are in no hurry are held back until so many bytes of them wait.
const JOINED: usize = 64 * 1024;

/// Answers to requests that came together are held back until so many bytes of them wait: the peer has something to do then.
const JOINED_ANSWERS: usize = 4 * 1024;

/// A thread that waits for a call with a shorter limit than this runs no requests meanwhile, for it could not stop in the
/// middle of one. It is the limit that calls have unless told otherwise.
const PATIENT: Duration = Duration::from_secs(30);

/// What a call says of a request that was addressed to a name.
const NO_NUMBER: i64 = 0;

/// Pieces of output that are written at a time: the beginning of a frame, large bytes in it, and what follows.
const PIECES: usize = 3;

/// Output taken from the session that the transport has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pieces: VecDeque<Piece>,
    /// How much of the first of them is written.
    written: usize,
    /// Since when the transport has taken nothing, if it had no room the last time.
    full_since: Option<Instant>,
}

/// Whether the thread that sends a request waits for the reply.
#[derive(Clone, Copy, Debug)]
enum Waits {
    /// At once; and if it is to be punctual, it runs no requests meanwhile.
    Now { punctual: bool },
    /// Later, or another thread does, or none.
    Perhaps,
    /// The same, and there is no hurry: it can be written together with what comes next.
    Joined,
}

/// What became of an attempt to write everything out.
#[derive(Debug)]
pub(super) enum Flush {
    /// Nothing is left, or another thread is writing, which will see what this one queued.
    Done,
    /// The transport has no room. If it still has none at that time, the connection is given up.
    Full(Option<Instant>),
    /// The connection is over, and has to be ended with no lock and no turn held.
    Failed(EndReason),
}

/// Why an [exchange](Link::exchange) has no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError<E> {
    /// The request could not be sent.
    #[error(transparent)]
    Start(#[from] StartError<E>),
    /// The wait for its reply ended first; the reply will be thrown away.
    #[error("{0:?}")]
    Wait(WaitError),
}

impl<H: Host> Link<H> {
    /// Sends a request and waits for its reply, for as long as `limit`. Callbacks that belong to the request run on the calling
    /// thread, however soon they come; but not if the limit is below 30 s, since it could not be kept while one runs.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn exchange<'a, E>(
        self: &Arc<Self>,
        handler: impl Into<Handler<'a>>,
        limit: Option<Duration>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Outcome<H::Shared>, ExchangeError<E>> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let waits = Waits::Now { punctual: self.is_to_be_punctual(limit) };
        let call = match self.send_call(None, handler.into(), deadline, waits, write) {
            Err(StartError::TimedOut) => return Err(ExchangeError::Wait(WaitError::TimedOut)),
            sent => sent?,
        };
        let waited = self.wait_entered(&call, deadline);
        self.stop_waiting(&call);
        match (waited, call.take()) {
            (_, Some(outcome)) => Ok(outcome),
            (waited, None) => {
                self.abandon(&call);
                Err(ExchangeError::Wait(waited.err().unwrap_or(WaitError::TimedOut)))
            }
        }
    }

    /// Sends a request and returns the call that awaits its reply. Blocks only while the transport has no room, and reads
    /// meanwhile. `write` writes the arguments; it runs with no lock held.
    ///
    /// For a call that this thread waits for at once, [`exchange`](Self::exchange) is right. After the deadline nothing is
    /// waited for any more.
    ///
    /// # Errors
    /// [`StartError`]; nothing was sent then, and nothing is lent.
    pub fn start<'a, E>(
        self: &Arc<Self>,
        handler: impl Into<Handler<'a>>,
        deadline: Option<Instant>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        self.send_call(None, handler.into(), deadline, Waits::Perhaps, write)
    }

    /// As [`start`](Self::start), but the request may be held back until [`send_joined`](Self::send_joined), or until something
    /// else is sent or waited for on this side, so that one write carries many.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn start_joined<'a, E>(
        self: &Arc<Self>,
        handler: impl Into<Handler<'a>>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        self.send_call(None, handler.into(), None, Waits::Joined, write)
    }

    /// Sends the requests that [`start_joined`](Self::start_joined) has held back, if there are any. Blocks only while the
    /// transport has no room, until the deadline at most, and reads meanwhile. Who waits for a reply in a way of its own calls this
    /// first.
    ///
    /// # Errors
    /// If a signal handler ends the wait. The requests go out all the same.
    pub fn send_joined(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), Interrupted> {
        if !self.holds_requests.load(Ordering::Acquire) {
            return Ok(());
        }
        self.holds_requests.store(false, Ordering::Release);
        self.unsettled.store(true, Ordering::Release);
        self.transmit(deadline)
    }

    /// As [`start`](Self::start), under a number that was [taken](netref_core::Session::take_number) for the request.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn start_numbered<E>(
        self: &Arc<Self>,
        seq: Seq,
        handler: i64,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        self.send_call(Some(seq), handler.into(), None, Waits::Perhaps, write)
    }

    /// Sends a request. If the calling thread waits for its reply, that is known before the peer can call back.
    fn send_call<E>(
        self: &Arc<Self>,
        seq: Option<Seq>,
        handler: Handler<'_>,
        deadline: Option<Instant>,
        waits: Waits,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        if let Some(closed) = self.closed().or_else(|| self.forked()) {
            return Err(self.refusal(closed));
        }
        let parent = running::request_of(self.address());
        if let Some(parent) = parent {
            self.note_progress(parent);
        }
        let (mut message, queued) = {
            let mut session = self.session();
            let message = match seq {
                Some(seq) => session.start_numbered(seq, handler, parent),
                None => session.start_request(handler, parent),
            };
            (message, session.queued())
        };
        self.sign(&mut message);
        let handler = match handler {
            Handler::Number(number) => number,
            Handler::Name(_) => NO_NUMBER,
        };
        let call = Arc::new(Call::new(message.seq(), handler));
        if queued > HIGH_WATER && !self.wait_for_room(deadline)? {
            return Err(StartError::TimedOut);
        }
        let frame = self.write_message(message, write)?;
        if let Waits::Now { punctual } = waits {
            call.enter(punctual);
        }
        let sent = self.session().send_request(frame, call.clone());
        if sent.is_err() {
            return Err(self.refusal(self.closed_or_unknown()));
        }
        if matches!(handler, handlers::CALL | handlers::CALLATTR) {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(waits, Waits::Joined) && queued < JOINED {
            self.holds_requests.store(true, Ordering::Release);
            return Ok(call);
        }
        self.unsettled.store(true, Ordering::Release);
        match self.transmit(deadline) {
            Ok(()) => Ok(call),
            Err(interrupted) => {
                self.stop_waiting(&call);
                self.abandon(&call);
                Err(interrupted.into())
            }
        }
    }

    fn refusal<E>(&self, closed: Closed) -> StartError<E> {
        if self.is_succeeded.load(Ordering::Relaxed) {
            StartError::Stale(closed)
        } else {
            StartError::Closed(closed)
        }
    }

    /// Answers the peer's request `seq`. `write` writes the result or the exception; it runs with no lock held. Blocks only
    /// while the transport has no room.
    ///
    /// # Errors
    /// What could not be written; nothing was sent then, and another reply must be.
    pub fn reply<E>(
        self: &Arc<Self>,
        seq: Seq,
        kind: ReplyKind,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<(), StartError<E>> {
        self.reply_until(seq, kind, None, write)
    }

    /// The same, waiting for room until `deadline` at most. What there is none for by then goes out when there is.
    ///
    /// # Errors
    /// As of [`reply`](Self::reply).
    pub fn reply_until<E>(
        self: &Arc<Self>,
        seq: Seq,
        kind: ReplyKind,
        deadline: Option<Instant>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<(), StartError<E>> {
        let (mut message, queued) = {
            let session = self.session();
            (session.start_reply(seq, kind), session.queued())
        };
        self.sign(&mut message);
        if queued > HIGH_WATER {
            self.wait_for_room(deadline)?;
        }
        let frame = self.write_message(message, write)?;
        let queued = {
            let mut session = self.session();
            session.send_reply(frame);
            session.queued()
        };
        self.unsettled.store(true, Ordering::Release);
        let is_joined = self.joined.load(Ordering::Relaxed) == seq && queued < JOINED_ANSWERS;
        let sent = if is_joined {
            // Which sees to it that no answer waits for long, should the next request take its time.
            self.be_watched();
            Ok(())
        } else {
            self.transmit(deadline)
        };
        self.note_answer();
        Ok(sent?)
    }

    /// Tells the peer what an object can do that the message under way names for the first time, so that the peer need not ask.
    /// Goes out with that message. `write` writes it; it runs with no lock held.
    ///
    /// # Errors
    /// What could not be written; then the peer asks.
    pub fn describe<E>(
        &self,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<(), StartError<E>> {
        let message = self.session().start_description();
        let frame = self.write_message(message, write)?;
        self.session().send_description(frame);
        self.unsettled.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits until less is queued. False if the deadline passed first.
    pub(super) fn wait_for_room(self: &Arc<Self>, deadline: Option<Instant>) -> Result<bool, Interrupted> {
        while self.session().queued() > HIGH_WATER && !self.is_closed() {
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(false);
            }
            self.transmit(deadline)?;
            // Another thread may be writing.
            self.host.blocking(thread::yield_now);
        }
        Ok(true)
    }

    /// Whether a thread that waits for no longer than `limit` runs no requests meanwhile. It does those that no other thread may
    /// run: that are addressed to it, or come while it serves by itself.
    pub(super) fn is_to_be_punctual(&self, limit: Option<Duration>) -> bool {
        limit.is_some_and(|limit| limit < PATIENT) && !self.bind_threads && !self.is_served_by_hand_here()
    }

    /// Says which thread a message is from, if the peer wants to know.
    fn sign(&self, message: &mut Outgoing) {
        if self.bind_threads {
            message.from_thread(running::thread_number());
        }
    }

    /// Writes and seals one message, all or nothing.
    pub(super) fn write_message<E>(
        &self,
        mut message: Outgoing,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Sealed, StartError<E>> {
        let (message, error) = match write(&mut message.boxer(&self.limits)) {
            Ok(()) => match message.seal() {
                Ok(frame) => return Ok(frame),
                Err(failed) => (*failed.message, StartError::Message(failed.error)),
            },
            Err(error) => (message, StartError::Argument(error)),
        };
        let garbage = self.session().roll_back(message);
        running::drop_each(garbage);
        Err(error)
    }

    /// Gets everything queued onto the wire. A thread that finds no room goes on reading, or leaves the reading to the
    /// thread that does it. So does one that finds that nothing can be written any more: what the peer has sent before it hung
    /// up, replies and a farewell perhaps, is read before the connection ends.
    pub(super) fn transmit(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), Interrupted> {
        loop {
            match self.flush() {
                Flush::Done => return Ok(()),
                Flush::Failed(EndReason::Transport(_)) if self.may_read() && self.turn.try_take() => {
                    self.read_until(&Goal::Output, deadline)?;
                }
                // Another thread reads, and is about to find out.
                Flush::Failed(EndReason::Transport(_)) if self.may_read() && self.transport.has_input() => {
                    return Ok(());
                }
                Flush::Failed(reason) => {
                    self.end(reason);
                    return Ok(());
                }
                Flush::Full(given_up_at) => {
                    if deadline.is_some_and(|at| Instant::now() >= at) {
                        // What is queued stays so, and goes out when there is room; only the wait is over.
                        self.be_watched();
                        return Ok(());
                    }
                    let deadline = earlier(deadline, given_up_at);
                    if self.may_read() && self.turn.try_take() {
                        self.read_until(&Goal::Output, deadline)?;
                    } else {
                        self.wait_to_write(deadline).inspect_err(|_| self.be_watched())?;
                    }
                }
            }
        }
    }

    /// Whether messages may be read now.
    fn may_read(&self) -> bool {
        !self.is_closed() && !self.is_overloaded()
    }

    /// The same for a driver's thread, which nobody interrupts.
    pub(super) fn transmit_rest(self: &Arc<Self>) {
        let _ = self.transmit(None);
    }

    fn wait_to_write(&self, deadline: Option<Instant>) -> Result<(), Interrupted> {
        let heeds_signals = self.host.heeds_signals();
        let until =
            if heeds_signals { earlier(deadline, Some(Instant::now() + SIGNAL_CHECK)) } else { deadline };
        let waited = self.host.blocking(|| self.wait_for_transport(Interest::Write, until));
        if heeds_signals || waited.is_err() { self.host.check_signals() } else { Ok(()) }
    }

    /// Waits until the transport has room, or also until it has input. The caller flushes then.
    pub(super) fn wait_for_transport(&self, interest: Interest, until: Option<Instant>) -> io::Result<()> {
        self.writers.fetch_add(1, Ordering::AcqRel);
        let waited = self.transport.wait(interest, until);
        self.writers.fetch_sub(1, Ordering::AcqRel);
        waited
    }

    /// Writes what the transport takes without waiting.
    pub(super) fn flush(&self) -> Flush {
        while self.has_unsent() {
            let Ok(mut unsent) = self.unsent.try_lock() else {
                // The thread that writes looks again after it lets go.
                return Flush::Done;
            };
            // Before looking: what is queued from now on makes for another round.
            self.unsettled.store(false, Ordering::Release);
            let Err(error) = self.write_out(&mut unsent) else { continue };
            self.unsettled.store(true, Ordering::Release);
            let full_since = *unsent.full_since.get_or_insert_with(Instant::now);
            drop(unsent);
            let (queued, max) = (self.session().queued(), self.limits.max_send_queue);
            if queued > max {
                return Flush::Failed(EndReason::SlowConsumer { queued, max });
            }
            if error.kind() != io::ErrorKind::WouldBlock {
                return Flush::Failed(EndReason::Transport(error));
            }
            let given_up_at = self.limits.write_timeout.and_then(|limit| full_since.checked_add(limit));
            return match self.limits.write_timeout {
                Some(limit) if given_up_at.is_some_and(|at| Instant::now() >= at) => {
                    Flush::Failed(EndReason::Stalled { limit })
                }
                _ => Flush::Full(given_up_at),
            };
        }
        Flush::Done
    }

    /// True if there may be something to write.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsettled.load(Ordering::Acquire) || (!self.releases.is_empty() && !self.is_closed())
    }

    fn write_out(&self, unsent: &mut Unsent) -> io::Result<()> {
        let mut has_more = true;
        loop {
            while !unsent.pieces.is_empty() {
                match unsent.write(&*self.transport) {
                    Ok(count) => unsent.wrote(count),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if !has_more {
                return Ok(());
            }
            let mut session = self.session();
            while has_more && unsent.pieces.len() < PIECES {
                unsent.pieces.extend(session.take_output());
                has_more = session.has_output();
            }
        }
    }
}

impl Unsent {
    fn write(&self, transport: &dyn Transport) -> io::Result<usize> {
        let mut pieces = self.pieces.iter().map(Piece::as_ref);
        let first = pieces.next().map_or(&[][..], |first| &first[self.written..]);
        if self.pieces.len() == 1 {
            return transport.write(first);
        }
        let rest: SmallVec<[IoSlice<'_>; PIECES]> =
            iter::once(first).chain(pieces).map(IoSlice::new).collect();
        transport.write_pieces(&rest)
    }

    fn wrote(&mut self, count: usize) {
        self.full_since = None;
        self.written += count;
        while let Some(first) = self.pieces.front().map(|first| first.as_ref().len())
            && first <= self.written
        {
            self.written -= first;
            self.pieces.pop_front();
        }
    }
}

//! Writing messages and getting them onto the wire.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use netref_core::boxing::Boxer;
use netref_core::message::{Handler, Seq};
use netref_core::session::{Outgoing, ReplyKind, Sealed};

use super::serving::Goal;
use super::transport::Interest;
use super::{Call, Callback, Host, Interrupted, Link, Outcome, WaitError};
use crate::failure::{EndReason, StartError};
use crate::running;

/// Bytes that may wait to be sent before the connection is given up: the peer does not read.
const MAX_QUEUED: usize = 256 * 1024 * 1024;

/// What a call says of a request that was addressed to a name.
const NO_NUMBER: i64 = 0;

/// Bytes taken from the session that the transport has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: Vec<u8>,
    written: usize,
}

/// What became of an attempt to write everything out.
#[derive(Debug)]
pub(super) enum Flush {
    /// Nothing is left, or another thread is writing, which will see what this one queued.
    Done,
    /// The transport has no room.
    Full,
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
    /// Sends a request and waits for its reply. Callbacks that belong to the request run on the calling thread, however soon
    /// they come.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn exchange<'a, E>(
        self: &Arc<Self>,
        handler: impl Into<Handler<'a>>,
        deadline: Option<Instant>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Outcome<H::Shared>, ExchangeError<E>> {
        let call = self.send_call(None, handler.into(), None, deadline, true, write)?;
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
    /// For a call that this thread waits for at once, [`exchange`](Self::exchange) is right.
    ///
    /// # Errors
    /// [`StartError`]; nothing was sent then, and nothing is lent.
    pub fn start<'a, E>(
        self: &Arc<Self>,
        handler: impl Into<Handler<'a>>,
        callback: Option<Callback>,
        deadline: Option<Instant>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        self.send_call(None, handler.into(), callback, deadline, false, write)
    }

    /// As [`start`](Self::start), under a number that was [taken](netref_core::Session::take_number) for the request.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn start_numbered<E>(
        self: &Arc<Self>,
        seq: Seq,
        handler: i64,
        callback: Option<Callback>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        self.send_call(Some(seq), handler.into(), callback, None, false, write)
    }

    /// Sends a request. If the calling thread `waits` for its reply, that is known before the peer can call back.
    fn send_call<E>(
        self: &Arc<Self>,
        seq: Option<Seq>,
        handler: Handler<'_>,
        callback: Option<Callback>,
        deadline: Option<Instant>,
        waits: bool,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Arc<Call<H::Shared>>, StartError<E>> {
        if let Some(closed) = self.closed().or_else(|| self.forked()) {
            return Err(StartError::Closed(closed));
        }
        let parent = running::request_of(self.address());
        let mut message = match seq {
            Some(seq) => self.session().start_numbered(seq, handler, parent),
            None => self.session().start_request(handler, parent),
        };
        self.sign(&mut message);
        let handler = match handler {
            Handler::Number(number) => number,
            Handler::Name(_) => NO_NUMBER,
        };
        let call = Arc::new(Call::new(message.seq(), handler, callback));
        let frame = self.write_message(message, write)?;
        if waits {
            call.enter();
        }
        let sent = self.session().send_request(frame, call.clone());
        if sent.is_err() {
            return Err(StartError::Closed(self.closed_or_unknown()));
        }
        self.unsettled.store(true, Ordering::Release);
        match self.transmit(deadline) {
            Ok(()) => Ok(call),
            Err(Interrupted) => {
                self.stop_waiting(&call);
                self.abandon(&call);
                Err(StartError::Interrupted)
            }
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
        let mut message = self.session().start_reply(seq, kind);
        self.sign(&mut message);
        let frame = self.write_message(message, write)?;
        self.session().send_reply(frame);
        self.unsettled.store(true, Ordering::Release);
        let sent = self.transmit(deadline).map_err(|Interrupted| StartError::Interrupted);
        self.note_answer();
        sent
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
        drop(garbage);
        Err(error)
    }

    /// Gets everything queued onto the wire. A thread that finds no room goes on reading, or leaves the reading to the
    /// thread that does it.
    pub(super) fn transmit(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), Interrupted> {
        loop {
            match self.flush() {
                Flush::Done => return Ok(()),
                Flush::Failed(reason) => {
                    self.end(reason);
                    return Ok(());
                }
                Flush::Full => {}
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                // What is queued stays so, and goes out when there is room; only the wait is over.
                self.attend();
                return Ok(());
            }
            if self.turn.try_take() {
                self.read_until(&Goal::Output, deadline)?;
            } else {
                let waited =
                    self.host.blocking(|| self.transport.wait(Interest::Write, self.slice(deadline)));
                if waited.is_err() {
                    self.host.check_signals()?;
                }
            }
        }
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
            drop(unsent);
            let queued = self.session().queued();
            return match error.kind() {
                io::ErrorKind::WouldBlock if queued <= MAX_QUEUED => Flush::Full,
                io::ErrorKind::WouldBlock => {
                    Flush::Failed(EndReason::SlowConsumer { queued, max: MAX_QUEUED })
                }
                _ => Flush::Failed(EndReason::Transport(error)),
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
            while unsent.written < unsent.bytes.len() {
                match self.transport.write(&unsent.bytes[unsent.written..]) {
                    Ok(count) => unsent.written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            *unsent = Unsent::default();
            if !has_more {
                return Ok(());
            }
            let mut session = self.session();
            let Some(bytes) = session.take_output() else { return Ok(()) };
            has_more = session.has_output();
            unsent.bytes = bytes;
        }
    }
}

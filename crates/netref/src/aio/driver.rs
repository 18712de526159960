//! One connection's state, driven by tasks.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use netref_core::boxing::Boxer;
use netref_core::limits::Limits;
use netref_core::message::{Handler, Inbound, Seq};
use netref_core::refs::{IdPack, Releases};
use netref_core::request::handlers;
use netref_core::session::{Ended, Options, Outgoing, ReplyKind, Sealed, Session};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};

use super::blocking::beside;
use crate::failure::{CallError, Closed, EndReason, StartError};
use crate::pool::POOL;
use crate::running;
use crate::side::Side;
use crate::world::Shared;

/// Senders wait while more bytes than this are queued.
const HIGH_WATER: usize = 8 * 1024 * 1024;

/// What a call ends with.
pub(super) type Outcome = Result<Inbound<Shared>, CallError>;

pub(super) type TokioSession = Session<Shared, oneshot::Sender<Outcome>>;

/// One connection, driven by three [tasks](super::tasks) of a runtime: one reads, one writes, one starts the peer's
/// requests.
///
/// Nothing here waits with a lock held. The only lock that is ever held across a wait is the place at the head of the
/// queue for [room](Self::room), and who holds it waits for the task that writes, which waits for nobody but the peer.
pub(crate) struct Driver {
    pub(super) side: Side,
    pub(super) runtime: Handle,
    pub(super) limits: Arc<Limits>,
    pub(super) heartbeat: Option<Duration>,
    /// The peer is a client of this side's.
    pub(super) is_acceptor: bool,
    session: Mutex<TokioSession>,
    releases: Arc<Releases>,
    /// Wakes the task that writes.
    pub(super) output: Notify,
    /// How many bytes have arrived.
    received: AtomicU64,
    /// Wakes the sender at the head of the queue for room.
    pub(super) has_room: Notify,
    queue: tokio::sync::Mutex<()>,
    /// Wakes who waits for requests to be answered.
    answered: Notify,
    /// Whether the peer's requests may start, and what wakes the task that starts them.
    open: AtomicBool,
    opened: Notify,
    closing: AtomicBool,
    closed: watch::Sender<Option<Closed>>,
}

impl Driver {
    pub(super) fn new(
        side: Side,
        options: Options,
        runtime: Handle,
        heartbeat: Option<Duration>,
        open: bool,
    ) -> Arc<Self> {
        let is_acceptor = options.dialect.is_none();
        let session = Session::new(options);
        Arc::new(Self {
            side,
            runtime,
            limits: session.limits().clone(),
            heartbeat,
            is_acceptor,
            releases: session.releases().clone(),
            session: Mutex::new(session),
            output: Notify::new(),
            received: AtomicU64::new(0),
            has_room: Notify::new(),
            queue: tokio::sync::Mutex::new(()),
            answered: Notify::new(),
            open: AtomicBool::new(open),
            opened: Notify::new(),
            closing: AtomicBool::new(false),
            closed: watch::Sender::new(None),
        })
    }

    /// The session, locked. Hold the guard for a single method call.
    pub(super) fn session(&self) -> MutexGuard<'_, TokioSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells the connection apart among those of this process.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    // ---- messages out

    /// Waits until the queue of output has room. First come, first served. Takes nothing that must be given back, so a
    /// caller may go away while it waits.
    pub(super) async fn room(&self) {
        if self.queue.try_lock().is_err() || self.session().queued() > HIGH_WATER {
            // Kept out of the futures of those who need not wait, which are moved often.
            Box::pin(self.wait_for_room()).await;
        }
    }

    async fn wait_for_room(&self) {
        let _first = self.queue.lock().await;
        loop {
            let has_room = self.has_room.notified();
            if self.is_closed() || self.session().queued() <= HIGH_WATER {
                return;
            }
            has_room.await;
        }
    }

    /// Queues a request. `write` writes the arguments; it runs with no lock held. There should be [room](Self::room).
    pub(super) fn start<E>(
        self: &Arc<Self>,
        handler: Handler<'_>,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<Call, StartError<E>> {
        if let Some(closed) = self.closed() {
            return Err(StartError::Closed(closed));
        }
        let message = self.session().start_request(handler, running::request_of(self.address()));
        let frame = self.write_message(message, write)?;
        let (token, outcome) = oneshot::channel();
        let call = Call { driver: self.clone(), seq: frame.seq(), outcome, is_over: false };
        let sent = self.session().send_request(frame, token);
        if sent.is_err() {
            return Err(StartError::Closed(self.closed_or_unknown()));
        }
        self.output.notify_one();
        Ok(call)
    }

    /// Queues the answer to the peer's request `seq`. `write` writes the result or the exception; it runs with no lock
    /// held. There should be [room](Self::room).
    pub(super) fn reply<E>(
        &self,
        seq: Seq,
        kind: ReplyKind,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<(), StartError<E>> {
        let message = self.session().start_reply(seq, kind);
        let frame = self.write_message(message, write)?;
        self.session().send_reply(frame);
        self.output.notify_one();
        self.answered.notify_waiters();
        Ok(())
    }

    /// Tells the peer what an object can do that the message under way names for the first time. `write` writes it; it runs with
    /// no lock held.
    pub(super) fn describe<E>(
        &self,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<(), E>,
    ) -> Result<(), StartError<E>> {
        let message = self.session().start_description();
        let frame = self.write_message(message, write)?;
        self.session().send_description(frame);
        Ok(())
    }

    /// Writes and seals one message, all or nothing.
    fn write_message<E>(
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

    /// Gives back `count` references to a peer's object. Never blocks, and is safe in any destructor.
    pub(super) fn release(&self, pack: IdPack, count: u64) {
        self.releases.push(pack, count);
        self.output.notify_one();
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn note_received(&self, count: usize) {
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Wakes the task that writes if references wait to be given back.
    pub(super) fn flush_releases(&self) {
        if !self.releases.is_empty() {
            self.output.notify_one();
        }
    }

    // ---- requests of the peer

    /// Lets the peer's requests start.
    pub(super) fn open(&self) {
        if !self.open.load(Ordering::Acquire) {
            self.open.store(true, Ordering::Release);
            self.opened.notify_one();
        }
    }

    /// Waits until the peer's requests may start.
    pub(super) async fn wait_open(&self) {
        while !self.open.load(Ordering::Acquire) {
            self.opened.notified().await;
        }
    }

    /// Whether a request may be part of a call of ours, which waits for it. Stock peers do not say.
    pub(super) fn is_part_of_call(&self, request: &Inbound<Shared>) -> bool {
        let session = self.session();
        let may_be = !session.features().chain && session.awaits_reply();
        request.parent().is_some() || (may_be && !self.closing.load(Ordering::Acquire))
    }

    /// Drops objects of ours that the peer let go of, where their destructors may block.
    pub(super) fn discard(&self, garbage: Vec<Shared>) {
        if !garbage.is_empty() {
            POOL.spawn(beside(&self.runtime, move || running::drop_each(garbage)));
        }
    }

    /// True if nothing should be read until requests have begun.
    pub(super) fn is_overloaded(&self) -> bool {
        self.session().is_overloaded()
    }

    /// Waits until what the peer has asked already leaves room for more.
    pub(super) async fn wait_for_few_requests(&self) {
        poll_fn(|context| self.session().poll_room(context.waker())).await;
    }

    // ---- the end

    /// Refuses the peer's new requests from now on, and waits until those under way are answered, or until the deadline.
    pub(super) async fn drain(&self, deadline: Option<Instant>) {
        self.session().drain();
        tokio::select! {
            biased;
            () = self.wait_for_answers(0) => {}
            () = self.sleep_until(deadline) => {}
        }
    }

    /// Waits until no more requests of the peer than so many are under way.
    async fn wait_for_answers(&self, but_for: usize) {
        loop {
            let answered = self.answered.notified();
            if self.is_closed() || self.session().inflight() <= but_for {
                return;
            }
            answered.await;
        }
    }

    /// Why the connection has ended, if it has.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.closed.borrow().clone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    /// Waits until the connection has ended.
    pub(super) async fn wait_closed(&self) -> Closed {
        let mut closed = self.closed.subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or_else(unknown_end),
            // The sender is a field of `self`.
            Err(_) => unknown_end(),
        }
    }

    /// Ends the connection in good order: waits until the peer's requests under way are answered, for half of `patience` at most,
    /// tells the peer, waits until it has taken note, for the rest, and ends it. If the caller goes away meanwhile, ends it at once.
    pub(super) async fn close(self: &Arc<Self>, patience: Duration) {
        let _end = EndOnDrop { driver: self.clone(), reason: Some(EndReason::ClosedHere) };
        // Those that the caller is part of wait for it.
        let own = running::requests_of(self.address());
        let (enough, patience) = (self.sleep(patience / 2), pin!(self.sleep(patience)));
        self.session().ignore_requests();
        tokio::select! {
            biased;
            () = self.wait_for_answers(own) => {}
            () = enough => {}
        }
        self.say_goodbye(patience).await;
    }

    /// The same without waiting for requests to be answered, until `patience` is over.
    pub(super) async fn say_goodbye(self: &Arc<Self>, patience: impl Future<Output = ()>) {
        let _end = EndOnDrop { driver: self.clone(), reason: Some(EndReason::ClosedHere) };
        self.closing.store(true, Ordering::Release);
        let farewell = self.start(handlers::CLOSE.into(), |boxer| boxer.no_arguments());
        if let Ok(farewell) = farewell {
            tokio::select! {
                // Whether it answers, hangs up or stays silent: the connection ends.
                _ = farewell => {}
                () = patience => {}
            }
        }
    }

    /// Ends the connection: completes every pending call with the reason, and stops the tasks. Only the first time.
    pub(super) fn end(&self, reason: EndReason) {
        let counters = self.session().counters();
        let heard_nothing = counters.requests_received == 0 && counters.replies_received == 0;
        let reason = match reason {
            // We said goodbye, and a stock peer answers that by hanging up.
            EndReason::EndOfStream | EndReason::Transport(_) if self.closing.load(Ordering::Acquire) => {
                EndReason::ClosedHere
            }
            reason => reason,
        };
        let closed = Closed::new(reason, heard_nothing);
        let is_first = self.closed.send_if_modified(|state| {
            let is_first = state.is_none();
            state.get_or_insert_with(|| closed.clone());
            is_first
        });
        if !is_first {
            return;
        }
        let Ended { tokens, garbage } = self.session().end();
        for token in tokens {
            // Where nobody waits for the call any more, nobody misses this.
            let _ = token.send(Err(CallError::Closed(closed.clone())));
        }
        self.output.notify_one();
        self.has_room.notify_waiters();
        self.answered.notify_waiters();
        self.discard(garbage);
    }

    /// A timer of the connection's own runtime, whatever executor polls it.
    pub(super) fn sleep(&self, duration: Duration) -> tokio::time::Sleep {
        let _runtime = self.runtime.enter();
        tokio::time::sleep(duration)
    }

    /// A timer for a point in time; none is never over.
    pub(super) async fn sleep_until(&self, at: Option<Instant>) {
        match at {
            Some(at) => self.sleep(at.saturating_duration_since(Instant::now())).await,
            None => std::future::pending().await,
        }
    }

    /// Neither side owes the other an answer, where that matters.
    pub(super) fn is_quiet(&self) -> bool {
        if self.limits.idle_timeout.is_none() {
            return false;
        }
        let session = self.session();
        !session.awaits_reply() && session.inflight() == 0
    }

    fn closed_or_unknown(&self) -> Closed {
        self.closed().unwrap_or_else(unknown_end)
    }
}

pub(super) fn unknown_end() -> Closed {
    Closed::new(EndReason::ClosedHere, false)
}

/// A call that awaits its reply. Dropping it abandons the call: a late reply is used only to give back the references in
/// it.
pub(super) struct Call {
    driver: Arc<Driver>,
    seq: Seq,
    outcome: oneshot::Receiver<Outcome>,
    is_over: bool,
}

impl Future for Call {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = std::task::ready!(Pin::new(&mut self.outcome).poll(context));
        self.is_over = true;
        Poll::Ready(outcome.unwrap_or_else(|_| Err(CallError::Closed(self.driver.closed_or_unknown()))))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            let token = self.driver.session().abandon(self.seq);
            drop(token);
            // The reply may have come in the meantime.
            self.outcome.close();
            drop(self.outcome.try_recv());
            self.driver.flush_releases();
        }
    }
}

/// Ends the connection when it is dropped, whatever for: a task was cancelled, panicked, or went with its runtime.
pub(super) struct EndOnDrop {
    pub(super) driver: Arc<Driver>,
    pub(super) reason: Option<EndReason>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let gone = || EndReason::Transport(std::io::Error::other("the runtime that drove it has shut down"));
        self.driver.end(self.reason.take().unwrap_or_else(gone));
    }
}

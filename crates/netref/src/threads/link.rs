use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use netref_core::extension::Features;
use netref_core::frame::Compression;
use netref_core::limits::Limits;
use netref_core::message::Dialect;
use netref_core::refs::{IdPack, Releases};
use netref_core::request::handlers;
use netref_core::session::{Options, Session, Unbegun};

use super::backlog::{Backlog, NONE};
use super::errands::Errands;
use super::heartbeat::Pulse;
use super::held::{Duty, Held};
use super::sending::{ExchangeError, Flush, Unsent};
use super::serving::SIGNAL_CHECK;
use super::turn::Turn;
use super::watch::{Look, Watched, watch};
use super::{Call, CallError, Closed, Dispatch, EndReason, Host, Interrupted, Transport, WaitError};
use crate::buffered::Wake;
use crate::incoming::Incoming;
use crate::pool::POOL;
use crate::{memory, process, running};

/// How a link starts.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Bounds on what the peer can make this side do.
    pub limits: Limits,
    /// The dialect to speak; `None` for an acceptor, which follows the peer.
    pub dialect: Option<Dialect>,
    /// Whether to compress large messages. Peers on this machine are never sent compressed ones.
    pub compression: Compression,
    /// What to offer the peer beyond stock RPyC.
    pub features: Features,
    /// Where requests of the peer run.
    pub dispatch: Dispatch,
    /// Whether messages say which thread they are from and for; the peer must have chosen the same.
    pub bind_threads: bool,
    /// Whether the driver reads while nobody waits. If not, the peer is served only by threads that wait or serve.
    pub background: bool,
    /// How long the peer may be silent before it is asked for a sign of life. After twice as long the connection is given
    /// up. `None` for ever.
    pub heartbeat: Option<Duration>,
}

impl Default for LinkOptions {
    fn default() -> Self {
        let Options { limits, dialect, compression, features, bind_threads, .. } = Options::default();
        Self {
            limits,
            dialect,
            compression,
            features,
            dispatch: Dispatch::default(),
            bind_threads,
            background: true,
            heartbeat: None,
        }
    }
}

/// The session of a link, with the driver's calls as tokens.
pub(super) type LinkSession<H> = Session<<H as Host>::Shared, Arc<Call<<H as Host>::Shared>>>;

/// One connection, driven by threads.
pub struct Link<H: Host> {
    pub(super) host: H,
    pub(super) transport: Box<dyn Transport>,
    pub(super) limits: Arc<Limits>,
    pub(super) dispatch: Dispatch,
    /// Messages say which thread they are from.
    pub(super) bind_threads: bool,
    pub(super) background: bool,
    pub(super) pulse: Option<Pulse>,
    session: Mutex<LinkSession<H>>,
    pub(super) releases: Arc<Releases>,
    /// True if there may be something to write: messages in the session, or unsent bytes.
    pub(super) unsettled: AtomicBool,
    /// True if there may be requests in the session that are to be written with what comes next.
    pub(super) holds_requests: AtomicBool,
    /// How many threads wait for the transport to have room, and write when it has.
    pub(super) writers: AtomicUsize,
    /// The request whose answer goes out with the next one's, or [`NONE`].
    pub(super) joined: AtomicI64,
    pub(super) incoming: Mutex<Incoming>,
    pub(super) unsent: Mutex<Unsent>,
    pub(super) turn: Turn<H::Shared>,
    pub(super) backlog: Backlog<H::Shared>,
    pub(super) held: Held<H::Shared>,
    pub(super) errands: Mutex<Errands>,
    pub(super) unbegun: Arc<Unbegun>,
    servers: Mutex<Vec<Weak<Call<H::Shared>>>>,
    closed: OnceLock<Closed>,
    /// Another link takes the place of this one when it has ended.
    pub(super) is_succeeded: AtomicBool,
    /// This side has sent CLOSE.
    closes: AtomicBool,
    /// The peer has sent CLOSE, and whoever read it is about to end the link.
    pub(super) peer_closes: AtomicBool,
    /// Set by who waits for the last request to be answered, and what wakes it.
    drains: AtomicBool,
    drained: Condvar,
    gate: Mutex<()>,
    /// Calls sent, and bytes received.
    pub(super) calls: AtomicU64,
    pub(super) received: AtomicU64,
    watched: AtomicBool,
    pub(super) last_epoch: AtomicU64,
    process: u32,
}

impl<H: Host> Link<H> {
    /// Starts a link over a connected transport.
    #[must_use]
    pub fn new(host: H, transport: Box<dyn Transport>, options: LinkOptions) -> Arc<Self> {
        let LinkOptions { limits, dialect, compression, features, bind_threads, .. } = options;
        let compression = if transport.is_local() { Compression::Off } else { compression };
        let shares = transport.takes_pieces();
        let store = Some(memory::store());
        let session =
            Session::new(Options { limits, dialect, compression, features, bind_threads, shares, store });
        let limits = session.limits().clone();
        transport.keep_alive(&limits);
        let link = Arc::new_cyclic(|link: &Weak<Self>| Self {
            host,
            transport,
            incoming: Mutex::new(Incoming::new(
                limits.clone(),
                dialect.is_none().then(|| overload(link.clone())),
            )),
            limits,
            dispatch: options.dispatch,
            bind_threads,
            background: options.background,
            pulse: options.heartbeat.map(Pulse::new),
            unbegun: session.unbegun().clone(),
            releases: session.releases().clone(),
            unsettled: AtomicBool::new(false),
            holds_requests: AtomicBool::new(false),
            writers: AtomicUsize::new(0),
            joined: AtomicI64::new(NONE),
            session: Mutex::new(session),
            unsent: Mutex::default(),
            turn: Turn::new(),
            backlog: Backlog::new(),
            held: Held::new(),
            errands: Mutex::default(),
            servers: Mutex::default(),
            closed: OnceLock::new(),
            is_succeeded: AtomicBool::new(false),
            closes: AtomicBool::new(false),
            peer_closes: AtomicBool::new(false),
            drains: AtomicBool::new(false),
            drained: Condvar::new(),
            gate: Mutex::default(),
            calls: AtomicU64::new(0),
            received: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            last_epoch: AtomicU64::new(u64::MAX),
            process: process::id(),
        });
        link.start_heartbeat();
        link
    }

    /// The object world on this side.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What tells the link apart among those of this process.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// How many calls of functions and methods were sent, and how many bytes have arrived.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// The session, locked. Hold the guard for a single method call.
    pub fn session(&self) -> MutexGuard<'_, LinkSession<H>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.closed.get().cloned()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get().is_some()
    }

    /// That the connection belongs to the parent of this process, if it does.
    #[must_use]
    pub fn forked(&self) -> Option<Closed> {
        (process::id() != self.process).then(|| Closed::new(EndReason::Forked, false))
    }

    pub(super) fn closed_or_unknown(&self) -> Closed {
        self.closed().unwrap_or_else(|| Closed::new(EndReason::ClosedHere, false))
    }

    /// Says that another link takes the place of this one when it ends: calls over it then fail as
    /// [stale](crate::threads::StartError::Stale).
    pub fn expect_successor(&self) {
        self.is_succeeded.store(true, Ordering::Relaxed);
    }

    pub(super) fn be_watched(self: &Arc<Self>) {
        if !self.watched.swap(true, Ordering::AcqRel) {
            let link: Arc<dyn Watched> = self.clone();
            watch(Arc::downgrade(&link));
        }
    }

    /// Gives back `count` references to a peer's object. Never blocks, and is safe in any destructor.
    pub fn release(self: &Arc<Self>, pack: IdPack, count: u64) {
        if self.forked().is_some() {
            return;
        }
        self.releases.push(pack, count);
        if !self.is_closed() {
            self.be_watched();
        }
    }

    /// Gives up waiting for a call. Its late reply is used only to give back the references in it.
    pub fn abandon(&self, call: &Call<H::Shared>) {
        let token = call.seq().and_then(|seq| self.session().abandon(seq));
        // The callback may hold the last reference to a result that holds the call.
        let callback = call.take_callback();
        drop((token, callback));
    }

    /// Ends the connection in good order: waits until the peer's requests under way are answered, for half of `patience` at most,
    /// tells the peer, waits until it has taken note, for the rest, and ends it. With no patience, the connection just ends.
    ///
    /// # Errors
    /// [`Interrupted`] by a signal handler; the connection has ended all the same.
    pub fn close(self: &Arc<Self>, patience: Duration) -> Result<(), Interrupted> {
        if self.is_closed() || self.forked().is_some() || patience.is_zero() {
            self.end(EndReason::ClosedHere);
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        // A request that does not end leaves time for the peer to read why the connection did.
        let answered = self.answer_requests(Instant::now() + patience / 2);
        answered.and(self.say_goodbye(deadline.saturating_duration_since(Instant::now())))
    }

    /// The same without waiting for requests to be answered.
    ///
    /// # Errors
    /// As of [`close`](Self::close).
    pub fn say_goodbye(self: &Arc<Self>, patience: Duration) -> Result<(), Interrupted> {
        let mut outcome = Ok(());
        if !self.is_closed() {
            self.closes.store(true, Ordering::Release);
            // Whether it answers, hangs up or stays silent: the connection ends.
            let farewell = self.exchange(handlers::CLOSE, Some(patience), |boxer| boxer.no_arguments());
            if let Err(ExchangeError::Wait(WaitError::Interrupted)) = farewell {
                outcome = Err(Interrupted);
            }
        }
        self.end(EndReason::ClosedHere);
        outcome
    }

    /// Waits until the peer's requests are answered, but for those that the calling thread is part of, and those that are held
    /// back until it is done. It may be one of the former that had this thread close the connection.
    fn answer_requests(self: &Arc<Self>, deadline: Instant) -> Result<(), Interrupted> {
        self.session().ignore_requests();
        let unanswered = running::requests_of(self.address()) + self.held.unready();
        if self.session().inflight() > unanswered {
            self.be_watched();
        }
        let heeds_signals = self.host.heeds_signals();
        loop {
            let until = if heeds_signals { deadline.min(Instant::now() + SIGNAL_CHECK) } else { deadline };
            if self.host.blocking(|| self.wait_for_answers(unanswered, Some(until)))
                || Instant::now() >= deadline
            {
                return Ok(());
            }
            self.host.check_signals()?;
        }
    }

    /// Refuses the peer's new requests from now on and waits until those under way are answered, or until the deadline. True if
    /// they are. Not for the thread of a request, which would wait for itself.
    pub fn drain(&self, deadline: Option<Instant>) -> bool {
        self.session().drain();
        self.wait_for_answers(0, deadline)
    }

    /// Waits until no more requests of the peer than so many are under way. False if the deadline passed first.
    fn wait_for_answers(&self, but_for: usize, deadline: Option<Instant>) -> bool {
        self.drains.store(true, Ordering::SeqCst);
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_closed() || self.session().inflight() <= but_for {
                return true;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let left = left.unwrap_or(Duration::MAX);
            gate = self.drained.wait_timeout(gate, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A request was answered.
    pub(super) fn note_answer(&self) {
        if self.drains.load(Ordering::SeqCst) {
            let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            self.drained.notify_all();
        }
    }

    /// Tells the peer that the connection ends, as far as that needs no waiting, and ends it.
    pub fn hang_up(self: &Arc<Self>) {
        if self.closed().is_none() {
            // Nothing is sent from a forked child. An interrupted or failed farewell ends the connection all the same.
            let _ = self.start(handlers::CLOSE, Some(Instant::now()), |boxer| boxer.no_arguments());
        }
        self.end(EndReason::ClosedHere);
    }

    /// Ends the connection: completes every pending call with the reason and tells the host, once.
    pub fn end(self: &Arc<Self>, reason: EndReason) {
        if process::id() != self.process {
            return;
        }
        let reason = match reason {
            // A stock peer answers CLOSE by hanging up.
            EndReason::Transport(_) | EndReason::EndOfStream if self.closes.load(Ordering::Acquire) => {
                EndReason::ClosedHere
            }
            // The transport may fail in another thread before the one that read the peer's CLOSE gets here.
            EndReason::Transport(_) | EndReason::EndOfStream if self.peer_closes.load(Ordering::Acquire) => {
                EndReason::ClosedByPeer
            }
            reason => reason,
        };
        let heard_nothing = {
            let counters = self.session().counters();
            counters.requests_received == 0 && counters.replies_received == 0
        };
        let closed = Closed::new(reason, heard_nothing);
        if self.closed.set(closed.clone()).is_err() {
            return;
        }
        let ended = self.session().end();
        self.note_answer();
        self.transport.close();
        let mut waiting = self.backlog.clear();
        let mut callbacks = Vec::new();
        for duty in self.held.clear() {
            match duty {
                Duty::Request(request) => waiting.push_back(request),
                Duty::CallBack(callback) => callbacks.push(callback),
            }
        }
        let lost = |call: Arc<Call<_>>| call.complete(Err(CallError::Closed(closed.clone())));
        callbacks.extend(ended.tokens.into_iter().filter_map(lost));
        let servers = std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        for server in servers.iter().filter_map(Weak::upgrade) {
            server.complete(Err(CallError::Closed(closed.clone())));
        }
        // From here on user code may run: callbacks of calls, the host, destructors.
        callbacks.into_iter().for_each(|callback| callback());
        self.host.ended(self, &closed);
        running::drop_each(ended.garbage);
        running::drop_each(waiting);
    }

    /// When the connection will end if the peer sends nothing more, where nobody reads to notice: for a driver of several
    /// links, which are served by whoever has time.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.overdue().map(|(at, _)| at)
    }

    /// Ends the connection if it is [`due`](Self::due).
    pub fn expire(self: &Arc<Self>) {
        if let Some((at, reason)) = self.overdue()
            && Instant::now() >= at
        {
            self.end(reason);
        }
    }

    fn overdue(&self) -> Option<(Instant, EndReason)> {
        let is_quiet = self.is_quiet();
        // Held by whoever reads, who looks at the clock then.
        self.incoming.try_lock().ok()?.due(is_quiet)
    }

    /// Neither side owes the other an answer, where that matters.
    pub(super) fn is_quiet(&self) -> bool {
        if self.limits.idle_timeout.is_none() {
            return false;
        }
        let session = self.session();
        !session.awaits_reply() && session.inflight() == 0
    }

    /// Does `work` on a pool thread.
    pub(super) fn spawn(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let link = self.clone();
        POOL.spawn(move || {
            let host = &link.host;
            host.on_driver_thread(|| work(&link));
        });
    }

    /// Something to wait for that never comes, until the connection ends.
    pub(super) fn new_server(&self) -> Arc<Call<H::Shared>> {
        let server = Arc::new(Call::serving());
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|server| server.strong_count() > 0);
        servers.push(Arc::downgrade(&server));
        drop(servers);
        if let Some(closed) = self.closed() {
            server.complete(Err(CallError::Closed(closed)));
        }
        server
    }
}

/// Ends a link whose peer takes too much memory.
fn overload<H: Host>(link: Weak<Link<H>>) -> Wake {
    Arc::new(move || {
        if let Some(link) = link.upgrade() {
            link.spawn(|link| link.end(EndReason::Overloaded));
        }
    })
}

impl<H: Host> Watched for Link<H> {
    fn tick(self: Arc<Self>) -> Look {
        if self.is_closed() {
            return Look::Done;
        }
        // First of all: whoever gives up the turn from now on asks to be watched again.
        self.watched.store(false, Ordering::Release);
        let is_needed = self.tick_backlog();
        let glance = self.turn.look();
        let quiet = self.last_epoch.swap(glance.epoch, Ordering::AcqRel) == glance.epoch;
        let is_written = self.writers.load(Ordering::Acquire) > 0;
        let has_answers = self.unsettled.load(Ordering::Acquire) && !is_written;
        let again = match () {
            () if quiet && !is_needed && !is_written => Look::Done,
            // Somebody has asked for it already.
            () if self.watched.swap(true, Ordering::AcqRel) => Look::Done,
            // Those of the requests that come may be joined again.
            () if has_answers => Look::Soon,
            () => Look::Later,
        };
        if !quiet && !has_answers {
            return again;
        }
        if quiet {
            // Nothing happened since the last look.
            self.tick_held();
            if self.reads_by_itself() && !glance.taken && self.turn.try_take() {
                self.spawn(|link| link.read_in_background());
                return again;
            }
        }
        // Whoever waits for room has the transport to itself, rather than wake up with others whenever it has some.
        if is_written {
            return again;
        }
        // Neither waiting for room nor what follows from the end (user code) is for the thread that watches.
        match self.flush() {
            Flush::Done => {}
            // Nobody else may know that there is something left: whoever queued it has left it to this flush.
            Flush::Full(_) | Flush::Failed(_) => self.spawn(Self::transmit_rest),
        }
        again
    }

    fn beat(self: Arc<Self>) -> Option<Instant> {
        self.check_pulse()
    }
}

impl<H: Host> fmt::Debug for Link<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("closed", &self.closed).finish_non_exhaustive()
    }
}

//! One connection's state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::boxing::ScanError;
use crate::brine::{self, DecodeError};
use crate::description::{self, Description, Descriptions};
use crate::exception;
use crate::extension::{DESCRIBE, Features, HELLO, Hello};
use crate::frame::{Compression, Frame, FrameError, Piece};
use crate::limits::Limits;
use crate::memory::Store;
use crate::message::{Dialect, Draft, Handler, Head, Inbound, Kind, Seq, read_head};
use crate::payload::Payload;
use crate::refs::{Exports, IdPack, Releases};
use crate::request::handlers;
use crate::threads::Threads;

mod binding;
mod error;
mod outgoing;
mod receiving;

pub use crate::unbegun::Unbegun;
use binding::Binding;
pub use error::ProtocolError;
pub use outgoing::{Outgoing, ReplyKind, Sealed, Unsendable};

/// Calls given up that are remembered, so that a late reply may be as long as any reply. Those of a peer that never answers
/// would pile up otherwise.
const MAX_ABANDONED: usize = 1024;

/// Bytes of this length are worth being received to where they are to be.
const LARGE_BYTES: usize = 256 * 1024;

/// Small frames are joined until a piece of output is this long, so that one write carries many.
const JOIN_OUTPUT: usize = 64 * 1024;
/// So many references are given back with each piece of output, which has room for more: messages for all those that a program
/// drops at once would take as much memory again.
const JOIN_RELEASES: usize = 1024;

/// One side of one connection: what is lent, what is awaited, what is to be written.
///
/// `O` is what the tables keep of an object ([`World::Shared`](crate::World::Shared)); `T` is the driver's own token for
/// a call that awaits its reply.
///
/// # The driving contract
///
/// A session does nothing by itself. A driver keeps it behind one lock, holds that lock only around a single method, and
/// never runs user code or blocks while it does.
///
/// 1. **Bytes in.** Put what arrives into a [`Deframer`](crate::frame::Deframer); pass each payload, in order, to
///    [`accept`](Self::accept) and act on the [`Event`]. All bookkeeping that the message implies (references lent,
///    given back, kept alive for a message not yet read) is done inside that call: whatever order the events are *worked
///    on* in afterwards, the tables follow the order of the wire.
/// 2. **Messages out.** [`start_request`](Self::start_request) or [`start_reply`](Self::start_reply) gives a draft; write
///    into it without the lock (the world's [`refer`](crate::World::refer) takes it briefly to lend an object); then
///    seal it and [`send_request`](Self::send_request) or [`send_reply`](Self::send_reply) it. If writing failed, or the
///    message is not to be sent after all, call [`roll_back`](Self::roll_back): nothing has happened then. Whatever
///    proxies the message names must live until it is sent: one that dies before could give its last reference back
///    ahead of the message.
/// 3. **Bytes out.** After every call above, drain [`take_output`](Self::take_output) and write it in that order. Before
///    sleeping, drain once more: references to give back join whatever is written next, or go out by themselves then.
/// 4. **Garbage.** Objects that the peer let go of collect in [`take_garbage`](Self::take_garbage). Drop them after
///    unlocking: their destructors are user code.
/// 5. **The end.** On a [`ProtocolError`], an [`Event::Close`] once its reply is written, or a failed transport, call
///    [`end`](Self::end) and complete every token it returns. That happens once; afterwards the session is inert.
///
/// There is no clock in here. A driver that gives up waiting calls [`abandon`](Self::abandon); the late reply is then
/// read only to give back the references in it.
#[derive(Debug)]
pub struct Session<O, T> {
    limits: Arc<Limits>,
    dialect: Option<Dialect>,
    compression: Compression,
    shares: bool,
    store: Option<&'static Store>,
    offer: Offer,
    peer: Option<Hello>,
    features: Features,
    exports: Exports<O>,
    releases: Arc<Releases>,
    pending: BTreeMap<Seq, Pending<T>>,
    /// Calls given up whose replies may still come.
    abandoned: BTreeSet<Seq>,
    next_seq: Seq,
    /// Whether the peer has said anything; its dialect is settled then.
    heard: bool,
    inflight: usize,
    /// Requests of the peer handed out and not answered that are part of a call of ours: the calls they are inside of.
    nested: BTreeMap<Seq, usize>,
    /// Memory that requests take which have not begun.
    unbegun: Arc<Unbegun>,
    errors: usize,
    output: VecDeque<Piece>,
    queued: usize,
    garbage: Vec<O>,
    descriptions: Descriptions,
    counters: Counters,
    admission: Admission,
    ended: bool,
    /// With thread numbers on messages.
    binding: Option<Binding>,
}

/// How a session starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bounds on what the peer can make this side do.
    pub limits: Limits,
    /// The dialect to speak; `None` for an acceptor, which follows the peer's first message.
    pub dialect: Option<Dialect>,
    /// Whether outgoing frames are compressed.
    pub compression: Compression,
    /// What to offer the peer beyond stock RPyC.
    pub features: Features,
    /// Whether messages carry [`Threads`]; the peer must have chosen the same.
    pub bind_threads: bool,
    /// Whether large bytes may be sent without being copied into their frame, which then is more than one [`Piece`] of output.
    pub shares: bool,
    /// What requests hold together with those of other sessions, where memory ends.
    pub store: Option<&'static Store>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            dialect: None,
            compression: Compression::Auto,
            features: Features::ALL,
            bind_threads: false,
            shares: false,
            store: None,
        }
    }
}

/// What a session has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, without DEL and HELLO: each is one round trip.
    pub requests_sent: u64,
    /// Those of them that ask what a class is like, and so change nothing over there.
    pub inspections_sent: u64,
    /// Requests received, without DEL, HELLO and PING.
    pub requests_received: u64,
    /// Replies and exceptions received for our requests.
    pub replies_received: u64,
    /// Messages sent, of every kind: those of references given back too.
    pub messages_sent: u64,
    /// Messages received, of every kind.
    pub messages_received: u64,
    /// Bytes sent, or queued to be sent.
    pub bytes_sent: u64,
    /// References of the peer's given back.
    pub references_released: u64,
    /// Malformed messages received.
    pub malformed: u64,
    /// Requests received and refused: too many at a time, or this side was about to end.
    pub refused: u64,
}

/// What a received message means for the driver.
#[derive(Debug)]
pub enum Event<O, T> {
    /// A request to carry out and answer with the message's sequence number. Start them in the order they come.
    Request(Inbound<O>),
    /// The reply to a call of ours: a result or an exception, or the reason why it cannot be read.
    Reply {
        /// The driver's token for the call.
        token: T,
        /// The message.
        message: Result<Inbound<O>, ScanError>,
    },
    /// The message was dealt with inside the session; there may be output.
    Handled,
    /// The peer ends the connection. Write the output, then [`Session::end`].
    Close,
}

/// What is left when a session ends.
#[derive(Debug)]
pub struct Ended<O, T> {
    /// Calls that will get no reply; complete each with the reason for the end.
    pub tokens: Vec<T>,
    /// Objects to drop, without any lock held.
    pub garbage: Vec<O>,
}

#[derive(Debug)]
enum Pending<T> {
    Call { token: T, depth: usize },
    Hello,
}

/// What becomes of new requests of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Open,
    Refusing,
    Ignoring,
}

#[derive(Debug)]
enum Offer {
    /// To be sent with the first request.
    Due(Features),
    /// Sent, or left to the peer, who started.
    Made(Features),
}

impl<O: Clone, T> Session<O, T> {
    /// A session at the start of its connection.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options { limits, dialect, compression, features, bind_threads, shares, store } = options;
        let offer = if dialect.is_some() && features != Features::NONE {
            Offer::Due(features)
        } else {
            Offer::Made(features)
        };
        Self {
            exports: Exports::new(limits.max_exported),
            limits: Arc::new(limits),
            dialect,
            compression,
            shares,
            store,
            offer,
            peer: None,
            features: Features::NONE,
            releases: Arc::default(),
            pending: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            next_seq: 0,
            heard: false,
            inflight: 0,
            nested: BTreeMap::new(),
            unbegun: Arc::default(),
            errors: 0,
            output: VecDeque::new(),
            queued: 0,
            garbage: Vec::new(),
            descriptions: Descriptions::default(),
            counters: Counters::default(),
            admission: Admission::Open,
            ended: false,
            binding: bind_threads.then(Binding::default),
        }
    }

    // ---- messages out

    /// Starts a request to `handler`. `parent` is the request of the peer that the caller is executing, if any; it is
    /// sent if the peer understands it.
    #[must_use]
    pub fn start_request<'a>(&mut self, handler: impl Into<Handler<'a>>, parent: Option<Seq>) -> Outgoing {
        let seq = self.take_number();
        self.start_numbered(seq, handler, parent)
    }

    /// Takes a number for a request, to [start](Self::start_numbered) it later or not at all.
    pub fn take_number(&mut self) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Starts a request under a number that was [taken](Self::take_number) for it, as [`start_request`](Self::start_request).
    #[must_use]
    pub fn start_numbered<'a>(
        &self,
        seq: Seq,
        handler: impl Into<Handler<'a>>,
        parent: Option<Seq>,
    ) -> Outgoing {
        let mut message = self.outgoing(seq, handler, parent.filter(|_| self.features.chain));
        message.threads = self.binding.as_ref().map(|binding| binding.of_request(parent));
        message.depth = parent.map_or(0, |seq| self.nested.get(&seq).map_or(0, |depth| *depth) + 1);
        message
    }

    /// Starts the reply to the peer's request `seq`: a result, or an exception.
    #[must_use]
    pub fn start_reply(&self, seq: Seq, kind: ReplyKind) -> Outgoing {
        let dialect = self.dialect.unwrap_or_default();
        let draft = match kind {
            ReplyKind::Result => Draft::reply(dialect, seq),
            ReplyKind::Exception => Draft::exception(dialect, seq),
        };
        let threads = self.binding.as_ref().map(|binding| binding.of_reply(seq));
        let (draft, compression) = (draft.sharing(self.shares), self.compression);
        Outgoing { seq, parent: None, depth: 0, is_inspection: false, threads, draft, compression }
    }

    /// Queues a request; `token` comes back with the reply. After the [`end`](Self::end), gives the token back.
    ///
    /// # Errors
    /// The token, if the session has ended.
    pub fn send_request(&mut self, frame: Sealed, token: T) -> Result<(), T> {
        if self.ended {
            return Err(token);
        }
        if let Offer::Due(features) = self.offer {
            self.offer = Offer::Made(features);
            self.send_hello(features);
        }
        self.pending.insert(frame.seq, Pending::Call { token, depth: frame.depth });
        self.counters.requests_sent += 1;
        self.counters.inspections_sent += u64::from(frame.is_inspection);
        self.queue(frame.frame);
        // From now on a reply is awaited, and has to be read.
        self.unbegun.wake();
        Ok(())
    }

    /// Starts a message that says what an object of ours can do, in case the peer will ask. It is to be sent before the one that
    /// names the object for the first time, if this side [describes](Self::describes) its objects.
    #[must_use]
    pub fn start_description(&self) -> Outgoing {
        // So that its length is that of what the peer reads.
        Outgoing { compression: Compression::Off, ..self.outgoing(QUIET_SEQ, DESCRIBE, None) }
    }

    /// Queues a message from [`start_description`](Self::start_description), to go out with what is sent next; unless it is longer
    /// than 64 KiB, so that the peer asks.
    pub fn send_description(&mut self, frame: Sealed) {
        if !self.ended && frame.size() <= description::LONGEST {
            self.queue(frame.frame);
        }
    }

    /// What the peer has said of the objects of the class of the one named `pack`, if it has and nobody has taken it.
    pub fn take_description(&mut self, pack: &IdPack) -> Option<Description> {
        self.descriptions.take(pack, &self.limits)
    }

    /// Queues the reply to a request that [`Event::Request`] handed out.
    pub fn send_reply(&mut self, frame: Sealed) {
        self.inflight = self.inflight.saturating_sub(1);
        self.answered(frame.seq);
        self.nested.remove(&frame.seq);
        if !self.ended {
            self.queue(frame.frame);
        }
    }

    /// Takes back what a message lent that will not be sent. The objects returned are to be dropped after unlocking.
    #[must_use]
    pub fn roll_back(&mut self, message: Outgoing) -> Vec<O> {
        self.exports.roll_back(&message.draft.into_lent())
    }

    /// Forgets a call of ours. Its late reply will only be searched for references to give back.
    pub fn abandon(&mut self, seq: Seq) -> Option<T> {
        let Pending::Call { token, .. } = self.pending.remove(&seq)? else { return None };
        self.abandoned.insert(seq);
        if self.abandoned.len() > MAX_ABANDONED {
            self.abandoned.pop_first();
        }
        Some(token)
    }

    /// The driver's token of a call that still awaits its reply.
    #[must_use]
    pub fn token(&self, seq: Seq) -> Option<&T> {
        match self.pending.get(&seq)? {
            Pending::Call { token, .. } => Some(token),
            Pending::Hello => None,
        }
    }

    /// The driver's tokens of all calls that still await their reply, oldest first.
    pub fn tokens(&self) -> impl Iterator<Item = &T> {
        self.pending.keys().filter_map(|seq| self.token(*seq))
    }

    // ---- bytes out

    /// The next bytes to write, with references to give back at their end.
    pub fn take_output(&mut self) -> Option<Piece> {
        if !self.ended {
            self.queue_releases(JOIN_RELEASES);
        }
        let piece = self.output.pop_front()?;
        self.queued -= piece.as_ref().len();
        Some(piece)
    }

    /// Bytes that wait to be taken.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// True if there is something to write.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.queued > 0 || (!self.ended && !self.releases.is_empty())
    }

    // ---- bytes in

    /// Takes one payload from the peer. After the [`end`](Self::end), takes no notice of it.
    ///
    /// # Errors
    /// [`ProtocolError`]: the connection cannot go on.
    pub fn accept(&mut self, payload: impl Into<Payload>) -> Result<Event<O, T>, ProtocolError> {
        let mut payload = payload.into();
        if self.ended {
            return Ok(Event::Handled);
        }
        let threads = match self.binding {
            Some(_) => Some(Threads::take(&mut payload)?),
            None => None,
        };
        let dialect = self.check_dialect(&payload.bytes)?;
        // An empty frame carries nothing; stock ignores it too.
        if payload.is_empty() {
            return Ok(Event::Handled);
        }
        self.heard = true;
        self.counters.messages_received += 1;
        let head = read_head(dialect, &payload.bytes, &self.limits)?.0;
        match head.kind {
            Kind::Request => {
                if let (Some(binding), Some(threads)) = (&mut self.binding, threads) {
                    binding.received(head.seq, threads);
                }
                self.accept_request(head, payload, threads)
            }
            Kind::Reply | Kind::Exception => self.accept_reply(head, payload),
        }
    }

    /// Whether the payload that begins with these bytes is the reply to a call of ours that waits for it; `None` if that
    /// takes more bytes. A [`Deframer`](crate::frame::Deframer) asks, before it takes a frame that is longer than a request
    /// may be.
    #[must_use]
    pub fn expects(&self, beginning: &[u8]) -> Option<bool> {
        let message = self.message_in(beginning)?;
        match read_head(self.dialect.unwrap_or_default(), message, &self.limits) {
            Ok((Head { kind: Kind::Request, .. }, _)) => Some(false),
            Ok((Head { seq, .. }, _)) => {
                Some(self.pending.contains_key(&seq) || self.abandoned.contains(&seq))
            }
            Err(DecodeError::UnexpectedEnd) => None,
            Err(_) => Some(false),
        }
    }

    /// Where in the payload that begins with these bytes the first large ones are that it carries, if the beginning tells. A
    /// driver may have its [`Deframer`](crate::frame::Deframer) receive them to where they are to be.
    #[must_use]
    pub fn large_bytes(&self, beginning: &[u8]) -> Option<Range<usize>> {
        let message = self.message_in(beginning)?;
        let dialect = self.dialect.or_else(|| Dialect::detect(message))?;
        let (_, mut reader) = read_head(dialect, message, &self.limits).ok()?;
        let Range { start, end } = reader.find_bytes(LARGE_BYTES)?;
        let before = beginning.len() - message.len();
        Some(before + start..end.checked_add(before)?)
    }

    /// The message in a payload that begins with these bytes.
    fn message_in<'a>(&self, beginning: &'a [u8]) -> Option<&'a [u8]> {
        beginning.get(if self.binding.is_some() { Threads::SIZE } else { 0 }..)
    }

    /// Tells the peer that its request, whose payload begins with these bytes, is too large to be taken, if they say which
    /// request it is. The connection cannot go on: once the answer is written, it has to [end](Self::end).
    pub fn refuse_frame(&mut self, beginning: &[u8], error: &FrameError) {
        let Some(message) = self.message_in(beginning) else { return };
        let Some(dialect) = self.dialect.or_else(|| Dialect::detect(message)) else { return };
        let head = read_head(dialect, message, &self.limits);
        if let Ok((Head { kind: Kind::Request, seq, .. }, _)) = head
            && !self.ended
        {
            self.dialect = Some(dialect);
            let class = if let FrameError::OutOfMemory { .. } = error { "MemoryError" } else { "ValueError" };
            self.refuse(seq, class, &error.to_string());
        }
    }

    /// True if no more should be [accepted](Self::accept) until requests have begun: they take all the memory that they
    /// may. Never so while a call of ours awaits its reply, which may be behind more of them.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.has_full_backlog() && !self.awaits_reply() && !self.ended
    }

    /// Ready unless the session [is overloaded](Self::is_overloaded). Then `waker` is woken when it may no longer be; only
    /// the one given last.
    pub fn poll_room(&self, waker: &Waker) -> Poll<()> {
        self.unbegun.watch(waker);
        if self.is_overloaded() { Poll::Pending } else { Poll::Ready(()) }
    }

    // ---- tables and settings

    /// What is lent to the peer.
    pub fn exports(&mut self) -> &mut Exports<O> {
        &mut self.exports
    }

    /// Where dying proxies put the references that they give back.
    #[must_use]
    pub fn releases(&self) -> &Arc<Releases> {
        &self.releases
    }

    /// What requests take that have not begun.
    #[must_use]
    pub fn unbegun(&self) -> &Arc<Unbegun> {
        &self.unbegun
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// The dialect, once known.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// What a netref peer said about itself; `None` for a stock peer, or before it has answered.
    #[must_use]
    pub fn peer(&self) -> Option<&Hello> {
        self.peer.as_ref()
    }

    /// Whether the peer is to be told what our objects can do. This side need not understand the same.
    #[must_use]
    pub fn describes(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.features.descriptions)
    }

    /// The extensions that both sides have.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Neither offers copies from now on nor takes them; to be called before anything is sent.
    pub fn refuse_copies(&mut self) {
        self.features.copies = false;
        match &mut self.offer {
            Offer::Due(features) | Offer::Made(features) => features.copies = false,
        }
    }

    /// True if messages carry [`Threads`].
    #[must_use]
    pub fn binds_threads(&self) -> bool {
        self.binding.is_some()
    }

    /// True while a call of ours awaits its reply.
    #[must_use]
    pub fn awaits_reply(&self) -> bool {
        !self.pending.is_empty() || !self.abandoned.is_empty()
    }

    /// Requests of the peer that are not answered yet.
    #[must_use]
    pub fn inflight(&self) -> usize {
        self.inflight
    }

    /// Refuses the peer's requests from now on, but for those that are part of a call of ours: what is under way can finish.
    pub fn drain(&mut self) {
        self.admission = Admission::Refusing;
    }

    /// Ignores the peer's requests from now on, but for those that are part of a call of ours: the connection is about to end,
    /// which is the answer to them.
    pub fn ignore_requests(&mut self) {
        self.admission = Admission::Ignoring;
    }

    /// What the session has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Objects that the peer let go of. Drop them after unlocking.
    #[must_use]
    pub fn take_garbage(&mut self) -> Vec<O> {
        std::mem::take(&mut self.garbage)
    }

    /// True after [`end`](Self::end).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Ends the session. Output that was queued before can still be taken.
    pub fn end(&mut self) -> Ended<O, T> {
        if !self.ended {
            self.queue_releases(usize::MAX);
        }
        self.ended = true;
        self.unbegun.wake();
        let tokens = std::mem::take(&mut self.pending).into_values().filter_map(|pending| match pending {
            Pending::Call { token, .. } => Some(token),
            Pending::Hello => None,
        });
        let tokens = tokens.collect();
        self.abandoned.clear();
        let mut garbage = self.exports.close();
        garbage.append(&mut self.garbage);
        Ended { tokens, garbage }
    }

    // ---- inside

    fn outgoing<'a>(&self, seq: Seq, handler: impl Into<Handler<'a>>, parent: Option<Seq>) -> Outgoing {
        let handler = handler.into();
        let is_inspection = handler == Handler::Number(handlers::INSPECT);
        let draft = Draft::request(self.dialect.unwrap_or_default(), seq, handler, parent);
        let draft = draft.sharing(self.shares);
        let threads = self.binding.as_ref().map(|_| Threads::default());
        Outgoing { seq, parent, depth: 0, is_inspection, threads, draft, compression: self.compression }
    }

    fn has_full_backlog(&self) -> bool {
        self.unbegun.size() > self.limits.max_backlog
    }

    fn check_dialect(&mut self, payload: &[u8]) -> Result<Dialect, ProtocolError> {
        let Some(&first_byte) = payload.first() else { return Ok(self.dialect.unwrap_or_default()) };
        let spoken = Dialect::detect(payload);
        match (self.dialect, spoken) {
            (None, None) => Err(ProtocolError::NotRpyc { first_byte }),
            (None, Some(dialect)) => Ok(*self.dialect.insert(dialect)),
            // A side that has not spoken yet can still follow: two sockets joined by hand have no initiator.
            (Some(ours), Some(theirs)) if ours != theirs && self.next_seq == 0 && !self.heard => {
                Ok(*self.dialect.insert(theirs))
            }
            (Some(ours), Some(theirs)) if ours != theirs => Err(ProtocolError::WrongDialect { peer: theirs }),
            (Some(ours), _) => Ok(ours),
        }
    }

    fn offered(&self) -> Features {
        match self.offer {
            Offer::Due(features) | Offer::Made(features) => features,
        }
    }

    fn send_hello(&mut self, features: Features) {
        let mut message = self.start_request(HELLO, None);
        let mut brine = Vec::new();
        let written = Hello::new(features).write(&mut brine::Writer::new(&mut brine, &self.limits));
        let boxed = message.boxer(&self.limits).raw_value(&brine);
        debug_assert!(written.is_ok() && boxed.is_ok(), "a HELLO is within every limit");
        if let Ok(frame) = message.seal() {
            self.pending.insert(frame.seq, Pending::Hello);
            self.queue(frame.frame);
        }
    }

    fn answer_value(&mut self, seq: Seq, brine: &[u8]) {
        let mut message = self.start_reply(seq, ReplyKind::Result);
        let boxed = message.boxer(&self.limits).raw_value(brine);
        debug_assert!(boxed.is_ok(), "what was read within the limits can be written within them");
        self.answered(seq);
        if let Ok(frame) = message.seal() {
            self.queue(frame.frame);
        }
    }

    fn refuse(&mut self, seq: Seq, class: &str, text: &str) {
        let mut message = self.start_reply(seq, ReplyKind::Exception);
        let written = exception::write_builtin(class, text, &mut message.boxer(&self.limits).out);
        debug_assert!(written.is_ok(), "a refusal is within every limit");
        self.answered(seq);
        if let Ok(frame) = message.seal() {
            self.queue(frame.frame);
        }
    }

    /// A request of the peer's is answered, or wants no answer.
    fn answered(&mut self, request: Seq) {
        if let Some(binding) = &mut self.binding {
            binding.answered(request);
        }
    }

    fn queue_releases(&mut self, most: usize) {
        for (pack, count) in self.releases.take(most) {
            let mut message = if self.features.quiet_del {
                self.outgoing(QUIET_SEQ, handlers::DEL, None)
            } else {
                self.start_request(handlers::DEL, None)
            };
            let written = message.boxer(&self.limits).release(&pack, count);
            debug_assert!(written.is_ok(), "a DEL is within every limit");
            if let Ok(frame) = message.seal() {
                self.counters.references_released += count;
                self.queue(frame.frame);
            }
        }
    }

    fn queue(&mut self, frame: Frame) {
        self.counters.messages_sent += 1;
        self.counters.bytes_sent += frame.len() as u64;
        self.queued += frame.len();
        match (frame.into_vec(), self.output.back_mut()) {
            (Ok(frame), Some(Piece::Own(last))) if last.len() + frame.len() <= JOIN_OUTPUT => {
                last.extend_from_slice(&frame);
            }
            (Ok(frame), _) => self.output.push_back(Piece::Own(frame)),
            (Err(frame), _) => self.output.extend(frame.into_pieces()),
        }
    }

    fn count_error(&mut self, error: &DecodeError) -> Result<(), ProtocolError> {
        if let DecodeError::OutOfMemory { .. } = error {
            return Ok(()); // for which the peer is not to blame
        }
        self.errors += 1;
        self.counters.malformed += 1;
        if self.errors > self.limits.protocol_errors {
            return Err(ProtocolError::TooManyErrors { count: self.errors, last: error.clone() });
        }
        Ok(())
    }
}

/// Number of a request that asks for no answer: a DESCRIBE, and a DEL between peers that have [`Features::quiet_del`]. A DEL with
/// any other number, such as a program sends by hand, is answered like every request.
const QUIET_SEQ: Seq = -1;

/// Brine of `None`.
const NONE: u8 = 0;

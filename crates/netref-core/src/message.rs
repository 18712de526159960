//! Messages: requests, replies and exceptions, in both dialects of the protocol.

use std::sync::Arc;

use crate::boxing::{self, Boxer, Claim, Claimed, Claims};
use crate::brine::{self, DecodeError, EncodeError, Reader, Writer};
use crate::exception::ExceptionData;
use crate::frame::{self, Compression, Frame, Shared};
use crate::limits::Limits;
use crate::memory::Held;
use crate::payload::Payload;
use crate::refs::{IdPack, PackRef, Releases};
use crate::request::handlers;
use crate::threads::Threads;
use crate::unbegun::Waiting;
use crate::world::World;

/// Which of the two incompatible forms of the protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// RPyC 5.3.1 and older: `brine((kind, seq, args))`.
    V5,
    /// RPyC 6.0.0 and later: a raw byte for the kind, then `brine((seq, args))`.
    #[default]
    V6,
}

impl Dialect {
    /// The dialect of a peer's first payload.
    #[must_use]
    pub fn detect(payload: &[u8]) -> Option<Self> {
        match payload.first()? {
            // A tuple of three.
            0x12 => Some(Self::V5),
            1..=3 => Some(Self::V6),
            _ => None,
        }
    }
}

/// What a request is addressed to.
///
/// Every request that there is has a number. A name is what no peer answers other than with a `KeyError`: RPyC lets
/// programs send one, so it can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler<'a> {
    /// One of the [`handlers`], or a number that no request has.
    Number(i64),
    /// A name.
    Name(&'a str),
}

impl From<i64> for Handler<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Number of a request, chosen by the side that sends it; its reply carries the same.
pub type Seq = i64;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The sender asks for something.
    Request = 1,
    /// The result of a request.
    Reply = 2,
    /// The exception that a request raised.
    Exception = 3,
}

impl Kind {
    fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Request),
            2 => Some(Self::Reply),
            3 => Some(Self::Exception),
            _ => None,
        }
    }
}

/// A message being written.
///
/// References lent while writing are noted here. Either the draft is sealed and sent, or its references are taken back
/// with [`Exports::roll_back`](crate::refs::Exports::roll_back): encoding is all or nothing.
#[derive(Debug)]
pub struct Draft {
    frame: Vec<u8>,
    shared: Shared,
    /// Whether the frame can be sent in pieces.
    shares: bool,
    lent: Vec<IdPack>,
}

impl Draft {
    /// Starts a request. With `parent`, the request says which request of the peer the sending thread is executing;
    /// only for a peer that announced [`Features::CHAIN`](crate::extension::Features::CHAIN).
    #[must_use]
    pub fn request<'a>(
        dialect: Dialect,
        seq: Seq,
        handler: impl Into<Handler<'a>>,
        parent: Option<Seq>,
    ) -> Self {
        let mut draft = Self::start(dialect, Kind::Request, seq);
        let mut out = draft.plain_writer();
        // A pair (handler, args), or a triple with the parent at its end: `seal_request` appends that.
        let mut opened = out.begin_tuple(if parent.is_some() { 3 } else { 2 });
        match handler.into() {
            Handler::Number(number) => out.int(number),
            Handler::Name(name) => opened = opened.and_then(|()| out.str(name)),
        }
        debug_assert!(opened.is_ok(), "the head of a message is within every limit");
        draft
    }

    /// Starts a reply.
    #[must_use]
    pub fn reply(dialect: Dialect, seq: Seq) -> Self {
        Self::start(dialect, Kind::Reply, seq)
    }

    /// Starts an exception.
    #[must_use]
    pub fn exception(dialect: Dialect, seq: Seq) -> Self {
        Self::start(dialect, Kind::Exception, seq)
    }

    /// Where arguments or a result are written.
    pub fn boxer(&mut self, limits: &Limits) -> Boxer<'_> {
        let out = if self.shares {
            Writer::sharing(&mut self.frame, &mut self.shared, limits)
        } else {
            Writer::new(&mut self.frame, limits)
        };
        Boxer { out, lent: &mut self.lent }
    }

    /// Says whether bytes that are large and can be kept may be sent without being copied, in a frame of more than one piece.
    #[must_use]
    pub fn sharing(mut self, shares: bool) -> Self {
        self.shares = shares;
        self
    }

    /// Takes out what was lent while writing, to be given back instead of sending.
    #[must_use]
    pub fn into_lent(self) -> Vec<IdPack> {
        self.lent
    }

    /// Checks that the payload fits the header's 32-bit length.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if it does not.
    pub fn check_size(&self) -> Result<(), EncodeError> {
        let size = self.frame.len() + frame::shared_len(&self.shared);
        let fits = u32::try_from(size).is_ok();
        if fits { Ok(()) } else { Err(EncodeError::TooLarge { what: "a message", size }) }
    }

    /// Finishes the message into a whole frame.
    ///
    /// # Panics
    /// If [`check_size`](Self::check_size) fails.
    #[must_use]
    pub fn seal(self, compression: Compression) -> Frame {
        frame::seal(self.frame, self.shared, compression)
    }

    /// Appends the parent of a request started with one.
    pub fn parent(&mut self, parent: Seq) {
        self.plain_writer().int(parent);
    }

    /// Puts thread numbers before the message.
    pub fn bind(&mut self, threads: Threads) {
        let start = frame::HEADER_LEN;
        let before = self.frame.len();
        self.frame.splice(start..start, threads.to_bytes());
        let moved_by = self.frame.len() - before;
        self.shared.iter_mut().for_each(|(at, _)| *at += moved_by);
    }

    fn start(dialect: Dialect, kind: Kind, seq: Seq) -> Self {
        let mut draft = Self { frame: frame::open(), shared: Vec::new(), shares: false, lent: Vec::new() };
        let opened = match dialect {
            Dialect::V6 => {
                draft.frame.push(kind as u8);
                draft.plain_writer().begin_tuple(2)
            }
            Dialect::V5 => {
                let mut out = draft.plain_writer();
                let opened = out.begin_tuple(3);
                out.int(kind as i64);
                opened
            }
        };
        debug_assert!(opened.is_ok(), "the head of a message is within every limit");
        draft.plain_writer().int(seq);
        draft
    }

    fn plain_writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.frame, const { &Limits::compat() })
    }
}

/// A whole message of the peer's, checked, with its references settled, not yet built into objects.
///
/// Building happens later, on the thread that wants the objects and with no lock held. Dropping it unread gives the
/// references in it back.
#[derive(Debug)]
pub struct Inbound<O> {
    pub(crate) kind: Kind,
    pub(crate) seq: Seq,
    pub(crate) handler: i64,
    pub(crate) parent: Option<Seq>,
    pub(crate) thread: Option<u64>,
    pub(crate) depth: usize,
    pub(crate) payload: Payload,
    /// Where the box (or the exception) starts.
    pub(crate) body: usize,
    pub(crate) claims: ClaimQueue<O>,
    pub(crate) limits: Arc<Limits>,
    /// Until the request begins.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) held: Option<Held>,
}

impl<O> Inbound<O> {
    /// What the message is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The handler number of a request.
    #[must_use]
    pub fn handler(&self) -> i64 {
        self.handler
    }

    /// The call of ours on whose behalf the peer sent this request, if the peer says so.
    #[must_use]
    pub fn parent(&self) -> Option<Seq> {
        self.parent
    }

    /// The thread of ours that the peer addressed this request to, 0 for none in particular, if it was asked to say.
    #[must_use]
    pub fn thread(&self) -> Option<u64> {
        self.thread
    }

    /// How many calls the request is inside of, of both sides together. 0 if it is part of no call of ours, or the peer does
    /// not say. From 2 on it is part of another request of the peer's.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Takes out what counts the request among those that hold memory, to be kept until it is answered.
    #[must_use]
    pub fn take_held(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// Builds the arguments of a request, which begins herewith.
    ///
    /// # Errors
    /// What the world refuses to build.
    pub fn arguments<W: World<Shared = O>>(&mut self, world: &W) -> Result<Vec<W::Object>, W::Error> {
        self.waiting = None;
        let mut reader = Reader::of(&self.payload, &self.limits);
        reader.seek(self.body);
        boxing::read_arguments(world, &mut reader, &mut self.claims)
    }

    /// Builds the result that a reply carries.
    ///
    /// # Errors
    /// What the world refuses to build.
    pub fn result<W: World<Shared = O>>(&mut self, world: &W) -> Result<W::Object, W::Error> {
        let mut reader = Reader::of(&self.payload, &self.limits);
        reader.seek(self.body);
        boxing::read(world, &mut reader, &mut self.claims)
    }

    /// Builds the box itself, as the plain data that it is on the wire, for a caller that opens it by its own rules. From now
    /// on the peer's references in it are the caller's to give back. With it come the objects of ours that it names, to be
    /// kept alive until the box is opened.
    ///
    /// # Errors
    /// What the world refuses to build.
    pub fn into_box<W: World<Shared = O>>(self, world: &W) -> Result<(W::Object, Vec<O>), W::Error> {
        let value = brine::read(world, &mut self.reader())?;
        Ok((value, self.claims.into_own()))
    }

    /// Reads the exception that an exception message carries.
    ///
    /// # Errors
    /// What the world refuses to build.
    pub fn exception<W: World<Shared = O>>(&self, world: &W) -> Result<ExceptionData<W::Object>, W::Error> {
        let mut reader = Reader::of(&self.payload, &self.limits);
        reader.seek(self.body);
        ExceptionData::read(world, &mut reader, &self.limits)
    }

    /// Builds the plain value that an exception message carries, for a world that has its own reading of it.
    ///
    /// # Errors
    /// What the world refuses to build.
    pub fn exception_value<W: World<Shared = O>>(&self, world: &W) -> Result<W::Object, W::Error> {
        brine::read(world, &mut self.reader())
    }

    /// The by-value argument tuple of an extension request, or the by-value result of its reply, as brine.
    pub(crate) fn reader(&self) -> Reader<'_> {
        let mut reader = Reader::of(&self.payload, &self.limits);
        reader.seek(self.body);
        reader
    }

    /// The id pack that an INSPECT request asks about.
    ///
    /// # Errors
    /// If the arguments are not one id pack.
    pub fn inspected(&self) -> Result<IdPack, DecodeError> {
        debug_assert_eq!(self.handler, handlers::INSPECT);
        let mut reader = self.reader();
        if !boxing::enter_single_value(&mut reader)? {
            return Err(DecodeError::Expected { expected: "one id pack" });
        }
        PackRef::read(&mut reader).map(PackRef::to_owned)
    }
}

/// References of a message, in order; those that nobody took go back to the peer.
#[derive(Debug)]
pub(crate) struct ClaimQueue<O> {
    claims: std::vec::IntoIter<Claim<O>>,
    releases: Arc<Releases>,
}

impl<O> ClaimQueue<O> {
    pub(crate) fn new(claims: Vec<Claim<O>>, releases: Arc<Releases>) -> Self {
        Self { claims: claims.into_iter(), releases }
    }

    fn into_own(mut self) -> Vec<O> {
        let own = |claim: Claim<O>| match claim.claimed {
            Claimed::Own(object) => Some(object),
            Claimed::Peer(_) => None,
        };
        self.claims.by_ref().filter_map(own).collect()
    }
}

impl<O> Claims<O> for ClaimQueue<O> {
    fn own(&mut self) -> Result<(O, usize), DecodeError> {
        match self.claims.next() {
            Some(Claim { claimed: Claimed::Own(object), end }) => Ok((object, end)),
            Some(Claim { claimed: Claimed::Peer(pack), .. }) => {
                self.releases.push(pack, 1);
                Err(UNSETTLED)
            }
            None => Err(UNSETTLED),
        }
    }

    fn theirs(&self) -> Result<(&IdPack, usize), DecodeError> {
        match self.claims.as_slice().first() {
            Some(Claim { claimed: Claimed::Peer(pack), end }) => Ok((pack, *end)),
            _ => Err(UNSETTLED),
        }
    }

    fn taken(&mut self) {
        self.claims.next();
    }
}

const UNSETTLED: DecodeError = DecodeError::Expected { expected: "a reference settled on arrival" };

impl<O> Drop for ClaimQueue<O> {
    fn drop(&mut self) {
        for claim in self.claims.by_ref() {
            if let Claimed::Peer(pack) = claim.claimed {
                self.releases.push(pack, 1);
            }
        }
    }
}

/// The head of a message and where its body starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) seq: Seq,
    pub(crate) body: usize,
}

/// Reads a message's head. Returns a reader at the body.
pub(crate) fn read_head<'a>(
    dialect: Dialect,
    payload: &'a [u8],
    limits: &Limits,
) -> Result<(Head, Reader<'a>), DecodeError> {
    const WHAT: &str = "a message of this dialect";
    let wrong = || DecodeError::Expected { expected: WHAT };
    let mut reader = Reader::new(payload, limits);
    let number = match dialect {
        Dialect::V6 => {
            let kind = *payload.first().ok_or(DecodeError::UnexpectedEnd)?;
            reader.seek(1);
            if reader.tuple(WHAT)? != 2 {
                return Err(wrong());
            }
            i64::from(kind)
        }
        Dialect::V5 => {
            if reader.tuple(WHAT)? != 3 {
                return Err(wrong());
            }
            reader.int("a message kind")?
        }
    };
    let kind = Kind::from_number(number).ok_or_else(wrong)?;
    let seq = reader.int("a sequence number")?;
    Ok((Head { kind, seq, body: reader.position() }, reader))
}

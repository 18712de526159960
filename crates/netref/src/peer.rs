//! The other side of a connection, whatever driver runs it.

mod threads;

use std::sync::Arc;
use std::time::Instant;

use netref_core::boxing::Boxer;
use netref_core::message::{Handler, Inbound, Kind};
use netref_core::refs::{Exports, IdPack, PackRef};
use netref_core::request::Request;
use netref_core::session::{Counters, ReplyKind};

#[cfg(feature = "tokio")]
use crate::aio::TokioPeer;
use crate::error::{Error, Exception, Result};
use crate::failure::{CallError, Closed, StartError};
use crate::object::{Class, ObjectRef};
use crate::place::Place;
use crate::raising::{caught, to_exception};
use crate::remote::Remote;
use crate::running::contained;
use crate::side::{self, Side};
use crate::value::Value;
use crate::world::{Shared, Values};

pub(crate) use threads::{RustHost, ThreadsPeer};

/// Keeps the connection open: it is closed when the last handle on it (a connection or a remote object) is dropped.
#[derive(Clone)]
pub(crate) enum Peer {
    /// Driven by [threads](crate::threads).
    Threads(ThreadsPeer),
    /// Driven by tasks.
    #[cfg(feature = "tokio")]
    Tokio(TokioPeer),
}

impl Peer {
    pub(crate) fn side(&self) -> &Side {
        match self {
            Self::Threads(peer) => peer.side(),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.side(),
        }
    }

    pub(crate) fn is_same_connection(&self, other: &Self) -> bool {
        std::ptr::eq(self.side(), other.side())
    }

    /// Sends a request and waits for its result.
    pub(crate) fn request(&self, request: Request<Value>) -> Result<Value> {
        let result = self.exchange(request.handler().into(), |world, boxer| request.write(world, boxer));
        let result = result.map_err(|error| error.about(&request));
        // Not earlier: the proxies named in it must live until it is sent.
        drop(request);
        result
    }

    /// Sends a request to any handler, with arguments that need not fit it, and waits for its result.
    pub(crate) fn exchange(
        &self,
        handler: Handler<'_>,
        write: impl FnOnce(&Values<'_>, &mut Boxer<'_>) -> Result<()>,
    ) -> Result<Value> {
        let world = Values(self);
        match self {
            Self::Threads(peer) => peer.exchange(handler, &world, write),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.exchange_blocking(handler, &world, write),
        }
    }

    // ---- the connection

    /// Has requests of the peer wait until it is [attended](Self::attend).
    pub(crate) fn hold(&self) {
        match self {
            Self::Threads(peer) => peer.hold(),
            // Its server has it begin so.
            #[cfg(feature = "tokio")]
            Self::Tokio(_) => {}
        }
    }

    /// Has the peer served though nobody here waits.
    pub(crate) fn attend(&self) {
        match self {
            Self::Threads(peer) => peer.attend(),
            // Its tasks do from the start.
            #[cfg(feature = "tokio")]
            Self::Tokio(_) => {}
        }
    }

    /// Refuses new requests, and waits for those under way until the deadline.
    pub(crate) fn drain(&self, deadline: Option<Instant>) {
        match self {
            Self::Threads(peer) => peer.drain(deadline),
            // Its server has no use for it.
            #[cfg(feature = "tokio")]
            Self::Tokio(_) => {}
        }
    }

    /// Ends the connection without any waiting.
    pub(crate) fn hang_up(&self) {
        match self {
            Self::Threads(peer) => peer.hang_up(),
            // Dropping it does.
            #[cfg(feature = "tokio")]
            Self::Tokio(_) => {}
        }
    }

    /// Closes the connection without waiting for requests under way. Blocks for a short time at most.
    pub(crate) fn dismiss(&self) {
        match self {
            Self::Threads(peer) => peer.dismiss(),
            // Its server has no use for it.
            #[cfg(feature = "tokio")]
            Self::Tokio(_) => {}
        }
    }

    /// Closes the connection in good order. Blocks for a short time at most.
    pub(crate) fn close(&self) {
        match self {
            Self::Threads(peer) => peer.close(),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.close_blocking(),
        }
    }

    /// Why the connection has ended, if it has.
    pub(crate) fn closed(&self) -> Option<Closed> {
        match self {
            Self::Threads(peer) => peer.closed(),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.closed(),
        }
    }

    /// Has `callback` called once when the connection ends; at once if it has ended.
    pub(crate) fn on_end(&self, callback: EndCallback) {
        match self {
            Self::Threads(peer) => peer.on_end(callback),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.on_end(callback),
        }
    }

    /// Says that another connection takes the place of this one when it ends.
    pub(crate) fn expect_successor(&self) {
        match self {
            Self::Threads(peer) => peer.expect_successor(),
            // Its references say that their connection has ended, which they do anyway.
            #[cfg(feature = "tokio")]
            Self::Tokio(_) => {}
        }
    }

    /// Blocks until the connection has ended; serves the peer meanwhile, if that takes a thread.
    pub(crate) fn serve_all(&self) {
        match self {
            Self::Threads(peer) => peer.serve_all(),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.wait_closed_blocking(),
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        match self {
            Self::Threads(peer) => peer.session().counters(),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.session().counters(),
        }
    }

    /// What a netref peer calls itself.
    pub(crate) fn software(&self) -> Option<String> {
        match self {
            Self::Threads(peer) => peer.session().peer().map(|hello| hello.software.clone()),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.session().peer().map(|hello| hello.software.clone()),
        }
    }

    // ---- tables

    pub(crate) fn proxy(&self, pack: PackRef<'_>) -> Remote {
        self.side().proxy(pack, self)
    }

    /// Gives references back. Never blocks.
    pub(crate) fn release(&self, pack: &IdPack, count: u64) {
        self.side().forget(pack);
        match self {
            Self::Threads(peer) => peer.release(pack.clone(), count),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.release(pack.clone(), count),
        }
    }

    /// Lends an object to the peer once more. Also says whether it is the first of its class.
    pub(crate) fn lend(&self, identity: u64, object: &ObjectRef) -> Result<(IdPack, bool)> {
        if let Some(pack) = self.with_exports(|exports| exports.lend_again(identity)) {
            return Ok((pack, false));
        }
        // Asked with no lock held: it is the object's own code.
        let class = caught(|| Ok(object.class()))?;
        let identity_of = |class: &Arc<Class>| Arc::as_ptr(class).addr() as u64;
        let lend = |exports: &mut Exports<Shared>, class: &Arc<Class>| {
            exports.lend(identity, identity_of(class), None, Shared::Object(object.clone()))
        };
        let lent = self
            .with_exports(|exports| exports.knows_class(identity_of(&class)).then(|| lend(exports, &class)));
        let is_first = lent.is_none();
        let lent = lent.unwrap_or_else(|| {
            let class = self.side().known_class(class);
            self.with_exports(|exports| {
                exports.register_class(identity_of(&class), class.name(), Shared::Class(class.clone()));
                lend(exports, &class)
            })
        });
        Ok((lent?, is_first))
    }

    /// Tells the peer what the object named `pack` can do, unless it knows by the name or does not want to be told. What cannot be
    /// said is left for the peer to ask.
    pub(crate) fn describe(&self, object: &ObjectRef, pack: &IdPack) {
        let is_wanted = match self {
            Self::Threads(peer) => peer.session().describes(),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.session().describes(),
        };
        if !is_wanted || pack.name.starts_with("builtins.") {
            return;
        }
        let Ok(methods) = caught(|| side::methods(object)) else { return };
        let write = |boxer: &mut Boxer<'_>| match boxer.description(&Values(self), pack, &methods)? {
            true => Ok(()),
            false => Err(Error::Unsendable("what an object can do is no plain data".to_owned())),
        };
        let _ = match self {
            Self::Threads(peer) => peer.describe(write),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => peer.describe(write),
        };
    }

    pub(crate) fn lent_object(&self, pack: &IdPack) -> Option<ObjectRef> {
        self.with_exports(|exports| match exports.get(pack.as_ref()) {
            Some(Shared::Object(object)) => Some(object.clone()),
            _ => None,
        })
    }

    /// Looks at what is lent, with the session locked.
    pub(crate) fn with_exports<R>(&self, look: impl FnOnce(&mut Exports<Shared>) -> R) -> R {
        match self {
            Self::Threads(peer) => look(peer.session().exports()),
            #[cfg(feature = "tokio")]
            Self::Tokio(peer) => look(peer.session().exports()),
        }
    }
}

/// What a call ends with, as a value.
pub(crate) fn read_outcome(world: &Values<'_>, outcome: Result<Inbound<Shared>, CallError>) -> Result<Value> {
    let mut message = outcome.map_err(|error| match error {
        CallError::Closed(closed) => Error::Closed(closed),
        error => Error::Unreadable(error.to_string()),
    })?;
    match message.kind() {
        Kind::Exception => Err(Exception { data: message.exception(world)? }.into()),
        _ => message.result(world),
    }
}

/// Answers a request of the peer, with an exception if the outcome is one or cannot be written. `reply` sends what it is
/// given to write.
pub(crate) fn answer(
    world: &Values<'_>,
    place: &Place,
    outcome: Result<Value>,
    mut reply: impl FnMut(ReplyKind, WriteReply<'_>) -> Result<(), StartError<Error>>,
) {
    let error = match outcome {
        Ok(value) => {
            let sent = reply(ReplyKind::Result, &mut |boxer| boxer.object(world, &value));
            contained(|| drop(value));
            match sent {
                Err(StartError::Argument(error)) => error,
                Err(StartError::Message(error)) => error.into(),
                _ => return,
            }
        }
        Err(error) => error,
    };
    let exception = to_exception(&error, place);
    let sent = reply(ReplyKind::Exception, &mut |boxer| exception.write(world, &mut boxer.out));
    if let Err(StartError::Argument(error)) = sent {
        // An argument of the exception that the wire cannot carry: the caller still learns what happened.
        let plain = to_exception(&Error::raise("RuntimeError", error.to_string()), place);
        let sent = reply(ReplyKind::Exception, &mut |boxer| plain.write(world, &mut boxer.out));
        debug_assert!(
            !matches!(sent, Err(StartError::Argument(_) | StartError::Message(_))),
            "an exception of one short text can be written"
        );
    }
}

/// What to do when a connection has ended.
pub(crate) type EndCallback = Box<dyn FnOnce(&Closed) + Send>;

/// Writes the body of a reply.
pub(crate) type WriteReply<'w> = &'w mut dyn FnMut(&mut Boxer<'_>) -> Result<()>;

impl From<StartError<Self>> for Error {
    fn from(error: StartError<Self>) -> Self {
        match error {
            StartError::Closed(closed) => Self::Closed(closed),
            StartError::Stale(closed) => Self::Stale(closed),
            StartError::Argument(error) => error,
            StartError::Message(error) => error.into(),
            error => Self::Unsendable(error.to_string()),
        }
    }
}

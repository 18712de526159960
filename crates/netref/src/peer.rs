//! The other side of a connection, whatever driver runs it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use netref_core::message::{Inbound, Kind};
use netref_core::refs::{IdPack, PackRef};
use netref_core::request::Request;
use netref_core::session::ReplyKind;

use crate::error::{Error, Exception, Result};
use crate::object::ObjectRef;
use crate::raising::to_exception;
use crate::remote::Remote;
use crate::side::Side;
use crate::threads::{Call, CallError, Closed, Host, Link, StartError, WaitError};
use crate::value::Value;
use crate::world::{Shared, Values};

/// Keeps the connection open: it is closed when the last handle on it (a connection or a remote object) is dropped.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Owner>);

struct Owner {
    link: Arc<Link<RustHost>>,
}

/// How long a connection that is dropped waits for the peer to take note.
const FAREWELL: Duration = Duration::from_millis(200);

impl Drop for Owner {
    fn drop(&mut self) {
        self.link.close(FAREWELL);
    }
}

/// Rust objects as the thread driver's host.
pub(crate) struct RustHost {
    pub(crate) side: Side,
    owner: std::sync::OnceLock<Weak<Owner>>,
    on_end: std::sync::Mutex<Option<Box<dyn FnOnce(&Closed) + Send>>>,
}

impl RustHost {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, owner: std::sync::OnceLock::new(), on_end: std::sync::Mutex::default() }
    }
}

impl Peer {
    pub(crate) fn new(link: Arc<Link<RustHost>>) -> Self {
        let owner = Arc::new(Owner { link });
        let first = owner.link.host().owner.set(Arc::downgrade(&owner)).is_ok();
        debug_assert!(first, "a link has one owner");
        Self(owner)
    }

    pub(crate) fn link(&self) -> &Arc<Link<RustHost>> {
        &self.0.link
    }

    pub(crate) fn side(&self) -> &Side {
        &self.0.link.host().side
    }

    pub(crate) fn on_end(&self, callback: Box<dyn FnOnce(&Closed) + Send>) {
        *self.link().host().on_end.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(callback);
    }

    pub(crate) fn is_same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Sends a request and waits for its result.
    pub(crate) fn request(&self, request: Request<Value>) -> Result<Value> {
        let timeout = self.side().timeout();
        let deadline = timeout.map(|limit| Instant::now() + limit);
        let call = self.start(&request, deadline)?;
        match self.link().wait(&call, deadline) {
            Ok(()) => {}
            Err(WaitError::TimedOut | WaitError::Interrupted) => {
                self.link().abandon(&call);
                let what = Request::<Value>::describe(request.handler()).to_owned();
                return Err(Error::TimedOut { what, limit: timeout.unwrap_or_default() });
            }
        }
        match call.take() {
            Some(outcome) => self.result(outcome),
            None => Err(Error::Unreadable("the result was taken already".to_owned())),
        }
    }

    pub(crate) fn start(
        &self,
        request: &Request<Value>,
        deadline: Option<Instant>,
    ) -> Result<Arc<Call<Shared>>> {
        let world = Values(self);
        let started =
            self.link().start(request.handler(), None, deadline, |boxer| request.write(&world, boxer));
        started.map_err(|error| match error {
            StartError::Closed(closed) => Error::Closed(closed),
            StartError::Argument(error) => error,
            error => Error::Unsendable(error.to_string()),
        })
    }

    pub(crate) fn result(&self, outcome: Result<Inbound<Shared>, CallError>) -> Result<Value> {
        let world = Values(self);
        let mut message = outcome.map_err(|error| match error {
            CallError::Closed(closed) => Error::Closed(closed),
            error => Error::Unreadable(error.to_string()),
        })?;
        match message.kind() {
            Kind::Exception => Err(Exception { data: message.exception(&world)? }.into()),
            _ => message.result(&world),
        }
    }

    // ---- tables

    pub(crate) fn proxy(&self, pack: PackRef<'_>) -> Remote {
        self.side().proxy(pack, self)
    }

    pub(crate) fn release(&self, pack: &IdPack, count: u64) {
        self.side().forget(pack);
        self.link().release(pack.clone(), count);
    }

    /// Lends an object to the peer once more.
    pub(crate) fn lend(&self, identity: u64, object: &ObjectRef) -> Result<IdPack> {
        if let Some(pack) = self.link().session().exports().lend_again(identity) {
            return Ok(pack);
        }
        // Asked with no lock held: it is the object's own code.
        let class = object.class();
        let class_identity = Arc::as_ptr(&class).addr() as u64;
        let mut session = self.link().session();
        let exports = session.exports();
        exports.register_class(class_identity, class.name(), Shared::Class(class.clone()));
        Ok(exports.lend(identity, class_identity, None, Shared::Object(object.clone()))?)
    }

    pub(crate) fn lent_object(&self, pack: &IdPack) -> Option<ObjectRef> {
        match self.link().session().exports().get(pack.as_ref()) {
            Some(Shared::Object(object)) => Some(object.clone()),
            _ => None,
        }
    }
}

impl Host for RustHost {
    type Shared = Shared;

    fn handle(&self, link: &Arc<Link<Self>>, mut message: Inbound<Shared>) {
        // Without an owner nobody on this side holds the connection any more, and it is being closed.
        let Some(peer) = self.owner.get().and_then(Weak::upgrade).map(Peer) else { return };
        let world = Values(&peer);
        let request = Request::read(&world, &mut message);
        let seq = message.seq();
        let (place, outcome) = self.side.perform(&peer, request);
        drop(message);
        let error = match outcome {
            Ok(value) => match link.reply(seq, ReplyKind::Result, |boxer| boxer.object(&world, &value)) {
                Err(StartError::Argument(error)) => error,
                Err(StartError::Message(error)) => error.into(),
                _ => return,
            },
            Err(error) => error,
        };
        let exception = to_exception(error, &place);
        let sent = link.reply(seq, ReplyKind::Exception, |boxer| exception.write(&world, &mut boxer.out));
        if let Err(StartError::Argument(error)) = sent {
            // An argument of the exception that the wire cannot carry: the caller still learns what happened.
            let plain = to_exception(Error::raise("RuntimeError", error.to_string()), &place);
            let sent = link.reply(seq, ReplyKind::Exception, |boxer| plain.write(&world, &mut boxer.out));
            debug_assert!(sent.is_ok(), "an exception of one short text can be written");
        }
    }

    fn ended(&self, _link: &Arc<Link<Self>>, closed: &Closed) {
        let callback = self.on_end.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(callback) = callback {
            callback(closed);
        }
    }
}

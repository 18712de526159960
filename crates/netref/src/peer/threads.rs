//! The other side of a connection that the thread driver runs.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use std::time::Instant;

use netref_core::boxing::Boxer;
use netref_core::message::{Handler, Inbound};
use netref_core::refs::IdPack;
use netref_core::request::Request;
use netref_core::session::Session;

use crate::error::{Error, Result};
use crate::failure::{Closed, StartError};
use crate::peer::{EndCallback, Peer, answer, read_outcome};
use crate::running::contained;
use crate::side::Side;
use crate::threads::{Call, ExchangeError, Host, Interrupted, Link};
use crate::value::Value;
use crate::world::{Shared, Values};

/// A link, closed when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct ThreadsPeer(Arc<Owner>);

struct Owner {
    link: Arc<Link<RustHost>>,
}

/// How long a connection that is closed waits for the peer to take note.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same for one that is dropped.
const FAREWELL: Duration = Duration::from_millis(200);

impl Drop for Owner {
    fn drop(&mut self) {
        // Requests that run hold on to this. Nothing interrupts a Rust thread.
        let _ = self.link.say_goodbye(FAREWELL);
    }
}

/// Rust objects as the thread driver's host.
pub(crate) struct RustHost {
    side: Side,
    owner: OnceLock<Weak<Owner>>,
    on_end: Mutex<Option<EndCallback>>,
}

impl RustHost {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, owner: OnceLock::new(), on_end: Mutex::default() }
    }
}

impl ThreadsPeer {
    pub(crate) fn new(link: Arc<Link<RustHost>>) -> Self {
        let owner = Arc::new(Owner { link });
        let first = owner.link.host().owner.set(Arc::downgrade(&owner)).is_ok();
        debug_assert!(first, "a link has one owner");
        Self(owner)
    }

    pub(super) fn side(&self) -> &Side {
        &self.0.link.host().side
    }

    pub(super) fn session(&self) -> MutexGuard<'_, Session<Shared, Arc<Call<Shared>>>> {
        self.0.link.session()
    }

    pub(super) fn describe(
        &self,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<()>,
    ) -> Result<(), StartError<Error>> {
        self.0.link.describe(write)
    }

    pub(super) fn on_end(&self, callback: EndCallback) {
        let host = self.0.link.host();
        *host.on_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(callback);
        if let Some(closed) = self.closed() {
            host.ended(&self.0.link, &closed);
        }
    }

    pub(super) fn exchange(
        &self,
        handler: Handler<'_>,
        world: &Values<'_>,
        write: impl FnOnce(&Values<'_>, &mut Boxer<'_>) -> Result<()>,
    ) -> Result<Value> {
        let link = &self.0.link;
        let timeout = self.side().timeout();
        match link.exchange(handler, timeout, |boxer| write(world, boxer)) {
            Ok(outcome) => read_outcome(world, outcome),
            Err(ExchangeError::Start(error)) => Err(error.into()),
            Err(_) => Err(self.side().timed_out(handler, timeout)),
        }
    }

    pub(super) fn close(&self) {
        let _ = self.0.link.close(PATIENCE);
    }

    pub(super) fn hang_up(&self) {
        self.0.link.hang_up();
    }

    pub(super) fn dismiss(&self) {
        let _ = self.0.link.say_goodbye(PATIENCE);
    }

    pub(super) fn expect_successor(&self) {
        self.0.link.expect_successor();
    }

    pub(super) fn hold(&self) {
        self.0.link.hold();
    }

    pub(super) fn attend(&self) {
        self.0.link.attend();
    }

    pub(super) fn drain(&self, deadline: Option<Instant>) {
        self.0.link.drain(deadline);
    }

    pub(super) fn closed(&self) -> Option<Closed> {
        self.0.link.closed()
    }

    pub(super) fn serve_all(&self) {
        // Nothing interrupts a Rust thread.
        let _ = self.0.link.serve_all();
    }

    pub(super) fn release(&self, pack: IdPack, count: u64) {
        self.0.link.release(pack, count);
    }
}

impl Host for RustHost {
    type Shared = Shared;

    fn handle(&self, link: &Arc<Link<Self>>, mut message: Inbound<Shared>) -> Result<(), Interrupted> {
        // Without an owner nobody on this side holds the connection any more, and it is being closed.
        let Some(owner) = self.owner.get().and_then(Weak::upgrade) else { return Ok(()) };
        let peer = Peer::Threads(ThreadsPeer(owner));
        let world = Values(&peer);
        let _held = message.take_held();
        let request = Request::read(&world, &mut message);
        let seq = message.seq();
        let (place, outcome) = self.side.perform(&peer, request);
        contained(|| drop(message));
        answer(&world, &place, outcome, |kind, write| link.reply(seq, kind, |boxer| write(boxer)));
        Ok(())
    }

    fn ended(&self, _link: &Arc<Link<Self>>, closed: &Closed) {
        let callback = self.on_end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(callback) = callback {
            contained(|| callback(closed));
        }
    }
}

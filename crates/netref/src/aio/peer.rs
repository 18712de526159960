//! The other side of a connection that tasks drive.

use std::pin::pin;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use netref_core::boxing::Boxer;
use netref_core::message::Handler;
use netref_core::refs::IdPack;
use netref_core::request::Request;

use super::blocking::{beside, block_on, block_on_until, may_block};
use super::driver::{Driver, TokioSession, unknown_end};
use crate::error::{Error, Result};
use crate::failure::{Closed, StartError};
use crate::peer::{EndCallback, Peer, read_outcome};
use crate::pool::POOL;
use crate::side::Side;
use crate::value::Value;
use crate::world::Values;

/// How long a connection that is closed waits for the peer to take note.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// The same for one that is dropped.
const FAREWELL: Duration = Duration::from_millis(200);

/// A connection, closed when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct TokioPeer(pub(super) Arc<Owner>);

pub(super) struct Owner {
    pub(super) driver: Arc<Driver>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.driver.is_closed() {
            let driver = self.driver.clone();
            // Requests that run hold on to this.
            self.driver.runtime.spawn(async move { driver.say_goodbye(driver.sleep(FAREWELL)).await });
        }
    }
}

impl TokioPeer {
    pub(super) fn driver(&self) -> &Arc<Driver> {
        &self.0.driver
    }

    pub(crate) fn side(&self) -> &Side {
        &self.0.driver.side
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, TokioSession> {
        self.0.driver.session()
    }

    /// Sends a request and waits for its result. Dropping the future abandons the call.
    pub(super) async fn request(&self, request: &Request<Value>) -> Result<Value> {
        let handler = request.handler();
        let world = &Peer::Tokio(self.clone());
        // The request is kept until the reply is here, and with it the proxies named in it: see `Session`.
        let exchange = self.exchange(handler.into(), world, |world, boxer| request.write(world, boxer));
        let Some(limit) = self.side().timeout() else { return exchange.await };
        let expired = self.driver().sleep(limit);
        tokio::select! {
            biased;
            result = exchange => result,
            () = expired => Err(self.side().timed_out(handler.into(), Some(limit)).about(request)),
        }
    }

    /// The same on a thread that may block.
    pub(crate) fn exchange_blocking(
        &self,
        handler: Handler<'_>,
        world: &Values<'_>,
        write: impl FnOnce(&Values<'_>, &mut Boxer<'_>) -> Result<()>,
    ) -> Result<Value> {
        if !may_block() {
            return Err(Error::WouldBlock);
        }
        let exchange = self.exchange(handler, world.0, write);
        let limit = self.side().timeout().unwrap_or(Duration::MAX);
        match Instant::now().checked_add(limit) {
            Some(deadline) => block_on_until(exchange, deadline)
                .unwrap_or_else(|| Err(self.side().timed_out(handler, Some(limit)))),
            None => block_on(exchange),
        }
    }

    async fn exchange(
        &self,
        handler: Handler<'_>,
        peer: &Peer,
        write: impl FnOnce(&Values<'_>, &mut Boxer<'_>) -> Result<()>,
    ) -> Result<Value> {
        let driver = self.driver();
        driver.room().await;
        let call = driver.start(handler, |boxer| write(&Values(peer), boxer))?;
        let outcome = call.await;
        let result = read_outcome(&Values(peer), outcome);
        if result.is_err() {
            // What was not read holds references, which have gone back.
            driver.flush_releases();
        }
        result
    }

    pub(crate) fn describe(
        &self,
        write: impl FnOnce(&mut Boxer<'_>) -> Result<()>,
    ) -> Result<(), StartError<Error>> {
        self.driver().describe(write)
    }

    pub(crate) fn release(&self, pack: IdPack, count: u64) {
        self.driver().release(pack, count);
    }

    // ---- the end

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.driver().closed()
    }

    /// Where blocking is not possible, leaves it to the runtime to close the connection.
    pub(crate) fn close_blocking(&self) {
        if may_block() {
            block_on(self.driver().close(PATIENCE));
        } else {
            let driver = self.driver().clone();
            self.driver().runtime.spawn(async move { driver.close(PATIENCE).await });
        }
    }

    pub(crate) fn wait_closed_blocking(&self) {
        assert!(may_block(), "serve_all blocks, which asynchronous code must not; see netref::aio");
        block_on(self.driver().wait_closed());
    }

    pub(crate) fn on_end(&self, callback: EndCallback) {
        let driver = self.driver().clone();
        self.driver().runtime.spawn(async move {
            let closed = pin!(driver.wait_closed()).await;
            POOL.spawn(beside(&driver.runtime, move || callback(&closed)));
        });
    }
}

impl Peer {
    /// Sends a request and waits for its result. Dropping the future abandons the call, if tasks drive the connection;
    /// if threads do, one of them goes on waiting.
    pub(super) async fn request_async(&self, request: &Request<Value>) -> Result<Value> {
        match self {
            Self::Tokio(peer) => peer.request(request).await,
            Self::Threads(_) => {
                let (peer, request) = (self.clone(), request.clone());
                Box::pin(super::spawn_blocking(move || peer.request(request))).await
            }
        }
    }

    pub(super) async fn close_async(&self) {
        match self {
            Self::Tokio(peer) => peer.driver().close(PATIENCE).await,
            Self::Threads(_) => {
                let peer = self.clone();
                super::spawn_blocking(move || peer.close()).await;
            }
        }
    }

    pub(super) async fn wait_closed(&self) -> Closed {
        match self {
            Self::Tokio(peer) => peer.driver().wait_closed().await,
            Self::Threads(_) => {
                let peer = self.clone();
                super::spawn_blocking(move || peer.serve_all()).await;
                self.closed().unwrap_or_else(unknown_end)
            }
        }
    }
}

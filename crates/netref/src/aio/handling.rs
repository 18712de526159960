//! Requests of the peer: asynchronous methods run as tasks, the others on threads that may block.

use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use netref_core::memory::Held;
use netref_core::message::{Inbound, Seq};
use netref_core::request::Request;
use tokio::sync::OwnedSemaphorePermit;

use super::Remote;
use super::blocking::{beside, block_on, no_thread};
use super::driver::Driver;
use super::peer::TokioPeer;
use crate::error::{Error, Result};
use crate::object::{MethodFuture, ObjectRef};
use crate::peer::{Peer, answer};
use crate::place::Place;
use crate::pool::POOL;
use crate::raising::from_panic;
use crate::running::{RunningRequest, contained};
use crate::side::Action;
use crate::value::Value;
use crate::world::{Shared, Values};

/// Starts a request. Returns once it has begun: an asynchronous method has run to where it first waits, any other is in
/// the queue of the pool's threads.
///
/// `permit`, its place among those that may run at a time, is given up when it is answered.
pub(super) fn start(peer: TokioPeer, mut message: Inbound<Shared>, permit: Option<OwnedSemaphorePermit>) {
    let driver = peer.driver().clone();
    let peer = Peer::Tokio(peer);
    let request = Request::read(&Values(&peer), &mut message);
    let (seq, held) = (message.seq(), (permit, message.take_held()));
    contained(|| drop(message));
    let (place, action) = driver.side.plan(request);
    let reply = Reply { driver: driver.clone(), peer, seq, place, _held: held };
    match Work::of(action) {
        Work::Task(future) => {
            let running = Running { connection: driver.address(), seq, future };
            begin(&driver, async move { reply.send(running.await).await });
        }
        Work::Blocking(action) => match POOL.place() {
            Ok(place) => place.run(beside(&driver.runtime, move || {
                let _running = RunningRequest::enter(reply.driver.address(), seq);
                let outcome = reply.driver.side.carry_out(&reply.peer, *action);
                block_on(reply.send(outcome));
            })),
            Err(_) => {
                contained(|| drop(action));
                begin(&driver, reply.send(Err(no_thread())));
            }
        },
    }
}

/// How a request is carried out.
enum Work {
    Task(MethodFuture),
    Blocking(Box<Action>),
}

impl Work {
    fn of(action: Result<Action>) -> Self {
        match action {
            Ok(Action::Call { object, name, args }) => {
                let start = AssertUnwindSafe(|| ObjectRef::clone(&object).start_method(&name, args));
                match catch_unwind(start) {
                    Ok(Ok(future)) => Self::Task(future),
                    Ok(Err(args)) => Self::Blocking(Box::new(Action::Call { object, name, args })),
                    Err(panic) => Self::failed(from_panic(&*panic)),
                }
            }
            Ok(Action::Relay { remote, request }) => {
                Self::Task(Box::pin(async move { Remote::from(remote).request(request).await }))
            }
            Ok(action) => Self::Blocking(Box::new(action)),
            Err(error) => Self::failed(error),
        }
    }

    fn failed(error: Error) -> Self {
        Self::Task(Box::pin(ready(Err(error))))
    }
}

/// Runs the first step of a task here and now, so that asynchronous methods start in the order in which they are called,
/// and leaves the rest, if there is any, to the runtime.
fn begin(driver: &Driver, task: impl Future<Output = ()> + Send + 'static) {
    let mut task = Box::pin(task);
    // Nothing is lost by this waker's doing nothing: the runtime polls the task again at once.
    if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        driver.runtime.spawn(task);
    }
}

/// A method of an object of ours as it runs.
struct Running {
    connection: usize,
    seq: Seq,
    future: MethodFuture,
}

impl Future for Running {
    type Output = Result<Value>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Value>> {
        let _running = RunningRequest::enter(self.connection, self.seq);
        catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(from_panic(&*panic))))
    }
}

/// The answer that is due to a request.
struct Reply {
    driver: Arc<Driver>,
    peer: Peer,
    seq: Seq,
    place: Place,
    _held: (Option<OwnedSemaphorePermit>, Option<Held>),
}

impl Reply {
    async fn send(self, outcome: Result<Value>) {
        let Self { driver, peer, seq, place, _held } = self;
        driver.room().await;
        answer(&Values(&peer), &place, outcome, |kind, write| driver.reply(seq, kind, |boxer| write(boxer)));
    }
}

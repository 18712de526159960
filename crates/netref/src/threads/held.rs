//! What waits for this side: requests that come before it is ready for them, and all that a program which serves by itself is to
//! do on its own threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netref_core::message::Inbound;
use netref_core::request::handlers;

use super::serving::Goal;
use super::{Callback, Dispatch, Host, Interrupted, Link};
use crate::running;

/// What is kept until a thread may do it, in the order in which it came.
#[derive(Debug)]
pub(super) struct Held<S> {
    /// This side is not ready for requests yet.
    is_preparing: AtomicBool,
    /// The number of the thread that serves by itself, [`EVERY_THREAD`], or 0 for none.
    by_hand: AtomicU64,
    /// The program looks at the file descriptor to know when to serve.
    is_selected: AtomicBool,
    /// Something is in the queue.
    is_any: AtomicBool,
    queue: Mutex<VecDeque<Duty<S>>>,
}

/// Something that runs code of the program's, and belongs to no thread in particular.
pub(super) enum Duty<S> {
    Request(Inbound<S>),
    CallBack(Callback),
}

const EVERY_THREAD: u64 = u64::MAX;

impl<S> Held<S> {
    pub(super) fn new() -> Self {
        Self {
            is_preparing: AtomicBool::new(false),
            by_hand: AtomicU64::new(0),
            is_selected: AtomicBool::new(false),
            is_any: AtomicBool::new(false),
            queue: Mutex::default(),
        }
    }

    /// Takes out everything.
    pub(super) fn clear(&self) -> VecDeque<Duty<S>> {
        std::mem::take(&mut *self.lock())
    }

    /// How many requests wait for this side to be ready.
    pub(super) fn unready(&self) -> usize {
        if self.is_preparing.load(Ordering::Acquire) { self.lock().len() } else { 0 }
    }

    fn push(&self, duty: Duty<S>) {
        let mut queue = self.lock();
        queue.push_back(duty);
        self.is_any.store(true, Ordering::Relaxed);
    }

    fn pop(&self) -> Option<Duty<S>> {
        let mut queue = self.lock();
        let next = queue.pop_front();
        self.is_any.store(!queue.is_empty(), Ordering::Relaxed);
        next
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Duty<S>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Host> Link<H> {
    /// Has requests of the peer wait until the link is [attended](Self::attend), so that none is carried out while this side
    /// prepares for it: but for those that are part of a call of this side, or on which making a proxy depends. While this
    /// side waits for a call of functions of the peer's, they are carried out all the same, for it may depend on them.
    pub fn hold(&self) {
        self.held.is_preparing.store(true, Ordering::Release);
    }

    /// Lets the link be read in the background from now on, so that an idle program still answers callbacks, and requests that
    /// are [held](Self::hold) begin.
    pub fn attend(self: &Arc<Self>) {
        self.held.is_preparing.store(false, Ordering::Release);
        // A thread that is about to serve comes before the watch does.
        self.last_epoch.store(u64::MAX, Ordering::Release);
        self.be_watched();
    }

    /// The calling thread serves by itself now and then, and may have to, for the program's objects are bound to it: from now
    /// on nothing is read in the background, and whatever the peer asks is done here when this thread [serves](Self::serve_one)
    /// or waits, but for callbacks of calls that others wait for.
    ///
    /// Does nothing while the link is [held](Self::hold), or from inside of a request, where the program but helps out; nor
    /// with [`Dispatch::Pool`], which asks for the opposite.
    pub fn serve_by_hand(&self) {
        let is_helping_out = self.is_preparing() || running::requests_of(self.address()) > 0;
        if !is_helping_out && self.dispatch != Dispatch::Pool {
            self.held.by_hand.store(running::thread_number(), Ordering::Release);
        }
    }

    /// The program looks at the file descriptor to know when to serve: what was read without its doing is not kept for it, since
    /// the descriptor would not show it.
    pub fn be_selected(&self) {
        self.held.is_selected.store(true, Ordering::Release);
    }

    /// As [`serve_by_hand`](Self::serve_by_hand), for every thread that serves or waits.
    pub fn serve_by_hand_everywhere(&self) {
        self.held.by_hand.store(EVERY_THREAD, Ordering::Release);
    }

    /// Whether what the peer sends is read though nobody waits.
    #[must_use]
    pub fn reads_by_itself(&self) -> bool {
        self.background && !self.is_served_by_hand()
    }

    pub(super) fn is_served_by_hand(&self) -> bool {
        self.held.by_hand.load(Ordering::Acquire) != 0
    }

    /// The calling thread does what comes by itself, also while it waits, as in stock RPyC: whatever is not due on another one.
    pub(super) fn is_served_by_hand_here(&self) -> bool {
        let by_hand = self.held.by_hand.load(Ordering::Acquire);
        by_hand == EVERY_THREAD || (by_hand != 0 && by_hand == running::thread_number())
    }

    pub(super) fn is_preparing(&self) -> bool {
        self.held.is_preparing.load(Ordering::Acquire)
    }

    /// Keeps what somebody has read for `goal` until it may be done, after what is kept already; or gives it back if it may.
    pub(super) fn hold_back(
        &self,
        goal: &Goal<'_, H::Shared>,
        duty: Duty<H::Shared>,
    ) -> Option<Duty<H::Shared>> {
        let is_by_hand = self.is_served_by_hand();
        let goes_first = match &duty {
            Duty::Request(request) if is_basic(request.handler()) => true,
            Duty::Request(request) if is_by_hand => {
                self.caller(request).is_some_and(|call| call.is_awaited())
            }
            Duty::Request(request) => is_addressed(request),
            Duty::CallBack(_) => !is_by_hand,
        };
        if goes_first || !(self.held.is_any.load(Ordering::Relaxed) || self.is_held(goal)) {
            return Some(duty);
        }
        self.held.push(duty);
        None
    }

    /// The first of what is kept, if it may be done by now.
    pub(super) fn next_held(&self, goal: &Goal<'_, H::Shared>) -> Option<Duty<H::Shared>> {
        if !self.held.is_any.load(Ordering::Relaxed) || self.is_held(goal) {
            return None;
        }
        // What was kept for the thread that serves by itself is not for others that but wait.
        let is_for_another = self.is_served_by_hand() && !self.is_served_by_hand_here();
        if is_for_another && matches!(goal, Goal::Call(_)) { None } else { self.held.pop() }
    }

    /// Does the first of what is kept, if it may be done by now. False if there is none.
    pub(super) fn begin_held(self: &Arc<Self>, goal: &Goal<'_, H::Shared>) -> Result<bool, Interrupted> {
        let Some(duty) = self.next_held(goal) else { return Ok(false) };
        if let Some(pause) = self.assign(goal, duty) {
            if let Goal::Call(call) | Goal::One(call) = goal {
                call.begin_running();
            }
            self.carry_out(goal, pause)?;
        }
        Ok(true)
    }

    /// Does what is kept if nobody has come for it, though it may be done. Called when a tick of the watch has passed in which
    /// nothing happened.
    pub(super) fn tick_held(self: &Arc<Self>) {
        if self.held.is_any.load(Ordering::Relaxed) && !self.is_preparing() && !self.is_served_by_hand() {
            self.spawn(|link| while link.begin_held(&Goal::Background) == Ok(true) {});
        }
    }

    pub(super) fn is_held(&self, goal: &Goal<'_, H::Shared>) -> bool {
        match goal {
            Goal::One(_) => false,
            // Waiting for a basic request depends on no request of the peer's. Waiting for anything else may.
            Goal::Call(call) => self.is_preparing() && is_basic(call.handler()),
            Goal::Output | Goal::Background => {
                let is_kept = self.is_served_by_hand() && !self.held.is_selected.load(Ordering::Acquire);
                is_kept || self.is_preparing()
            }
        }
    }
}

/// It says which call, or which thread, of this side it belongs to.
pub(super) fn is_addressed<S>(request: &Inbound<S>) -> bool {
    request.parent().is_some() || request.thread().is_some_and(|number| number != 0)
}

/// Requests that run none of the program's code: those on which a connection and its proxies depend.
fn is_basic(handler: i64) -> bool {
    matches!(handler, handlers::GETROOT | handlers::INSPECT | handlers::PING | handlers::CLOSE)
}

impl<S> std::fmt::Debug for Duty<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request(_) => "Request",
            Self::CallBack(_) => "CallBack",
        })
    }
}

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;
use std::time::Instant;

use netref_core::message::{Inbound, Seq};
use smallvec::SmallVec;

use super::Interrupted;
use super::sync::{AtomicBool, Mutex, MutexGuard, Thread, current, park_until};
use crate::failure::CallError;
use crate::running::{nesting, thread_number};

/// Requests of the peer run on the waiting thread, one inside the other, at most as deep as this; deeper ones go to the
/// pool. So a peer cannot exhaust a thread's stack.
pub(super) const MAX_NESTING: usize = 32;

/// What a call ends with: the message with its result or exception, or the reason why there is none.
pub type Outcome<S> = Result<Inbound<S>, CallError>;

/// Something to do when a call ends, on the thread that read its reply.
pub type Callback = Box<dyn FnOnce() + Send>;

/// Why waiting ended before the call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The deadline passed.
    TimedOut,
    /// A signal handler ended the wait.
    Interrupted,
}

impl From<Interrupted> for WaitError {
    fn from(Interrupted: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// A call that awaits its reply, or a thread that serves.
///
/// It completes exactly once. Requests that belong to it wait here for the thread that waits for it.
pub struct Call<S> {
    seq: Option<Seq>,
    handler: i64,
    /// True once a thread has followed another's turn for this call, which few calls ever do.
    pub(super) has_followed: AtomicBool,
    state: Mutex<State<S>>,
}

struct State<S> {
    completed: bool,
    outcome: Option<Outcome<S>>,
    /// Nearly always one thread, if any.
    waiters: SmallVec<[Waiter; 1]>,
    /// How many requests the thread that waits is executing, one inside the other.
    depth: usize,
    /// A thread that waits has to stop in time, and so runs no requests.
    is_punctual: bool,
    inbox: VecDeque<Inbound<S>>,
    callback: Option<Callback>,
}

struct Waiter {
    thread: Thread,
    /// What peers know it by.
    number: u64,
    /// It was woken and has not slept since. The thread's own token for that may go to another sleep: before it comes to its
    /// own here, it can run code that sleeps, in an interpreter or a destructor.
    is_woken: bool,
    /// It is running a request meanwhile.
    is_running: bool,
}

impl Waiter {
    fn wake(&mut self) {
        self.is_woken = true;
        self.thread.unpark();
    }
}

/// What a waiting thread does next.
pub(super) enum Step<S> {
    Completed,
    Run(Inbound<S>),
    Wait,
}

impl<S> Call<S> {
    pub(super) fn new(seq: Seq, handler: i64) -> Self {
        Self::with(Some(seq), handler)
    }

    /// What a serving thread waits for: it never comes, but requests do.
    pub(super) fn serving() -> Self {
        Self::with(None, 0)
    }

    fn with(seq: Option<Seq>, handler: i64) -> Self {
        let state = State {
            completed: false,
            outcome: None,
            waiters: SmallVec::new(),
            depth: 0,
            is_punctual: false,
            inbox: VecDeque::new(),
            callback: None,
        };
        Self { seq, handler, has_followed: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// True once the call has ended, whether or not its outcome was taken.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.lock().completed
    }

    /// Takes the outcome, once.
    #[must_use]
    pub fn take(&self) -> Option<Outcome<S>> {
        self.lock().outcome.take()
    }

    /// Handler number of the request; 0, which no request has, if it was addressed to a name.
    #[must_use]
    pub fn handler(&self) -> i64 {
        self.handler
    }

    pub(super) fn seq(&self) -> Option<Seq> {
        self.seq
    }

    pub(super) fn is_serving(&self) -> bool {
        self.seq.is_none()
    }

    /// Ends the call and wakes who waits for it. Returns its callback, to be run with no lock and no turn held.
    pub(super) fn complete(&self, outcome: Outcome<S>) -> Option<Callback> {
        let mut state = self.lock();
        if state.completed {
            return None;
        }
        state.completed = true;
        state.outcome = Some(outcome);
        state.waiters.iter_mut().for_each(Waiter::wake);
        state.callback.take()
    }

    /// Has `callback` called when the call ends, after those that were given before.
    ///
    /// # Errors
    /// The callback, if the call has ended already.
    pub fn on_completion(&self, callback: Callback) -> Result<(), Callback> {
        let mut state = self.lock();
        if state.completed {
            return Err(callback);
        }
        state.callback = Some(match state.callback.take() {
            None => callback,
            Some(first) => Box::new(move || {
                first();
                callback();
            }),
        });
        Ok(())
    }

    /// The callback, which will then not be called.
    pub(super) fn take_callback(&self) -> Option<Callback> {
        self.lock().callback.take()
    }

    /// Hands a request to a thread that waits for this call, or gives it back if none does or can.
    pub(super) fn hand_over(&self, request: Inbound<S>) -> Option<Inbound<S>> {
        let mut state = self.lock();
        if !state.takes_requests() || state.depth >= MAX_NESTING {
            return Some(request);
        }
        let free = state.waiters.iter().position(|waiter| !waiter.is_running);
        let Some(waiter) = state.waiters.get_mut(free.unwrap_or(0)) else { return Some(request) };
        waiter.wake();
        state.inbox.push_back(request);
        None
    }

    /// The calling thread waits, or is about to: requests that belong to the call are kept for it, unless it is to be
    /// `punctual`.
    pub(super) fn enter(&self, punctual: bool) {
        let mut state = self.lock();
        state.waiters.push(Waiter {
            thread: current(),
            number: thread_number(),
            is_woken: false,
            is_running: false,
        });
        state.depth = nesting();
        state.is_punctual |= punctual;
    }

    /// The calling thread waits no more. If no other thread does either, returns the requests that nobody is left to run.
    pub(super) fn leave(&self) -> Option<VecDeque<Inbound<S>>> {
        let me = current().id();
        let mut state = self.lock();
        // A thread may wait for the same call again inside of a request: the innermost is the last.
        if let Some(index) = state.waiters.iter().rposition(|waiter| waiter.thread.id() == me) {
            state.waiters.remove(index);
        }
        state.waiters.is_empty().then(|| std::mem::take(&mut state.inbox))
    }

    pub(super) fn next_step(&self) -> Step<S> {
        let mut state = self.lock();
        // Requests first: they came before whatever completed the call.
        let request = state.inbox.pop_front();
        state.set_running(request.is_some());
        match request {
            Some(request) => Step::Run(request),
            None if state.completed => Step::Completed,
            None => Step::Wait,
        }
    }

    /// The calling thread, which waits, is busy with something that it has read itself, until its [next step](Self::next_step).
    pub(super) fn begin_running(&self) {
        self.lock().set_running(true);
    }

    /// True if a thread waits that has nothing to do but to read.
    pub(super) fn can_read(&self) -> bool {
        let state = self.lock();
        !state.completed && state.inbox.is_empty() && state.has_free_waiter()
    }

    /// The same, or the thread has just been given its reply or a request: it may well be back at once to read.
    pub(super) fn may_read(&self) -> bool {
        self.lock().has_free_waiter()
    }

    /// True if the thread that waits may run requests meanwhile.
    pub(super) fn takes_requests(&self) -> bool {
        self.lock().takes_requests()
    }

    /// True if a thread waits that has nothing else to do, and could run a request.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        let is_free = state.takes_requests() && state.inbox.is_empty() && state.has_free_waiter();
        is_free && state.depth < MAX_NESTING
    }

    /// True if a thread waits.
    pub(super) fn is_awaited(&self) -> bool {
        !self.lock().waiters.is_empty()
    }

    /// True if the thread of this number waits, and could run a request.
    pub(super) fn is_waited_for_by(&self, number: u64) -> bool {
        let state = self.lock();
        !state.completed && state.waiters.iter().any(|waiter| waiter.number == number)
    }

    /// True if the calling thread waits.
    pub(super) fn is_awaited_here(&self) -> bool {
        let me = current().id();
        self.lock().waiters.iter().any(|waiter| waiter.thread.id() == me)
    }

    pub(super) fn wake(&self) {
        self.lock().waiters.iter_mut().for_each(Waiter::wake);
    }

    /// Sleeps until the calling thread, which waits, was woken since it slept last, or until the deadline.
    pub(super) fn sleep(&self, deadline: Option<Instant>) {
        let me = current().id();
        let is_woken = || {
            let mut state = self.lock();
            let mine = state.waiters.iter_mut().rfind(|waiter| waiter.thread.id() == me);
            mine.is_none_or(|waiter| std::mem::take(&mut waiter.is_woken))
        };
        while !is_woken() {
            if !park_until(deadline) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> State<S> {
    /// Notes whether the calling thread runs a request. Others that wait for the same call may do, or not.
    fn set_running(&mut self, is_running: bool) {
        let me = current().id();
        if let Some(mine) = self.waiters.iter_mut().rfind(|waiter| waiter.thread.id() == me) {
            mine.is_running = is_running;
        }
    }

    fn has_free_waiter(&self) -> bool {
        self.waiters.iter().any(|waiter| !waiter.is_running)
    }

    fn takes_requests(&self) -> bool {
        !self.completed && !self.is_punctual
    }
}

impl<S> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("seq", &self.seq).field("handler", &self.handler).finish_non_exhaustive()
    }
}

//! Requests that wait: for a pool thread, or to be read at all.
//!
//! A request that no waiting thread is due to run takes a pool thread, and only so many run at a time. Those that wait are kept
//! in memory, of which they may take so much. Then nothing more is read: the peer feels it. But a side that waits for a
//! reply goes on reading, for the reply may be behind them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use netref_core::message::{Inbound, Seq};

use super::serving::{Goal, Pause, SIGNAL_CHECK, earlier};
use super::{Host, Link};
use crate::alarm::Alarm;

/// Requests of one link on pool threads, and those that wait for one.
///
/// They begin in order, each when the one before it has come so far that its code runs for certain: it has made a call, it is
/// done, or a tick of the watch has passed.
#[derive(Debug)]
pub(super) struct Backlog<S> {
    state: Mutex<State<S>>,
    /// The request that is about to begin, for those that only want to know whether it is theirs.
    beginning: AtomicI64,
}

#[derive(Debug)]
struct State<S> {
    running: usize,
    waiting: VecDeque<Inbound<S>>,
    /// The request that is about to begin, and whether the watch has seen it.
    beginning: Option<(Seq, bool)>,
}

/// No request: peers number theirs from 0, and one that does not is only a little slower.
pub(super) const NONE: Seq = Seq::MIN;

impl<S> Backlog<S> {
    pub(super) fn new() -> Self {
        let state = State { running: 0, waiting: VecDeque::new(), beginning: None };
        Self { state: Mutex::new(state), beginning: AtomicI64::new(NONE) }
    }

    /// Takes out what has not begun.
    pub(super) fn clear(&self) -> VecDeque<Inbound<S>> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// The request that is to begin next, if it may. It is running from now on.
    fn next(&self, state: &mut State<S>, max: usize) -> Option<Inbound<S>> {
        if state.beginning.is_some() || state.running >= max {
            return None;
        }
        let next = state.waiting.pop_front()?;
        state.running += 1;
        self.set_beginning(state, Some((next.seq(), false)));
        Some(next)
    }

    fn set_beginning(&self, state: &mut State<S>, beginning: Option<(Seq, bool)>) {
        state.beginning = beginning;
        self.beginning.store(beginning.map_or(NONE, |(seq, _)| seq), Ordering::Relaxed);
    }

    /// The request has begun for certain.
    fn has_begun(&self, state: &mut State<S>, seq: Seq) {
        if state.beginning.is_some_and(|(beginning, _)| beginning == seq) {
            self.set_beginning(state, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Host> Link<H> {
    pub(super) fn run_on_pool(self: &Arc<Self>, request: Inbound<H::Shared>) {
        if request.depth() > 1 {
            // Part of another request of the peer's, which may hold a place already and wait for this one.
            // There is nobody on a driver's thread to interrupt.
            return self.spawn(|link| {
                let _ = link.run(request);
            });
        }
        self.backlog.lock().waiting.push_back(request);
        self.begin_next();
        if self.backlog.beginning.load(Ordering::Relaxed) != NONE {
            // The watch sees to it that no other waits for this one for long.
            self.be_watched();
        }
    }

    /// Whether a request may begin on the calling thread, which is of the pool: as [`may_begin`](Self::may_begin), and there is
    /// a place. The thread has to run it [in turn](Self::run_in_turn).
    pub(super) fn may_begin_on_pool(&self, seq: Seq) -> bool {
        let mut state = self.backlog.lock();
        let is_next = state.beginning.is_none() && state.waiting.is_empty();
        let may_begin = is_next && state.running < self.limits.max_inflight.max(1);
        if may_begin {
            state.running += 1;
            self.backlog.set_beginning(&mut state, Some((seq, false)));
        }
        may_begin
    }

    /// Whether a request may begin on a thread that waits, for none that came before it is still to begin.
    pub(super) fn may_begin(&self, seq: Seq) -> bool {
        let mut state = self.backlog.lock();
        let may_begin = state.beginning.is_none() && state.waiting.is_empty();
        if may_begin {
            self.backlog.set_beginning(&mut state, Some((seq, false)));
        }
        may_begin
    }

    /// The calling thread runs that request, and makes a call from inside it or is done with it.
    pub(super) fn note_progress(self: &Arc<Self>, seq: Seq) {
        if self.backlog.beginning.load(Ordering::Relaxed) == seq {
            self.backlog.has_begun(&mut self.backlog.lock(), seq);
            self.begin_next();
        }
    }

    /// A tick has passed. True if another is needed.
    pub(super) fn tick_backlog(self: &Arc<Self>) -> bool {
        if self.backlog.beginning.load(Ordering::Relaxed) == NONE {
            return false;
        }
        let mut state = self.backlog.lock();
        match &mut state.beginning {
            Some((seq, true)) => {
                let seq = *seq;
                self.backlog.has_begun(&mut state, seq);
            }
            Some((_, was_seen)) => *was_seen = true,
            None => {}
        }
        drop(state);
        self.begin_next();
        self.backlog.beginning.load(Ordering::Relaxed) != NONE
    }

    fn begin_next(self: &Arc<Self>) {
        let next = self.backlog.next(&mut self.backlog.lock(), self.limits.max_inflight.max(1));
        if let Some(first) = next {
            self.spawn(|link| link.run_in_turn(first));
        }
    }

    /// Runs a request that has a place among those of the pool, and then others in its place.
    pub(super) fn run_in_turn(self: &Arc<Self>, first: Inbound<H::Shared>) {
        let mut next = Some(first);
        while let Some(request) = next {
            let _ = self.run(request);
            let mut state = self.backlog.lock();
            state.running -= 1;
            next = self.backlog.next(&mut state, self.limits.max_inflight.max(1));
        }
    }

    /// True if nothing should be read until requests have begun.
    pub(super) fn is_overloaded(&self) -> bool {
        self.unbegun.size() > self.limits.max_backlog && self.session().is_overloaded()
    }

    /// Waits, with the turn to read, until there is to be read again.
    pub(super) fn pause(
        self: &Arc<Self>,
        goal: &Goal<'_, H::Shared>,
        deadline: Option<Instant>,
    ) -> Pause<H::Shared> {
        // Who only wants to write can do so without the turn, and what is held begins by way of another.
        if matches!(goal, Goal::Output) || self.is_held(goal) {
            return Pause::Return;
        }
        if self.has_unsent() {
            // What this thread would have seen to.
            self.spawn(Self::transmit_rest);
        }
        let alarm = Alarm::here();
        let waker = Waker::from(alarm.clone());
        while self.session().poll_room(&waker).is_pending() {
            let is_wanted = matches!(goal, Goal::Background) && self.turn.has_followers();
            if is_wanted || deadline.is_some_and(|at| Instant::now() >= at) {
                break;
            }
            let check = self.host.heeds_signals().then(|| Instant::now() + SIGNAL_CHECK);
            self.host.blocking(|| alarm.sleep(earlier(deadline, check)));
            if check.is_some() {
                return Pause::CheckSignals;
            }
        }
        Pause::Return
    }
}

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Call;
use super::sync::{Mutex, MutexGuard};

/// Who reads. At most one thread has the turn; those that wait without it are followers.
#[derive(Debug)]
pub(super) struct Turn<S> {
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    taken: bool,
    followers: Vec<Arc<Call<S>>>,
    /// Grows whenever the turn is given up, so that the watch can tell a quiet link from a busy one.
    epoch: u64,
}

/// What [`Turn::look`] sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) taken: bool,
    pub(super) epoch: u64,
}

impl<S> Turn<S> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { taken: false, followers: Vec::new(), epoch: 0 }) }
    }

    /// Takes the turn if it is free.
    pub(super) fn try_take(&self) -> bool {
        let mut state = self.lock();
        !std::mem::replace(&mut state.taken, true)
    }

    /// Takes the turn if it is free, else makes the waiter of `call` a follower, to be woken when it is.
    pub(super) fn take_or_follow(&self, call: &Arc<Call<S>>) -> bool {
        let mut state = self.lock();
        if !state.taken {
            state.taken = true;
            return true;
        }
        if !state.followers.iter().any(|follower| Arc::ptr_eq(follower, call)) {
            call.has_followed.store(true, Ordering::Relaxed);
            state.followers.push(call.clone());
        }
        false
    }

    /// Gives up the turn and wakes a follower, if there is one. Returns true if nobody is left to read.
    pub(super) fn give_up(&self) -> bool {
        let mut state = self.lock();
        state.taken = false;
        state.epoch += 1;
        wake_one(&state)
    }

    /// A thread waits for `call` no more; `deserted` if no other does. If it was the one woken to read, another is woken
    /// in its place. Returns true if nobody is left to read.
    pub(super) fn leave(&self, call: &Arc<Call<S>>, deserted: bool) -> bool {
        if !call.has_followed.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        if !state.followers.iter().any(|follower| Arc::ptr_eq(follower, call)) {
            return false;
        }
        if deserted {
            state.followers.retain(|follower| !Arc::ptr_eq(follower, call));
        }
        !state.taken && wake_one(&state)
    }

    /// True if somebody waits to read, or did until its reply or a callback came: were all that read in the background, each of
    /// its further calls and callbacks would be handed over, too. Who follows and is busy with something else does not.
    pub(super) fn has_followers(&self) -> bool {
        self.lock().followers.iter().any(|call| call.may_read())
    }

    /// A parked thread that serves and has nothing to do, to run a request that belongs to no call.
    pub(super) fn idle_server(&self) -> Option<Arc<Call<S>>> {
        self.lock().followers.iter().find(|call| call.is_serving() && call.is_idle()).cloned()
    }

    pub(super) fn look(&self) -> Glance {
        let state = self.lock();
        Glance { taken: state.taken, epoch: state.epoch }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake_one<S>(state: &State<S>) -> bool {
    match state.followers.iter().find(|call| call.can_read()) {
        Some(call) => {
            call.wake();
            false
        }
        None => true,
    }
}

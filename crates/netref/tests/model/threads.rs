//! The driver's modules, made of what the model checker controls.

#[path = "../../src/threads/call.rs"]
mod call;
#[path = "../../src/threads/turn.rs"]
mod turn;

mod sync {
    pub(super) use shuttle::sync::atomic::AtomicBool;
    pub(super) use shuttle::sync::{Mutex, MutexGuard};

    /// A thread to be woken. It sleeps until it is: one that might wake for no reason would hide that nobody wakes it.
    #[derive(Clone, Default)]
    pub struct Thread(std::sync::Arc<(Mutex<bool>, shuttle::sync::Condvar)>);

    shuttle::thread_local! {
        static CURRENT: Thread = Thread::default();
    }

    pub fn current() -> Thread {
        CURRENT.with(Clone::clone)
    }

    /// Deadlines never pass here.
    pub fn park_until(_deadline: Option<std::time::Instant>) -> bool {
        let thread = current();
        let mut is_woken = thread.0.0.lock().unwrap();
        while !*is_woken {
            is_woken = thread.0.1.wait(is_woken).unwrap();
        }
        *is_woken = false;
        true
    }

    /// What code does that is not the driver's and sleeps: it takes a wake-up that was not meant for it.
    pub fn sleep_elsewhere() {
        *current().0.0.lock().unwrap() = false;
    }

    impl Thread {
        pub fn unpark(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_one();
        }

        pub fn id(&self) -> usize {
            std::sync::Arc::as_ptr(&self.0).addr()
        }
    }
}

pub use call::Call;
pub use sync::sleep_elsewhere;

/// A signal handler asked for the wait to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

// What only the driver itself may see of the two is passed on to the model of the driver.

pub struct Turn(turn::Turn<()>);

pub enum Step {
    Completed,
    Run(netref_core::message::Inbound<()>),
    Wait,
}

impl Turn {
    pub fn new() -> Self {
        Self(turn::Turn::new())
    }
    pub fn try_take(&self) -> bool {
        self.0.try_take()
    }
    pub fn take_or_follow(&self, call: &std::sync::Arc<Call<()>>) -> bool {
        self.0.take_or_follow(call)
    }
    pub fn give_up(&self) -> bool {
        self.0.give_up()
    }
    pub fn leave(&self, call: &std::sync::Arc<Call<()>>, deserted: bool) -> bool {
        self.0.leave(call, deserted)
    }
    pub fn has_followers(&self) -> bool {
        self.0.has_followers()
    }
    pub fn is_taken(&self) -> bool {
        self.0.look().taken
    }
}

pub fn new_call(seq: i64) -> std::sync::Arc<Call<()>> {
    std::sync::Arc::new(Call::new(seq, 0))
}

pub fn enter(call: &Call<()>) {
    call.enter(false);
}

pub fn leave(call: &Call<()>) -> Option<std::collections::VecDeque<netref_core::message::Inbound<()>>> {
    call.leave()
}

/// What the end of a thread's patience does, too.
pub fn wake(call: &Call<()>) {
    call.wake();
}

pub fn sleep(call: &Call<()>) {
    call.sleep(None);
}

pub fn next_step(call: &Call<()>) -> Step {
    match call.next_step() {
        call::Step::Completed => Step::Completed,
        call::Step::Run(request) => Step::Run(request),
        call::Step::Wait => Step::Wait,
    }
}

pub fn complete(call: &Call<()>) {
    drop(call.complete(Err(crate::failure::CallError::Ended)));
}

pub fn hand_over(
    call: &Call<()>,
    request: netref_core::message::Inbound<()>,
) -> Option<netref_core::message::Inbound<()>> {
    call.hand_over(request)
}

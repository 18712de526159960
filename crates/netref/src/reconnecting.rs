use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::remote::Remote;
use crate::running::contained;
use crate::time_limit::LONGEST;

/// A connection that ends sooner is no better than none.
const SHORT: Duration = Duration::from_secs(1);

/// What a [`Reconnecting`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconnectingState {
    /// It has no connection; the next use makes one.
    Disconnected,
    /// It makes a connection.
    Connecting,
    /// It has a connection.
    Connected,
    /// An attempt has failed, and another is made soon.
    Waiting,
    /// It was closed.
    Closed,
}

/// A peer's root over whatever connection there is at present; the first use after a loss makes a new one.
///
/// A call that is under way when the connection is lost fails with [`Error::Closed`] and is never repeated. So does every use
/// of what was got over a lost connection, with [`Error::Stale`]: it never reaches another object. Threads may share the
/// handle by reference.
///
/// Attempts that fail with [`Error::Connect`], [`Error::Io`] or [`Error::Closed`] are repeated, after a pause that doubles from
/// one to the next, less up to half of it by chance. Other errors go to whoever needed the connection.
///
/// ```no_run
/// let server = netref::Reconnecting::new(|| netref::connect("tcp://localhost:18861"));
/// let answer: i64 = server.root()?.call_method("add", (40, 2))?.extract()?;
/// # Ok::<(), netref::Error>(())
/// ```
pub struct Reconnecting {
    dial: Box<dyn Fn() -> Result<Connection> + Send + Sync>,
    timeout: Option<Duration>,
    shared: Arc<Shared>,
}

type OnState = Box<dyn Fn(ReconnectingState) + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    on_state: OnceLock<OnState>,
}

struct State {
    now: ReconnectingState,
    present: Option<Connection>,
    since: Instant,
    is_dialling: bool,
    failures: u32,
    next_attempt: Instant,
    first_pause: Duration,
    last_pause: Duration,
    news: VecDeque<ReconnectingState>,
    is_telling: bool,
}

impl Reconnecting {
    /// A handle that connects by `dial`, when it is first used.
    pub fn new(dial: impl Fn() -> Result<Connection> + Send + Sync + 'static) -> Self {
        let state = State {
            now: ReconnectingState::Disconnected,
            present: None,
            since: Instant::now(),
            is_dialling: false,
            failures: 0,
            next_attempt: Instant::now(),
            first_pause: Duration::from_millis(100),
            last_pause: Duration::from_secs(30),
            news: VecDeque::new(),
            is_telling: false,
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), on_state: OnceLock::new() };
        Self { dial: Box::new(dial), timeout: Some(Duration::from_secs(30)), shared: Arc::new(shared) }
    }

    /// How long a use waits for a connection; `None` for ever. 30 seconds unless set.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The pause after the first failure, and the longest. 100 ms and 30 s unless set.
    #[must_use]
    pub fn pauses(self, first: Duration, last: Duration) -> Self {
        {
            let mut state = self.shared.lock();
            (state.first_pause, state.last_pause) = (first, last.min(LONGEST));
        }
        self
    }

    /// Has `on_state` called with each new state, with nothing locked and in order. Only the first counts.
    #[must_use]
    pub fn on_state(self, on_state: impl Fn(ReconnectingState) + Send + Sync + 'static) -> Self {
        let _ = self.shared.on_state.set(Box::new(on_state));
        self
    }

    /// The root of the present connection. One round trip the first time over each connection.
    ///
    /// # Errors
    /// As of [`connection`](Self::connection), and as for every operation on a [`Remote`].
    pub fn root(&self) -> Result<Remote> {
        self.connection()?.root()
    }

    /// What the handle is doing.
    #[must_use]
    pub fn state(&self) -> ReconnectingState {
        self.shared.lock().now
    }

    /// The present connection. Makes one if there is none, and blocks until it is there.
    ///
    /// # Errors
    /// That of the last attempt, if none succeeds in time; [`Error::Io`] if the handle is closed.
    pub fn connection(&self) -> Result<Connection> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut last = None;
        loop {
            if let Some(connection) = self.present_or_turn_to_dial(deadline, &mut last)? {
                return Ok(connection);
            }
            self.shared.tell();
            let failure = self.dial().err();
            self.shared.tell();
            match failure {
                None => {}
                Some(error @ (Error::Connect { .. } | Error::Io(_) | Error::Closed(_))) => last = Some(error),
                Some(error) => return Err(error),
            }
        }
    }

    /// Closes the connection, if there is one, and ends every wait for one.
    pub fn close(&self) {
        let present = {
            let mut state = self.shared.lock();
            if state.now != ReconnectingState::Closed {
                state.enter(ReconnectingState::Closed);
            }
            state.present.take()
        };
        self.shared.changed.notify_all();
        if let Some(connection) = present {
            connection.close();
        }
        self.shared.tell();
    }

    /// The present connection, or `None` if it is for this thread to make one.
    fn present_or_turn_to_dial(
        &self,
        deadline: Option<Instant>,
        last: &mut Option<Error>,
    ) -> Result<Option<Connection>> {
        // Dropped with nothing locked.
        let mut lost = Vec::new();
        let mut state = self.shared.lock();
        loop {
            if state.now == ReconnectingState::Closed {
                return Err(closed());
            }
            let present = state.present.clone();
            match present {
                Some(connection) if connection.closed().is_none() => return Ok(Some(connection)),
                Some(_) => lost.extend(state.lose()),
                None => {}
            }
            let now = Instant::now();
            let is_late = deadline.is_some_and(|at| now >= at);
            // Whoever uses it tries once, however little time there is.
            if !state.is_dialling && now >= state.next_attempt && !(is_late && last.is_some()) {
                state.is_dialling = true;
                state.enter(ReconnectingState::Connecting);
                return Ok(None);
            }
            if is_late {
                return Err(last.take().unwrap_or_else(timed_out));
            }
            let attempt = (!state.is_dialling).then_some(state.next_attempt);
            let until = [deadline, attempt].into_iter().flatten().min();
            state = match until {
                // Whoever dials, or closes the handle, wakes this thread.
                Some(at) => {
                    let left = at.saturating_duration_since(now);
                    let woken = self.shared.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Makes a connection.
    fn dial(&self) -> Result<()> {
        let dialling = Dialling(&self.shared);
        let dialled = (self.dial)();
        let mut state = self.shared.lock();
        state.is_dialling = false;
        std::mem::forget(dialling);
        let is_unwanted = state.now == ReconnectingState::Closed;
        let kept = match dialled {
            Ok(connection) if is_unwanted => {
                drop(state);
                connection.close();
                return Err(closed());
            }
            Ok(connection) => {
                connection.peer().expect_successor();
                state.present = Some(connection.clone());
                state.since = Instant::now();
                state.enter(ReconnectingState::Connected);
                Ok(connection)
            }
            Err(error) => {
                if !is_unwanted {
                    state.failures += 1;
                    state.pause();
                    state.enter(ReconnectingState::Waiting);
                }
                Err(error)
            }
        };
        drop(state);
        self.shared.changed.notify_all();
        let connection = kept?;
        let shared = Arc::downgrade(&self.shared);
        connection.peer().on_end(Box::new(move |_| {
            let Some(shared) = shared.upgrade() else { return };
            let lost = {
                let mut state = shared.lock();
                let is_over = state.present.as_ref().is_some_and(|present| present.closed().is_some());
                if is_over { state.lose() } else { None }
            };
            drop(lost);
            shared.changed.notify_all();
            shared.tell();
        }));
        Ok(())
    }
}

/// This thread makes a connection. Dropped if that panics, so that another can.
struct Dialling<'a>(&'a Shared);

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.0.lock().is_dialling = false;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `on_state` for all that is new, unless another thread is at it, which will see it.
    fn tell(&self) {
        loop {
            let news = {
                let mut state = self.lock();
                if state.is_telling || state.news.is_empty() {
                    return;
                }
                state.is_telling = true;
                std::mem::take(&mut state.news)
            };
            for state in news {
                if let Some(on_state) = self.on_state.get() {
                    contained(|| on_state(state));
                }
            }
            self.lock().is_telling = false;
        }
    }
}

impl State {
    fn enter(&mut self, state: ReconnectingState) {
        self.now = state;
        self.news.push_back(state);
    }

    fn lose(&mut self) -> Option<Connection> {
        let lost = self.present.take();
        self.failures = if self.since.elapsed() < SHORT { self.failures + 1 } else { 0 };
        self.pause();
        self.enter(ReconnectingState::Disconnected);
        lost
    }

    /// Has the next attempt wait, the longer the more have failed.
    fn pause(&mut self) {
        let doubled = 2_u32.checked_pow(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = match self.failures {
            0 => Duration::ZERO,
            _ => self.first_pause.saturating_mul(doubled).min(self.last_pause),
        };
        let chance = RandomState::new().build_hasher().finish() % 1024;
        let chance = u32::try_from(chance).unwrap_or_default();
        self.next_attempt = Instant::now() + pause / 2 + pause * chance / 2048;
    }
}

fn closed() -> Error {
    std::io::Error::new(std::io::ErrorKind::NotConnected, "the reconnecting handle is closed").into()
}

fn timed_out() -> Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "another thread made no connection in time").into()
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting").field("state", &self.state()).finish_non_exhaustive()
    }
}

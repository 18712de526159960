//! The end of the interpreter.
//!
//! A thread that wants the interpreter lock while the interpreter shuts down is unwound by CPython older than 3.14, and with
//! a Rust frame on its stack that aborts the whole process. So before the shutdown begins, threads on their way into Python
//! are turned away or stopped for good, and those that are inside are waited for, for a moment.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;

/// How long threads that run Python code are waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// Between two looks whether they are done; also the time for threads that were just being let in.
const PAUSE: Duration = Duration::from_millis(1);

static ENDING: AtomicBool = AtomicBool::new(false);
static ENDED_BY: OnceLock<ThreadId> = OnceLock::new();
/// Threads that run Python code for the driver, each counted once.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, the interpreter does not shut down under this thread, within reason.
#[must_use]
pub(crate) struct Inside(());

impl Inside {
    /// None if the interpreter is about to shut down.
    pub(crate) fn enter() -> Option<Self> {
        let depth = DEPTH.get();
        if depth == 0 {
            INSIDE.fetch_add(1, Ordering::SeqCst);
            if is_over() {
                INSIDE.fetch_sub(1, Ordering::SeqCst);
                return None;
            }
        }
        DEPTH.set(depth + 1);
        Some(Self(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Runs `work` with the interpreter, unless that is about to shut down.
pub(crate) fn attach<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _inside = Inside::enter()?;
    let is_new = ThreadState::keep();
    Python::try_attach(|py| {
        if is_new && let Err(error) = take_hooks(py) {
            error.write_unraisable(py, None);
        }
        work(py)
    })
}

/// Has debuggers, profilers and `coverage` see what runs on this thread, as `threading` does with the threads that it starts.
fn take_hooks(py: Python<'_>) -> PyResult<()> {
    let threading = py.import(intern!(py, "threading"))?;
    let sys = py.import(intern!(py, "sys"))?;
    for (get, set) in [("gettrace", "settrace"), ("getprofile", "setprofile")] {
        let hook = threading.call_method0(get)?;
        if !hook.is_none() {
            sys.call_method1(set, (hook,))?;
        }
    }
    Ok(())
}

/// Keeps what the interpreter knows of a thread of the driver for as long as the thread lives.
///
/// Otherwise it would be made anew for each attachment, under a lock of CPython's that a fork in another thread at that
/// moment leaves locked for ever in the child (before Python 3.12).
struct ThreadState(*mut pyo3::ffi::PyThreadState);

impl ThreadState {
    /// Whether it was not kept before.
    fn keep() -> bool {
        thread_local! {
            static KEPT: Cell<Option<ThreadState>> = const { Cell::new(None) };
        }
        // SAFETY: asks only whether the interpreter knows the calling thread, and may be called without holding its lock.
        #[expect(unsafe_code, reason = "PyO3 has no question for it")]
        let is_known = unsafe { !pyo3::ffi::PyGILState_GetThisThreadState().is_null() };
        if is_known {
            return false;
        }
        // SAFETY: the interpreter is initialised, since this module is loaded, and not shutting down, since the thread counts
        // as `Inside`. The first call makes the thread state and takes the lock; the second gives the lock up again and
        // returns the state, which stays this thread's until `drop` undoes both.
        #[expect(unsafe_code, reason = "PyO3 attaches and detaches only by scopes")]
        let state = unsafe {
            pyo3::ffi::PyGILState_Ensure();
            pyo3::ffi::PyEval_SaveThread()
        };
        KEPT.set(Some(Self(state)));
        true
    }
}

impl Drop for ThreadState {
    fn drop(&mut self) {
        // An interpreter that shuts down clears away the states of all threads by itself.
        let Some(_inside) = Inside::enter() else { return };
        // SAFETY: runs at the end of the thread that `keep` ran on, which is attached nowhere by then. The first call takes
        // the lock with the state that `keep` made; the second is the counterpart of `PyGILState_Ensure` there, which had
        // found the lock not held.
        #[expect(unsafe_code, reason = "PyO3 attaches and detaches only by scopes")]
        unsafe {
            pyo3::ffi::PyEval_RestoreThread(self.0);
            pyo3::ffi::PyGILState_Release(pyo3::ffi::PyGILState_STATE::PyGILState_UNLOCKED);
        }
    }
}

/// Runs `wait` without the interpreter. If that is about to shut down when it is over, it never returns.
pub(crate) fn detach<R: Send>(py: Python<'_>, wait: impl FnOnce() -> R + Send) -> R {
    py.detach(|| {
        // What `wait` does may enter again, as streams in Python do.
        let depth = DEPTH.replace(0);
        let is_counted = depth > 0;
        if is_counted {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
        let result = wait();
        if is_counted {
            INSIDE.fetch_add(1, Ordering::SeqCst);
        }
        if is_over() {
            if is_counted {
                INSIDE.fetch_sub(1, Ordering::SeqCst);
            }
            loop {
                thread::park();
            }
        }
        DEPTH.set(depth);
        result
    })
}

/// For other threads than the one that ends the interpreter.
fn is_over() -> bool {
    ENDING.load(Ordering::SeqCst) && ENDED_BY.get() != Some(&thread::current().id())
}

/// To be called right before the interpreter shuts down.
#[pyfunction]
pub(crate) fn prepare_exit(py: Python<'_>) {
    // Called once; a second time would be by the same thread.
    let _ = ENDED_BY.set(thread::current().id());
    ENDING.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    py.detach(|| {
        loop {
            thread::sleep(PAUSE);
            if INSIDE.load(Ordering::SeqCst) == 0 || Instant::now() >= deadline {
                break;
            }
        }
    });
}

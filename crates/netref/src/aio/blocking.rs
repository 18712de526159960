//! Where the world of tasks and that of blocking threads meet.

use std::cell::Cell;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::alarm::Alarm;
use crate::error::{Error, Result};
use crate::pool::POOL;
use crate::raising::caught;
use crate::running::{self, RunningRequest, contained};

thread_local! {
    /// True on a thread that is there to be blocked.
    static PERMITTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which may block, on a thread of the runtime that is there for that, and waits for it.
///
/// Like tokio's function of the same name, with two additions: blocking operations of this crate, such as those of
/// [`netref::Remote`](crate::Remote), are allowed in it (in asynchronous code they fail with
/// [`Error::WouldBlock`](crate::Error::WouldBlock)); and calls made in it count as part of the request that the caller is
/// carrying out. Outside of a runtime, runs `work` on the calling thread.
///
/// Cancel safety: if the future is dropped, `work` goes on, and its result is lost.
///
/// ```no_run
/// # async fn example() -> netref::Result<()> {
/// let conn = netref::aio::connect("tcp://localhost:18861").await?;
/// let samples = conn.root().await?.get_attr("samples").await?;
/// // Fetches the items of a remote list, which blocks.
/// let samples: Vec<f64> = netref::aio::spawn_blocking(|| samples.extract()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If `work` does, or if the runtime shuts down before `work` has begun.
pub async fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let Ok(runtime) = Handle::try_current() else { return work() };
    let requests = running::all();
    let work = permitted(move || {
        let _running = RunningRequest::enter_all(&requests);
        work()
    });
    match runtime.spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => panic!("the runtime has shut down"),
        },
    }
}

/// Runs `work` of a request, which may block, on a thread of the [pool](crate::pool), and waits for it.
pub(crate) async fn on_pool<R: Send + 'static>(
    work: impl FnOnce() -> Result<R> + Send + 'static,
) -> Result<R> {
    let Ok(runtime) = Handle::try_current() else { return work() };
    let place = POOL.place().map_err(|_| no_thread())?;
    let requests = running::all();
    let (report, outcome) = oneshot::channel();
    place.run(beside(&runtime, move || {
        let _running = RunningRequest::enter_all(&requests);
        drop(report.send(caught(work)));
    }));
    outcome.await.unwrap_or_else(|_| Err(no_thread()))
}

/// That a request is not carried out.
pub(super) fn no_thread() -> Error {
    Error::raise("MemoryError", "there is no memory for a thread to carry this out")
}

/// Wraps work for a thread of the [pool](crate::pool), which may block, and where the runtime can be used all the same.
///
/// The runtime's own threads for that will not do: it starts them without asking whether there is memory for one more.
pub(super) fn beside<F: FnOnce()>(runtime: &Handle, work: F) -> impl FnOnce() + use<F> {
    let runtime = runtime.clone();
    let work = permitted(work);
    move || {
        let _inside = runtime.enter();
        contained(work);
    }
}

/// Wraps work for a thread that may block, so that [`may_block`] says so.
fn permitted<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    move || {
        struct Restore(bool);
        impl Drop for Restore {
            fn drop(&mut self) {
                PERMITTED.set(self.0);
            }
        }
        let _restore = Restore(PERMITTED.replace(true));
        work()
    }
}

/// Whether the calling thread may block. Code that runs in a runtime may not, unless this crate put it on a thread for
/// that: it would keep the tasks from running that it waits for. The same everywhere, so that a program which works in
/// one flavor of runtime works in all.
pub(super) fn may_block() -> bool {
    PERMITTED.get() || Handle::try_current().is_err()
}

/// Runs a future on the calling thread, which is parked while the future waits.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let alarm = Alarm::here();
    let waker = Waker::from(alarm.clone());
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => alarm.sleep(None),
        }
    }
}

/// The same, giving up at the deadline.
pub(super) fn block_on_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let alarm = Alarm::here();
    let waker = Waker::from(alarm.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if Instant::now() >= deadline {
            return None;
        }
        alarm.sleep(Some(deadline));
    }
}

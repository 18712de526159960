//! Limits on how long operations wait, for a block of code.

use std::cell::Cell;
use std::time::Duration;

/// Longer than any connection lasts, and instants can be calculated with it: what is longer, such as `Duration::MAX`, counts as this.
pub(crate) const LONGEST: Duration = Duration::from_secs(1 << 32);

thread_local! {
    /// The limit of the innermost block that the calling thread is in.
    static LIMIT: Cell<Option<Option<Duration>>> = const { Cell::new(None) };
}

/// Runs `work`, in which no operation waits longer for its reply than `limit`, whatever the option `timeout` of its
/// connection is; `None` is no limit. It holds for all connections, in this thread alone.
///
/// A time-out ends the wait and nothing else: the connection stays usable. With a limit below 30 s, callbacks of the calls
/// made in `work` run on other threads, for it could not be kept while one runs on this.
///
/// Asynchronous code has `tokio::time::timeout`.
///
/// ```no_run
/// use std::time::Duration;
///
/// let conn = netref::connect("tcp://lab-pc:18861")?;
/// let lab = conn.root()?;
/// let spectrum = netref::with_timeout(Some(Duration::from_secs(600)), || lab.call_method("measure", ()))?;
/// # Ok::<(), netref::Error>(())
/// ```
pub fn with_timeout<R>(limit: Option<Duration>, work: impl FnOnce() -> R) -> R {
    struct Outer(Option<Option<Duration>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _outer = Outer(LIMIT.replace(Some(limit)));
    work()
}

/// The limit of the block that the calling thread is in, if it is in one.
pub(crate) fn of_block() -> Option<Option<Duration>> {
    LIMIT.get()
}

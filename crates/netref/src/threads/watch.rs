//! The watch: one thread of the process that notices links nobody attends to.
//!
//! A thread that gives up the turn to read with no follower to take it over tells the watch, which looks at the link
//! a tick later. If the turn was neither taken nor given up since, a pool thread starts to read in the background; and
//! references that wait to be given back are sent. So a busy link costs nothing but being looked at now and then, and
//! nothing at all is done for a link that is idle with a reader.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::process::PerProcess;

/// Between two looks, while links come under watch.
const FIRST_TICK: Duration = Duration::from_millis(1);
/// Between two looks at links that go on being busy: nobody else has to attend to those.
const LAST_TICK: Duration = Duration::from_millis(8);

/// What the watch sees of a link.
pub(super) trait Watched: Send + Sync {
    /// Looks at the link. Returns false if it needs no more watching until it asks again.
    fn tick(self: Arc<Self>) -> bool;
}

#[derive(Default)]
struct Watch {
    links: Mutex<Vec<Weak<dyn Watched>>>,
    thread: OnceLock<Option<Thread>>,
}

static WATCH: PerProcess<Watch> = PerProcess::new();

/// Looks at `link` from the next tick on, until its [`tick`](Watched::tick) returns false.
pub(super) fn watch(link: Weak<dyn Watched>) {
    let watch = WATCH.get();
    let mut links = watch.links.lock().unwrap_or_else(PoisonError::into_inner);
    links.push(link);
    let first = links.len() == 1;
    drop(links);
    if first {
        // Without the thread, idle clients answer callbacks only while they wait for something, as stock's do.
        if let Some(thread) = watch.thread.get_or_init(start) {
            thread.unpark();
        }
    }
}

/// Makes sure that no thread is in the middle of setting up the watch while the process forks.
pub(super) fn prepare_fork() {
    WATCH.get();
}

fn start() -> Option<Thread> {
    let spawned = thread::Builder::new().name("netref-watch".into()).spawn(run);
    spawned.ok().map(|handle| handle.thread().clone())
}

fn run() {
    let watch = WATCH.get();
    let (mut tick, mut busy) = (FIRST_TICK, 0);
    loop {
        let links = std::mem::take(&mut *watch.links.lock().unwrap_or_else(PoisonError::into_inner));
        if links.is_empty() {
            thread::park();
            continue;
        }
        let has_new = links.len() > busy;
        tick = if has_new { FIRST_TICK } else { (tick * 2).min(LAST_TICK) };
        thread::sleep(tick);
        let mut kept: Vec<_> =
            links.into_iter().filter(|link| link.upgrade().is_some_and(Watched::tick)).collect();
        busy = kept.len();
        watch.links.lock().unwrap_or_else(PoisonError::into_inner).append(&mut kept);
    }
}

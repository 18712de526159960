//! The watch: one thread of the process that notices links nobody attends to.
//!
//! A thread that gives up the turn to read with no follower to take it over tells the watch, which looks at the link
//! a tick later. If the turn was neither taken nor given up since, a pool thread starts to read in the background; and
//! references that wait to be given back are sent. So a busy link costs nothing but being looked at now and then, and
//! nothing at all is done for a link that is idle with a reader.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

/// Between two looks.
const TICK: Duration = Duration::from_millis(1);

/// What the watch sees of a link.
pub(super) trait Watched: Send + Sync {
    /// Looks at the link. Returns false if it needs no more watching until it asks again.
    fn tick(self: Arc<Self>) -> bool;
}

struct Watch {
    links: Mutex<Vec<Weak<dyn Watched>>>,
    thread: OnceLock<Thread>,
}

/// Looks at `link` from the next tick on, until its [`tick`](Watched::tick) returns false.
pub(super) fn watch(link: Weak<dyn Watched>) {
    let watch = instance();
    let mut links = watch.links.lock().unwrap_or_else(PoisonError::into_inner);
    links.push(link);
    let first = links.len() == 1;
    drop(links);
    if first {
        if let Some(thread) = watch.thread.get() {
            thread.unpark();
        }
    }
}

fn instance() -> &'static Watch {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    WATCH.get_or_init(|| {
        let spawned = thread::Builder::new().name("netref-watch".into()).spawn(run);
        let watch = Watch { links: Mutex::new(Vec::new()), thread: OnceLock::new() };
        // Without the thread, idle clients answer callbacks only while they wait for something, as stock's do.
        if let Ok(handle) = spawned {
            let _ = watch.thread.set(handle.thread().clone());
        }
        watch
    })
}

fn run() {
    let watch = instance();
    loop {
        let links = std::mem::take(&mut *watch.links.lock().unwrap_or_else(PoisonError::into_inner));
        if links.is_empty() {
            thread::park();
            continue;
        }
        thread::sleep(TICK);
        let mut kept: Vec<_> =
            links.into_iter().filter(|link| link.upgrade().is_some_and(Watched::tick)).collect();
        watch.links.lock().unwrap_or_else(PoisonError::into_inner).append(&mut kept);
    }
}

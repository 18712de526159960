//! The watch: one thread of the process that notices links nobody attends to.
//!
//! A thread that gives up the turn to read with no follower to take it over tells the watch, which looks at the link
//! a tick later. If the turn was neither taken nor given up since, a pool thread starts to read in the background; and
//! references that wait to be given back are sent. So a busy link costs nothing but being looked at now and then, and
//! nothing at all is done for a link that is idle with a reader.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::process::PerProcess;

/// Between two looks, while links come under watch.
const FIRST_TICK: Duration = Duration::from_millis(1);
/// Between two looks at links that go on being busy: nobody else has to attend to those.
const LAST_TICK: Duration = Duration::from_millis(8);

/// What the watch sees of a link.
pub(super) trait Watched: Send + Sync {
    /// Looks at the link. Returns when to do so again.
    fn tick(self: Arc<Self>) -> Look;

    /// Looks whether the peer is alive. Returns when to look again, if ever.
    fn beat(self: Arc<Self>) -> Option<Instant>;
}

/// When to look again at a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// When it asks for it.
    Done,
    /// In a while, if it is no new one.
    Later,
    /// As soon as possible.
    Soon,
}

#[derive(Default)]
struct Watch {
    links: Mutex<Vec<Weak<dyn Watched>>>,
    /// Links whose peers have to give signs of life, and when to look for one.
    pulses: Mutex<Vec<(Instant, Weak<dyn Watched>)>>,
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
        watch.wake();
    }
}

/// Has `link` [looked at](Watched::beat) at that time, and then whenever it says.
pub(super) fn watch_pulse(link: Weak<dyn Watched>, at: Instant) {
    let watch = WATCH.get();
    watch.pulses.lock().unwrap_or_else(PoisonError::into_inner).push((at, link));
    watch.wake();
}

/// Makes sure that no thread is in the middle of setting up the watch while the process forks.
pub(super) fn prepare_fork() {
    WATCH.get();
}

impl Watch {
    fn wake(&self) {
        // Without the thread, idle clients answer callbacks only while they wait for something, as stock's do.
        if let Some(thread) = self.thread.get_or_init(start) {
            thread.unpark();
        }
    }

    /// Looks at the links whose time has come. Returns when the next one's does.
    fn beat(&self) -> Option<Instant> {
        let mut pulses = std::mem::take(&mut *self.pulses.lock().unwrap_or_else(PoisonError::into_inner));
        if pulses.is_empty() {
            return None;
        }
        let now = Instant::now();
        pulses.retain_mut(|(at, link)| {
            if *at > now {
                return true;
            }
            let next = link.upgrade().and_then(Watched::beat);
            *at = next.unwrap_or(now);
            next.is_some()
        });
        let mut kept = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        kept.append(&mut pulses);
        kept.iter().map(|(at, _)| *at).min()
    }
}

fn start() -> Option<Thread> {
    let spawned = thread::Builder::new().name("netref-watch".into()).spawn(run);
    spawned.ok().map(|handle| handle.thread().clone())
}

fn run() {
    let watch = WATCH.get();
    let (mut tick, mut busy, mut is_urgent) = (FIRST_TICK, 0, false);
    loop {
        let next_beat = watch.beat();
        let links = std::mem::take(&mut *watch.links.lock().unwrap_or_else(PoisonError::into_inner));
        if links.is_empty() {
            match next_beat {
                Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
                None => thread::park(),
            }
            continue;
        }
        is_urgent |= links.len() > busy;
        tick = if is_urgent { FIRST_TICK } else { (tick * 2).min(LAST_TICK) };
        thread::sleep(tick);
        is_urgent = false;
        let mut kept = links;
        kept.retain(|link| {
            let look = link.upgrade().map_or(Look::Done, Watched::tick);
            is_urgent |= look == Look::Soon;
            look != Look::Done
        });
        busy = kept.len();
        watch.links.lock().unwrap_or_else(PoisonError::into_inner).append(&mut kept);
    }
}

//! What only shows with a transport under control. Everything else is tested over real sockets.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netref_core::message::Inbound;
use netref_core::request::handlers;

use super::watch::Watched;
use super::{Call, Closed, Host, Interest, Interrupted, Link, LinkOptions, Transport};

/// A host that no request ever reaches.
struct Idle;

impl Host for Idle {
    type Shared = ();

    fn handle(&self, _: &Arc<Link<Self>>, _: Inbound<()>) -> Result<(), Interrupted> {
        Ok(())
    }

    fn ended(&self, _: &Arc<Link<Self>>, _: &Closed) {}
}

/// Takes a few bytes, and no more until somebody has waited for room.
#[derive(Default)]
struct Narrow {
    has_room: AtomicBool,
    written: Mutex<usize>,
    progress: Condvar,
    waits: AtomicUsize,
}

impl Narrow {
    const ROOM: usize = 10;

    fn written(&self) -> MutexGuard<'_, usize> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Arc<Narrow> {
    fn receive(&self, _: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written();
        let room = if self.has_room.load(Ordering::Acquire) { usize::MAX } else { Narrow::ROOM - *written };
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(room);
        *written += count;
        self.progress.notify_all();
        Ok(count)
    }

    fn wait(&self, _: Interest, _: Option<Instant>) -> io::Result<()> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.has_room.store(true, Ordering::Release);
        Ok(())
    }

    fn close(&self) {}
}

/// The thread that watches took output that another thread had queued, found no room for all of it, and forgot the rest,
/// which the other thread believed to be under way. A call with a large argument, made just when an idle link was looked
/// at, never got out.
#[test]
fn output_that_the_watch_could_not_write_is_not_forgotten() {
    let narrow = Arc::new(Narrow::default());
    let link = Link::new(Idle, Box::new(narrow.clone()), LinkOptions::default());
    // Another thread sleeps in a read, with no eye on the room to write.
    assert!(link.turn.try_take());
    // A call is queued, and before its thread gets to write, the watch does.
    let message = link.session().start_request(handlers::GETROOT, None);
    let call = Arc::new(Call::new(message.seq(), handlers::GETROOT, None));
    let frame = link.write_message(message, |boxer| boxer.no_arguments()).expect("no argument can fail");
    let size = frame.size();
    assert!(size > Narrow::ROOM);
    link.session().send_request(frame, call).expect("the session is open");
    link.unsettled.store(true, Ordering::Release);
    while link.clone().tick() {}

    let written = narrow.written();
    let all = |written: &mut usize| *written < size;
    let patience = Duration::from_secs(10);
    let (written, _) =
        narrow.progress.wait_timeout_while(written, patience, all).unwrap_or_else(PoisonError::into_inner);
    assert!(*written >= size, "{written} of {size} bytes written, waited {:?} times", narrow.waits);
}

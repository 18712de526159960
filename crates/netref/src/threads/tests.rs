//! What only shows with a transport under control. Everything else is tested over real sockets.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use netref_core::message::Inbound;
use netref_core::request::handlers;

use super::call::Step;
use super::turn::Turn;
use super::watch::{Look, Watched};
use super::{Call, CallError, Closed, EndReason, Host, Interest, Interrupted, Link, LinkOptions, Transport};

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
    let call = Arc::new(Call::new(message.seq(), handlers::GETROOT));
    let frame = link.write_message(message, |boxer| boxer.no_arguments()).expect("no argument can fail");
    let size = frame.size();
    assert!(size > Narrow::ROOM);
    link.session().send_request(frame, call).expect("the session is open");
    link.unsettled.store(true, Ordering::Release);
    while link.clone().tick() != Look::Done {}

    let written = narrow.written();
    let all = |written: &mut usize| *written < size;
    let patience = Duration::from_secs(10);
    let (written, _) =
        narrow.progress.wait_timeout_while(written, patience, all).unwrap_or_else(PoisonError::into_inner);
    assert!(*written >= size, "{written} of {size} bytes written, waited {:?} times", narrow.waits);
}

/// A host in whose `blocking` code runs that sleeps, too: an interpreter, or a destructor.
struct Sleepy {
    about_to_sleep: Barrier,
    woken: Barrier,
    has_slept: AtomicBool,
}

impl Host for Sleepy {
    type Shared = ();

    fn handle(&self, _: &Arc<Link<Self>>, _: Inbound<()>) -> Result<(), Interrupted> {
        Ok(())
    }

    fn ended(&self, _: &Arc<Link<Self>>, _: &Closed) {}

    fn blocking<R: Send>(&self, wait: impl FnOnce() -> R + Send) -> R {
        if thread::current().name() == Some("sleepy") && !self.has_slept.swap(true, Ordering::Relaxed) {
            self.about_to_sleep.wait();
            self.woken.wait();
            // Takes what wakes the thread, or else does not sleep at all.
            thread::park_timeout(Duration::from_millis(1));
        }
        wait()
    }
}

/// Says when somebody waits for it, which takes until it is closed.
struct Silent {
    has_room: bool,
    sleepers: mpsc::Sender<()>,
    writes: AtomicUsize,
    is_closed: Mutex<bool>,
    closed: Condvar,
}

impl Silent {
    fn new(has_room: bool) -> (Arc<Self>, mpsc::Receiver<()>) {
        let (sleepers, sleeps) = mpsc::channel();
        let (writes, is_closed, closed) = (AtomicUsize::new(0), Mutex::new(false), Condvar::new());
        (Arc::new(Self { has_room, sleepers, writes, is_closed, closed }), sleeps)
    }

    fn sleep(&self) {
        let _ = self.sleepers.send(());
        let is_closed = self.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.closed.wait_while(is_closed, |is_closed| !*is_closed));
    }
}

impl Transport for Arc<Silent> {
    fn receive(&self, _: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        self.sleep();
        Ok(0)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        if self.has_room {
            return Ok(bytes.len());
        }
        let is_closed = *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        Err(if is_closed { io::ErrorKind::BrokenPipe } else { io::ErrorKind::WouldBlock }.into())
    }

    fn wait(&self, _: Interest, _: Option<Instant>) -> io::Result<()> {
        if !self.has_room {
            self.sleep();
        }
        Ok(())
    }

    fn close(&self) {
        *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.closed.notify_all();
    }
}

/// While a large message went out, the watch took every chance to write some of it, and had a thread of the pool wait for room
/// as well: three threads woke up whenever there was some.
#[test]
fn the_watch_leaves_it_to_who_waits_for_room_to_write() {
    let (full, sleeps) = Silent::new(false);
    let link = Link::new(Idle, Box::new(full.clone()), LinkOptions::default());
    assert!(link.turn.try_take());
    let calling = link.clone();
    let caller = thread::spawn(move || calling.start(handlers::PING, None, |boxer| boxer.no_arguments()));
    let outcome = sleeps.recv_timeout(Duration::from_secs(10));
    let writes = full.writes.load(Ordering::Relaxed);
    let looks = [link.clone().tick(), link.clone().tick()];
    let writes_since = full.writes.load(Ordering::Relaxed) - writes;
    link.end(EndReason::ClosedHere);
    assert!(outcome.is_ok(), "nobody waits for room");
    assert_eq!(writes_since, 0);
    assert!(looks.contains(&Look::Later), "it goes on being watched: {looks:?}");
    assert!(caller.join().is_ok());
}

/// A thread that was woken to read, between the decision to sleep and the sleep, slept on, and nobody read ever after: the
/// wake-up went to the interpreter's code, which sleeps where two threads come to something for the first time. Two of a
/// server's first clients were never heard again, and their end was not noticed.
#[test]
fn a_wake_up_that_comes_while_the_host_sleeps_is_not_lost() {
    let (silent, sleeps) = Silent::new(true);
    let (about_to_sleep, woken, has_slept) = (Barrier::new(2), Barrier::new(2), AtomicBool::new(false));
    let host = Sleepy { about_to_sleep, woken, has_slept };
    let options = LinkOptions { background: false, ..LinkOptions::default() };
    let link = Link::new(host, Box::new(silent), options);
    assert!(link.turn.try_take());
    let serving = link.clone();
    let server = thread::Builder::new().name("sleepy".into()).spawn(move || serving.serve_all());
    link.host().about_to_sleep.wait();
    assert!(!link.turn.give_up(), "the thread that serves waits to read");
    link.host().woken.wait();
    let outcome = sleeps.recv_timeout(Duration::from_secs(10));
    link.end(EndReason::ClosedHere);
    assert!(outcome.is_ok(), "nobody reads");
    assert!(matches!(server.map(thread::JoinHandle::join), Ok(Ok(Ok(())))));
}

/// Of two threads that wait for the same call, one ran a callback and the other stopped waiting: then the one that was busy
/// was taken to be free, and woken to read, and nobody else was.
#[test]
fn a_thread_that_is_busy_is_not_woken_to_read_by_another_that_waits_for_the_same_call() {
    let turn = Turn::<()>::new();
    let call = Arc::new(Call::new(0, handlers::CALL));
    call.enter(false);
    assert!(turn.try_take());
    assert!(!turn.take_or_follow(&call));
    call.begin_running();
    thread::scope(|scope| {
        scope.spawn(|| {
            call.enter(false);
            assert!(matches!(call.next_step(), Step::Wait));
            assert!(call.can_read(), "this thread can");
            let orphans = call.leave();
            assert!(!turn.leave(&call, orphans.is_some()), "the turn is taken");
        });
    });
    assert!(turn.give_up(), "nobody is left to read");
}

/// A peer that has hung up: writing fails, and what it has sent is there to be read, once the test lets it be.
struct HungUp {
    sent: Mutex<Vec<u8>>,
    has_input: bool,
    /// Who reads goes through both.
    reads: Barrier,
    may_go_on: Barrier,
}

impl Transport for Arc<HungUp> {
    fn receive(&self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        self.reads.wait();
        self.may_go_on.wait();
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        buffer[..sent.len()].copy_from_slice(&sent);
        Ok(sent.len())
    }

    fn write(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn wait(&self, _: Interest, _: Option<Instant>) -> io::Result<()> {
        Ok(())
    }

    fn has_input(&self) -> bool {
        self.has_input
    }

    fn close(&self) {}
}

/// A frame with the peer's CLOSE.
fn farewell() -> Vec<u8> {
    let peer = Link::new(Idle, Box::new(Arc::new(Narrow::default())), LinkOptions::default());
    let message = peer.session().start_request(handlers::CLOSE, None);
    let frame = peer.write_message(message, |boxer| boxer.no_arguments()).expect("no argument can fail");
    let call = Arc::new(Call::new(frame.seq(), handlers::CLOSE));
    peer.session().send_request(frame, call).expect("the session is open");
    std::iter::from_fn(|| peer.session().take_output()).flat_map(|piece| piece.as_ref().to_vec()).collect()
}

/// A call could not be written because the peer had closed the connection, and the message said that the pipe was broken: the
/// thread that was about to read the peer's farewell came second.
#[test]
fn a_failure_to_write_leaves_it_to_who_reads_to_say_why() {
    for has_input in [true, false] {
        let (reads, may_go_on) = (Barrier::new(2), Barrier::new(2));
        let transport = Arc::new(HungUp { sent: Mutex::new(farewell()), has_input, reads, may_go_on });
        let options = LinkOptions { background: false, ..LinkOptions::default() };
        let link = Link::new(Idle, Box::new(transport.clone()), options);
        let serving = link.clone();
        let server = thread::spawn(move || serving.serve_all());
        transport.reads.wait();
        let call = link.start(handlers::PING, None, |boxer| boxer.no_arguments());
        assert_eq!(link.is_closed(), !has_input);
        transport.may_go_on.wait();
        assert!(matches!(server.join(), Ok(Ok(()))));
        let closed = link.closed().expect("it has ended");
        let by_peer = matches!(closed.reason(), EndReason::ClosedByPeer);
        assert!(by_peer == has_input, "{closed}");
        assert!(matches!(call.map(|call| call.take()), Ok(Some(Err(CallError::Closed(_))))));
    }
}

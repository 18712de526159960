//! The tasks of a connection.
//!
//! - One reads. It runs no code of objects and waits for nothing but bytes, so replies, PING, DEL and CLOSE are never
//!   behind anything.
//! - One writes what is queued, as much as there is in one go.
//! - One starts the peer's requests, in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use netref_core::frame::FrameError;
use netref_core::message::Inbound;
use netref_core::request::handlers;
use netref_core::session::{Event, ProtocolError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};

use super::driver::{Driver, EndOnDrop};
use super::handling;
use super::peer::{Owner, TokioPeer};
use super::stream::{ReadHalf, WriteHalf};
use crate::buffered::Wake;
use crate::failure::{CallError, EndReason};
use crate::incoming::Incoming;
use crate::time_limit::LONGEST;
use crate::world::Shared;

/// How long a peer that sent what is not taken may go on sending until it reads why.
const REFUSAL: Duration = Duration::from_secs(1);
/// How long what is queued at the end may take to be written, and how long nothing may have come before a failure to write is
/// taken to be all there is to know.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Starts the tasks.
pub(super) fn spawn(owner: &Arc<Owner>, reading: ReadHalf, writing: WriteHalf) {
    let driver = &owner.driver;
    let (requests, queue) = mpsc::unbounded_channel();
    let guard = || EndOnDrop { driver: driver.clone(), reason: None };
    driver.runtime.spawn(read(guard(), reading, requests));
    driver.runtime.spawn(write(guard(), writing));
    driver.runtime.spawn(start_requests(guard(), Arc::downgrade(owner), queue));
}

type Requests = mpsc::UnboundedSender<Inbound<Shared>>;

async fn read(mut end: EndOnDrop, mut stream: ReadHalf, requests: Requests) {
    let driver = end.driver.clone();
    let ended = driver.wait_closed();
    tokio::pin!(ended);
    let weak = Arc::downgrade(&driver);
    let overload: Wake =
        Arc::new(move || weak.upgrade().iter().for_each(|driver| driver.end(EndReason::Overloaded)));
    let mut incoming = Incoming::new(driver.limits.clone(), driver.is_acceptor.then_some(overload));
    let mut pulse = driver.heartbeat.map(Pulse::new);
    loop {
        if let Err(reason) = accept_all(&driver, &mut incoming, &requests) {
            if let EndReason::Protocol(ProtocolError::Frame(error)) = &reason {
                refuse(&driver, &mut incoming, &mut stream, error).await;
            }
            end.reason = Some(reason);
            return;
        }
        if driver.is_overloaded() {
            tokio::select! {
                biased;
                _ = &mut ended => return,
                () = driver.wait_for_few_requests() => {}
            }
            if let Some(pulse) = &mut pulse {
                pulse.heard();
            }
        }
        let due = incoming.due(driver.is_quiet());
        let received = tokio::select! {
            biased;
            _ = &mut ended => return,
            received = stream.read(incoming.space(false)) => received,
            () = driver.sleep_until(due.as_ref().map(|due| due.0)) => {
                // Not while something is owed by now, which makes for another time.
                match incoming.due(driver.is_quiet()) {
                    Some((at, reason)) if Instant::now() >= at => {
                        end.reason = Some(reason);
                        return;
                    }
                    _ => continue,
                }
            }
            () = driver.sleep_until(pulse.as_ref().map(Pulse::next)) => {
                match pulse.as_mut().map(|pulse| pulse.beat(&driver)) {
                    Some(Err(reason)) => {
                        end.reason = Some(reason);
                        return;
                    }
                    _ => continue,
                }
            }
        };
        end.reason = match received {
            Ok(0) if incoming.is_mid_frame() => Some(EndReason::Truncated),
            Ok(0) => Some(EndReason::EndOfStream),
            Ok(count) => {
                incoming.filled(count);
                driver.note_received(count);
                if let Some(pulse) = &mut pulse {
                    pulse.heard();
                }
                continue;
            }
            Err(error) => Some(EndReason::Transport(error)),
        };
        return;
    }
}

/// Answers a frame that is not taken, if it is a request, and has the peer read the answer, which is perhaps still sending.
async fn refuse(driver: &Driver, incoming: &mut Incoming, stream: &mut ReadHalf, error: &FrameError) {
    if matches!(error, FrameError::NotRpyc(_)) {
        return;
    }
    driver.session().refuse_frame(&incoming.beginning(), error);
    driver.output.notify_one();
    let mut scratch = vec![0; 16 * 1024];
    let discard = async { while matches!(stream.read(&mut scratch).await, Ok(1..)) {} };
    tokio::select! {
        () = discard => {}
        () = driver.sleep(REFUSAL) => {}
    }
}

/// Works on every whole message that has arrived.
fn accept_all(driver: &Driver, incoming: &mut Incoming, requests: &Requests) -> Result<(), EndReason> {
    let mut garbage = Vec::new();
    let outcome = loop {
        let payload = match incoming.next_payload(|beginning| driver.session().expects(beginning), |_| None) {
            Ok(Some(payload)) => payload,
            Ok(None) => break Ok(()),
            Err(error) => break Err(EndReason::Protocol(error.into())),
        };
        let event = {
            let mut session = driver.session();
            let event = session.accept(payload);
            garbage.append(&mut session.take_garbage());
            event
        };
        match event {
            Ok(Event::Handled) => {}
            Ok(Event::Reply { token, message }) => {
                // If the caller has gone away, the references in the reply go back to the peer.
                drop(token.send(message.map_err(CallError::Unreadable)));
            }
            Ok(Event::Request(request)) => {
                // Fails only if the task that starts requests is gone, and with it the connection.
                drop(requests.send(request));
            }
            Ok(Event::Close) => break Err(EndReason::ClosedByPeer),
            Err(error) => break Err(EndReason::Protocol(error)),
        }
    };
    driver.discard(garbage);
    let (has_output, queued) = {
        let session = driver.session();
        (session.has_output(), session.queued())
    };
    if has_output {
        driver.output.notify_one();
    }
    let max = driver.limits.max_send_queue;
    if queued > max && outcome.is_ok() {
        return Err(EndReason::SlowConsumer { queued, max });
    }
    outcome
}

async fn write(mut end: EndOnDrop, mut stream: WriteHalf) {
    let driver = end.driver.clone();
    let too_late = async {
        driver.wait_closed().await;
        driver.sleep(LAST_WORDS).await;
    };
    let written = tokio::select! {
        written = write_all(&driver, &mut stream) => written,
        () = too_late => Ok(()),
    };
    if let Err(reason) = written {
        // What the peer sent last, or how it hung up, says more than that nothing can be written any more. As long as something
        // comes, it is read: but not of a peer that is still there, and could go on for ever.
        let mut received = None;
        while matches!(reason, EndReason::Transport(_)) && received.replace(driver.received()) != received {
            tokio::select! {
                _ = driver.wait_closed() => return,
                () = driver.sleep(LAST_WORDS) => {}
            }
        }
        end.reason = Some(reason);
    }
}

/// Writes what is queued, until the connection has ended and everything is written.
async fn write_all(driver: &Driver, stream: &mut WriteHalf) -> Result<(), EndReason> {
    loop {
        let next = driver.session().take_output();
        match next {
            Some(piece) => {
                driver.has_room.notify_waiters();
                let mut rest = piece.as_ref();
                while !rest.is_empty() {
                    match in_time(driver, stream.write(rest)).await? {
                        0 => return Err(EndReason::Transport(std::io::ErrorKind::WriteZero.into())),
                        count => rest = &rest[count..],
                    }
                }
            }
            None => {
                in_time(driver, stream.flush()).await?;
                if driver.is_closed() {
                    return in_time(driver, stream.shutdown()).await;
                }
                driver.output.notified().await;
            }
        }
    }
}

/// Gives the peer up if it takes nothing for too long.
async fn in_time<R>(
    driver: &Driver,
    writing: impl Future<Output = std::io::Result<R>>,
) -> Result<R, EndReason> {
    let Some(limit) = driver.limits.write_timeout else {
        return writing.await.map_err(EndReason::Transport);
    };
    tokio::select! {
        biased;
        written = writing => written.map_err(EndReason::Transport),
        // A timer only if it does not happen at once, as it mostly does.
        () = async { driver.sleep(limit).await } => Err(EndReason::Stalled { limit }),
    }
}

/// Whether the peer is alive, for a connection that is to notice when it is not: as in the thread driver.
struct Pulse {
    interval: Duration,
    heard: Instant,
    has_asked: bool,
}

impl Pulse {
    fn new(interval: Duration) -> Self {
        Self { interval: interval.min(LONGEST), heard: Instant::now(), has_asked: false }
    }

    fn heard(&mut self) {
        (self.heard, self.has_asked) = (Instant::now(), false);
    }

    /// When to look at it next.
    fn next(&self) -> Instant {
        self.heard + self.interval * if self.has_asked { 2 } else { 1 }
    }

    /// Nothing has come by then.
    fn beat(&mut self, driver: &Arc<Driver>) -> Result<(), EndReason> {
        if self.has_asked {
            return Err(EndReason::Silent { interval: self.interval });
        }
        self.has_asked = true;
        // Whatever the answer is, it is heard.
        drop(driver.start(handlers::PING.into(), |boxer| boxer.no_arguments()));
        Ok(())
    }
}

async fn start_requests(
    end: EndOnDrop,
    owner: Weak<Owner>,
    mut queue: mpsc::UnboundedReceiver<Inbound<Shared>>,
) {
    let driver = &end.driver;
    let start = |message, place| {
        // Without an owner nobody on this side holds the connection any more, and it is being closed.
        if let Some(owner) = owner.upgrade() {
            handling::start(TokioPeer(owner), message, place);
        }
    };
    let mut waiting = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            () = driver.wait_open() => break,
            // Refused, or gone again: nothing that it asked for is done.
            _ = driver.wait_closed() => return,
            Some(message) = queue.recv() => {
                if driver.is_part_of_call(&message) { start(message, None) } else { waiting.push_back(message) }
            }
        }
    }
    // As many at a time as may be. What is part of another request does not wait, for that one would wait for it.
    let places = Arc::new(Semaphore::new(driver.limits.max_inflight.clamp(1, Semaphore::MAX_PERMITS)));
    loop {
        tokio::select! {
            biased;
            place = places.clone().acquire_owned(), if !waiting.is_empty() => {
                if let Some(message) = waiting.pop_front() {
                    start(message, place.ok());
                }
            }
            message = queue.recv() => match message {
                Some(message) if message.depth() > 1 => start(message, None),
                Some(message) => waiting.push_back(message),
                None => break,
            },
        }
    }
    // The reader is gone, and is about to say why.
    driver.wait_closed().await;
}

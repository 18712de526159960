//! The tasks of a connection.
//!
//! - One reads. It runs no code of objects and waits for nothing but bytes, so replies, PING, DEL and CLOSE are never
//!   behind anything.
//! - One writes what is queued, as much as there is in one go.
//! - One starts the peer's requests, in the order in which they came.

use std::sync::{Arc, Weak};
use std::time::Duration;

use netref_core::frame::Deframer;
use netref_core::message::Inbound;
use netref_core::session::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::driver::{Driver, EndOnDrop};
use super::handling;
use super::peer::{Owner, TokioPeer};
use super::stream::{ReadHalf, Stream, WriteHalf};
use crate::failure::{CallError, EndReason};
use crate::world::Shared;

/// Bytes that may be queued before the connection is given up. Senders wait long before that; what is left are answers
/// to a peer that asks and does not read.
const MAX_QUEUED: usize = 256 * 1024 * 1024;
/// How long what is queued at the end may take to be written, and how long the reader has to find out why writing failed.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Starts the tasks.
pub(super) fn spawn(owner: &Arc<Owner>, stream: Stream) {
    let driver = &owner.driver;
    let (requests, queue) = mpsc::unbounded_channel();
    let guard = || EndOnDrop { driver: driver.clone(), reason: None };
    driver.runtime.spawn(read(guard(), stream.reading, requests));
    driver.runtime.spawn(write(guard(), stream.writing));
    driver.runtime.spawn(start_requests(guard(), Arc::downgrade(owner), queue));
}

type Requests = mpsc::UnboundedSender<Inbound<Shared>>;

async fn read(mut end: EndOnDrop, mut stream: ReadHalf, requests: Requests) {
    let driver = end.driver.clone();
    let ended = driver.wait_closed();
    tokio::pin!(ended);
    let mut deframer = Deframer::new();
    loop {
        if let Err(reason) = accept_all(&driver, &mut deframer, &requests) {
            end.reason = Some(reason);
            return;
        }
        let received = tokio::select! {
            biased;
            _ = &mut ended => return,
            received = stream.read(deframer.space()) => received,
        };
        end.reason = match received {
            Ok(0) if deframer.is_mid_frame() => Some(EndReason::Truncated),
            Ok(0) => Some(EndReason::EndOfStream),
            Ok(count) => {
                deframer.filled(count);
                continue;
            }
            Err(error) => Some(EndReason::Transport(error)),
        };
        return;
    }
}

/// Works on every whole message that has arrived.
fn accept_all(driver: &Driver, deframer: &mut Deframer, requests: &Requests) -> Result<(), EndReason> {
    let mut garbage = Vec::new();
    let outcome = loop {
        let awaits_reply = driver.session().awaits_reply();
        let payload = match deframer.next_payload(&driver.limits, awaits_reply) {
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
    if queued > MAX_QUEUED && outcome.is_ok() {
        return Err(EndReason::SlowConsumer { queued, max: MAX_QUEUED });
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
    if let Err(error) = written {
        // What the peer sent last, or how it hung up, says more than that it takes nothing any more.
        tokio::select! {
            _ = driver.wait_closed() => {}
            () = driver.sleep(LAST_WORDS) => {}
        }
        end.reason = Some(EndReason::Transport(error));
    }
}

/// Writes what is queued, until the connection has ended and everything is written.
async fn write_all(driver: &Driver, stream: &mut WriteHalf) -> std::io::Result<()> {
    loop {
        let next = driver.session().take_output();
        match next {
            Some(bytes) => {
                driver.has_room.notify_waiters();
                stream.write_all(&bytes).await?;
            }
            None => {
                stream.flush().await?;
                if driver.is_closed() {
                    return stream.shutdown().await;
                }
                driver.output.notified().await;
            }
        }
    }
}

async fn start_requests(
    end: EndOnDrop,
    owner: Weak<Owner>,
    mut queue: mpsc::UnboundedReceiver<Inbound<Shared>>,
) {
    let driver = &end.driver;
    let start = |message| {
        // Without an owner nobody on this side holds the connection any more, and it is being closed.
        if let Some(owner) = owner.upgrade() {
            handling::start(TokioPeer(owner), message);
        }
    };
    let mut early = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = driver.wait_open() => break,
            // Refused, or gone again: nothing that it asked for is done.
            _ = driver.wait_closed() => return,
            Some(message) = queue.recv() => {
                if driver.is_part_of_call(&message) { start(message) } else { early.push(message) }
            }
        }
    }
    early.into_iter().for_each(start);
    while let Some(message) = queue.recv().await {
        start(message);
    }
    // The reader is gone, and is about to say why.
    driver.wait_closed().await;
}

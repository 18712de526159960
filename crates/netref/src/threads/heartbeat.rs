//! Whether the peer is alive, for links that are to notice when it is not.
//!
//! Every byte that arrives is a sign of life. A peer that has been silent for an interval is asked for one, by a PING, which
//! netref answers whatever else it does. If it is silent for another interval, the link ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netref_core::request::handlers;

use super::watch::{Watched, watch_pulse};
use super::{Call, EndReason, Host, Link};
use crate::time_limit::LONGEST;

#[derive(Debug)]
pub(super) struct Pulse {
    interval: Duration,
    started: Instant,
    /// When a byte arrived last, in milliseconds since the start.
    heard: AtomicU64,
    /// What `heard` was when the peer was asked for a sign of life.
    asked: AtomicU64,
    /// What `heard` was when none had come in time.
    suspected: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Pulse {
    pub(super) fn new(interval: Duration) -> Self {
        let (heard, asked, suspected) = (AtomicU64::new(0), AtomicU64::new(NEVER), AtomicU64::new(NEVER));
        Self { interval: interval.min(LONGEST), started: Instant::now(), heard, asked, suspected }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER)
    }
}

impl<H: Host> Link<H> {
    pub(super) fn start_heartbeat(self: &Arc<Self>) {
        if let Some(pulse) = &self.pulse {
            let link: Arc<dyn Watched> = self.clone();
            watch_pulse(Arc::downgrade(&link), pulse.started + pulse.interval);
            // Somebody has to read for an answer to be heard.
            self.be_watched();
        }
    }

    /// Bytes have arrived.
    pub(super) fn heard(&self) {
        if let Some(pulse) = &self.pulse {
            pulse.heard.store(pulse.now(), Ordering::Relaxed);
        }
    }

    /// Asks the peer for a sign of life, or gives it up, if it is time for that. Returns when to look again.
    pub(super) fn check_pulse(self: &Arc<Self>) -> Option<Instant> {
        let pulse = self.pulse.as_ref()?;
        if self.is_closed() {
            return None;
        }
        let (now, interval) = (Instant::now(), pulse.interval);
        if !self.is_listened_to() {
            // Nobody would hear it, so far.
            self.heard();
            return Some(now + interval);
        }
        let last = pulse.heard.load(Ordering::Relaxed);
        let heard_at = pulse.started + Duration::from_millis(last);
        if now < heard_at + interval {
            return Some(heard_at + interval);
        }
        if pulse.asked.swap(last, Ordering::Relaxed) != last {
            self.ask();
            return Some((heard_at + interval * 7 / 4).max(now + interval / 2));
        }
        // One more look after a while: it may have been this process that did not get to read.
        if pulse.suspected.swap(last, Ordering::Relaxed) != last {
            return Some(now + interval / 4);
        }
        self.spawn(move |link| link.end(EndReason::Silent { interval }));
        None
    }

    /// Whether somebody reads, or soon will, and nothing keeps them from it.
    fn is_listened_to(self: &Arc<Self>) -> bool {
        let reads = self.reads_by_itself();
        if reads && !self.turn.look().taken {
            self.be_watched();
        }
        (reads || self.turn.look().taken) && !self.is_overloaded()
    }

    fn ask(self: &Arc<Self>) {
        // Not more than there is room for: to wait is not for the thread that watches. Who gets no answer hears nothing, and
        // that is what counts.
        let message = self.session().start_request(handlers::PING, None);
        let call = Arc::new(Call::new(message.seq(), handlers::PING));
        if let Ok(frame) = self.write_message(message, |boxer| boxer.no_arguments()) {
            let seq = frame.seq();
            if self.session().send_request(frame, call).is_ok() {
                // Whatever the answer is, it is heard.
                drop(self.session().abandon(seq));
                self.unsettled.store(true, Ordering::Release);
                self.be_watched();
            }
        }
    }
}

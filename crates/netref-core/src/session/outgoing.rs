//! Messages on their way out.

use crate::boxing;
use crate::brine;
use crate::frame::{Compression, Frame};
use crate::limits::Limits;
use crate::message::{Draft, Seq};
use crate::threads::Threads;

/// Whether a request succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// It returned.
    Result,
    /// It raised.
    Exception,
}

/// A message being written outside the session's lock.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) seq: Seq,
    pub(super) parent: Option<Seq>,
    pub(super) threads: Option<Threads>,
    /// Calls that this one is inside of.
    pub(super) depth: usize,
    pub(super) is_inspection: bool,
    pub(super) draft: Draft,
    pub(super) compression: Compression,
}

impl Outgoing {
    /// The message's sequence number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Where arguments, a result or an exception are written.
    pub fn boxer(&mut self, limits: &Limits) -> boxing::Boxer<'_> {
        self.draft.boxer(limits)
    }

    /// Says which thread the message is from, for a peer that [is told](super::Session::binds_threads).
    pub fn from_thread(&mut self, thread: u64) {
        if let Some(threads) = &mut self.threads {
            threads.from = thread;
        }
    }

    /// Finishes the message, compressing it if that pays.
    ///
    /// # Errors
    /// If it is 4 GiB or more. The message comes back, to be [rolled back](super::Session::roll_back).
    pub fn seal(mut self) -> Result<Sealed, Unsendable> {
        if let Some(parent) = self.parent {
            self.draft.parent(parent);
        }
        if let Some(threads) = self.threads.take() {
            self.draft.bind(threads);
        }
        match self.draft.check_size() {
            Ok(()) => Ok(Sealed {
                seq: self.seq,
                depth: self.depth,
                is_inspection: self.is_inspection,
                frame: self.draft.seal(self.compression),
            }),
            Err(error) => Err(Unsendable { message: Box::new(self), error }),
        }
    }
}

/// A message that the wire cannot carry.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unsendable {
    /// The message, to be [rolled back](super::Session::roll_back).
    pub message: Box<Outgoing>,
    /// Why.
    pub error: brine::EncodeError,
}

/// A message ready to be sent.
#[derive(Debug)]
pub struct Sealed {
    pub(super) seq: Seq,
    pub(super) depth: usize,
    pub(super) is_inspection: bool,
    pub(super) frame: Frame,
}

impl Sealed {
    /// The message's sequence number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Length of the frame in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.frame.len()
    }
}

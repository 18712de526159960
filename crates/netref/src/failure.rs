//! Why a connection ended, and why a call has no result: for both drivers.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use netref_core::boxing::ScanError;
use netref_core::brine::EncodeError;
use netref_core::session::ProtocolError;

/// A signal handler asked for the wait to end (Ctrl-C in Python).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// The connection has ended: who ended it, and why. Every call that was waiting gets a clone.
#[derive(Clone, Debug)]
pub struct Closed {
    reason: Arc<EndReason>,
    /// True if the peer never sent a valid message.
    heard_nothing: bool,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// This side closed it.
    #[error("this side closed the connection")]
    ClosedHere,
    /// The peer sent CLOSE.
    #[error("the peer closed the connection")]
    ClosedByPeer,
    /// The peer's end of the stream was closed without CLOSE: it exited, crashed, or refused what it was sent.
    #[error("the peer's end of the stream was closed (its process may have ended)")]
    EndOfStream,
    /// The stream ended inside a message.
    #[error("the stream ended in the middle of a message")]
    Truncated,
    /// The peer broke the protocol or crossed a limit.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Transport(#[source] io::Error),
    /// The peer does not read what it is sent.
    #[error("the peer does not read: {queued} bytes wait to be sent (limit max_send_queue, {max})")]
    SlowConsumer {
        /// Bytes queued.
        queued: usize,
        /// The limit in force.
        max: usize,
    },
    /// The peer began a message and did not go on.
    #[error("the peer did not finish a message in time (limit {limit})")]
    ReadTimeout {
        /// Name of the limit.
        limit: &'static str,
    },
    /// The peer had nothing to say for too long.
    #[error("nothing came from the peer for {limit:?} (limit idle_timeout)")]
    Idle {
        /// The limit in force.
        limit: Duration,
    },
    /// The peer's request, which had not arrived in whole, was the largest of those that took too much memory together.
    #[error("the unfinished requests of all clients take too much memory (limit total_buffered)")]
    Overloaded,
    /// The peer has read nothing for too long of what waits to be sent.
    #[error("the peer does not read: for {} s it has taken nothing of what waits to be sent (limit write_timeout)", limit.as_secs_f64())]
    Stalled {
        /// The limit in force.
        limit: Duration,
    },
    /// The peer has given no sign of life.
    #[error(
        "the peer is silent: nothing has come from it for {} s, nor an answer to a ping (setting heartbeat = {} s)",
        2.0 * interval.as_secs_f64(), interval.as_secs_f64()
    )]
    Silent {
        /// The interval of the heartbeat.
        interval: Duration,
    },
    /// The process forked, and this is the child.
    #[error("the connection belongs to the parent process; open a new one after fork()")]
    Forked,
}

impl Closed {
    pub(crate) fn new(reason: EndReason, heard_nothing: bool) -> Self {
        Self { reason: Arc::new(reason), heard_nothing }
    }

    /// Why the connection ended.
    #[must_use]
    pub fn reason(&self) -> &EndReason {
        &self.reason
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection closed: {}", self.reason)?;
        let hung_up = match &*self.reason {
            EndReason::EndOfStream => true,
            // Other failures, such as an alert of TLS, say what they are about.
            EndReason::Transport(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
            _ => false,
        };
        if self.heard_nothing && hung_up {
            f.write_str(
                "; it sent nothing at all: it may have turned this side away, be no RPyC server, or speak the other wire dialect \
                 (set `wire` to \"v5\" for RPyC 5 and older)",
            )?;
        }
        if self.heard_nothing && matches!(*self.reason, EndReason::Protocol(ProtocolError::Frame(_))) {
            f.write_str(
                "; check that an RPyC server, and nothing else, listens at this address, and whether it wants TLS or a shared secret",
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Closed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.reason {
            EndReason::Transport(error) => Some(error),
            EndReason::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The connection ended first.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The reply cannot be read.
    #[error("the reply cannot be read: {0}")]
    Unreadable(#[from] ScanError),
}

impl<E> From<Interrupted> for StartError<E> {
    fn from(Interrupted: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Why a call could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E> {
    /// The connection has ended.
    #[error(transparent)]
    Closed(Closed),
    /// The connection has ended, and another has taken its place or will: what was reached over it is to be got anew.
    #[error(
        "stale reference: the connection that it belongs to is over ({0}); get it anew over the present one"
    )]
    Stale(Closed),
    /// An argument cannot be written.
    #[error("{0}")]
    Argument(E),
    /// The message is too large for the wire.
    #[error(transparent)]
    Message(EncodeError),
    /// The deadline passed before there was room to queue it: the peer does not read.
    #[error("the peer took nothing of what waits to be sent in time")]
    TimedOut,
    /// A signal handler ended the wait for room to write.
    #[error("interrupted")]
    Interrupted,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why TLS failed is not to be drowned in guesses.
    #[test]
    fn guesses_are_made_only_of_a_peer_that_hung_up() {
        let text = |reason| Closed::new(reason, true).to_string();
        let guess = "it may have turned this side away";
        assert!(text(EndReason::EndOfStream).contains(guess));
        assert!(text(EndReason::Transport(io::ErrorKind::ConnectionReset.into())).contains(guess));
        assert!(!text(EndReason::Transport(io::Error::other("certificate required"))).contains(guess));
        assert!(!Closed::new(EndReason::EndOfStream, false).to_string().contains(guess));
    }
}

//! What a peer can do that ends the connection.

use crate::brine::DecodeError;
use crate::frame::FrameError;
use crate::message::Dialect;

/// What the peer did that ends the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Its frames are wrong or too large.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its first message is none of RPyC's.
    #[error("the peer does not speak RPyC: its first message starts with 0x{first_byte:02x}")]
    NotRpyc {
        /// First byte of the message.
        first_byte: u8,
    },
    /// It speaks the other dialect.
    #[error(
        "the peer speaks the RPyC {} wire protocol, this side speaks {}; set `wire` to match",
        version(*peer), version(peer.other())
    )]
    WrongDialect {
        /// What the peer speaks.
        peer: Dialect,
    },
    /// A message without a readable sequence number, so that nobody can be told.
    #[error("malformed message: {0}")]
    Malformed(#[from] DecodeError),
    /// More malformed messages than the limit.
    #[error("{count} malformed messages (limit protocol_errors), the last: {last}")]
    TooManyErrors {
        /// How many there were.
        count: usize,
        /// The last one.
        last: DecodeError,
    },
}

fn version(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::V5 => "5 and older (\"v5\")",
        Dialect::V6 => "6 (\"v6\")",
    }
}

impl Dialect {
    fn other(self) -> Self {
        match self {
            Self::V5 => Self::V6,
            Self::V6 => Self::V5,
        }
    }
}

//! Every bound on what a peer can make this side do.
//!
//! Each field of [`Limits`] is a setting; crossing one is a typed error that names it. Three profiles cover most
//! needs: [`Limits::compat`] never breaks a program that works with stock RPyC today, [`Limits::default`] is for new
//! programs, [`Limits::strict`] for servers that strangers can reach.

/// Nesting that no setting can raise, since decoding and dropping nested data uses the stack: so much fits a thread of
/// 2 MiB twice over, in a debug build too.
pub const DEPTH_CEILING: usize = 512;

const MIB: usize = 1024 * 1024;

/// Bounds on one connection. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest frame of a request, as its header claims it. Nothing is allocated from a claimed length.
    pub max_frame: usize,
    /// Longest frame accepted while a call of ours waits for its reply.
    pub max_reply: usize,
    /// Longest request after decompression.
    pub max_inflated: usize,
    /// Longest reply after decompression.
    pub max_inflated_reply: usize,
    /// Memory that decoding one message may cost beyond the message's own bytes.
    pub max_decoded: usize,
    /// Deepest nesting of tuples, frozensets and slices; at most [`DEPTH_CEILING`].
    pub max_depth: usize,
    /// Longest decimal text of one integer, both directions.
    pub max_int_digits: usize,
    /// Objects this side lends to the peer at one time.
    pub max_exported: usize,
    /// Requests of the peer that may be unanswered at one time.
    pub max_inflight: usize,
    /// Malformed messages answered with an error before the connection is closed.
    pub protocol_errors: u32,
    /// Most items one BUFFITER request returns; a caller that wants more asks again.
    pub max_buffiter: usize,
}

impl Limits {
    /// Bounds that no program which works with stock RPyC today runs into by accident.
    #[must_use]
    pub const fn compat() -> Self {
        Self {
            max_frame: 256 * MIB,
            max_reply: 1024 * MIB,
            max_inflated: 256 * MIB,
            max_inflated_reply: 1024 * MIB,
            max_decoded: 256 * MIB,
            max_depth: 512,
            max_int_digits: 4300,
            max_exported: 1_000_000,
            max_inflight: 1024,
            protocol_errors: 16,
            max_buffiter: 65_536,
        }
    }

    /// Bounds for a server that strangers can reach.
    #[must_use]
    pub const fn strict() -> Self {
        Self {
            max_frame: 4 * MIB,
            max_reply: 16 * MIB,
            max_inflated: 4 * MIB,
            max_inflated_reply: 16 * MIB,
            max_decoded: 16 * MIB,
            max_depth: 64,
            max_int_digits: 1000,
            max_exported: 10_000,
            max_inflight: 64,
            protocol_errors: 1,
            max_buffiter: 4096,
        }
    }

    /// The nesting in force: the setting, never above [`DEPTH_CEILING`].
    #[must_use]
    pub fn depth(&self) -> usize {
        self.max_depth.min(DEPTH_CEILING)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 64 * MIB,
            max_reply: 256 * MIB,
            max_inflated: 64 * MIB,
            max_inflated_reply: 256 * MIB,
            max_decoded: 128 * MIB,
            max_depth: 128,
            max_exported: 100_000,
            ..Self::compat()
        }
    }
}

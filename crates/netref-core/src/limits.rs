//! Every bound on what a peer can make this side do.
//!
//! Each field of [`Limits`] is a setting; crossing one is a typed error that names it. Three profiles cover most
//! needs: [`Limits::compat`] never breaks a program that works with stock RPyC today, [`Limits::default`] is for new
//! programs, [`Limits::strict`] for servers that strangers can reach.

use core::time::Duration;

/// Nesting that no setting can raise, since decoding and dropping nested data uses the stack: so much fits a thread of
/// 2 MiB twice over, in a debug build too.
pub const DEPTH_CEILING: usize = 512;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A limit by its name: what a table of the limits and a configuration by names need.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name of the field of [`Limits`].
    pub name: &'static str,
    /// What it bounds, as on the field.
    pub about: &'static str,
    /// Its value.
    pub get: fn(&Limits) -> Quantity,
    /// Changes it. False if it is not counted in that unit.
    pub set: fn(&mut Limits, Quantity) -> bool,
}

/// The value of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// So many bytes; [`usize::MAX`] for no limit.
    Bytes(usize),
    /// So many of something; [`usize::MAX`] for no limit.
    Count(usize),
    /// So long; `None` for ever.
    Time(Option<Duration>),
}

/// Defines [`Limits`] with its profiles, and the table of the same: each field has its kind and its values in the profiles
/// compat, default and strict.
macro_rules! limits {
    ($($(#[doc = $about:literal])+ $name:ident: $kind:ident [$compat:expr, $default:expr, $strict:expr],)+) => {
        /// Bounds on one connection; some are on all of a process or a server, where that is said.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[doc = $about])+ pub $name: kind_type!($kind),)+
        }

        impl Limits {
            /// All of them, by name.
            pub const SETTINGS: &'static [Setting] = &[$(Setting {
                name: stringify!($name),
                about: concat!($($about),+),
                get: |limits| Quantity::$kind(limits.$name),
                set: |limits, bound| match bound {
                    Quantity::$kind(value) => {
                        limits.$name = value;
                        true
                    }
                    _ => false,
                },
            },)+];

            /// Bounds that no program which works with stock RPyC today runs into by accident.
            #[must_use]
            pub const fn compat() -> Self {
                Self { $($name: kind_value!($kind $compat),)+ }
            }

            /// Bounds for a server that strangers can reach.
            #[must_use]
            pub const fn strict() -> Self {
                Self { $($name: kind_value!($kind $strict),)+ }
            }
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: kind_value!($kind $default),)+ }
            }
        }
    };
}

macro_rules! kind_type {
    (Time) => { Option<Duration> };
    ($kind:ident) => { usize };
}

/// Times are written as a number of seconds, 0 for no limit.
macro_rules! kind_value {
    (Time $seconds:expr) => {
        if $seconds == 0 { None } else { Some(Duration::from_secs($seconds)) }
    };
    ($kind:ident $value:expr) => {
        $value
    };
}

limits! {
    /// Longest frame of a request, as its header claims it. Nothing is allocated from a claimed length.
    max_frame: Bytes [256 * MIB, 64 * MIB, 4 * MIB],
    /// Longest frame of a reply that a call of this side waits for.
    max_reply: Bytes [1024 * MIB, 256 * MIB, 16 * MIB],
    /// Longest request after decompression.
    max_inflated: Bytes [256 * MIB, 64 * MIB, 4 * MIB],
    /// Longest reply after decompression.
    max_inflated_reply: Bytes [1024 * MIB, 256 * MIB, 16 * MIB],
    /// Memory that decoding one message may take beyond the message's own bytes. Also what a copy, or a conversion in Rust,
    /// fetches of a container item by item.
    max_decoded: Bytes [256 * MIB, 128 * MIB, 16 * MIB],
    /// Bytes of unfinished requests of all clients of this process.
    total_buffered: Bytes [1024 * MIB, 512 * MIB, 128 * MIB],
    /// Deepest nesting of tuples, frozensets and slices; at most 512 whatever is set.
    max_depth: Count [512, 128, 64],
    /// Longest copy of an object of this side that a peer is sent by value.
    max_copy: Bytes [1024 * MIB, 256 * MIB, 16 * MIB],
    /// Longest decimal text of one integer, both directions.
    max_int_digits: Count [4300, 4300, 1000],
    /// Items of one frozenset that may have the same hash, in Python.
    max_set_collisions: Count [64, 64, 64],
    /// Objects this side lends to the peer at one time.
    max_exported: Count [1_000_000, 100_000, 10_000],
    /// Requests of the peer that are carried out at one time on threads of their own. More wait their turn, but for those that
    /// are part of one that has begun.
    max_inflight: Count [1024, 1024, 64],
    /// Memory that requests of the peer may take before they begin. Beyond that no more are read; while a call of this side
    /// waits for its reply, which may be behind them, they are answered with an error.
    max_backlog: Bytes [64 * MIB, 64 * MIB, 4 * MIB],
    /// Bytes that may wait to be sent. Who sends something waits long before that; what is left are answers to a peer that
    /// asks and does not read, whose connection is then given up.
    max_send_queue: Bytes [256 * MIB, 256 * MIB, 64 * MIB],
    /// Calls that may be under way one inside the other, of both sides together. Known only of netref peers.
    max_call_depth: Count [128, 128, 32],
    /// Malformed messages answered with an error before the connection is closed.
    protocol_errors: Count [16, 16, 1],
    /// Most items one BUFFITER request returns; a caller that wants more asks again.
    max_buffiter: Count [65_536, 65_536, 4096],
    /// Most methods that one class may have in the answer to INSPECT, both directions.
    max_methods: Count [10_000, 10_000, 1000],
    /// Memory that the classes of the peer's objects may take, in Python, and as much for what it says of classes before they are
    /// needed. Those that have no proxies are forgotten first.
    max_class_memory: Bytes [64 * MIB, 64 * MIB, 8 * MIB],
    /// Longest traceback text of a received exception; the rest is cut off.
    max_traceback: Bytes [64 * KIB, 64 * KIB, 16 * KIB],
    /// Most attributes of a received exception; the rest is left out.
    max_exception_attributes: Count [256, 256, 256],
    /// Most clients that a server has at one time.
    max_connections: Count [10_000, 10_000, 256],
    /// From the first byte of a frame until its header is there.
    header_timeout: Time [10, 10, 5],
    /// From the first byte of a frame until all of it is there, and the time that `min_frame_rate` gives its length.
    frame_timeout: Time [30, 30, 10],
    /// Bytes of a long frame for which a peer may take a second more.
    min_frame_rate: Bytes [64 * KIB, 64 * KIB, 256 * KIB],
    /// An authenticator's or TLS's handshake with a client.
    handshake_timeout: Time [10, 10, 5],
    /// While something waits to be sent and the peer takes nothing of it.
    write_timeout: Time [30, 30, 10],
    /// Without a byte of the peer's while no request is under way.
    idle_timeout: Time [0, 0, 300],
    /// Quiet before TCP asks whether the peer is still there.
    keepalive: Time [30, 30, 15],
    /// Between two such questions; a peer that leaves three of them unanswered is gone.
    keepalive_interval: Time [10, 10, 5],
    /// Lines that a server logs in one second.
    max_log_rate: Count [10, 10, 10],
}

impl Limits {
    /// The setting of that name.
    #[must_use]
    pub fn setting(name: &str) -> Option<&'static Setting> {
        Self::SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The nesting in force: the setting, never above [`DEPTH_CEILING`].
    #[must_use]
    pub fn depth(&self) -> usize {
        self.max_depth.min(DEPTH_CEILING)
    }

    /// How long a frame may take from its first byte to its last; `claimed` is its length, once its header has told it.
    #[must_use]
    pub fn frame_time(&self, claimed: Option<usize>) -> Option<Duration> {
        let Some(claimed) = claimed else { return self.header_timeout };
        let extra = claimed.checked_div(self.min_frame_rate).unwrap_or_default();
        self.frame_timeout?.checked_add(Duration::from_secs(extra as u64))
    }
}

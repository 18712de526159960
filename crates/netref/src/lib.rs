//! Remote objects: two processes hand each other live objects and use them as if they were local.
//!
//! What is plain and immutable crosses a connection by value: None, bools, numbers, text, bytes, tuples of these. Everything
//! else crosses as a *reference*, and using the reference runs on the side that owns the object. Both sides are equal: while
//! a client waits for a call, the server may call the functions and use the objects that it was given. The peer may be Rust
//! or Python: the protocol is that of [RPyC](https://rpyc.readthedocs.io), and unmodified RPyC is a peer like any other.
//!
//! # A client lends a file and a function
//!
//! The server loops over the lines of a file that stays with the client, and calls the client's function with each; only
//! the count comes back.
//!
//! ```
//! use netref::{File, Remote, Server};
//!
//! struct LineCounter;
//!
//! #[netref::service]
//! impl LineCounter {
//!     /// Calls `function` with each line of `file`, and returns how many there are.
//!     fn line_counter(&self, file: Remote, function: Remote) -> netref::Result<u64> {
//!         let mut count = 0;
//!         // It is a list, so that nobody minds if many lines come in one round trip.
//!         for line in file.call_method("readlines", ())?.iter()?.prefetched() {
//!             function.call((line?,))?;
//!             count += 1;
//!         }
//!         Ok(count)
//!     }
//! }
//!
//! let server = Server::bind("tcp://127.0.0.1:0", || LineCounter)?;
//! # let (url, running) = (server.address().to_string(), server.clone());
//! std::thread::spawn(move || server.run());
//!
//! // In another process, usually:
//! let conn = netref::connect(&url)?;
//! let file = File::reader("Simple\nis\nbetter\n".as_bytes());
//! let noisy = netref::function(|line: String| println!("Noisy: {line:?}"));
//! let lines: u64 = conn.root()?.call_method("line_counter", (file, noisy))?.extract()?;
//! assert_eq!(lines, 3);
//! # conn.close();
//! # running.stop();
//! # Ok::<(), netref::Error>(())
//! ```
//!
//! The same client in Python, and it does not matter on which side either of them is:
//!
//! ```python
//! import netref as rpyc
//!
//! conn = rpyc.connect("localhost", 18861)
//! lines = conn.root.line_counter(open("testfile.txt"), lambda line: print("Noisy:", repr(line)))
//! ```
//!
//! # The tour
//!
//! **Connecting.** [`connect`] takes a URL, `tcp://host:port` or `unix:///path`, and returns a [`Connection`]; [`Options`] has
//! the timeout, the limits, the older wire dialect and the rest. [`Connection::root`] is the peer's service; that of a
//! [`Reconnecting`] handle outlives connections.
//!
//! **Using remote objects.** A [`Remote`] is one object of the other side. Each operation on it is one round trip, blocks
//! until the result is here, and returns a [`Value`]; [`Value::extract`] makes a Rust type of it ([`FromValue`] has the table
//! of types). Dropping the last clone lets the other side free the object.
//!
//! ```
//! # use netref::{Args, Dict, IntoValue, Value};
//! # let object = Dict::new().into_value();
//! // Whatever an object is, a dict of the peer's for example, it is used by name:
//! object.call_method("update", Args::default().named("gain", 2.5))?;
//! let gain: f64 = object.call_method("get", ("gain",))?.extract()?;
//! for key in object.iter()? {
//!     assert_eq!(key?.extract::<String>()?, "gain");
//! }
//! // Conversion errors name both types.
//! let wrong = object.call_method("get", ("gain",))?.extract::<String>();
//! assert_eq!(wrong.unwrap_err().to_string(), "expected a str, got float");
//! # Ok::<(), netref::Error>(())
//! ```
//!
//! **Driving Python.** A server of RPyC's classic mode (`rpyc_classic`, `netref classic`) runs what it is told. Its root imports
//! modules (`getmodule`), evaluates an expression (`eval`), runs statements (`execute`), and has the variables of both
//! (`namespace`). Operators are methods (`__mul__`); the functions of Python's module `operator` do all that Python does for one,
//! `__rmul__` included. [`Remote::with`] is a `with` block.
//!
//! ```no_run
//! use netref::{Args, Error, Remote, Value};
//!
//! let conn = netref::connect("tcp://localhost:18812")?;
//! let python = conn.root()?;
//! let numpy: Remote = python.call_method("getmodule", ("numpy",))?.extract()?;
//! let ones: Remote = numpy.call_method("ones", Args::new(((2, 3),)).named("dtype", "int8"))?.extract()?;
//! let rows: Vec<Vec<f64>> = ones.call_method("__mul__", (2.5,))?.extract()?;
//! // ones[-1:]
//! let last = ones.get_item(Value::Slice(Box::new([Value::Int(-1), Value::None, Value::None])))?;
//! match python.call_method("eval", ("1 / 0",)) {
//!     Err(Error::Raised(error)) if error.is("ZeroDivisionError") => print!("{}", error.traceback()),
//!     other => panic!("{other:?}"),
//! }
//! # let _ = (rows, last);
//! # Ok::<(), Error>(())
//! ```
//!
//! **Giving objects to a peer.**
//!
//! | to pass | use |
//! |---|---|
//! | a function | [`function`](function()) of any closure |
//! | an object with methods and properties | [`#[netref::object]`](macro@object) on its `impl` block, in an `Arc` |
//! | a list or a dict that both sides see change | [`List`], [`Dict`] |
//! | a file, or any reader or writer | [`File`] |
//! | an iterator | [`iterator`], [`try_iterator`] |
//! | plain data | itself: [`IntoValue`] has the table |
//!
//! A Python peer uses each of them as its own kind.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicI64, Ordering};
//! use netref::{IntoValue, Remote, Result};
//!
//! #[derive(Default)]
//! struct Motor {
//!     position: AtomicI64,
//! }
//!
//! #[netref::object(name = "lab.Motor")]
//! impl Motor {
//!     /// Moves, and reports every step to `watcher` if there is one.
//!     fn step(&self, by: i64, watcher: Option<Remote>) -> Result<()> {
//!         let position = self.position.fetch_add(by, Ordering::Relaxed) + by;
//!         watcher.map_or(Ok(()), |watcher| watcher.call((position,)).map(drop))
//!     }
//!
//!     #[netref(get)]
//!     fn position(&self) -> i64 {
//!         self.position.load(Ordering::Relaxed)
//!     }
//! }
//!
//! let motor = Arc::new(Motor::default()).into_value();
//! motor.call_method("step", (3,))?;
//! assert_eq!(motor.get_attr("position")?.extract::<i64>()?, 3);
//! # Ok::<(), netref::Error>(())
//! ```
//!
//! **Serving.** [`serve`] and [`Server`] serve a [`Service`], which [`#[netref::service]`](macro@service) makes of an `impl` block:
//! one for each client, or one for all.
//!
//! **Errors.** An exception of the other side is [`Error::Raised`], with its class, arguments and traceback. An [`Error`]
//! returned from a method of yours is raised there; so is a panic, and the server goes on. [`Error::raise`] makes a Python
//! exception of any built-in class, [`Exception`] one of any class at all.
//!
//! ```
//! use netref::Error;
//!
//! let divide = netref::function(|a: f64, b: f64| {
//!     if b == 0.0 { Err(Error::raise("ZeroDivisionError", "division by zero")) } else { Ok(a / b) }
//! });
//! let value = netref::Value::Object(divide);
//! match value.call((1, 0)) {
//!     Err(Error::Raised(exception)) if exception.is("ZeroDivisionError") => {}
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), netref::Error>(())
//! ```
//!
//! # Threads
//!
//! Everything here can be shared between threads, and calls of several threads on one connection overlap. What a peer calls
//! while a thread waits for a call of its own runs on that very thread, as far as it can be known which that is; else on a
//! thread of the driver's: [`threads`] has the rules. So do not hold a lock over a call if the peer may call back what needs
//! it. With the feature `tokio`, `netref::aio` is the asynchronous API.
//!
//! # Trust
//!
//! A peer reaches what it was given, and what that gives it, and nothing else. What it sends cannot crash the process or fill its
//! memory beyond the [limits](protocol::Limits). Without a [handshake](Options::handshake) it is neither authenticated
//! nor encrypted: listen on `localhost`, a unix socket, or a network that you trust.
//!
//! # Features
//!
//! - `macros` (on): [`#[netref::object]`](macro@object) and [`#[netref::service]`](macro@service).
//! - `tokio`: `netref::aio`.
//! - `tls`: `netref::tls`, for [`Options::handshake`].
//! - `secret`: `netref::SharedSecret`, for the same.

#![cfg_attr(docsrs, feature(doc_cfg))]
// The documentation is that of all features.
#![cfg_attr(
    not(all(feature = "macros", feature = "secret", feature = "tls", feature = "tokio")),
    allow(rustdoc::broken_intra_doc_links)
)]
#![forbid(unsafe_code)]

mod address;
#[cfg(feature = "tokio")]
pub mod aio;
mod alarm;
mod args;
mod buffered;
mod chained;
mod compare;
mod connection;
mod containers;
mod convert;
mod dict;
mod dynamic;
mod error;
mod failure;
mod fetching;
mod file;
mod function;
mod handshake;
mod incoming;
mod iter;
mod keepalive;
mod lines;
mod list;
mod memory;
mod object;
mod operation;
mod peer;
mod place;
mod pool;
mod process;
mod raising;
mod reconnecting;
mod remote;
mod repr;
mod running;
#[cfg(feature = "secret")]
mod secret;
mod server;
mod server_stats;
mod service;
mod side;
pub mod threads;
mod time_limit;
#[cfg(feature = "tls")]
pub mod tls;
mod value;
mod world;

pub use address::Address;
pub use args::{Args, IntoArgs};
pub use bytes::Bytes;
pub use connection::{Connection, Options, Stats, Wire, connect};
pub use convert::{FromValue, IntoValue};
pub use dict::Dict;
pub use dynamic::ValueIter;
pub use error::{Error, Exception, Result};
pub use failure::{Closed, EndReason};
pub use file::File;
pub use function::{Fallible, Infallible, IntoFunction, IntoOutcome, function, function_with_args};
pub use handshake::{Credentials, Handshake, Secured};
pub use iter::{Prefetched, RemoteIter, iterator, try_iterator};
pub use list::List;
#[cfg(feature = "macros")]
pub use netref_macros::{object, service};
pub use object::{Class, Method, MethodFuture, Object, ObjectRef};
pub use reconnecting::{Reconnecting, ReconnectingState};
pub use remote::{Comparison, ExtractAll, Remote};
#[cfg(feature = "secret")]
pub use secret::SharedSecret;
pub use server::{Server, serve};
pub use server_stats::ServerStats;
pub use service::Service;
pub use time_limit::with_timeout;
pub use value::{BigInt, Value};

/// What the options and tools of this crate take from the protocol.
pub mod protocol {
    pub use netref_core::frame::{Compression, FrameError};
    pub use netref_core::limits::{Limits, Quantity, Setting};
    pub use netref_core::message::{Dialect, Handler};
    pub use netref_core::policy::Rules;
    pub use netref_core::refs::IdPack;
    pub use netref_core::request::Request;
    pub use netref_core::session::ProtocolError;
}

//! The asynchronous API, on tokio: clients and servers that take no thread for each call.
//!
//! ```no_run
//! use netref::aio;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> netref::Result<()> {
//! let conn = aio::connect("tcp://lab-pc:18861").await?;
//! let root = conn.root().await?;
//! let noisy = aio::function(|line: String| async move { println!("Noisy: {line:?}") });
//! let log: aio::Remote = root.call_method("open_log", ("today",)).await?.extract()?;
//! let lines: u64 = root.call_method("line_counter", (log, noisy)).await?.extract()?;
//! # let _ = lines;
//! # Ok(())
//! # }
//! ```
//!
//! Everything but the waiting is shared with the blocking API: values, conversions, objects and services, closures,
//! containers, errors and [`Options`]. A [`Value::Remote`](crate::Value::Remote) is the same reference in both;
//! [`aio::Remote`](Remote) adds operations to `await`. Make one by extracting it from a value, by taking it as an argument,
//! or with `aio::Remote::from`.
//!
//! # What runs where
//!
//! Three tasks drive a connection. One reads: replies, pings and releases of references are never behind user code. One
//! writes. One starts the peer's requests, in the order in which they came; they run concurrently:
//!
//! - Asynchronous ones ([`function`], or an object with a [`start_method`](crate::Object::start_method)) as tasks. The
//!   part before their first `await` runs in the order of the calls, unless items of an argument are fetched first (a `Vec` from a
//!   list of the peer's), which a thread does. Like any asynchronous code, they must not block.
//! - All others on threads that are there to be blocked, which they share with the blocking API's connections, each on one of its
//!   own. They may use blocking operations, also on objects of the peer that waits for them, and the runtime's tasks and timers.
//!   Where there is no memory for one more such thread, the request is answered with a `MemoryError`.
//!
//! Blocking operations in asynchronous code fail with [`Error::WouldBlock`](crate::Error::WouldBlock) instead of stopping
//! the runtime. That includes conversions that fetch items, such as `value.extract::<Vec<i64>>()` of a remote list.
//!
//! # Cancellation
//!
//! Dropping the future of an operation before it was polled does nothing. Dropping it later gives up waiting: the request
//! may or may not have been sent, the peer goes on with it in the latter case, and references in its late reply are
//! released. The connection stays good. Dropping the last [`Connection`] and [`Remote`] of a connection closes it, without
//! blocking.
//!
//! # Connecting again
//!
//! [`Reconnecting`](crate::Reconnecting) blocks while it connects, so it is used in [`spawn_blocking`]:
//!
//! ```no_run
//! use std::sync::Arc;
//! use netref::{Reconnecting, aio};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> netref::Result<()> {
//! let runtime = tokio::runtime::Handle::current();
//! let dial = move || runtime.block_on(aio::connect("tcp://lab-pc:18861")).map(Into::into);
//! let lab = Arc::new(Reconnecting::new(dial));
//!
//! // For each piece of work, over whatever connection there is by then:
//! let root: aio::Remote = aio::spawn_blocking(move || lab.root()).await?.into();
//! root.call_method("measure", ()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The runtime
//!
//! Connections and servers must be made inside of a tokio runtime, with I/O and time enabled, and live as long as that
//! does. Both flavors of runtime will do. The futures of operations can be awaited anywhere. A runtime that shuts down does not wait
//! for requests that run on threads; [`Server::stop_gracefully`] does.

mod blocking;
mod connection;
mod driver;
mod function;
mod handling;
mod iter;
mod peer;
mod remote;
mod secured;
mod server;
mod stream;
mod tasks;

pub(crate) use blocking::on_pool;
pub use blocking::spawn_blocking;
pub use connection::{Connection, connect, connect_with, over_stream};
pub use function::{IntoAsyncFunction, function};
pub use iter::{Prefetched, RemoteIter};
pub(crate) use peer::TokioPeer;
pub use remote::Remote;
pub use server::{Server, serve};

#[cfg(doc)]
use crate::Options;

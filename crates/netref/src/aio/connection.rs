use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netref_core::frame::Compression;
use netref_core::request::Request;
use netref_core::session;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use super::Remote;
use super::driver::Driver;
use super::peer::{Owner, TokioPeer};
use super::stream::Stream;
use super::tasks;
use crate::address::Address;
use crate::connection::{Options, Stats};
use crate::error::{Error, Result};
use crate::failure::Closed;
use crate::handshake::Credentials;
use crate::memory;
use crate::object::ObjectRef;
use crate::operation::Operation;
use crate::peer::Peer;
use crate::side::FEATURES;
use crate::value::Value;

/// Connects to a server: `tcp://host:port` or `unix:///path`.
///
/// The peer may be netref or stock RPyC 6, in Rust or Python, whatever drives it there. For anything but the defaults, see
/// [`connect_with`]. Nothing is sent before the first call.
///
/// Cancel safety: dropping the future gives up connecting.
///
/// ```no_run
/// # async fn example() -> netref::Result<()> {
/// let conn = netref::aio::connect("tcp://localhost:18861").await?;
/// let answer: i64 = conn.root().await?.call_method("add", (40, 2)).await?.extract()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::BadUrl`], or [`Error::Connect`] with the reason.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time enabled.
pub async fn connect(url: &str) -> Result<Connection> {
    connect_with(&Options::new(), url).await
}

/// Connects to a server, with settings.
///
/// `dispatch` is not among those that count here: see [what runs where](super#what-runs-where).
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example() -> netref::Result<()> {
/// let options = netref::Options::new().timeout(Some(Duration::from_secs(600)));
/// let conn = netref::aio::connect_with(&options, "tcp://lab-pc:18861").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`connect`].
///
/// # Panics
/// As [`connect`].
pub async fn connect_with(options: &Options, url: &str) -> Result<Connection> {
    let address: Address = url.parse()?;
    let Some(limit) = options.connect_timeout else { return dial(options, &address).await };
    let mut bounded = options.clone();
    // On a thread of its own, it would go on when nobody waits for it any more.
    bounded.limits.handshake_timeout = bounded.limits.handshake_timeout.into_iter().chain([limit]).min();
    let complete = async {
        let connection = dial(&bounded, &address).await?;
        connection.root().await?;
        Ok(connection)
    };
    let started = Instant::now();
    let connected = tokio::time::timeout(limit, complete).await.ok();
    // Its handshake may have noticed first.
    let in_time = connected.filter(|connected| connected.is_ok() || started.elapsed() < limit);
    in_time.unwrap_or_else(|| Err(options.connects_too_long(url)))
}

async fn dial(options: &Options, address: &Address) -> Result<Connection> {
    let connected = Stream::connect(address, options).await;
    let stream = connected.map_err(|source| Error::Connect { url: address.to_string(), source })?;
    Ok(Connection::start(options, options.service.clone(), stream, Role::Initiator))
}

/// Makes a connection over any connected stream: a pipe, a test's [`duplex`](tokio::io::duplex), something secured by other
/// means than [`Options::handshake`], which does nothing here. One side of the two must be the `initiator`.
///
/// ```
/// use netref::{Options, aio};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> netref::Result<()> {
/// let (here, there) = tokio::io::duplex(64 * 1024);
/// let conn = aio::over_stream(&Options::new(), here, true);
/// let _peer = aio::over_stream(&Options::new(), there, false);
/// conn.ping().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Outside of a tokio runtime with time enabled.
pub fn over_stream(
    options: &Options,
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    initiator: bool,
) -> Connection {
    let role = if initiator { Role::Initiator } else { Role::Acceptor };
    Connection::start(options, options.service.clone(), Stream::other(stream), role)
}

/// A connection to a peer: the way to its root object.
///
/// Clones are the same connection. It is closed by [`close`](Self::close), or when the last clone and the last
/// [`Remote`] of it are dropped, or with its runtime.
///
/// It converts from and to the blocking [`netref::Connection`](crate::Connection), which is the same connection with
/// another face.
#[derive(Clone)]
pub struct Connection {
    inner: crate::Connection,
}

impl Connection {
    /// The peer's root object, its service. One round trip the first time, none after that.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn root(&self) -> Result<Remote> {
        if let Some(root) = self.inner.root.get() {
            return Ok(root.clone().into());
        }
        let root = self.run(Operation::root()).await?;
        Ok(self.inner.root.get_or_init(|| root).clone().into())
    }

    /// Checks that the peer answers. One round trip; the peer answers at once, whatever else it is doing.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn ping(&self) -> Result<()> {
        self.run(Operation::ping()).await
    }

    /// Sends any request and waits for the result: for tools and tests.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub async fn request(&self, request: Request<Value>) -> Result<Value> {
        self.inner.peer().request_async(&request).await
    }

    /// How long operations wait for their reply from now on; `None` for ever. 30 seconds unless set.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.inner.set_timeout(timeout);
    }

    /// Closes the connection. Waits until requests of the peer that run are answered, but for those that call this, and
    /// until the peer has taken note: half a second at most for each. Operations that wait end with
    /// [`Error::Closed`], and so does every later one.
    ///
    /// Cancel safety: if the future is dropped after it was polled, the connection ends at once.
    pub async fn close(&self) {
        self.inner.peer().close_async().await;
    }

    /// Why the connection has ended, if it has. To wait for that, see [`wait_closed`](Self::wait_closed).
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// Waits until the connection has ended. Cancel safe.
    ///
    /// ```no_run
    /// # async fn example() -> netref::Result<()> {
    /// let conn = netref::aio::connect("tcp://localhost:18861").await?;
    /// println!("{}", conn.wait_closed().await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_closed(&self) -> Closed {
        self.inner.peer().wait_closed().await
    }

    /// Who the peer has proved to be, in the [handshake](Options::handshake) if there was one.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.inner.credentials()
    }

    /// What a netref peer calls itself; `None` for stock RPyC, or before the first reply.
    #[must_use]
    pub fn peer_software(&self) -> Option<String> {
        self.inner.peer_software()
    }

    /// What the connection has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    async fn run<T>(&self, operation: Operation<T>) -> Result<T> {
        (operation.read)(self.inner.peer().request_async(&operation.request).await?)
    }

    /// Starts a connection over a connected stream.
    pub(super) fn start(options: &Options, service: Option<ObjectRef>, stream: Stream, role: Role) -> Self {
        let session = session::Options {
            limits: options.limits.clone(),
            dialect: options.dialect(role == Role::Initiator),
            compression: if stream.is_local { Compression::Off } else { options.compression },
            features: FEATURES,
            store: Some(memory::store()),
            ..session::Options::default()
        };
        let side = options.side(service, stream.address.clone());
        let driver = Driver::new(side, session, Handle::current(), options.heartbeat, role != Role::Server);
        let owner = Arc::new(Owner { driver });
        tasks::spawn(&owner, stream.reading, stream.writing);
        crate::Connection::new(Peer::Tokio(TokioPeer(owner)), stream.credentials).into()
    }

    /// Lets the peer's requests start, where the [role](Role::Server) had them wait.
    pub(super) fn open(&self) {
        if let Peer::Tokio(peer) = self.inner.peer() {
            peer.driver().open();
        }
    }

    /// Refuses the peer's new requests from now on, and waits until those under way are answered, or until the deadline.
    pub(super) async fn drain(&self, deadline: Option<Instant>) {
        if let Peer::Tokio(peer) = self.inner.peer() {
            peer.driver().drain(deadline).await;
        }
    }

    pub(super) fn blocking(&self) -> &crate::Connection {
        &self.inner
    }
}

/// What a side is at the start of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Speaks first, and settles the dialect.
    Initiator,
    /// Follows.
    Acceptor,
    /// Follows, and carries out requests only once it is [told to](Connection::open), but for those that are part of a
    /// call of its own.
    Server,
}

impl From<crate::Connection> for Connection {
    fn from(inner: crate::Connection) -> Self {
        Self { inner }
    }
}

impl From<Connection> for crate::Connection {
    fn from(connection: Connection) -> Self {
        connection.inner
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

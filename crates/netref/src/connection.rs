use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netref_core::frame::Compression;
use netref_core::limits::Limits;
use netref_core::message::{Dialect, Handler};
use netref_core::policy::Rules;
use netref_core::request::Request;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::failure::Closed;
use crate::handshake::{Credentials, Handshake, Secured};
use crate::object::ObjectRef;
use crate::operation::Operation;
use crate::peer::{Peer, RustHost, ThreadsPeer};
use crate::remote::Remote;
use crate::service::void_service;
use crate::side::{FEATURES, Side};
use crate::threads::{Dispatch, Link, LinkOptions, SocketTransport};
use crate::time_limit::with_timeout;
use crate::value::Value;

/// Connects to a server: `tcp://host:port` or `unix:///path`.
///
/// The peer may be netref or stock RPyC 6, in Rust or Python. For anything but the defaults, see [`Options`]. Blocks until
/// the connection is made; nothing is sent before the first call.
///
/// ```no_run
/// let conn = netref::connect("tcp://localhost:18861")?;
/// let answer: i64 = conn.root()?.call_method("add", (40, 2))?.extract()?;
/// # Ok::<(), netref::Error>(())
/// ```
///
/// # Errors
/// [`Error::BadUrl`](crate::Error::BadUrl), or [`Error::Connect`](crate::Error::Connect) with the reason.
pub fn connect(url: &str) -> Result<Connection> {
    Options::new().connect(url)
}

/// How long it may take to reach a peer, where the program does not say.
pub(crate) const DIALLING: Duration = Duration::from_secs(10);

/// A connection to a peer: the way to its root object.
///
/// Clones are the same connection. It is closed by [`close`](Self::close), or when the last clone and the last
/// [`Remote`] of it are dropped.
#[derive(Clone)]
pub struct Connection {
    peer: Peer,
    credentials: Option<Arc<Credentials>>,
    pub(crate) root: Arc<std::sync::OnceLock<Remote>>,
}

impl Connection {
    /// The peer's root object, its service. One round trip the first time, none after that.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn root(&self) -> Result<Remote> {
        if let Some(root) = self.root.get() {
            return Ok(root.clone());
        }
        let root = self.run(Operation::root())?;
        Ok(self.root.get_or_init(|| root).clone())
    }

    /// Checks that the peer answers. One round trip; the peer answers at once, whatever else it is doing.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn ping(&self) -> Result<()> {
        self.run(Operation::ping())
    }

    /// Sends any request and waits for the result: for tools and tests.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn request(&self, request: Request<Value>) -> Result<Value> {
        self.peer.request(request)
    }

    /// Sends a request that need not exist, with arguments that need not fit it: for tests of peers. The two types of
    /// handler that RPyC's own peers let through are numbers and names.
    ///
    /// # Errors
    /// As for every operation on a [`Remote`].
    pub fn raw_request(&self, handler: Handler<'_>, args: &[Value]) -> Result<Value> {
        self.peer.exchange(handler, |world, boxer| boxer.arguments(world, &args.iter().collect::<Vec<_>>()))
    }

    /// How long operations wait for their reply from now on; `None` for ever. 30 seconds unless set.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.peer.side().set_timeout(timeout);
    }

    /// Closes the connection. Waits until requests of the peer that run are answered, but for those that call this, and
    /// until the peer has taken note: half a second at most for each. Calls that wait in other threads end with
    /// [`Error::Closed`](crate::Error::Closed), and so does every later one.
    pub fn close(&self) {
        self.peer.close();
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.peer.closed()
    }

    /// Serves the peer from now on, though this side may never call it.
    fn attended(self) -> Self {
        self.peer.attend();
        self
    }

    /// Serves the peer's requests on the calling thread until the connection ends. Not needed for callbacks: a
    /// connection that nobody waits on is served in the background.
    pub fn serve_all(&self) {
        self.peer.serve_all();
    }

    /// Who the peer has proved to be, in the [handshake](Options::handshake) if there was one.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_deref()
    }

    /// What a netref peer calls itself; `None` for stock RPyC, or before the first reply.
    #[must_use]
    pub fn peer_software(&self) -> Option<String> {
        self.peer.software()
    }

    /// What the connection has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = self.peer.counters();
        Stats {
            round_trips: counters.requests_sent,
            requests_served: counters.requests_received,
            objects_lent: self.peer.with_exports(|exports| exports.len()),
            malformed: counters.malformed,
            refused: counters.refused,
        }
    }

    fn run<T>(&self, operation: Operation<T>) -> Result<T> {
        (operation.read)(self.request(operation.request)?)
    }

    pub(crate) fn new(peer: Peer, credentials: Option<Credentials>) -> Self {
        Self { peer, credentials: credentials.map(Arc::new), root: Arc::default() }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closed", &self.closed()).finish_non_exhaustive()
    }
}

/// What a connection has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests sent; each was one round trip.
    pub round_trips: u64,
    /// Requests of the peer carried out.
    pub requests_served: u64,
    /// Objects of this side that the peer holds references to.
    pub objects_lent: usize,
    /// Malformed messages of the peer's.
    pub malformed: u64,
    /// Requests of the peer that a limit refused.
    pub refused: u64,
}

/// The wire dialect of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// RPyC 6 and netref. A server follows its client, whatever this says.
    #[default]
    V6,
    /// RPyC 5.3.1 and older.
    V5,
}

/// Settings of a connection.
///
/// ```no_run
/// use std::time::Duration;
///
/// let options = netref::Options::new().timeout(Some(Duration::from_secs(600)));
/// let conn = options.connect("tcp://lab-pc:18861")?;
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) service: Option<ObjectRef>,
    timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    wire: Wire,
    pub(crate) limits: Limits,
    rules: Rules<'static>,
    dispatch: Dispatch,
    pub(crate) compression: Compression,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) handshake: Option<Arc<dyn Handshake>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            service: None,
            timeout: Some(Duration::from_secs(30)),
            connect_timeout: None,
            wire: Wire::default(),
            limits: Limits::default(),
            // An object of this crate allows to set or delete only what its author made settable.
            rules: Rules { set: true, delete: true, ..Rules::default() },
            dispatch: Dispatch::default(),
            compression: Compression::default(),
            heartbeat: None,
            handshake: None,
        }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The root object that the peer gets from this side. A client has none by default.
    #[must_use]
    pub fn service(mut self, service: ObjectRef) -> Self {
        self.service = Some(service);
        self
    }

    /// How long operations wait for their reply; `None` for ever. 30 seconds unless set.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take, name resolution aside: all of it, the [handshake](Self::handshake) and the peer's root
    /// included, which is fetched then. Unless set, to reach the peer may take 10 seconds, a handshake the limit
    /// `handshake_timeout`, and nothing is fetched.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The dialect that a client speaks.
    #[must_use]
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Bounds on what the peer can make this side do.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Which attributes the peer may reach, beyond what each object exposes itself.
    #[must_use]
    pub fn rules(mut self, rules: Rules<'static>) -> Self {
        self.rules = rules;
        self
    }

    /// Where requests of the peer run.
    #[must_use]
    pub fn dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = dispatch;
        self
    }

    /// Whether large messages are compressed. Peers on this machine never get compressed ones.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// After how long a silence the peer is asked for a sign of life; if it gives none for as long again, the connection
    /// ends. `None`, which is the default, never asks: a peer that vanished without a word, with its machine perhaps, is
    /// noticed when TCP does.
    ///
    /// A stock peer gives no sign of life while it is busy, or while nobody serves there.
    #[must_use]
    pub fn heartbeat(mut self, interval: Option<Duration>) -> Self {
        self.heartbeat = interval;
        self
    }

    /// What to do with a socket before it is a connection's: TLS, or proving that one knows a secret. Nothing is done to
    /// sockets and streams that are connections' from the start ([`over_socket`](Self::over_socket), `aio::over_stream`).
    #[must_use]
    pub fn handshake(mut self, handshake: impl Handshake) -> Self {
        self.handshake = Some(Arc::new(handshake));
        self
    }

    /// Connects to a server. No round trip, or one with a [`connect_timeout`](Self::connect_timeout).
    ///
    /// # Errors
    /// As [`connect`], and what the [handshake](Self::handshake) finds wrong.
    pub fn connect(&self, url: &str) -> Result<Connection> {
        let address = url.parse::<Address>()?;
        let deadline = self.connect_timeout.and_then(|limit| Instant::now().checked_add(limit));
        let socket = address.connect(self.connect_timeout.unwrap_or(DIALLING))?;
        let connection = match &self.handshake {
            None => self.over_socket(socket, true)?,
            Some(handshake) => {
                let peer = address_of(&socket);
                let until = [self.handshake_deadline(), deadline].into_iter().flatten().min();
                let secured = handshake.connect(socket, address.host(), until);
                let secured = secured.map_err(|source| match deadline {
                    Some(at) if Instant::now() >= at => self.connects_too_long(url),
                    _ => Error::Connect { url: url.to_owned(), source },
                })?;
                self.start_over(secured, peer, self.service.clone(), true).attended()
            }
        };
        let Some(deadline) = deadline else { return Ok(connection) };
        let left = deadline.saturating_duration_since(Instant::now());
        match with_timeout(Some(left), || connection.root()) {
            Ok(_) => Ok(connection),
            Err(Error::TimedOut { .. }) => {
                connection.peer.hang_up();
                Err(self.connects_too_long(url))
            }
            Err(error) => Err(error),
        }
    }

    /// That connecting took longer than its limit.
    pub(crate) fn connects_too_long(&self, url: &str) -> Error {
        let limit = self.connect_timeout.unwrap_or(DIALLING);
        let text = format!("the peer has not answered within {limit:?} (option connect_timeout)");
        let source = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
        Error::Connect { url: url.to_owned(), source }
    }

    /// Makes a connection with a client whose socket was accepted, after the handshake if there is to be one. Its requests are
    /// held until it is [attended](Peer::attend).
    pub(crate) fn accept(&self, socket: OwnedFd, service: ObjectRef) -> Result<Connection> {
        let connection = match &self.handshake {
            None => self.start(socket, Some(service), false)?,
            Some(handshake) => {
                let peer = address_of(&socket);
                let secured = handshake.accept(socket, self.handshake_deadline())?;
                self.start_over(secured, peer, Some(service), false)
            }
        };
        connection.peer.hold();
        Ok(connection)
    }

    pub(crate) fn handshake_deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.limits.handshake_timeout?)
    }

    /// Makes a connection over a connected socket. One side of the two must be the `initiator`.
    ///
    /// # Errors
    /// If the socket refuses a setting.
    pub fn over_socket(&self, socket: OwnedFd, initiator: bool) -> Result<Connection> {
        Ok(self.start(socket, self.service.clone(), initiator)?.attended())
    }

    fn start(&self, socket: OwnedFd, service: Option<ObjectRef>, initiator: bool) -> Result<Connection> {
        let address = address_of(&socket);
        let transport = Box::new(SocketTransport::exclusive(socket)?);
        Ok(self.start_over(Secured { transport, credentials: None }, address, service, initiator))
    }

    fn start_over(
        &self,
        secured: Secured,
        address: String,
        service: Option<ObjectRef>,
        initiator: bool,
    ) -> Connection {
        let Secured { transport, credentials } = secured;
        let options = LinkOptions {
            limits: self.limits.clone(),
            dialect: self.dialect(initiator),
            compression: self.compression,
            dispatch: self.dispatch,
            heartbeat: self.heartbeat,
            features: FEATURES,
            ..LinkOptions::default()
        };
        let link = Link::new(RustHost::new(self.side(service, address)), transport, options);
        let peer = ThreadsPeer::new(link);
        Connection::new(Peer::Threads(peer), credentials)
    }

    /// The dialect to start with; none for an acceptor, which follows its peer.
    pub(crate) fn dialect(&self, initiator: bool) -> Option<Dialect> {
        let dialect = match self.wire {
            Wire::V6 => Dialect::V6,
            Wire::V5 => Dialect::V5,
        };
        initiator.then_some(dialect)
    }

    /// This side of a connection with these settings.
    pub(crate) fn side(&self, service: Option<ObjectRef>, address: String) -> Side {
        let root = service.unwrap_or_else(void_service);
        Side::new(root, self.rules.clone(), self.limits.clone(), address, self.timeout)
    }
}

/// The address of the peer, or nothing if it has none.
pub(crate) fn address_of(socket: &OwnedFd) -> String {
    let peer = rustix::net::getpeername(socket).ok().flatten();
    let address = peer.and_then(|address| std::net::SocketAddr::try_from(address).ok());
    address.map(|address| address.to_string()).unwrap_or_default()
}

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::blocking::beside;
use super::connection::{Connection, Role};
use super::spawn_blocking;
use super::stream::{Socket, Stream};
use crate::address::{Address, Listener};
use crate::connection::Options;
use crate::error::Result;
use crate::memory::Room;
use crate::pool::POOL;
use crate::raising::caught;
use crate::server_stats::{ServerCounters, ServerStats, count};
use crate::service::Service;

/// Accept failures (no file descriptors, no memory) pause the server as long, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Serves a service at `tcp://host:port` or `unix:///path`. `service` is called for each client. Ends only if it cannot
/// listen; dropping the future closes the connections of all clients.
///
/// ```no_run
/// # use netref::{Class, Object, Args, Value, Service};
/// # struct Counter;
/// # impl Object for Counter {
/// #     fn class(&self) -> std::sync::Arc<Class> { Class::new("Counter").into() }
/// #     fn call_method(&self, _: &str, _: Args) -> netref::Result<Value> { Ok(Value::None) }
/// # }
/// # impl Service for Counter {}
/// # async fn example() -> netref::Result<()> {
/// netref::aio::serve("tcp://localhost:18861", || Counter).await
/// # }
/// ```
///
/// # Errors
/// [`Error::BadUrl`](crate::Error::BadUrl), or [`Error::Listen`](crate::Error::Listen) if it cannot listen there.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time enabled.
pub async fn serve<S: Service>(url: &str, service: impl Fn() -> S + Send + Sync + 'static) -> Result<()> {
    Server::bind(url, service).await?.run().await;
    Ok(())
}

/// A server: a few tasks for each client, and no thread but for methods that block and for [handshakes](Options::handshake).
///
/// Services are those of the blocking API: [`Service::connected`] and [`Service::disconnected`] run where they may block,
/// and `connected` gets a connection whose blocking operations it may use. Requests of a client wait until `connected` has
/// returned, except for those that are part of a call which it makes. (Stock clients do not say what a request is part
/// of. Theirs do not wait while `connected` waits for a reply.) Of a client that it refuses, they are never carried out.
///
/// ```no_run
/// # use netref::{Class, Object, Args, Value, Service};
/// # struct Counter;
/// # impl Object for Counter {
/// #     fn class(&self) -> std::sync::Arc<Class> { Class::new("Counter").into() }
/// #     fn call_method(&self, _: &str, _: Args) -> netref::Result<Value> { Ok(Value::None) }
/// # }
/// # impl Service for Counter {}
/// # async fn interrupted() {}
/// # async fn example() -> netref::Result<()> {
/// let server = netref::aio::Server::bind("tcp://localhost:0", || Counter).await?;
/// println!("at {}", server.address());
/// tokio::select! {
///     () = server.run() => {}
///     () = interrupted() => {}
/// }
/// # Ok(())
/// # }
/// ```
pub struct Server {
    socket: Listening,
    /// Keeps the name of a unix socket in the file system.
    listener: Listener,
    address: Address,
    options: Options,
    service: Box<dyn Fn() -> Arc<dyn Service> + Send + Sync>,
    end: watch::Sender<End>,
    counters: ServerCounters,
    /// Clients that are there, from the moment that they are accepted.
    present: AtomicUsize,
    room: Room,
}

impl Server {
    /// Listens at a URL; clients wait until [`run`](Self::run). `service` is called for each client.
    ///
    /// # Errors
    /// As [`serve`].
    ///
    /// # Panics
    /// As [`serve`].
    pub async fn bind<S: Service>(
        url: &str,
        service: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<Arc<Self>> {
        Self::with_options(url, Options::new(), move || Arc::new(service())).await
    }

    /// Listens at a URL; all clients share one service.
    ///
    /// # Errors
    /// As [`serve`].
    ///
    /// # Panics
    /// As [`serve`].
    pub async fn bind_shared<S: Service>(url: &str, service: Arc<S>) -> Result<Arc<Self>> {
        Self::with_options(url, Options::new(), move || service.clone()).await
    }

    /// Listens at a URL, with settings for the connections. `service` is called for each client.
    ///
    /// # Errors
    /// As [`serve`].
    ///
    /// # Panics
    /// As [`serve`].
    pub async fn with_options<S: Service>(
        url: &str,
        options: Options,
        service: impl Fn() -> Arc<S> + Send + Sync + 'static,
    ) -> Result<Arc<Self>> {
        let address = url.parse()?;
        // Looks up the name of the host, which may take long.
        let listener = spawn_blocking(move || Listener::bind(&address)).await?;
        Ok(Arc::new(Self {
            socket: Listening::new(&listener)?,
            address: listener.address()?,
            listener,
            options,
            service: Box::new(move || service()),
            end: watch::Sender::new(End::None),
            counters: ServerCounters::default(),
            present: AtomicUsize::new(0),
            room: Room::for_clients(),
        }))
    }

    /// Where the server listens, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What has become of the server's clients so far. It logs nothing; why a client's connection ended is told to
    /// [`Service::disconnected`].
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.counters.with(self.present.load(Ordering::Acquire))
    }

    /// Accepts and serves clients until [`stop`](Self::stop) or [`stop_gracefully`](Self::stop_gracefully), and then waits until
    /// they are gone. Running out of file descriptors or memory does not end it: it pauses, and tries again.
    ///
    /// Cancel safety: dropping the future closes the connections of its clients. `run` can be called again.
    pub async fn run(self: &Arc<Self>) {
        let mut clients = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.wait_stopped() => break,
                // Makes room for the results of clients that are gone.
                Some(_) = clients.join_next() => continue,
                accepted = self.socket.accept() => accepted,
            };
            let started = accepted.and_then(|socket| {
                count(&self.counters.accepted);
                let Some((place, others)) = self.place() else {
                    // One too many is hung up on at once.
                    count(&self.counters.refused);
                    return Ok(());
                };
                self.room.check_one_more(others)?;
                clients.spawn(self.clone().serve_client(socket, place));
                Ok(())
            });
            match started {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    count(&self.counters.accept_errors);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
        clients.join_all().await;
    }

    /// Stops accepting and closes every client's connection. Does not wait: [`run`](Self::run) ends when that is done.
    /// Requests under way get no answer; see [`stop_gracefully`](Self::stop_gracefully), whose grace this ends.
    pub fn stop(&self) {
        self.end_with(End::Now);
    }

    /// Stops accepting, refuses new requests with a `RuntimeError`, and closes each client's connection when its requests under
    /// way are answered, or when `grace` is over. Does not wait: [`run`](Self::run) ends when that is done. A request that calls
    /// this is answered too.
    pub fn stop_gracefully(&self, grace: Duration) {
        self.end_with(End::After(Instant::now().checked_add(grace)));
    }

    fn end_with(&self, end: End) {
        self.end.send_if_modified(|state| {
            let is_news = *state == End::None || (end == End::Now && *state != End::Now);
            *state = if is_news { end } else { *state };
            is_news
        });
        self.listener.stop();
    }

    async fn wait_end(&self, is_it: impl FnMut(&End) -> bool) {
        // Fails only if the sender is gone, which is a field of `self`.
        drop(self.end.subscribe().wait_for(is_it).await);
    }

    async fn wait_stopped(&self) {
        self.wait_end(|end| *end != End::None).await;
    }

    /// Gives the requests of a client's that are under way what time the server's end leaves them.
    async fn let_finish(&self, connection: &Connection) {
        let end = *self.end.borrow();
        if let End::After(deadline) = end {
            tokio::select! {
                () = connection.drain(deadline) => {}
                () = self.wait_end(|end| *end == End::Now) => {}
            }
        }
    }

    /// A place among the clients, and how many others there are, unless there are as many as may be (limit `max_connections`).
    fn place(self: &Arc<Self>) -> Option<(Place, usize)> {
        let place = Place(self.clone());
        let others = self.present.fetch_add(1, Ordering::AcqRel);
        (others < self.options.limits.max_connections).then_some((place, others))
    }

    async fn serve_client(self: Arc<Self>, socket: Socket, _place: Place) {
        let stream = tokio::select! {
            stream = Stream::accept(socket, &self.options) => stream,
            () = self.wait_stopped() => return count(&self.counters.failed),
        };
        // Refused by the handshake.
        let Ok(stream) = stream else { return count(&self.counters.failed) };
        let Ok(service) = caught(|| Ok((self.service)())) else { return count(&self.counters.failed) };
        let connection = Connection::start(&self.options, Some(service.clone()), stream, Role::Server);
        let (greeting, client) = (service.clone(), connection.clone());
        let is_let_in = match POOL.place() {
            Ok(place) => {
                let (report, outcome) = oneshot::channel();
                let greet = move || drop(report.send(caught(|| greeting.connected(client.blocking()))));
                place.run(beside(&Handle::current(), greet));
                outcome.await.is_ok_and(|connected| connected.is_ok())
            }
            Err(_) => false,
        };
        if !is_let_in {
            connection.close().await;
            return count(&self.counters.failed);
        }
        connection.open();
        let closed = tokio::select! {
            closed = connection.wait_closed() => closed,
            () = self.wait_stopped() => {
                self.let_finish(&connection).await;
                connection.close().await;
                connection.wait_closed().await
            }
        };
        count(&self.counters.served);
        let (over, is_over) = oneshot::channel::<()>();
        let say_goodbye = move || {
            service.disconnected(&closed);
            drop(over);
        };
        POOL.spawn(beside(&Handle::current(), say_goodbye));
        let _ = is_over.await;
    }
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not yet.
    None,
    /// Requests under way have so long, or for ever.
    After(Option<Instant>),
    Now,
}

/// One client's place, which is free when this is dropped.
struct Place(Arc<Server>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// A listening socket, as tokio sees it.
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    fn new(listener: &Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener.try_clone()?).map(Self::Tcp)
            }
            Listener::Unix(listener, _) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener.try_clone()?).map(Self::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => Ok(Socket::Tcp(listener.accept().await?.0)),
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use netref_core::limits::Limits;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::{Connection, Role};
use super::spawn_blocking;
use super::stream::Stream;
use crate::address::{Address, Listener};
use crate::connection::Options;
use crate::error::Result;
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
/// [`Error::BadUrl`](crate::Error::BadUrl), or [`Error::Connect`](crate::Error::Connect) if it cannot listen there.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time enabled.
pub async fn serve<S: Service>(url: &str, service: impl Fn() -> S + Send + Sync + 'static) -> Result<()> {
    Server::bind(url, service).await?.run().await;
    Ok(())
}

/// A server: a task or two for each client, and no thread but for methods that block.
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
    socket: Socket,
    /// Keeps the name of a unix socket in the file system.
    listener: Listener,
    address: Address,
    options: Options,
    service: Box<dyn Fn() -> Arc<dyn Service> + Send + Sync>,
    stopped: watch::Sender<bool>,
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
        options.check_no_handshake()?;
        let address = url.parse()?;
        // Looks up the name of the host, which may take long.
        let listener = spawn_blocking(move || Listener::bind(&address)).await?;
        Ok(Arc::new(Self {
            socket: Socket::new(&listener)?,
            address: listener.address()?,
            listener,
            options,
            service: Box::new(move || service()),
            stopped: watch::Sender::new(false),
        }))
    }

    /// Where the server listens, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Accepts and serves clients until [`stop`](Self::stop), and then waits until they are gone. Running out of file
    /// descriptors or memory does not end it: it pauses, and tries again.
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
                accepted = self.socket.accept(&self.options.limits) => accepted,
            };
            match accepted {
                // One too many is hung up on at once.
                Ok(_) if clients.len() >= self.options.limits.max_connections => {}
                Ok(stream) => {
                    clients.spawn(self.clone().serve_client(stream));
                    pause = FIRST_PAUSE;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
        clients.join_all().await;
    }

    /// Stops accepting and closes every client's connection. Does not wait: [`run`](Self::run) ends when that is done.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    async fn wait_stopped(&self) {
        // Fails only if the sender is gone, which is a field of `self`.
        drop(self.stopped.subscribe().wait_for(|stopped| *stopped).await);
    }

    async fn serve_client(self: Arc<Self>, stream: Stream) {
        let service = (self.service)();
        let connection = Connection::start(&self.options, Some(service.clone()), stream, Role::Server);
        let (greeting, client) = (service.clone(), connection.clone());
        if spawn_blocking(move || greeting.connected(client.blocking())).await.is_err() {
            connection.close().await;
            return;
        }
        connection.open();
        let closed = tokio::select! {
            closed = connection.wait_closed() => closed,
            () = self.wait_stopped() => {
                connection.close().await;
                connection.wait_closed().await
            }
        };
        spawn_blocking(move || service.disconnected(&closed)).await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// A listening socket, as tokio sees it.
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
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

    async fn accept(&self, limits: &Limits) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => Ok(Stream::tcp(listener.accept().await?.0, limits)),
            Self::Unix(listener) => Ok(Stream::unix(listener.accept().await?.0)),
        }
    }
}

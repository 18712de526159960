use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::address::{Address, Listener};
use crate::connection::{Connection, Options};
use crate::error::Result;
use crate::memory::{self, Room};
use crate::pool::Pool;
use crate::raising::caught;
use crate::server_stats::{ServerCounters, ServerStats, count};
use crate::service::Service;

/// Accept failures (no file descriptors, no memory) pause the server as long, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Serves clients, a thread each, of all the servers of the process.
static CLIENTS: Pool = Pool::new("netref-client", Room::for_clients());

/// Serves a service at `tcp://host:port` or `unix:///path` until the process ends. `service` is called for each client.
///
/// ```no_run
/// struct Greeter;
///
/// #[netref::service]
/// impl Greeter {
///     fn greet(&self, name: &str) -> String {
///         format!("Hello, {name}!")
///     }
/// }
///
/// netref::serve("tcp://localhost:18861", || Greeter)?;
/// # Ok::<(), netref::Error>(())
/// ```
///
/// # Errors
/// [`Error::BadUrl`](crate::Error::BadUrl), or [`Error::Listen`](crate::Error::Listen) if it cannot listen there.
pub fn serve<S: Service>(url: &str, service: impl Fn() -> S + Send + Sync + 'static) -> Result<()> {
    let server = Server::bind(url, service)?;
    server.run();
    Ok(())
}

/// A server: one thread for each client. A thread whose client has left may serve another, soon after.
pub struct Server {
    listener: Listener,
    address: Address,
    options: Options,
    service: Box<dyn Fn() -> Arc<dyn Service> + Send + Sync>,
    clients: Mutex<Vec<Weak<Connection>>>,
    /// Clients that are there, from the moment that they are accepted.
    present: AtomicUsize,
    counters: ServerCounters,
    stopped: AtomicBool,
    /// Each is hung up on when a graceful end is over.
    ends: Mutex<Vec<mpsc::Receiver<()>>>,
}

impl Server {
    /// Listens at a URL; clients wait until [`run`](Self::run). `service` is called for each client.
    ///
    /// # Errors
    /// As [`serve`].
    pub fn bind<S: Service>(url: &str, service: impl Fn() -> S + Send + Sync + 'static) -> Result<Arc<Self>> {
        Self::with_options(url, Options::new(), move || Arc::new(service()))
    }

    /// Listens at a URL; all clients share one service.
    ///
    /// # Errors
    /// As [`serve`].
    pub fn bind_shared<S: Service>(url: &str, service: Arc<S>) -> Result<Arc<Self>> {
        Self::with_options(url, Options::new(), move || service.clone())
    }

    /// Listens at a URL, with settings for the connections. `service` is called for each client.
    ///
    /// # Errors
    /// As [`serve`].
    pub fn with_options<S: Service>(
        url: &str,
        options: Options,
        service: impl Fn() -> Arc<S> + Send + Sync + 'static,
    ) -> Result<Arc<Self>> {
        let listener = Listener::bind(&url.parse()?)?;
        Ok(Arc::new(Self {
            address: listener.address()?,
            listener,
            options,
            service: Box::new(move || service()),
            clients: Mutex::default(),
            present: AtomicUsize::new(0),
            counters: ServerCounters::default(),
            stopped: AtomicBool::new(false),
            ends: Mutex::default(),
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

    /// Accepts and serves clients until [`stop`](Self::stop), or until a [graceful end](Self::stop_gracefully) is over: a program may
    /// end when this returns. Running out of file descriptors, memory or threads does not end it: it pauses, and tries again.
    pub fn run(self: &Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        while !self.stopped.load(Ordering::Acquire) {
            match self.listener.accept().and_then(|socket| self.spawn(socket)) {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) if self.stopped.load(Ordering::Acquire) => break,
                Err(_) => {
                    count(&self.counters.accept_errors);
                    thread::sleep(pause);
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
        let ends = std::mem::take(&mut *self.ends());
        for end in ends {
            let _ = end.recv();
        }
    }

    fn ends(&self) -> MutexGuard<'_, Vec<mpsc::Receiver<()>>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops accepting and closes every client's connection. Requests under way get no answer; see
    /// [`stop_gracefully`](Self::stop_gracefully).
    pub fn stop(&self) {
        self.stop_accepting();
        for client in self.take_clients() {
            client.peer().dismiss();
        }
    }

    /// Stops accepting, refuses new requests with a `RuntimeError`, waits until those under way are answered, but at most for
    /// `grace`, and closes every client's connection. Called by a client's request, it does so on another thread and returns at
    /// once, so that the request is answered too.
    pub fn stop_gracefully(&self, grace: Duration) {
        let (over, is_over) = mpsc::channel::<()>();
        self.ends().push(is_over);
        self.stop_accepting();
        let clients = self.take_clients();
        let finish = move || {
            let _over = over;
            let deadline = Instant::now().checked_add(grace);
            for client in &clients {
                client.peer().drain(Some(Instant::now())); // all of them refuse before the first is waited for
            }
            for client in &clients {
                client.peer().drain(deadline);
                client.peer().dismiss();
            }
        };
        if crate::threads::is_serving() {
            // Without a thread to wait on, the clients' connections end when they hang up.
            let _ = memory::spawn("netref-stop", finish);
        } else {
            finish();
        }
    }

    fn take_clients(&self) -> Vec<Arc<Connection>> {
        let clients = std::mem::take(&mut *self.clients.lock().unwrap_or_else(PoisonError::into_inner));
        clients.iter().filter_map(Weak::upgrade).collect()
    }

    fn stop_accepting(&self) {
        self.stopped.store(true, Ordering::Release);
        self.listener.stop();
    }

    fn spawn(self: &Arc<Self>, socket: OwnedFd) -> io::Result<()> {
        count(&self.counters.accepted);
        let Some(place) = self.place() else {
            // One too many is hung up on at once.
            count(&self.counters.refused);
            return Ok(());
        };
        let server = self.clone();
        CLIENTS.thread()?.run(move || {
            let _place = place;
            server.serve_client(socket);
        });
        Ok(())
    }

    /// A place among the clients, unless there are as many as may be (limit `max_connections`).
    fn place(self: &Arc<Self>) -> Option<Place> {
        let place = Place(self.clone());
        let others = self.present.fetch_add(1, Ordering::AcqRel);
        (others < self.options.limits.max_connections).then_some(place)
    }

    fn serve_client(&self, socket: OwnedFd) {
        let Ok(service) = caught(|| Ok((self.service)())) else { return count(&self.counters.failed) };
        // Refused by the handshake; or a socket that refuses its settings, whose peer is gone.
        let Ok(connection) = self.options.accept(socket, service.clone()) else {
            return count(&self.counters.failed);
        };
        let connection = Arc::new(connection);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(&connection));
        drop(clients);
        if caught(|| service.connected(&connection)).is_err() {
            connection.close();
            return count(&self.counters.failed);
        }
        connection.peer().on_end(Box::new(move |closed| service.disconnected(closed)));
        connection.peer().attend();
        connection.serve_all();
        count(&self.counters.served);
    }
}

/// One client's place, which is free when this is dropped.
struct Place(Arc<Server>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

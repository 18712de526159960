//! Both ends of a connection, and the service at one of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netref::{Connection, Options, Remote};

use crate::drivers::{Driver, PAIRINGS, Running, connect};
use crate::service::Hard;

pub(crate) const TCP: &str = "tcp://127.0.0.1:0";

pub(crate) struct Stage {
    pub(crate) client: Connection,
    pub(crate) server: Connection,
    /// The client's reference to the service.
    pub(crate) root: Remote,
    pub(crate) service: Arc<Hard>,
    pub(crate) running: Running,
    pub(crate) drivers: (Driver, Driver),
}

impl Stage {
    /// Both sides have the same options.
    pub(crate) fn new(drivers: (Driver, Driver), url: &str, options: &Options) -> Self {
        let service = Arc::new(Hard::default());
        let shared = service.clone();
        let running = Running::start(drivers.1, url, options.clone(), move || shared.clone());
        let client = connect(drivers.0, options, &running.address().to_string()).unwrap();
        let root = client.root().unwrap();
        let server = service.client.lock().unwrap().take().unwrap();
        Self { client, server, root, service, running, drivers }
    }

    /// Another client.
    pub(crate) fn connect(&self) -> Connection {
        connect(self.drivers.0, &Options::new(), &self.running.address().to_string()).unwrap()
    }

    /// How many objects each side lends.
    pub(crate) fn lent(&self) -> (usize, usize) {
        (self.client.stats().objects_lent, self.server.stats().objects_lent)
    }

    /// Waits until neither side lends anything but the service.
    pub(crate) fn await_baseline(&self) {
        self.eventually("all is given back", || self.lent() == (0, 1));
    }

    /// Waits until something is so, with round trips in between.
    pub(crate) fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "not within 60 s: {what}; {:?} lent", self.lent());
            self.client.ping().unwrap();
            thread::yield_now();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        stop(&self.running);
    }
}

pub(crate) fn stop(server: &Running) {
    match server {
        Running::Threads(server) => server.stop(),
        Running::Tokio(server) => server.stop(),
    }
}

/// Runs a test with each driver as client and as server.
pub(crate) fn each_pairing(test: impl Fn(&Stage)) {
    each_pairing_with(&Options::new(), test);
}

pub(crate) fn each_pairing_with(options: &Options, test: impl Fn(&Stage)) {
    for drivers in PAIRINGS {
        println!("{drivers:?}");
        test(&Stage::new(drivers, TCP, options));
    }
}

/// The same over unix sockets.
pub(crate) fn each_pairing_unix(test: impl Fn(&Stage)) {
    for drivers in PAIRINGS {
        println!("{drivers:?}");
        test(&Stage::new(drivers, &unix_url(), &Options::new()));
    }
}

fn unix_url() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path: PathBuf = std::env::temp_dir().join(format!("netref-hard-{}-{number}", std::process::id()));
    format!("unix://{}", path.display())
}

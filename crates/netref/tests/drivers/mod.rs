//! Servers and connections that either driver drives, for tests of both.

use std::sync::{Arc, LazyLock};
use std::thread;

use netref::{Address, Connection, Options, Result, Server, Service, aio};
use tokio::runtime::Runtime;

/// What drives a side's connections.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver {
    Threads,
    Tokio,
}

pub(crate) const DRIVERS: [Driver; 2] = [Driver::Threads, Driver::Tokio];

/// Clients and servers.
pub(crate) const PAIRINGS: [(Driver, Driver); 4] = [
    (Driver::Threads, Driver::Threads),
    (Driver::Threads, Driver::Tokio),
    (Driver::Tokio, Driver::Threads),
    (Driver::Tokio, Driver::Tokio),
];

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A server that runs.
#[derive(Clone)]
pub(crate) enum Running {
    Threads(Arc<Server>),
    Tokio(Arc<aio::Server>),
}

impl Running {
    pub(crate) fn start<S: Service>(
        driver: Driver,
        url: &str,
        options: Options,
        service: impl Fn() -> Arc<S> + Send + Sync + 'static,
    ) -> Self {
        match driver {
            Driver::Threads => {
                let server = Server::with_options(url, options, service).unwrap();
                let running = server.clone();
                thread::spawn(move || running.run());
                Self::Threads(server)
            }
            Driver::Tokio => {
                let server = RUNTIME.block_on(aio::Server::with_options(url, options, service)).unwrap();
                let running = server.clone();
                RUNTIME.spawn(async move { running.run().await });
                Self::Tokio(server)
            }
        }
    }

    pub(crate) fn address(&self) -> &Address {
        match self {
            Self::Threads(server) => server.address(),
            Self::Tokio(server) => server.address(),
        }
    }
}

/// The blocking face of a connection, whatever drives it.
pub(crate) fn connect(driver: Driver, options: &Options, url: &str) -> Result<Connection> {
    match driver {
        Driver::Threads => options.connect(url),
        Driver::Tokio => RUNTIME.block_on(aio::connect_with(options, url)).map(Connection::from),
    }
}

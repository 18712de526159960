//! URLs of connections and servers.

use std::fmt;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::error::{Error, Result};
use crate::time_limit::LONGEST;

/// Port that RPyC programs use by default for services of their own.
const DEFAULT_PORT: u16 = 18861;

/// Where to connect to, or to listen at: `tcp://host:port` or `unix:///path`.
///
/// ```
/// use netref::Address;
///
/// assert_eq!("tcp://lab-pc".parse::<Address>()?, Address::Tcp { host: "lab-pc".into(), port: 18861 });
/// assert_eq!("tcp://[::1]:7000".parse::<Address>()?, Address::Tcp { host: "::1".into(), port: 7000 });
/// assert_eq!("unix:///run/scope.sock".parse::<Address>()?, Address::Unix { path: "/run/scope.sock".into() });
/// assert!("lab-pc:18861".parse::<Address>().is_err());
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A TCP port. To listen on every interface takes an explicit `0.0.0.0` or `[::]`; port 0 picks a free one.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
    },
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let bad = |reason| Error::BadUrl { url: url.to_owned(), reason };
        if let Some(path) = url.strip_prefix("unix://") {
            if path.is_empty() {
                return Err(bad("there is no path after unix://"));
            }
            return Ok(Self::Unix { path: path.into() });
        }
        let Some(rest) = url.strip_prefix("tcp://") else {
            return Err(bad("it must start with tcp:// or unix://"));
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) => (host, port.strip_prefix(':')),
            Some(None) => return Err(bad("the [ of an IPv6 address is not closed")),
            None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(bad("there is no host"));
        }
        let port = port
            .map_or(Ok(DEFAULT_PORT), str::parse)
            .map_err(|_| bad("the port is not a number below 65536"))?;
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix { path } => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Address {
    /// The name that certificates are checked against.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Tcp { host, .. } => host,
            Self::Unix { .. } => "localhost",
        }
    }

    /// Connects, trying every address of the host in turn until `timeout` is over.
    pub(crate) fn connect(&self, timeout: Duration) -> Result<OwnedFd> {
        let connected = match self {
            Self::Tcp { host, port } => connect_tcp(host, *port, timeout).map(OwnedFd::from),
            Self::Unix { path } => UnixStream::connect(path).map(OwnedFd::from),
        };
        connected.map_err(|source| Error::Connect { url: self.to_string(), source })
    }
}

fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout.min(LONGEST);
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn bind(address: &Address) -> Result<Self> {
        let bound = match address {
            Address::Tcp { host, port } => TcpListener::bind((host.as_str(), *port)).map(Self::Tcp),
            Address::Unix { path } => UnixListener::bind(path).map(|socket| Self::Unix(socket, path.clone())),
        };
        bound.map_err(|source| Error::Listen { url: address.to_string(), source })
    }

    pub(crate) fn address(&self) -> Result<Address> {
        Ok(match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr()?;
                Address::Tcp { host: address.ip().to_string(), port: address.port() }
            }
            Self::Unix(_, path) => Address::Unix { path: path.clone() },
        })
    }

    pub(crate) fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Refused by a socket whose peer is gone already, which will be found out when it is read.
                let _ = stream.set_nodelay(true);
                Ok(stream.into())
            }
            Self::Unix(listener, _) => Ok(listener.accept()?.0.into()),
        }
    }

    /// Refuses clients from now on, and wakes the thread that accepts them.
    pub(crate) fn stop(&self) {
        let socket = match self {
            Self::Tcp(listener) => SockRef::from(listener),
            Self::Unix(listener, _) => SockRef::from(listener),
        };
        // Fails only if it is stopped already.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // The name is ours since `bind` made it; a failure leaves a stale name behind, no more.
            let _ = std::fs::remove_file(path);
        }
    }
}

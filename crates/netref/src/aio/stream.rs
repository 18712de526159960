use std::io;
use std::os::fd::AsFd;

use netref_core::limits::Limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::keepalive;

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// A connected stream of bytes in both directions.
pub(super) struct Stream {
    pub(super) reading: ReadHalf,
    pub(super) writing: WriteHalf,
    /// True if the peer is on this machine, so that compressing could only cost.
    pub(super) is_local: bool,
    /// Where the peer is, or nothing.
    pub(super) address: String,
}

impl Stream {
    /// Connects. For TCP, tries every address of the host in turn.
    pub(super) async fn connect(address: &Address, limits: &Limits) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                Ok(Self::tcp(TcpStream::connect((host.as_str(), *port)).await?, limits))
            }
            Address::Unix { path } => Ok(Self::unix(UnixStream::connect(path).await?)),
        }
    }

    /// A socket whose peer is gone already refuses its settings, and will be found out when it is read.
    pub(super) fn tcp(stream: TcpStream, limits: &Limits) -> Self {
        keepalive::set(stream.as_fd(), limits);
        let _ = stream.set_nodelay(true);
        let peer = stream.peer_addr().ok();
        let is_local = peer.is_some_and(|address| address.ip().is_loopback());
        let address = peer.map(|address| address.to_string()).unwrap_or_default();
        let (reading, writing) = stream.into_split();
        Self { reading: Box::new(reading), writing: Box::new(writing), is_local, address }
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        let (reading, writing) = stream.into_split();
        Self {
            reading: Box::new(reading),
            writing: Box::new(writing),
            is_local: true,
            address: String::new(),
        }
    }

    pub(super) fn other(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        Self {
            reading: Box::new(reading),
            writing: Box::new(writing),
            is_local: false,
            address: String::new(),
        }
    }
}

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use netref_core::limits::Limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

use super::secured;
use crate::address::Address;
use crate::connection::{DIALLING, Options, address_of};
use crate::handshake::{Credentials, Handshake, Secured};
use crate::{keepalive, memory};

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
    /// Who it has proved to be.
    pub(super) credentials: Option<Credentials>,
}

impl Stream {
    /// Connects, and does the handshake if there is to be one. For TCP, tries every address of the host in turn.
    pub(super) async fn connect(address: &Address, options: &Options) -> io::Result<Self> {
        let limit = options.connect_timeout.unwrap_or(DIALLING);
        let connecting = tokio::time::timeout(limit, Socket::connect(address));
        let socket = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let host = address.host().to_owned();
        socket
            .secure(options, move |handshake, socket, deadline| handshake.connect(socket, &host, deadline))
            .await
    }

    /// The stream of a client that was accepted, after the handshake if there is to be one.
    pub(super) async fn accept(socket: Socket, options: &Options) -> io::Result<Self> {
        socket.secure(options, |handshake, socket, deadline| handshake.accept(socket, deadline)).await
    }

    /// A socket whose peer is gone already refuses its settings, and will be found out when it is read.
    fn tcp(stream: TcpStream, limits: &Limits) -> Self {
        keepalive::set(stream.as_fd(), limits);
        let _ = stream.set_nodelay(true);
        let peer = stream.peer_addr().ok();
        let is_local = peer.is_some_and(|address| address.ip().is_loopback());
        let address = peer.map(|address| address.to_string()).unwrap_or_default();
        let (reading, writing) = stream.into_split();
        Self { is_local, address, ..Self::over(reading, writing) }
    }

    fn unix(stream: UnixStream) -> Self {
        let (reading, writing) = stream.into_split();
        Self { is_local: true, ..Self::over(reading, writing) }
    }

    fn secured(secured: Secured, address: String, limits: &Limits) -> io::Result<Self> {
        let Secured { transport, credentials } = secured;
        transport.keep_alive(limits);
        let is_local = transport.is_local();
        let (reading, writing) = secured::split(transport)?;
        Ok(Self { is_local, address, credentials, ..Self::over(reading, writing) })
    }

    pub(super) fn other(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        Self::over(reading, writing)
    }

    fn over(
        reading: impl AsyncRead + Send + Unpin + 'static,
        writing: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {
            reading: Box::new(reading),
            writing: Box::new(writing),
            is_local: false,
            address: String::new(),
            credentials: None,
        }
    }
}

/// A connected socket that nothing has been done to yet.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await.map(Self::Tcp),
            Address::Unix { path } => UnixStream::connect(path).await.map(Self::Unix),
        }
    }

    /// Does a side's `part` of the handshake on a thread of its own. It may block, and peers that are silent must not take the
    /// threads that requests need. If the future is dropped, the thread ends with the handshake's deadline at the latest.
    async fn secure(
        self,
        options: &Options,
        part: impl FnOnce(Arc<dyn Handshake>, OwnedFd, Option<Instant>) -> io::Result<Secured> + Send + 'static,
    ) -> io::Result<Stream> {
        let limits = &options.limits;
        let Some(handshake) = options.handshake.clone() else {
            return Ok(match self {
                Self::Tcp(stream) => Stream::tcp(stream, limits),
                Self::Unix(stream) => Stream::unix(stream),
            });
        };
        let socket: OwnedFd = match self {
            Self::Tcp(stream) => {
                let _ = stream.set_nodelay(true);
                stream.into_std()?.into()
            }
            Self::Unix(stream) => stream.into_std()?.into(),
        };
        let address = address_of(&socket);
        let deadline = options.handshake_deadline();
        let (report, outcome) = oneshot::channel();
        let work = move || drop(report.send(part(handshake, socket, deadline)));
        memory::spawn("netref-handshake", work)?;
        let panicked = |_| Err(io::Error::other("the handshake panicked"));
        Stream::secured(outcome.await.unwrap_or_else(panicked)?, address, limits)
    }
}

//! Finding out who is there, before a connection is made.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use crate::threads::Transport;

/// What both sides do with a socket before anything of a connection is sent: TLS ([`Tls`](crate::tls::Tls), feature `tls`), a
/// shared secret ([`SharedSecret`](crate::SharedSecret), feature `secret`), or something of your own. Given to
/// [`Options::handshake`](crate::Options::handshake).
///
/// A server does it on the client's thread, never on the one that accepts. It takes at most the limit `handshake_timeout`.
pub trait Handshake: fmt::Debug + Send + Sync + 'static {
    /// The server's part.
    ///
    /// # Errors
    /// Why the client is not let in; also if the deadline passes.
    fn accept(&self, socket: OwnedFd, deadline: Option<Instant>) -> io::Result<Secured>;

    /// The client's part. `host` is the name that the program connects to.
    ///
    /// # Errors
    /// Why the server is not who it should be; also if the deadline passes.
    fn connect(&self, socket: OwnedFd, host: &str, deadline: Option<Instant>) -> io::Result<Secured>;
}

/// What comes of a handshake.
pub struct Secured {
    /// What the connection runs over.
    pub transport: Box<dyn Transport>,
    /// Who the peer has proved to be.
    pub credentials: Option<Credentials>,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// Who a peer has proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// The owner of a certificate, which was verified: it and those that vouch for it, in DER.
    Certificates(Vec<Vec<u8>>),
    /// Somebody who knows the secret.
    SharedSecret,
}

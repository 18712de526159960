use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::handshake::{Credentials, Handshake, Secured};
use crate::threads::{Interest, SocketTransport, Transport};

const MAGIC: &[u8; 4] = b"nrs1";
const NONCE: usize = 32;
const PROOF: usize = 32;

/// A secret that a server and its clients share, in place of certificates. Both sides prove that they know it, and neither
/// sends it. The Python face has the same, `netref.utils.authenticators.SharedSecret`.
///
/// What it protects: nobody gets in who does not know the secret, and clients notice a server that does not. What it does
/// not: nothing is encrypted, and who can change what is on its way can take a connection over once it is made. Where that
/// matters, use TLS. A secret that can be guessed is guessed by whoever listens: make it of random bytes.
///
/// ```no_run
/// # fn read_secret() -> Vec<u8> { Vec::new() }
/// let options = netref::Options::new().handshake(netref::SharedSecret::new(&read_secret())?);
/// let conn = options.connect("tcp://lab-pc:18861")?;
/// # Ok::<(), netref::Error>(())
/// ```
pub struct SharedSecret {
    key: hmac::Key,
}

impl SharedSecret {
    /// A secret of at least 16 bytes.
    ///
    /// # Errors
    /// If it is shorter.
    pub fn new(secret: &[u8]) -> io::Result<Self> {
        if secret.len() < 16 {
            let text = "a shared secret is at least 16 bytes, better 32 random ones";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) })
    }

    fn proof(&self, role: &[u8], challenge: &[u8], nonce: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key, &statement(role, challenge, nonce))
    }

    fn verify(&self, role: &[u8], challenge: &[u8], nonce: &[u8], proof: &[u8], who: &str) -> io::Result<()> {
        hmac::verify(&self.key, &statement(role, challenge, nonce), proof)
            .map_err(|_| refused(&format!("the {who} does not know the secret")))
    }
}

impl Handshake for SharedSecret {
    fn accept(&self, socket: OwnedFd, deadline: Option<Instant>) -> io::Result<Secured> {
        let transport = SocketTransport::exclusive(socket)?;
        let challenge = nonce()?;
        send(&transport, &[&MAGIC[..], &challenge].concat(), deadline)?;
        let mut answer = [0; NONCE + PROOF];
        receive(&transport, &mut answer, deadline)?;
        let (nonce, proof) = answer.split_at(NONCE);
        self.verify(b"client", &challenge, nonce, proof, "client")?;
        send(&transport, self.proof(b"server", &challenge, nonce).as_ref(), deadline)?;
        Ok(secured(transport))
    }

    fn connect(&self, socket: OwnedFd, _host: &str, deadline: Option<Instant>) -> io::Result<Secured> {
        let transport = SocketTransport::exclusive(socket)?;
        let mut greeting = [0; MAGIC.len() + NONCE];
        receive(&transport, &mut greeting, deadline)?;
        let (magic, challenge) = greeting.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(refused("the server asks for no shared secret"));
        }
        let nonce = nonce()?;
        let proof = self.proof(b"client", challenge, &nonce);
        send(&transport, &[&nonce[..], proof.as_ref()].concat(), deadline)?;
        let mut answer = [0; PROOF];
        receive(&transport, &mut answer, deadline).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => refused("the server refused the secret"),
            _ => error,
        })?;
        self.verify(b"server", challenge, &nonce, &answer, "server")?;
        Ok(secured(transport))
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// What only who knows the secret can sign.
fn statement(role: &[u8], challenge: &[u8], nonce: &[u8]) -> Vec<u8> {
    [b"netref shared secret ", role, challenge, nonce].concat()
}

fn nonce() -> io::Result<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    let filled = SystemRandom::new().fill(&mut nonce);
    filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(nonce)
}

fn secured(transport: SocketTransport) -> Secured {
    Secured { transport: Box::new(transport), credentials: Some(Credentials::SharedSecret) }
}

fn refused(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text.to_owned())
}

fn send(transport: &SocketTransport, mut bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    while !bytes.is_empty() {
        match transport.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                check(deadline)?;
                transport.wait(Interest::Write, deadline)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Exactly so many bytes: what follows is for the connection.
fn receive(transport: &SocketTransport, mut bytes: &mut [u8], deadline: Option<Instant>) -> io::Result<()> {
    while !bytes.is_empty() {
        match transport.receive(bytes, deadline) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes = &mut bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => check(deadline)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn check(deadline: Option<Instant>) -> io::Result<()> {
    match deadline {
        Some(at) if Instant::now() >= at => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the handshake took too long (limit handshake_timeout)",
        )),
        _ => Ok(()),
    }
}

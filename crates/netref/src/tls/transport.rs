use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use netref_core::frame;
use netref_core::limits::Limits;
use rustls::Connection;

use crate::threads::{Interest, SocketTransport, Transport};

/// A TLS session over a socket. Nobody waits while inside the session, so reading does not wait for writing.
pub(super) struct TlsTransport {
    below: SocketTransport,
    inside: Mutex<Inside>,
}

struct Inside {
    session: Connection,
    /// Bytes that the session has taken and the socket has not, not all of them: the next write is of the same bytes, and
    /// says that they are written.
    owed: usize,
    /// Bytes of the frame under way that the session has not taken.
    left: usize,
    /// Bytes that have arrived since there was something for the program in them.
    barren: usize,
}

/// What became of asking the socket for something.
#[derive(PartialEq, Eq)]
enum Pulled {
    Some,
    Nothing,
    End,
}

/// Bytes of TLS that may come with nothing for the program in them. A record or a handshake takes a small part of it; what would go
/// on without end, and keep who reads from looking at the time, are a server's session tickets.
const MOST_BARREN: usize = 1 << 20;
/// Plain bytes that are made into records in one go.
const PIECE: usize = 64 * 1024;

impl Inside {
    /// Makes records of what `bytes` begin with. None has bytes of two frames: stock waits on the descriptor, though its session
    /// may hold the beginning of the next frame already.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() && self.owed < PIECE {
            if self.left == 0 {
                self.left = frame::sealed_len(bytes);
            }
            let most = bytes.len().min(self.left).min(PIECE - self.owed);
            let count = self.session.writer().write(&bytes[..most])?;
            self.owed += count;
            self.left -= count;
            bytes = &bytes[count..];
            if count < most {
                break;
            }
        }
        Ok(())
    }
}

impl TlsTransport {
    /// Does the handshake, until the deadline.
    pub(super) fn handshake(
        socket: OwnedFd,
        session: Connection,
        deadline: Option<Instant>,
    ) -> io::Result<Self> {
        let below = SocketTransport::exclusive(socket)?;
        let transport = Self { below, inside: Mutex::new(Inside { session, owed: 0, left: 0, barren: 0 }) };
        loop {
            let interest = {
                let session = &mut transport.inside().session;
                transport.push(session)?;
                if session.wants_write() {
                    Interest::Write
                } else if session.is_handshaking() {
                    Interest::Read
                } else {
                    break;
                }
            };
            if deadline.is_some_and(|at| Instant::now() >= at) {
                let text = "the handshake took too long (limit handshake_timeout)";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            transport.below.wait(interest, deadline)?;
            if transport.pull(&mut transport.inside())? == Pulled::End {
                let text = "the peer hung up in the middle of the handshake: it may not speak TLS";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        }
        Ok(transport)
    }

    /// The certificates that the peer has shown, in DER.
    pub(super) fn certificates(&self) -> Option<Vec<Vec<u8>>> {
        let inside = self.inside();
        Some(inside.session.peer_certificates()?.iter().map(|certificate| certificate.to_vec()).collect())
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the socket what the session has for it, as far as there is room.
    fn push(&self, session: &mut Connection) -> io::Result<()> {
        while session.wants_write() {
            match session.write_tls(&mut Socket(&self.below)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the session what has arrived.
    fn pull(&self, inside: &mut Inside) -> io::Result<Pulled> {
        let Inside { session, barren, .. } = inside;
        match session.read_tls(&mut Socket(&self.below)) {
            Ok(0) => return Ok(Pulled::End),
            Ok(count) => *barren += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Pulled::Nothing),
            Err(error) => return Err(error),
        }
        let outcome = session.process_new_packets();
        // Alerts, and answers of TLS's own. Why the session fails says more than that the peer does not want to hear of it.
        let pushed = self.push(session);
        outcome.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        pushed.map(|()| Pulled::Some)
    }

    /// True if the session has something for the program that the socket knows nothing of.
    fn holds_input(&self) -> bool {
        let state = self.inside().session.process_new_packets();
        state.is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// What the session has for the program; `None` if that is nothing yet.
    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let inside = &mut *self.inside();
        loop {
            match inside.session.reader().read(buffer) {
                Ok(count) => {
                    inside.barren = 0;
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if inside.barren > MOST_BARREN {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer's TLS has nothing in it"));
            }
            match self.pull(inside)? {
                Pulled::Some => {}
                Pulled::Nothing => return Ok(None),
                // Hung up without a word of TLS's. Whether something is missing, frames tell.
                Pulled::End => return Ok(Some(0)),
            }
        }
    }
}

impl Transport for TlsTransport {
    fn receive(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        if let Some(count) = self.receive_now(buffer)? {
            return Ok(count);
        }
        self.below.wait(Interest::Read, deadline)?;
        self.receive_now(buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let inside = &mut *self.inside();
        if inside.owed == 0 {
            inside.take(bytes)?;
        }
        self.push(&mut inside.session)?;
        if inside.session.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(std::mem::take(&mut inside.owed))
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
        if interest != Interest::Write && self.holds_input() {
            Ok(())
        } else {
            self.below.wait(interest, deadline)
        }
    }

    fn has_input(&self) -> bool {
        self.holds_input() || self.below.has_input()
    }

    fn keep_alive(&self, limits: &Limits) {
        self.below.keep_alive(limits);
    }

    fn finish(&self, deadline: Instant) {
        {
            let session = &mut self.inside().session;
            session.send_close_notify();
            // As far as there is room: the socket's own end says the same.
            let _ = self.push(session);
        }
        self.below.finish(deadline);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.below.descriptor()
    }

    fn close(&self) {
        let session = &mut self.inside().session;
        session.send_close_notify();
        // A peer that takes nothing any more can do without.
        let _ = self.push(session);
        self.below.close();
    }

    fn is_local(&self) -> bool {
        self.below.is_local()
    }
}

/// The socket, for the session, which does not wait for it.
struct Socket<'a>(&'a SocketTransport);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive(buffer, Some(Instant::now()))
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

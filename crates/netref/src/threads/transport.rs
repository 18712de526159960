use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netref_core::limits::Limits;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    ReadOrWrite,
}

/// A stream of bytes in both directions.
///
/// Reading and writing never block, apart from [`receive`](Self::receive), which only the thread with the turn to read
/// calls. After [`close`](Self::close), every blocked call returns at once.
pub trait Transport: Send + Sync + 'static {
    /// Waits until some bytes are there, reads them, and returns how many: 0 at the end of the stream.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the deadline passed or there is no telling yet,
    /// [`Interrupted`](io::ErrorKind::Interrupted) after a signal, else what is wrong with the stream.
    fn receive(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize>;

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, else what is wrong with the stream.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// The same for several pieces, one after the other.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    fn write_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        pieces.iter().find(|piece| !piece.is_empty()).map_or(Ok(0), |piece| self.write(piece))
    }

    /// True if a frame may come in several pieces, for which its large bytes need not be copied. If not, what is written
    /// begins with a whole frame, or with what is left of one.
    fn takes_pieces(&self) -> bool {
        false
    }

    /// Waits until one of the things in `interest` can be done, the deadline passes, or a signal arrives.
    ///
    /// # Errors
    /// [`Interrupted`](io::ErrorKind::Interrupted) after a signal, else what is wrong with the stream.
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<()>;

    /// True if a thread that reads finds something at once: bytes, the end of the stream, or what is wrong with it. Asked when
    /// writing has failed.
    fn has_input(&self) -> bool {
        false
    }

    /// Ends the stream in both directions and wakes whoever is blocked on it.
    fn close(&self);

    /// Has the transport find out by itself when a quiet peer is gone, if it can.
    fn keep_alive(&self, limits: &Limits) {
        let _ = limits;
    }

    /// Sends no more, and discards what still comes, until the peer has noticed or the deadline has passed: a peer that is
    /// sending would not read what it was sent last if the stream just broke.
    fn finish(&self, deadline: Instant) {
        let _ = deadline;
    }

    /// What becomes ready when there may be something to read or room to write, if there is one: for the tokio driver, which
    /// waits for that rather than in [`receive`](Self::receive) or [`wait`](Self::wait).
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// True if a read must ask for no more than is sure to come, because it returns only when it has all it asked for.
    fn reads_exactly(&self) -> bool {
        false
    }

    /// True if the peer is on this machine, so that compressing could only cost.
    fn is_local(&self) -> bool {
        false
    }
}

/// A TCP or unix socket.
#[derive(Debug)]
pub struct SocketTransport {
    socket: OwnedFd,
    /// True if reads may block in the kernel: the socket is in blocking mode and nobody else's.
    blocking_reads: bool,
    /// True once the socket has a receive timeout. One that is only ever waited on without a deadline, as a server's is,
    /// is spared the kernel's timer.
    has_timeout: AtomicBool,
    local: bool,
    /// False for a unix socket.
    is_tcp: bool,
    /// True if bytes were received since the last ones were written.
    owes_ack: AtomicBool,
}

/// How long a blocking read sleeps in the kernel before the slower wait with an exact deadline takes over. A busy
/// connection never sees the end of it; an idle one sees it once.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(500);

impl SocketTransport {
    /// Takes over a connected socket in whatever mode it is.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        let peer = rustix::net::getpeername(&socket).ok().flatten();
        let ip = peer.map(|address| std::net::SocketAddr::try_from(address).map(|address| address.ip()));
        let local = matches!(ip, Some(Err(_))) || matches!(ip, Some(Ok(ip)) if ip.is_loopback());
        let is_tcp = matches!(ip, Some(Ok(_)));
        Self {
            socket,
            blocking_reads: false,
            has_timeout: AtomicBool::new(false),
            local,
            is_tcp,
            owes_ack: AtomicBool::new(false),
        }
    }

    /// Takes over a connected socket that nobody else uses: it is set up for the lowest latency.
    ///
    /// # Errors
    /// If the socket refuses a setting.
    pub fn exclusive(socket: OwnedFd) -> io::Result<Self> {
        let mut transport = Self::new(socket);
        rustix::io::ioctl_fionbio(&transport.socket, false)?;
        transport.blocking_reads = true;
        Ok(transport)
    }
}

impl AsFd for SocketTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Transport for SocketTransport {
    fn receive(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.acknowledge();
        let count = self.receive_unacknowledged(buffer, deadline)?;
        self.owes_ack.store(true, Ordering::Relaxed);
        Ok(count)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = rustix::net::send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        self.owes_ack.store(false, Ordering::Relaxed);
        Ok(count)
    }

    fn write_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let count = rustix::net::sendmsg(&self.socket, pieces, &mut SendAncillaryBuffer::default(), flags)?;
        self.owes_ack.store(false, Ordering::Relaxed);
        Ok(count)
    }

    fn takes_pieces(&self) -> bool {
        true
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
        wait_for(self.socket.as_fd(), interest, deadline)
    }

    fn has_input(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        poll_until(&mut fds, Some(Instant::now())).is_ok_and(|ready| ready > 0)
    }

    fn keep_alive(&self, limits: &Limits) {
        if self.is_tcp {
            crate::keepalive::set(self.socket.as_fd(), limits);
        }
    }

    fn finish(&self, deadline: Instant) {
        let mut scratch = [0; 16 * 1024];
        if rustix::net::shutdown(&self.socket, Shutdown::Write).is_err() {
            return;
        }
        while Instant::now() < deadline && matches!(self.receive(&mut scratch, Some(deadline)), Ok(1..)) {}
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn close(&self) {
        // Fails only if the peer was faster.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }

    fn is_local(&self) -> bool {
        self.local
    }
}

impl SocketTransport {
    /// Has the kernel acknowledge what came without delay, if more is to be read before anything is written.
    ///
    /// A stock peer leaves Nagle's algorithm on: of two small messages in a row it holds the second back until the first
    /// is acknowledged, which the kernel would put off for 40 ms, waiting for something of ours to carry it.
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if self.is_tcp && self.owes_ack.load(Ordering::Relaxed) {
            // A kernel that refuses is a slower one, no more.
            let _ = sockopt::set_tcp_quickack(&self.socket, true);
        }
    }

    fn receive_unacknowledged(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        let flags = if self.may_block_until(deadline)? { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        match rustix::net::recv(&self.socket, &mut *buffer, flags) {
            Ok((count, _)) => Ok(count),
            Err(rustix::io::Errno::AGAIN) => {
                self.wait(Interest::Read, deadline)?;
                Ok(rustix::net::recv(&self.socket, buffer, RecvFlags::DONTWAIT)?.0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a read that blocks in the kernel comes back in time for the deadline.
    fn may_block_until(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let Some(at) = deadline else { return Ok(self.blocking_reads) };
        if !self.blocking_reads || at.saturating_duration_since(Instant::now()) <= RECEIVE_TIMEOUT {
            return Ok(false);
        }
        if !self.has_timeout.swap(true, Ordering::Relaxed) {
            sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Recv, Some(RECEIVE_TIMEOUT))?;
        }
        Ok(true)
    }
}

fn wait_for(fd: BorrowedFd<'_>, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
    let flags = match interest {
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
        Interest::ReadOrWrite => PollFlags::IN | PollFlags::OUT,
    };
    poll_until(&mut [PollFd::from_borrowed_fd(fd, flags)], deadline)?;
    Ok(())
}

/// Waits until one of `fds` is ready or the deadline passes. Returns how many are.
pub(super) fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> rustix::io::Result<usize> {
    let timeout = deadline.map(|at| {
        let left = at.saturating_duration_since(Instant::now());
        Timespec { tv_sec: left.as_secs().min(i32::MAX as u64) as _, tv_nsec: left.subsec_nanos().into() }
    });
    rustix::event::poll(fds, timeout.as_ref())
}

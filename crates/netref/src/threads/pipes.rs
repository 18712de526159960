use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::transport::poll_until;
use super::{Interest, Transport};

/// Two pipes, or other descriptors that carry bytes one way each, such as standard input and output.
///
/// They stay in the mode they are in, which other processes may share: nothing is read or written before `poll` has said
/// that it will not block, and no more is written than a pipe is sure to take then.
#[derive(Debug)]
pub struct PipeTransport {
    /// `None` once closed. A thread that waits holds a reference meanwhile, so that the numbers are not used for other
    /// files under its feet.
    ends: Mutex<Option<Arc<Ends>>>,
    /// Closed to wake whoever waits: its other end is watched along with the pipes.
    alarm: Mutex<Option<OwnedFd>>,
}

#[derive(Debug)]
struct Ends {
    incoming: OwnedFd,
    outgoing: OwnedFd,
    /// At its end once the transport is closed.
    alarm: OwnedFd,
}

/// A pipe that `poll` calls writable takes as many bytes at least (`PIPE_BUF`).
const SURE_TO_FIT: usize = 4096;

impl PipeTransport {
    /// Reads from `incoming` and writes to `outgoing`. The peer sees the end of the stream when these, and all duplicates
    /// of them, are closed.
    ///
    /// # Errors
    /// If the process is out of file descriptors.
    pub fn new(incoming: OwnedFd, outgoing: OwnedFd) -> io::Result<Self> {
        let (watched, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let ends = Ends { incoming, outgoing, alarm: watched };
        Ok(Self { ends: Mutex::new(Some(Arc::new(ends))), alarm: Mutex::new(Some(held)) })
    }

    fn ends(&self) -> io::Result<Arc<Ends>> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ends.ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "the pipes have been closed"))
    }
}

impl Ends {
    /// Waits until something in `interest` can be done. False if the deadline passed first.
    ///
    /// A pipe whose other end is gone counts as ready: reading and writing say what is wrong with it.
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        let mut fds = vec![PollFd::new(&self.alarm, PollFlags::IN)];
        if interest != Interest::Write {
            fds.push(PollFd::new(&self.incoming, PollFlags::IN));
        }
        if interest != Interest::Read {
            fds.push(PollFd::new(&self.outgoing, PollFlags::OUT));
        }
        let ready = poll_until(&mut fds, deadline)?;
        if !fds[0].revents().is_empty() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the pipes have been closed"));
        }
        Ok(ready > 0)
    }
}

impl Transport for PipeTransport {
    fn receive(&self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        let ends = self.ends()?;
        if !ends.wait(Interest::Read, deadline)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::read(&ends.incoming, buffer)?)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let ends = self.ends()?;
        if !ends.wait(Interest::Write, Some(Instant::now()))? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::write(&ends.outgoing, &bytes[..bytes.len().min(SURE_TO_FIT)])?)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
        self.ends()?.wait(interest, deadline).map(drop)
    }

    fn has_input(&self) -> bool {
        self.ends().and_then(|ends| ends.wait(Interest::Read, Some(Instant::now()))).unwrap_or(true)
    }

    fn close(&self) {
        drop(self.alarm.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.ends.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn is_local(&self) -> bool {
        true
    }
}

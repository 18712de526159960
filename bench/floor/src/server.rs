//! Sends messages back, one thread per connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;

const INTEGERS: u32 = u32::MAX;
const BYTES: u32 = u32::MAX - 1;
const READ_SIZE: usize = 64 * 1024;

/// Serves until stdin ends.
pub fn run() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut greeting = crate::greeting();
    greeting["port"] = json!(listener.local_addr()?.port());
    thread::spawn(move || accept(&listener));
    crate::say(&greeting)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn accept(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // An error here is the peer hanging up: the end of this connection and of nothing else.
        thread::spawn(move || answer(stream));
    }
}

/// A connection begins with the size of its messages; 0 asks for every byte back as it arrives, and two other numbers for
/// answers to requests that say how many integers or bytes they want.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix)?;
    match u32::from_be_bytes(prefix) {
        0 => answer_as_it_arrives(stream),
        INTEGERS => answer_requests(stream, |count| (0..count as u64).flat_map(u64::to_be_bytes).collect()),
        BYTES => answer_requests(stream, |count| vec![7; count]),
        size => answer_whole_messages(stream, size as usize),
    }
}

/// The answer to a request like the one before is kept: making it is not the floor's business.
fn answer_requests(mut stream: TcpStream, make: impl Fn(usize) -> Vec<u8>) -> io::Result<()> {
    let mut request = [0; 4];
    let mut kept = (0, Vec::new());
    loop {
        stream.read_exact(&mut request)?;
        let count = u32::from_be_bytes(request) as usize;
        if kept.0 != count {
            kept = (count, make(count));
        }
        stream.write_all(&kept.1)?;
    }
}

fn answer_whole_messages(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut message = vec![0; size];
    loop {
        stream.read_exact(&mut message)?;
        stream.write_all(&message)?;
    }
}

fn answer_as_it_arrives(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            arrived => stream.write_all(&buffer[..arrived])?,
        }
    }
}

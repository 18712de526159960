//! Sends messages back, one thread per connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;

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

/// A connection begins with the size of its messages; 0 asks for every byte back as it arrives.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix)?;
    match u32::from_be_bytes(prefix) as usize {
        0 => answer_as_it_arrives(stream),
        size => answer_whole_messages(stream, size),
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

//! Runs the floor operations that `run.py` asks for, and times them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

const MESSAGE: [u8; 40] = [7; 40];
const AS_IT_ARRIVES: u32 = 0;
const INTEGERS: u32 = u32::MAX;
const BYTES: u32 = u32::MAX - 1;

/// One prepared operation: a call performs its `n` operations.
type Body = Box<dyn FnMut() -> io::Result<()>>;

/// Answers commands until stdin ends.
pub fn run() -> io::Result<()> {
    crate::say(&crate::greeting())?;
    let mut body = None;
    for line in io::stdin().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        let answer = obey(&command, &mut body).unwrap_or_else(|error| json!({"error": error.to_string()}));
        crate::say(&answer)?;
    }
    Ok(())
}

fn obey(command: &Value, body: &mut Option<Body>) -> io::Result<Value> {
    match command["do"].as_str() {
        Some("prepare") => {
            *body = prepare(command)?;
            Ok(match body {
                Some(_) => json!({"ok": true}),
                None => json!({"unsupported": format!("no floor {}", command["op"])}),
            })
        }
        Some("go") => {
            let body = body.as_mut().ok_or_else(|| malformed("go before prepare"))?;
            let repeat = number(command, "repeat")?;
            let started = Instant::now();
            for _ in 0..repeat {
                body()?;
            }
            Ok(json!({"wall": started.elapsed().as_secs_f64()}))
        }
        Some("finish") => {
            *body = None;
            Ok(json!({"ok": true}))
        }
        _ => Err(malformed("unknown command")),
    }
}

fn prepare(command: &Value) -> io::Result<Option<Body>> {
    let host = command["host"].as_str().ok_or_else(|| malformed("no host"))?;
    let port = u16::try_from(number(command, "port")?).map_err(|_| malformed("port out of range"))?;
    let address = (host.to_owned(), port);
    let n = number(command, "n")?;
    Ok(match command["op"].as_str() {
        Some("pingpong") => Some(exchange(&address, n, MESSAGE.to_vec())?),
        Some("transfer") => Some(exchange(&address, n, noise(number(command, "size")?))?),
        Some("pipelined") => Some(pipelined(&address, n)?),
        Some("connect") => Some(connect(address, n)),
        Some("listing") => Some(listing(&address, n)?),
        Some("download") => Some(download(&address, n, number(command, "size")?)?),
        Some("connections") => Some(connections(&address, n, number(command, "size")?)?),
        _ => None,
    })
}

/// Send a message, wait until all of it is back, again.
fn exchange(address: &(String, u16), n: usize, message: Vec<u8>) -> io::Result<Body> {
    let mut stream = dial(address, message_size(&message)?)?;
    let mut answer = vec![0; message.len()];
    Ok(Box::new(move || {
        for _ in 0..n {
            stream.write_all(&message)?;
            stream.read_exact(&mut answer)?;
        }
        expect_same(tail(&answer), tail(&message))
    }))
}

/// n messages written one by one, then all the answers read.
fn pipelined(address: &(String, u16), n: usize) -> io::Result<Body> {
    let mut stream = dial(address, AS_IT_ARRIVES)?;
    let mut answers = vec![0; n * MESSAGE.len()];
    Ok(Box::new(move || {
        for _ in 0..n {
            stream.write_all(&MESSAGE)?;
        }
        stream.read_exact(&mut answers)?;
        expect_same(tail(&answers), &MESSAGE)
    }))
}

/// Connect, one exchange, close.
fn connect(address: (String, u16), n: usize) -> Body {
    Box::new(move || {
        let mut answer = MESSAGE.map(|_| 0);
        for _ in 0..n {
            let mut stream = dial(&address, message_size(&MESSAGE)?)?;
            stream.write_all(&MESSAGE)?;
            stream.read_exact(&mut answer)?;
        }
        expect_same(&answer, &MESSAGE)
    })
}

/// n integers in one message.
fn listing(address: &(String, u16), n: usize) -> io::Result<Body> {
    let mut stream = dial(address, INTEGERS)?;
    let mut answer = vec![0; 8 * n];
    let (count, wanted) = (message_size_of(n)?, (0..n as u64).sum::<u64>());
    Ok(Box::new(move || {
        stream.write_all(&count.to_be_bytes())?;
        stream.read_exact(&mut answer)?;
        let (integers, _) = answer.as_chunks::<8>();
        let sum = integers.iter().map(|&bytes| u64::from_be_bytes(bytes)).sum::<u64>();
        if sum == wanted { Ok(()) } else { Err(malformed("a wrong sum")) }
    }))
}

/// n times one message of that size from the server.
fn download(address: &(String, u16), n: usize, size: usize) -> io::Result<Body> {
    let mut stream = dial(address, BYTES)?;
    let mut answer = vec![0; size];
    let count = message_size_of(size)?;
    Ok(Box::new(move || {
        for _ in 0..n {
            stream.write_all(&count.to_be_bytes())?;
            stream.read_exact(&mut answer)?;
        }
        Ok(())
    }))
}

/// Connections at a time, each with a thread that exchanges messages; n in all.
fn connections(address: &(String, u16), n: usize, count: usize) -> io::Result<Body> {
    let mut streams = (0..count).map(|_| dial(address, message_size(&MESSAGE)?)).collect::<io::Result<Vec<_>>>()?;
    Ok(Box::new(move || {
        thread::scope(|scope| {
            let exchanging: Vec<_> = streams
                .iter_mut()
                .map(|stream| {
                    scope.spawn(move || {
                        let mut answer = [0; MESSAGE.len()];
                        for _ in 0..n / count {
                            stream.write_all(&MESSAGE)?;
                            stream.read_exact(&mut answer)?;
                        }
                        expect_same(&answer, &MESSAGE)
                    })
                })
                .collect();
            exchanging.into_iter().try_for_each(|thread| thread.join().map_err(|_| malformed("a panic"))?)
        })
    }))
}

fn dial((host, port): &(String, u16), size: u32) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((host.as_str(), *port))?;
    stream.set_nodelay(true)?;
    stream.write_all(&size.to_be_bytes())?;
    Ok(stream)
}

fn message_size(message: &[u8]) -> io::Result<u32> {
    message_size_of(message.len())
}

fn message_size_of(size: usize) -> io::Result<u32> {
    u32::try_from(size).map_err(|_| malformed("message too large"))
}

/// Bytes without pattern (xorshift); the floor compresses nothing, but their pages must be real.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// To compare 16 MiB would be part of what is timed.
fn tail(message: &[u8]) -> &[u8] {
    &message[message.len().saturating_sub(MESSAGE.len())..]
}

fn expect_same(answer: &[u8], message: &[u8]) -> io::Result<()> {
    if answer == message { Ok(()) } else { Err(malformed("the answer differs from what was sent")) }
}

fn number(command: &Value, field: &str) -> io::Result<usize> {
    let number = command[field].as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| malformed(&format!("no number {field}")))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

//! A service that returns what it is given, and counts how often each client asks.
//!
//!     cargo run --example echo_server [URL]
//!
//! The URL is `tcp://localhost:18861` unless given; with port 0, the first line of output says which port it became. The
//! client is `examples/python/echo_client.py`.

use std::sync::atomic::{AtomicU64, Ordering};

use netref::{Server, Value};

/// The server makes one for each client.
#[derive(Default)]
struct Echo {
    calls: AtomicU64,
}

#[netref::service]
impl Echo {
    /// A [`Value`] is anything: data, or a reference to an object of the client's, which goes home.
    fn echo(&self, value: Value) -> Value {
        self.calls.fetch_add(1, Ordering::Relaxed);
        value
    }

    /// How often this client has called.
    fn count(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

fn main() -> netref::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "tcp://localhost:18861".to_owned());
    let server = Server::bind(&url, Echo::default)?;
    println!("Serving at {}", server.address());
    server.run();
    Ok(())
}

//! A service for the time of day. It can be waited for, and it calls a function of the client's at every tick.
//!
//!     cargo run --example time_server [URL]
//!
//! The URL is `tcp://localhost:18861` unless given; with port 0, the first line of output says which port it became. Its
//! twin in Python is `examples/python/time_server.py`.

use std::thread;
use std::time::{Duration, SystemTime};

use netref::{Error, Remote, Server};

struct Time;

#[netref::service]
impl Time {
    /// Seconds since 1970, UTC.
    fn now(&self) -> f64 {
        SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64()
    }

    /// Returns `seconds`, after as many.
    fn wait(&self, seconds: f64) -> netref::Result<f64> {
        thread::sleep(duration(seconds)?);
        Ok(seconds)
    }

    /// Calls `function` with the time, so many times.
    fn tick(&self, times: u32, interval: f64, function: Remote) -> netref::Result<()> {
        for _ in 0..times {
            thread::sleep(duration(interval)?);
            function.call((self.now(),))?;
        }
        Ok(())
    }
}

/// What a Python client sees of an `Err` is a `ValueError`.
fn duration(seconds: f64) -> netref::Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| Error::raise("ValueError", error.to_string()))
}

fn main() -> netref::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "tcp://localhost:18861".to_owned());
    let server = Server::bind(&url, || Time)?;
    println!("Serving at {}", server.address());
    server.run();
    Ok(())
}

//! netref's Rust worker in the benchmarks: `bench-peer client|server threads|tokio`, driven by `bench/run.py`.
//! `bench/WORKERS.md` says what a worker must do.

mod aio;
mod client;
mod data;
mod objects;
mod operations;
mod server;

use std::error::Error;
use std::io::{self, Write};

use serde_json::{Value as Json, json};

/// What drives the connections.
#[derive(Clone, Copy)]
enum Driver {
    Threads,
    Tokio,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["client", "threads"] => Ok(client::run(Driver::Threads)?),
        ["client", "tokio"] => Ok(client::run(Driver::Tokio)?),
        ["server", "threads"] => server::run(),
        ["server", "tokio"] => aio::serve(),
        _ => Err("usage: bench-peer client|server threads|tokio".into()),
    }
}

/// The greeting of a worker; a server adds its port.
fn greeting(driver: Driver) -> Json {
    json!({
        "ready": true,
        "version": env!("CARGO_PKG_VERSION"),
        "runtime": match driver {
            Driver::Threads => "Rust, thread driver",
            Driver::Tokio => "Rust, tokio driver, one thread",
        },
        "pid": std::process::id(),
    })
}

fn say(answer: &Json) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{answer}")?;
    stdout.flush()
}

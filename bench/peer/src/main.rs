//! netref's Rust worker in the benchmarks: `bench-peer client|server`, driven by `bench/run.py`. `bench/WORKERS.md` says
//! what a worker must do.

mod client;
mod data;
mod objects;
mod operations;
mod server;

use std::error::Error;
use std::io::{self, Write};

use serde_json::{Value as Json, json};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("client") => Ok(client::run()?),
        Some("server") => server::run(),
        _ => Err("usage: bench-peer client|server".into()),
    }
}

/// The greeting of a worker; a server adds its port.
fn greeting() -> Json {
    json!({
        "ready": true,
        "version": env!("CARGO_PKG_VERSION"),
        "runtime": "Rust, thread driver",
        "pid": std::process::id(),
    })
}

fn say(answer: &Json) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{answer}")?;
    stdout.flush()
}

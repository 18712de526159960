//! The floor under any Rust implementation: bare blocking TCP, no protocol.
//!
//! `bench-floor client|server` is a worker of `bench/run.py`; `bench/WORKERS.md` tells the commands.

mod client;
mod server;

use std::io::{self, Write};

use serde_json::{Value, json};

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("client") => client::run(),
        Some("server") => server::run(),
        _ => {
            eprintln!("usage: bench-floor client|server");
            std::process::exit(2);
        }
    }
}

/// The greeting of a worker; a server adds its port.
fn greeting() -> Value {
    json!({
        "ready": true,
        "version": env!("CARGO_PKG_VERSION"),
        "runtime": "Rust",
        "pid": std::process::id(),
    })
}

fn say(answer: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{answer}")?;
    stdout.flush()
}

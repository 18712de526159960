//! netref's Rust end of the interoperability suite.
//!
//!     interop-peer serve [--policy public|exposed] [--driver threads|tokio] [--host ADDRESS] [--limits strict]
//!                        [--limit NAME=VALUE ...]
//!     interop-peer agent
//!
//! `SERVICE.md` and `AGENT.md`, one folder up, say what both have to do.

mod agent;
mod callee;
mod catalogue;
mod errors;
mod handles;
mod operations;
mod policy;
mod server;
mod service;
mod tagged;

use std::error::Error;
use std::process::ExitCode;

/// What the suite calls this implementation.
const IMPLEMENTATION: &str = "netref-rust";
const USAGE: &str = "usage: interop-peer serve [--policy public|exposed] [--driver threads|tokio] [--host ADDRESS] [--limits strict] \
                     [--limit NAME=VALUE ...] | agent";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", rest @ ..] => server::run(server::Settings::read(rest).ok_or(USAGE)?)?,
        ["agent"] => agent::run()?,
        _ => return Err(USAGE.into()),
    }
    Ok(ExitCode::SUCCESS)
}

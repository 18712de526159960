//! netref's Rust end of the interoperability suite.
//!
//!     interop-peer serve [--policy public|exposed]
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

use policy::Policy;

/// What the suite calls this implementation.
const IMPLEMENTATION: &str = "netref-rust";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => server::run(Policy::Public)?,
        ["serve", "--policy", name] => server::run(Policy::named(name).ok_or("no such policy")?)?,
        ["agent"] => agent::run()?,
        _ => return Err("usage: interop-peer serve [--policy public|exposed] | agent".into()),
    }
    Ok(ExitCode::SUCCESS)
}

//! The server program.

use std::io::{self, Write};
use std::thread;

use netref::{Address, Options, Server};

use crate::policy::Policy;
use crate::service::InteropService;

/// Serves on a free port of 127.0.0.1, which it prints, until standard input ends.
pub(crate) fn run(policy: Policy) -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::new().rules(policy.rules());
    let server = Server::with_options("tcp://127.0.0.1:0", options, move || InteropService::new(policy))?;
    let &Address::Tcp { port, .. } = server.address() else { return Err("not a TCP port".into()) };
    thread::spawn(move || server.run());
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{port}")?;
    stdout.flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

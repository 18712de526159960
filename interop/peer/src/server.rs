//! The server program.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use netref::protocol::{Limits, Quantity};
use netref::{Address, Options, Server, aio};

use crate::policy::Policy;
use crate::service::InteropService;

/// How long a thread for blocking work lives on without any.
const IDLE: Duration = Duration::from_secs(1);

/// What to serve with.
pub(crate) struct Settings {
    policy: Policy,
    limits: Limits,
    is_tokio: bool,
    host: String,
}

impl Settings {
    /// From the arguments of the command line: `--policy NAME`, `--driver threads|tokio`, `--host ADDRESS`,
    /// `--limits PROFILE`, `--limit NAME=VALUE`.
    pub(crate) fn read(arguments: &[&str]) -> Option<Self> {
        let host = "127.0.0.1".to_owned();
        let mut settings = Self { policy: Policy::Public, limits: Limits::default(), is_tokio: false, host };
        for option in arguments.chunks(2) {
            match option {
                ["--policy", name] => settings.policy = Policy::named(name)?,
                ["--driver", driver] => settings.is_tokio = *driver == "tokio",
                ["--host", host] => (*host).clone_into(&mut settings.host),
                ["--limits", "strict"] => settings.limits = Limits::strict(),
                ["--limit", limit] => settings.set_limit(limit)?,
                _ => return None,
            }
        }
        Some(settings)
    }

    fn set_limit(&mut self, limit: &str) -> Option<()> {
        let (name, value) = limit.split_once('=')?;
        let setting = Limits::setting(name)?;
        let value = match (setting.get)(&self.limits) {
            Quantity::Bytes(_) => Quantity::Bytes(value.parse().ok()?),
            Quantity::Count(_) => Quantity::Count(value.parse().ok()?),
            Quantity::Time(_) => Quantity::Time(Some(Duration::from_secs_f64(value.parse().ok()?))),
        };
        (setting.set)(&mut self.limits, value).then_some(())
    }
}

/// Serves on a free port, which it prints, until standard input ends.
pub(crate) fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let Settings { policy, limits, is_tokio, host } = settings;
    let options = Options::new().rules(policy.rules()).limits(limits);
    let service = move || InteropService::new(policy);
    let url = &format!("tcp://{host}:0");
    if is_tokio {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(IDLE).build()?;
        let server = runtime.block_on(aio::Server::with_options(url, options, service))?;
        print_port(server.address())?;
        runtime.spawn(async move { server.run().await });
        wait_for_the_end_of_input()?;
        runtime.shutdown_background();
    } else {
        let server = Server::with_options(url, options, service)?;
        print_port(server.address())?;
        thread::spawn(move || server.run());
        wait_for_the_end_of_input()?;
    }
    Ok(())
}

fn wait_for_the_end_of_input() -> io::Result<u64> {
    io::copy(&mut io::stdin(), &mut io::sink())
}

fn print_port(address: &Address) -> Result<(), Box<dyn std::error::Error>> {
    let Address::Tcp { port, .. } = address else { return Err("not a TCP port".into()) };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{port}")?;
    Ok(stdout.flush()?)
}

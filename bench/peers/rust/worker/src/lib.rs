//! The commands of `bench/run.py`, for the workers of other systems: `bench/WORKERS.md` tells them.
//!
//! Everything runs on one thread of tokio's, which these systems recommend for latency or which measured faster than several.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::task::LocalSet;

pub type Failure = Box<dyn Error>;
pub type Outcome<T = ()> = Result<T, Failure>;

/// What to measure, and where the server is.
#[derive(Clone, Debug)]
pub struct Task {
    pub operation: String,
    pub address: SocketAddr,
    pub n: usize,
    pub size: usize,
}

/// One prepared operation, which may hold a connection.
pub trait Session {
    /// Performs the `n` operations.
    fn go(&mut self) -> impl Future<Output = Outcome>;
}

/// Runs as `client` or `server`, whichever the command line says.
pub fn run<S: Session>(
    version: &str,
    prepare: impl AsyncFn(Task) -> Outcome<Option<S>>,
    serve: impl AsyncFnOnce(TcpListener) -> Outcome,
) -> Outcome {
    match std::env::args().nth(1).as_deref() {
        Some("client") => client(version, prepare),
        Some("server") => server(version, serve),
        _ => Err("usage: client|server".into()),
    }
}

fn client<S: Session>(version: &str, prepare: impl AsyncFn(Task) -> Outcome<Option<S>>) -> Outcome {
    let (runtime, local) = (runtime()?, LocalSet::new());
    say(&greeting(version))?;
    let mut session = None;
    for line in io::stdin().lines() {
        let command = serde_json::from_str(&line?)?;
        let obeying = obey(&command, &prepare, &mut session);
        let answer =
            local.block_on(&runtime, obeying).unwrap_or_else(|error| json!({"error": error.to_string()}));
        say(&answer)?;
    }
    Ok(())
}

async fn obey<S: Session>(
    command: &Value,
    prepare: &impl AsyncFn(Task) -> Outcome<Option<S>>,
    session: &mut Option<S>,
) -> Outcome<Value> {
    match command["do"].as_str() {
        Some("prepare") => {
            *session = prepare(task(command)?).await?;
            Ok(match session {
                Some(_) => json!({"ok": true}),
                None => json!({"unsupported": "not offered"}),
            })
        }
        Some("go") => {
            let session = session.as_mut().ok_or("go before prepare")?;
            let repeat = number(command, "repeat")?;
            let started = Instant::now();
            for _ in 0..repeat {
                session.go().await?;
            }
            Ok(json!({"wall": started.elapsed().as_secs_f64()}))
        }
        Some("finish") => {
            *session = None;
            Ok(json!({"ok": true}))
        }
        _ => Err("unknown command".into()),
    }
}

fn task(command: &Value) -> Outcome<Task> {
    Ok(Task {
        operation: command["op"].as_str().ok_or("no op")?.to_owned(),
        address: (Ipv4Addr::LOCALHOST, u16::try_from(number(command, "port")?)?).into(),
        n: number(command, "n")?,
        size: number(command, "size")?,
    })
}

fn number(command: &Value, field: &str) -> Outcome<usize> {
    let number = command[field].as_u64().ok_or_else(|| format!("no number {field}"))?;
    Ok(usize::try_from(number)?)
}

/// Serves until stdin ends.
fn server(version: &str, serve: impl AsyncFnOnce(TcpListener) -> Outcome) -> Outcome {
    let (runtime, local) = (runtime()?, LocalSet::new());
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0)
    });
    local.block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut greeting = greeting(version);
        greeting["port"] = json!(listener.local_addr()?.port());
        say(&greeting)?;
        serve(listener).await
    })
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

fn greeting(version: &str) -> Value {
    json!({"ready": true, "version": version, "runtime": "Rust, tokio, one thread", "pid": std::process::id()})
}

fn say(answer: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{answer}")?;
    stdout.flush()
}

/// A fast wrong answer is worth nothing.
pub fn expect<T: PartialEq + Debug>(found: T, wanted: T) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("got {found:?} instead of {wanted:?}").into()) }
}

/// Bytes that no compression makes shorter (xorshift).
pub fn noise(size: usize) -> Vec<u8> {
    let step = |state: &u64| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    };
    std::iter::successors(Some(0x9e37_79b9_7f4a_7c15_u64), step)
        .map(|state| state.to_le_bytes()[0])
        .take(size)
        .collect()
}

/// The lines of the file in the operation `lines`.
pub fn lines(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("line {i} of a small file\n")).collect()
}

//! The tokio driver: against itself, the thread driver and stock RPyC, on both flavors of runtime.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod concurrency;
mod ending;
mod hard_cases;
mod lab;
mod operations;
mod stock;

use std::future::Future;
use std::time::Duration;

use netref::{Connection, Server, Service, aio};
use tokio::io::join;
use tokio::net::unix::pipe::pipe;
use tokio::runtime::{Builder, Runtime};

/// Nothing here takes long; what hangs fails.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on a runtime of each flavor.
fn on_both_flavors<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let mut multi_thread = Builder::new_multi_thread();
    for builder in [&mut Builder::new_current_thread(), multi_thread.worker_threads(2)] {
        run(&builder.enable_all().build().unwrap(), test());
    }
}

fn run(runtime: &Runtime, test: impl Future<Output = ()>) {
    runtime.block_on(async { tokio::time::timeout(LIMIT, test).await.expect("the test hangs") });
}

/// Starts a server with tasks, and returns its URL.
async fn tokio_server<S: Service>(service: impl Fn() -> S + Send + Sync + 'static) -> String {
    let server = aio::Server::bind("tcp://127.0.0.1:0", service).await.unwrap();
    let url = server.address().to_string();
    tokio::spawn(async move { server.run().await });
    url
}

/// Starts a server with threads, and returns its URL.
fn thread_server<S: Service>(service: impl Fn() -> S + Send + Sync + 'static) -> String {
    let server = Server::bind("tcp://127.0.0.1:0", service).unwrap();
    let url = server.address().to_string();
    std::thread::spawn(move || server.run());
    url
}

/// Two ends of a connection in this process, both driven by tasks.
fn pair(left: &netref::Options, right: &netref::Options) -> (aio::Connection, aio::Connection) {
    let (here, there) = tokio::io::duplex(64 * 1024);
    (aio::over_stream(left, here, true), aio::over_stream(right, there, false))
}

/// The same over pipes.
fn pair_over_pipes(left: &netref::Options, right: &netref::Options) -> (aio::Connection, aio::Connection) {
    let ((to_right, from_left), (to_left, from_right)) = (pipe().unwrap(), pipe().unwrap());
    let (here, there) = (join(from_right, to_right), join(from_left, to_left));
    (aio::over_stream(left, here, true), aio::over_stream(right, there, false))
}

/// The asynchronous face of a connection that threads drive.
async fn thread_client(url: &str) -> aio::Connection {
    let url = url.to_owned();
    let conn: netref::Result<Connection> = aio::spawn_blocking(move || netref::connect(&url)).await;
    conn.unwrap().into()
}

/// Lets every task that can run do so, again and again, until `done`.
async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

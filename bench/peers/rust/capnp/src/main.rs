//! capnp-rpc, two parties over TCP, as in its examples.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, new_client, twoparty};
use futures::AsyncReadExt;
use futures::future::try_join_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_util::compat::TokioAsyncReadCompatExt;
use worker::{Outcome, Session, Task, expect, lines, noise};

mod bench_capnp {
    include!(concat!(env!("OUT_DIR"), "/bench_capnp.rs"));
}

use bench_capnp::{bench, file, function};

fn main() -> Outcome {
    worker::run("0.27", prepare, serve)
}

enum Prepared {
    Echo(bench::Client, i64),
    Bytes(bench::Client, Vec<u8>),
    Async(bench::Client, i64),
    Callback(bench::Client, i64),
    Lines(bench::Client, usize),
    Connect(SocketAddr, i64),
}

async fn prepare(task: Task) -> Outcome<Option<Prepared>> {
    let n = i64::try_from(task.n)?;
    Ok(Some(match task.operation.as_str() {
        "echo" => Prepared::Echo(connect(task.address).await?, n),
        "bytes-random" => Prepared::Bytes(connect(task.address).await?, noise(task.size)),
        "async" => Prepared::Async(connect(task.address).await?, n),
        "callback" => Prepared::Callback(connect(task.address).await?, n),
        "lines" => Prepared::Lines(connect(task.address).await?, task.n),
        "connect" => Prepared::Connect(task.address, n),
        _ => return Ok(None),
    }))
}

impl Session for Prepared {
    async fn go(&mut self) -> Outcome {
        match self {
            Self::Echo(client, n) => {
                for i in 0..*n {
                    expect(echo(client, i).await?, i)?;
                }
            }
            Self::Bytes(client, data) => {
                let mut request = client.echo_bytes_request();
                request.get().set_data(data);
                let response = request.send().promise.await?;
                let echoed = response.get()?.get_data()?;
                expect((echoed.len(), echoed.last()), (data.len(), data.last()))?;
            }
            Self::Async(client, n) => {
                let answers = try_join_all((0..*n).map(|i| echo(client, i))).await?;
                expect(answers.last(), Some(&(*n - 1)))?;
            }
            Self::Callback(client, n) => {
                let calls = Rc::new(Cell::new(0));
                let mut request = client.call_back_request();
                request.get().set_function(new_client(Counter(calls.clone())));
                request.get().set_count(*n);
                request.send().promise.await?;
                expect(calls.get(), *n)?;
            }
            Self::Lines(client, n) => {
                let calls = Rc::new(Cell::new(0));
                let mut request = client.line_counter_request();
                request.get().set_file(new_client(File(lines(*n))));
                request.get().set_function(new_client(Counter(calls.clone())));
                let count = request.send().promise.await?.get()?.get_count();
                expect((count, calls.get()), (i64::try_from(*n)?, i64::try_from(*n)?))?;
            }
            Self::Connect(address, n) => {
                for i in 0..*n {
                    expect(echo(&connect(*address).await?, i).await?, i)?;
                }
            }
        }
        Ok(())
    }
}

async fn echo(client: &bench::Client, value: i64) -> capnp::Result<i64> {
    let mut request = client.echo_request();
    request.get().set_value(value);
    Ok(request.send().promise.await?.get()?.get_value())
}

async fn connect(address: SocketAddr) -> Outcome<bench::Client> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut system = RpcSystem::new(Box::new(network(stream, Side::Client)), None);
    let client = system.bootstrap(Side::Server);
    spawn_local(system);
    Ok(client)
}

type Half<T> = futures::io::BufWriter<T>;
type Compat = tokio_util::compat::Compat<TcpStream>;

fn network(
    stream: TcpStream,
    side: Side,
) -> twoparty::VatNetwork<futures::io::BufReader<futures::io::ReadHalf<Compat>>> {
    let (reader, writer) = stream.compat().split();
    let mut limits = ReaderOptions::new();
    limits.traversal_limit_in_words(None);
    twoparty::VatNetwork::new(futures::io::BufReader::new(reader), Half::new(writer), side, limits)
}

struct Counter(Rc<Cell<i64>>);

impl function::Server for Counter {
    async fn call(
        self: Rc<Self>,
        params: function::CallParams,
        mut results: function::CallResults,
    ) -> capnp::Result<()> {
        self.0.set(self.0.get() + 1);
        results.get().set_result(params.get()?.get_argument());
        Ok(())
    }

    async fn line(
        self: Rc<Self>,
        params: function::LineParams,
        _: function::LineResults,
    ) -> capnp::Result<()> {
        params.get()?.get_text()?;
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

struct File(Vec<String>);

impl file::Server for File {
    async fn read_lines(
        self: Rc<Self>,
        _: file::ReadLinesParams,
        mut results: file::ReadLinesResults,
    ) -> capnp::Result<()> {
        let count = u32::try_from(self.0.len()).map_err(|error| capnp::Error::failed(error.to_string()))?;
        let mut lines = results.get().init_lines(count);
        for (position, line) in (0..).zip(&self.0) {
            lines.set(position, line);
        }
        Ok(())
    }
}

struct Server;

impl bench::Server for Server {
    async fn echo(
        self: Rc<Self>,
        params: bench::EchoParams,
        mut results: bench::EchoResults,
    ) -> capnp::Result<()> {
        results.get().set_value(params.get()?.get_value());
        Ok(())
    }

    async fn echo_bytes(
        self: Rc<Self>,
        params: bench::EchoBytesParams,
        mut results: bench::EchoBytesResults,
    ) -> capnp::Result<()> {
        results.get().set_data(params.get()?.get_data()?);
        Ok(())
    }

    async fn call_back(
        self: Rc<Self>,
        params: bench::CallBackParams,
        _: bench::CallBackResults,
    ) -> capnp::Result<()> {
        let (function, count) = (params.get()?.get_function()?, params.get()?.get_count());
        for i in 0..count {
            let mut request = function.call_request();
            request.get().set_argument(i);
            request.send().promise.await?;
        }
        Ok(())
    }

    async fn line_counter(
        self: Rc<Self>,
        params: bench::LineCounterParams,
        mut results: bench::LineCounterResults,
    ) -> capnp::Result<()> {
        let (file, function) = (params.get()?.get_file()?, params.get()?.get_function()?);
        let response = file.read_lines_request().send().promise.await?;
        let lines = response.get()?.get_lines()?;
        for line in lines.iter() {
            let mut request = function.line_request();
            request.get().set_text(line?);
            request.send().promise.await?;
        }
        results.get().set_count(lines.len().into());
        Ok(())
    }
}

async fn serve(listener: TcpListener) -> Outcome {
    let client: bench::Client = new_client(Server);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let network = network(stream, Side::Server);
        spawn_local(RpcSystem::new(Box::new(network), Some(client.clone().client)));
    }
}

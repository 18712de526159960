//! remoc: remote trait calling and remote functions over TCP, as in its documentation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::try_join_all;
use remoc::prelude::*;
use remoc::rfn::RFn;
use remoc::rtc::CallError;
use serde_bytes::ByteBuf;
use tokio::net::{TcpListener, TcpStream};
use worker::{Outcome, Session, Task, expect, lines, noise};

const LARGEST: usize = 256 << 20;

type Number = RFn<(i64,), Result<i64, remoc::rfn::CallError>>;
type Line = RFn<(String,), Result<(), remoc::rfn::CallError>>;

#[rtc::remote]
trait Bench {
    #[serde(rename = "_0")]
    async fn echo(&self, #[serde(rename = "_0")] value: i64) -> Result<i64, CallError>;
    async fn echo_bytes(&self, data: ByteBuf) -> Result<ByteBuf, CallError>;
    async fn call_back(&self, function: Number, count: i64) -> Result<(), CallError>;
    async fn line_counter(&self, lines: Vec<String>, function: Line) -> Result<usize, CallError>;
}

fn main() -> Outcome {
    worker::run("0.20", prepare, serve)
}

enum Prepared {
    Echo(BenchClient, i64),
    Bytes(BenchClient, Vec<u8>),
    Async(BenchClient, i64),
    Callback(BenchClient, i64),
    Lines(BenchClient, usize),
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
                    expect(client.echo(i).await?, i)?;
                }
            }
            Self::Bytes(client, data) => {
                let echoed = client.echo_bytes(ByteBuf::from(data.clone())).await?;
                expect((echoed.len(), echoed.last()), (data.len(), data.last()))?;
            }
            Self::Async(client, n) => {
                let answers = try_join_all((0..*n).map(|i| client.echo(i))).await?;
                expect(answers.last(), Some(&(*n - 1)))?;
            }
            Self::Callback(client, n) => {
                let calls = Arc::new(AtomicI64::new(0));
                let counter = calls.clone();
                let function = RFn::new_1(move |i: i64| {
                    counter.fetch_add(1, Ordering::Relaxed);
                    async move { Ok(i) }
                });
                client.call_back(function, *n).await?;
                expect(calls.load(Ordering::Relaxed), *n)?;
            }
            Self::Lines(client, n) => {
                let calls = Arc::new(AtomicI64::new(0));
                let counter = calls.clone();
                let function = RFn::new_1(move |_: String| {
                    counter.fetch_add(1, Ordering::Relaxed);
                    async { Ok(()) }
                });
                let count = client.line_counter(lines(*n), function).await?;
                expect((count, calls.load(Ordering::Relaxed)), (*n, i64::try_from(*n)?))?;
            }
            Self::Connect(address, n) => {
                for i in 0..*n {
                    expect(connect(*address).await?.echo(i).await?, i)?;
                }
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> Outcome<BenchClient> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let mut client: BenchClient = remoc::Connect::io(settings(), reader, writer).consume().await?;
    client.set_max_request_size(LARGEST);
    client.set_max_response_size(LARGEST);
    Ok(client)
}

fn settings() -> remoc::Cfg {
    remoc::Cfg::default()
}

struct Server;

impl Bench for Server {
    async fn echo(&self, value: i64) -> Result<i64, CallError> {
        Ok(value)
    }

    async fn echo_bytes(&self, data: ByteBuf) -> Result<ByteBuf, CallError> {
        Ok(data)
    }

    async fn call_back(&self, function: Number, count: i64) -> Result<(), CallError> {
        for i in 0..count {
            function.call(i).await.map_err(|_| CallError::Dropped)?;
        }
        Ok(())
    }

    async fn line_counter(&self, lines: Vec<String>, function: Line) -> Result<usize, CallError> {
        let count = lines.len();
        for line in lines {
            function.call(line).await.map_err(|_| CallError::Dropped)?;
        }
        Ok(count)
    }
}

async fn serve(listener: TcpListener) -> Outcome {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let (server, client) = BenchServerShared::<_, remoc::codec::Default>::new(Arc::new(Server));
            let (reader, writer) = stream.into_split();
            if remoc::Connect::io(settings(), reader, writer).provide(client).await.is_ok() {
                let _ = server.serve().await;
            }
        });
    }
}

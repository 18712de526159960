//! tarpc with bincode over TCP, as in its documentation.

use std::net::SocketAddr;

use futures::future::try_join_all;
use futures::{Future, StreamExt};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tarpc::client;
use tarpc::context::{self, Context};
use tarpc::serde_transport::{self, Transport};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio::net::{TcpListener, TcpStream};
use worker::{Outcome, Session, Task, expect, noise};

#[tarpc::service]
trait Bench {
    async fn echo(value: i64) -> i64;
    async fn echo_bytes(data: ByteBuf) -> ByteBuf;
}

fn main() -> Outcome {
    worker::run("0.38", prepare, serve)
}

enum Prepared {
    Echo(BenchClient, i64),
    Bytes(BenchClient, Vec<u8>),
    Async(BenchClient, i64),
    Connect(SocketAddr, i64),
}

async fn prepare(task: Task) -> Outcome<Option<Prepared>> {
    let n = i64::try_from(task.n)?;
    Ok(Some(match task.operation.as_str() {
        "echo" => Prepared::Echo(connect(task.address).await?, n),
        "bytes-random" => Prepared::Bytes(connect(task.address).await?, noise(task.size)),
        "async" => Prepared::Async(connect(task.address).await?, n),
        "connect" => Prepared::Connect(task.address, n),
        _ => return Ok(None),
    }))
}

impl Session for Prepared {
    async fn go(&mut self) -> Outcome {
        match self {
            Self::Echo(client, n) => {
                for i in 0..*n {
                    expect(client.echo(context::current(), i).await?, i)?;
                }
            }
            Self::Bytes(client, data) => {
                let echoed = client.echo_bytes(long(), ByteBuf::from(data.clone())).await?;
                expect((echoed.len(), echoed.last()), (data.len(), data.last()))?;
            }
            Self::Async(client, n) => {
                let answers = try_join_all((0..*n).map(|i| client.echo(context::current(), i))).await?;
                expect(answers.last(), Some(&(*n - 1)))?;
            }
            Self::Connect(address, n) => {
                for i in 0..*n {
                    let client = connect(*address).await?;
                    expect(client.echo(context::current(), i).await?, i)?;
                }
            }
        }
        Ok(())
    }
}

/// The default deadline of ten seconds is short on a busy machine.
fn long() -> Context {
    let mut context = context::current();
    context.deadline += std::time::Duration::from_secs(60);
    context
}

async fn connect(address: SocketAddr) -> Outcome<BenchClient> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut config = client::Config::default();
    config.max_in_flight_requests = 2000;
    config.pending_request_buffer = 2000;
    Ok(BenchClient::new(config, transport(stream)).spawn())
}

fn transport<Item, SinkItem>(
    stream: TcpStream,
) -> Transport<TcpStream, Item, SinkItem, Bincode<Item, SinkItem>>
where
    Item: for<'de> Deserialize<'de>,
    SinkItem: Serialize,
{
    let mut frames = LengthDelimitedCodec::new();
    frames.set_max_frame_length(256 << 20);
    serde_transport::new(Framed::new(stream, frames), Bincode::default())
}

#[derive(Clone)]
struct Server;

impl Bench for Server {
    async fn echo(self, _: Context, value: i64) -> i64 {
        value
    }

    async fn echo_bytes(self, _: Context, data: ByteBuf) -> ByteBuf {
        data
    }
}

async fn serve(listener: TcpListener) -> Outcome {
    async fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(BaseChannel::with_defaults(transport(stream)).execute(Server.serve()).for_each(spawn));
    }
}

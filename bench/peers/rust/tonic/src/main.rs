//! tonic: gRPC with protobuf messages.

use std::net::SocketAddr;

use futures::future::try_join_all;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use worker::{Outcome, Session, Task, expect, noise};

mod rpc {
    include!(concat!(env!("OUT_DIR"), "/bench.Bench.rs"));
}

use rpc::bench_client::BenchClient;
use rpc::bench_server::{Bench, BenchServer};

const LARGEST: usize = 256 << 20;
/// The default of 64 kB makes large messages wait for the other side again and again.
const WINDOW: u32 = 32 << 20;

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(int64, tag = "1")]
    value: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Data {
    #[prost(bytes = "bytes", tag = "1")]
    value: prost::bytes::Bytes,
}

fn main() -> Outcome {
    worker::run("0.14", prepare, serve)
}

type Client = BenchClient<Channel>;

enum Prepared {
    Echo(Client, i64),
    Bytes(Client, Data),
    Async(Client, i64),
    Connect(SocketAddr, i64),
}

async fn prepare(task: Task) -> Outcome<Option<Prepared>> {
    let n = i64::try_from(task.n)?;
    Ok(Some(match task.operation.as_str() {
        "echo" => Prepared::Echo(connect(task.address).await?, n),
        "bytes-random" => {
            Prepared::Bytes(connect(task.address).await?, Data { value: noise(task.size).into() })
        }
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
                    expect(echo(client, i).await?, i)?;
                }
            }
            Self::Bytes(client, data) => {
                let echoed = client.echo_bytes(data.clone()).await?.into_inner().value;
                expect((echoed.len(), echoed.last()), (data.value.len(), data.value.last()))?;
            }
            Self::Async(client, n) => {
                let calls = (0..*n).map(|i| {
                    let mut client = client.clone();
                    async move { echo(&mut client, i).await }
                });
                expect(try_join_all(calls).await?.last(), Some(&(*n - 1)))?;
            }
            Self::Connect(address, n) => {
                for i in 0..*n {
                    expect(echo(&mut connect(*address).await?, i).await?, i)?;
                }
            }
        }
        Ok(())
    }
}

async fn echo(client: &mut Client, value: i64) -> Result<i64, Status> {
    Ok(client.echo(Number { value }).await?.into_inner().value)
}

async fn connect(address: SocketAddr) -> Outcome<Client> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let client = BenchClient::new(endpoint.connect().await?);
    Ok(client.max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST))
}

struct Echo;

#[tonic::async_trait]
impl Bench for Echo {
    async fn echo(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn echo_bytes(&self, request: Request<Data>) -> Result<Response<Data>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

async fn serve(listener: TcpListener) -> Outcome {
    let service =
        BenchServer::new(Echo).max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST);
    let server = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(service);
    Ok(server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))).await?)
}

//! How connections begin and end.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use netref::protocol::{Compression, Limits};
use netref::threads::{Closed, EndReason};
use netref::{Args, Class, Connection, Error, IntoValue, Object, Options, Result, Service, Value, aio};
use netref_core::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::lab::Lab;
use crate::{on_both_flavors, pair, run, tokio_server};

#[test]
fn calls_under_way_end_with_the_connection() {
    on_both_flavors(|| async {
        let never = aio::function(std::future::pending::<()>);
        let (client, server) = pair(&Options::new(), &Options::new().service(never));
        let root = client.root().await.unwrap();
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let root = root.clone();
                tokio::spawn(async move { root.call(()).await })
            })
            .collect();
        client.ping().await.unwrap();
        server.close().await;
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(&error, Error::Closed(closed) if by_peer(closed)), "{error}");
        }
        assert!(by_peer(&client.wait_closed().await) && by_peer(&client.closed().unwrap()));
        assert!(matches!(server.closed().unwrap().reason(), EndReason::ClosedHere));
        assert!(matches!(root.call(()).await, Err(Error::Closed(_))));
        server.close().await;
    });
}

/// Often all that a request does is to wake the task that closes.
#[test]
fn closing_lets_requests_that_run_be_answered() {
    on_both_flavors(|| async {
        let (begun, mut has_begun) = mpsc::unbounded_channel();
        let service = aio::function(move || {
            let begun = begun.clone();
            async move {
                begun.send(()).unwrap();
                // Longer than closing takes that does not wait for this.
                tokio::time::sleep(Duration::from_millis(200)).await;
                7
            }
        });
        let (client, server) = pair(&Options::new(), &Options::new().service(service));
        let root = client.root().await.unwrap();
        let call = tokio::spawn(async move { root.call(()).await });
        has_begun.recv().await.unwrap();
        server.close().await;
        assert_eq!(call.await.unwrap().unwrap(), Value::Int(7));
        assert!(by_peer(&client.wait_closed().await));
    });
}

/// The request that closes would wait for itself.
#[test]
fn a_request_may_close_its_connection() {
    on_both_flavors(|| async {
        let server = Arc::new(OnceLock::<aio::Connection>::new());
        let closing = server.clone();
        let service = aio::function(move || {
            let closing = closing.clone();
            async move {
                let closing = closing.get().unwrap().close();
                tokio::time::timeout(Duration::from_millis(900), closing)
                    .await
                    .expect("it waited for itself");
            }
        });
        let (client, there) = pair(&Options::new(), &Options::new().service(service));
        server.set(there).unwrap();
        let error = client.root().await.unwrap().call(()).await.unwrap_err();
        assert!(matches!(error, Error::Closed(_)), "{error}");
    });
}

#[test]
fn a_silent_peer_is_given_up_by_a_heartbeat() {
    on_both_flavors(|| async {
        let (here, _there) = tokio::io::duplex(1 << 20);
        let options = Options::new().heartbeat(Some(Duration::from_millis(50))).timeout(None);
        let conn = aio::over_stream(&options, here, true);
        let error = conn.root().await.unwrap_err();
        assert!(error.to_string().contains("silent"), "{error}");
        assert!(matches!(conn.closed().unwrap().reason(), EndReason::Silent { .. }));
    });
}

#[test]
fn a_peer_that_answers_outlives_many_heartbeats() {
    on_both_flavors(|| async {
        let options = Options::new().heartbeat(Some(Duration::from_millis(150)));
        let (client, _server) = pair(&options, &Options::new());
        tokio::time::sleep(Duration::from_millis(900)).await;
        client.ping().await.unwrap();
        // No instant is so far away.
        let (client, _server) = pair(&Options::new().heartbeat(Some(Duration::MAX)), &Options::new());
        client.ping().await.unwrap();
    });
}

#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    on_both_flavors(|| async {
        let (here, _there) = tokio::io::duplex(1000);
        let mut limits = Limits::default();
        limits.write_timeout = Some(Duration::from_millis(100));
        let options = Options::new().limits(limits).timeout(None).compression(Compression::Off);
        let conn = aio::over_stream(&options, here, true);
        let ping = Request::Ping { data: Value::Bytes(vec![0; 100_000].into()) };
        let error = conn.request(ping).await.unwrap_err();
        assert!(error.to_string().contains("write_timeout"), "{error}");
    });
}

/// A stream that takes nothing, and from which something comes now and then.
struct OneWay {
    parts: VecDeque<Vec<u8>>,
    next: Pin<Box<Sleep>>,
}

const INTERVAL: Duration = Duration::from_millis(150);

impl AsyncRead for OneWay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(tokio::time::sleep(INTERVAL));
        buffer.put_slice(&self.parts.pop_front().unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for OneWay {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// They were cut off a moment after it was found that nothing can be written, though they were still coming.
#[test]
fn last_words_of_a_peer_that_takes_nothing_any_more() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    run(&runtime, async {
        let (here, mut there) = tokio::io::duplex(1024);
        aio::over_stream(&Options::new(), here, true).close().await;
        let mut farewell = Vec::new();
        there.read_to_end(&mut farewell).await.unwrap();
        let parts = farewell.chunks(farewell.len() / 8).map(<[u8]>::to_vec).collect();
        let stream = OneWay { parts, next: Box::pin(tokio::time::sleep(INTERVAL)) };
        let conn = aio::over_stream(&Options::new(), stream, false);
        let error = conn.ping().await.unwrap_err();
        assert!(matches!(&error, Error::Closed(closed) if by_peer(closed)), "{error}");

        let stream = OneWay { parts: VecDeque::new(), next: Box::pin(tokio::time::sleep(Duration::MAX)) };
        let error = aio::over_stream(&Options::new(), stream, true).ping().await.unwrap_err();
        assert!(error.to_string().contains("the transport failed"), "{error}");
    });
}

#[test]
fn dropping_the_last_handle_closes_the_connection() {
    on_both_flavors(|| async {
        let (client, server) = pair(&Options::new(), &Options::new().service(netref::function(|| ())));
        let root = client.root().await.unwrap();
        let function = client.clone();
        drop(client);
        drop(function);
        root.call(()).await.unwrap();
        drop(root);
        assert!(by_peer(&server.wait_closed().await));
    });
}

#[test]
fn a_connection_ends_with_its_runtime() {
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = server.block_on(tokio_server(|| Lab));
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let conn: Connection = client.block_on(aio::connect(&url)).unwrap().into();
    conn.ping().unwrap();
    let (root, called) = (conn.root().unwrap(), std::sync::mpsc::channel());
    let hang = netref::function({
        let started = called.0;
        move || started.send(()).map_err(|_| Error::raise("RuntimeError", "gone"))
    });
    let waiting = std::thread::spawn(move || {
        let forever = netref::function(std::thread::park);
        root.call_method("call", (hang,)).and_then(|_| root.call_method("call", (forever,)))
    });
    called.1.recv().unwrap();
    client.shutdown_background();
    let error = waiting.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed(_)), "{error}");
    assert!(matches!(conn.ping(), Err(Error::Closed(_))));
    drop(conn);
}

#[test]
fn services_hear_of_clients_coming_and_going() {
    on_both_flavors(|| async {
        let (events, mut heard) = mpsc::unbounded_channel();
        let (bell, ring) = std::sync::mpsc::channel();
        let ring = Arc::new(Mutex::new(ring));
        let door = move || Door { word: Mutex::default(), events: events.clone(), bell: ring.clone() };
        let server = aio::Server::bind("tcp://127.0.0.1:0", door).await.unwrap();
        let url = server.address().to_string();
        let running = tokio::spawn({
            let server = server.clone();
            async move { server.run().await }
        });

        // The first request waits for `connected`. What that asks the client, who asks back before it answers, does not.
        let client = visitor(&url, "pass").await;
        let early = tokio::spawn({
            let client = client.clone();
            async move { client.root().await?.call_method("word", ()).await }
        });
        client.ping().await.unwrap();
        bell.send(()).unwrap();
        assert_eq!(early.await.unwrap().unwrap(), Value::Str("pass".into()));
        client.close().await;
        assert_eq!(heard.recv().await.unwrap(), "pass came");
        assert_eq!(heard.recv().await.unwrap(), "the peer closed the connection");

        // One that is refused.
        let client = visitor(&url, "sesame").await;
        client.ping().await.unwrap();
        bell.send(()).unwrap();
        assert!(matches!(client.root().await, Err(Error::Closed(_))));
        assert_eq!(heard.recv().await.unwrap(), "sesame came");

        // One that is there when the server stops.
        let client = visitor(&url, "pass").await;
        client.ping().await.unwrap();
        bell.send(()).unwrap();
        client.root().await.unwrap();
        server.stop();
        assert!(by_peer(&client.wait_closed().await));
        running.await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), "pass came");
        assert_eq!(heard.recv().await.unwrap(), "this side closed the connection");
    });
}

/// A client that knows a word, and tells it once it has been told the word of the other side.
async fn visitor(url: &str, word: &'static str) -> aio::Connection {
    let this = Arc::new(OnceLock::<aio::Connection>::new());
    let me = this.clone();
    let tell = aio::function(move || {
        let me = me.clone();
        async move {
            let conn = me.get().expect("the bell has not rung yet");
            conn.request(Request::GetRoot).await?.extract::<aio::Remote>()?.call_method("word", ()).await?;
            Ok::<_, Error>(word)
        }
    });
    let conn = aio::connect_with(&Options::new().service(tell), url).await.unwrap();
    this.set(conn.clone()).unwrap();
    conn
}

#[test]
fn peers_that_speak_something_else_are_told_apart() {
    on_both_flavors(|| async {
        let (here, mut there) = tokio::io::duplex(1024);
        let conn = aio::over_stream(&Options::new(), here, false);
        there.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let closed = conn.wait_closed().await;
        assert!(matches!(closed.reason(), EndReason::Protocol(_)), "{closed}");

        let (here, mut there) = tokio::io::duplex(1024);
        let conn = aio::over_stream(&Options::new(), here, true);
        there.write_all(&[0, 0, 1]).await.unwrap();
        drop(there);
        assert!(matches!(conn.wait_closed().await.reason(), EndReason::Truncated));

        let error = aio::connect("tcp://127.0.0.1:1").await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        assert!(matches!(aio::connect("nowhere").await, Err(Error::BadUrl { .. })));
    });
}

fn by_peer(closed: &Closed) -> bool {
    matches!(closed.reason(), EndReason::ClosedByPeer)
}

/// When the bell has rung, asks the client for a word, and lets it in if it knows it.
struct Door {
    word: Mutex<Option<String>>,
    events: mpsc::UnboundedSender<String>,
    bell: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl Object for Door {
    fn class(&self) -> Arc<Class> {
        Class::new("Door").method("word", "").into()
    }

    fn call_method(&self, _name: &str, _args: Args) -> Result<Value> {
        Ok(self.word.lock().unwrap().clone().into_value())
    }
}

impl Service for Door {
    fn connected(&self, connection: &Connection) -> Result<()> {
        self.bell.lock().unwrap().recv().unwrap();
        let word: String = connection.root()?.call(())?.extract()?;
        *self.word.lock().unwrap() = Some(word.clone());
        self.events.send(format!("{word} came")).unwrap();
        if word == "pass" { Ok(()) } else { Err(Error::raise("PermissionError", word)) }
    }

    fn disconnected(&self, closed: &Closed) {
        self.events.send(closed.reason().to_string()).unwrap();
    }
}

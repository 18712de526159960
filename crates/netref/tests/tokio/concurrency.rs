//! Many things at once: calls, writes, cancellation, order, blocking.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use netref::{
    Args, Bytes, Class, Error, MethodFuture, Object, ObjectRef, Options, Result, Service, Value, aio,
};
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, Semaphore};

use crate::lab::Lab;
use crate::{on_both_flavors, pair, pair_over_pipes, run, thread_server, tokio_server, until};

#[test]
fn a_thousand_calls_at_once() {
    on_both_flavors(|| async {
        for url in [tokio_server(|| Lab).await, thread_server(|| Lab)] {
            let conn = aio::connect(&url).await.unwrap();
            let root = conn.root().await.unwrap();
            let calls = (0..1000).map(|n| root.call_method("add", (n, 1)));
            for (n, sum) in (0..).zip(join_all(calls).await) {
                assert_eq!(sum.unwrap(), Value::Int(n + 1));
            }
        }
    });
}

#[test]
fn asynchronous_methods_start_in_order() {
    on_both_flavors(|| async {
        let (started, go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let record = started.clone();
        let finish = go.clone();
        let slow = aio::function(move |n: i64| {
            record.lock().unwrap().push(n);
            let finish = finish.clone();
            async move { drop(finish.acquire().await) }
        });
        let (client, _server) = pair(&Options::new(), &Options::new().service(slow));
        let root = client.root().await.unwrap();
        let calls = tokio::spawn(async move { join_all((0..500).map(|n| root.call((n,)))).await.len() });
        until(|| started.lock().unwrap().len() == 500).await;
        assert_eq!(*started.lock().unwrap(), (0..500).collect::<Vec<_>>());
        // All of them are running at once.
        go.add_permits(1);
        assert_eq!(calls.await.unwrap(), 500);
    });
}

#[test]
fn both_sides_write_at_once() {
    on_both_flavors(|| async {
        let noise = noise(1_000_000);
        // Between two clients in this process: each asks the other, both ways at the same time.
        let echo = || aio::function(|data: Bytes| async move { data.len() as u64 });
        let options = || Options::new().service(echo());
        for (left, right) in [pair(&options(), &options()), pair_over_pipes(&options(), &options())] {
            let (to_right, to_left) = (left.root().await.unwrap(), right.root().await.unwrap());
            let calls = |root: &aio::Remote| {
                let root = root.clone();
                join_all((0..20).map(|_| call_owned(root.clone(), noise.clone())).collect::<Vec<_>>())
            };
            let (there, back) = tokio::join!(calls(&to_right), calls(&to_left));
            for length in there.into_iter().chain(back) {
                assert_eq!(length.unwrap(), Value::Int(1_000_000));
            }
        }
        // And with servers, which send the same megabytes back in a callback while more arrive.
        for url in [tokio_server(|| Lab).await, thread_server(|| Lab)] {
            let conn = aio::connect(&url).await.unwrap();
            let root = conn.root().await.unwrap();
            let calls = (0..20).map(|_| root.call_method("call", (echo(), Bytes::from(noise.clone()))));
            for length in join_all(calls).await {
                assert_eq!(length.unwrap(), Value::Int(1_000_000));
            }
        }
    });
}

#[test]
fn callers_wait_while_the_peer_does_not_read() {
    on_both_flavors(|| async {
        let (here, mut there) = tokio::io::duplex(64 * 1024);
        let conn = aio::over_stream(&Options::new(), here, true);
        let data = Value::Bytes(noise(1 << 20).into());
        let call = || {
            let (conn, data) = (conn.clone(), data.clone());
            Box::pin(async move { conn.request(netref_core::Request::Ping { data }).await })
        };
        let mut calls: Vec<_> = (0..20).map(|_| call()).collect();
        // Every call has begun, and every task has done what it can.
        std::future::poll_fn(|context| {
            assert!(calls.iter_mut().all(|call| call.as_mut().poll(context).is_pending()));
            Poll::Ready(())
        })
        .await;
        let sent = conn.stats().round_trips;
        assert!((8..=11).contains(&sent), "{sent} MiB are queued");
        // Half of those that wait go away; the peer reads; the other half is sent.
        calls.truncate(16);
        let reader = tokio::spawn(async move {
            let mut received = 0;
            let mut buffer = vec![0; 1 << 16];
            while received < 16 << 20 {
                received += there.read(&mut buffer).await.unwrap();
            }
            there
        });
        let mut calls = tokio::spawn(join_all(calls));
        tokio::select! {
            there = reader => drop(there),
            _ = &mut calls => panic!("nobody has answered"),
        }
        assert_eq!(conn.stats().round_trips, 16);
        for outcome in calls.await.unwrap() {
            assert!(matches!(outcome, Err(Error::Closed(_))));
        }
    });
}

#[test]
fn cancellation_releases_references() {
    on_both_flavors(|| async {
        let (called, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let dropped = Arc::new(AtomicI64::new(0));
        let gate = (called.clone(), go.clone(), dropped.clone());
        let lender = aio::function(move || {
            let (called, go, dropped) = gate.clone();
            async move {
                called.notify_one();
                go.notified().await;
                let count = CountDrop(dropped);
                netref::function(move || count.0.load(Ordering::SeqCst))
            }
        });
        let (client, server) = pair(&Options::new(), &Options::new().service(lender));
        let root = client.root().await.unwrap();
        let released = |count| {
            let dropped = dropped.clone();
            until(move || dropped.load(Ordering::SeqCst) == count)
        };
        // Given up before the reply is there.
        {
            let mut call = Box::pin(root.call(()));
            tokio::select! {
                _ = &mut call => panic!("the call must wait"),
                () = called.notified() => {}
            }
        }
        go.notify_one();
        released(1).await;
        // Given up when the reply is there, but not looked at.
        {
            let mut call = Box::pin(root.call(()));
            tokio::select! {
                _ = &mut call => panic!("the call must wait"),
                () = called.notified() => {}
            }
            go.notify_one();
            until(|| server.stats().objects_lent == 2).await;
            client.ping().await.unwrap();
        }
        released(2).await;
        // By a timeout.
        client.set_timeout(Some(Duration::ZERO));
        let error = root.call(()).await.unwrap_err();
        assert!(matches!(&error, Error::TimedOut { what, .. } if what == "call"), "{error}");
        client.set_timeout(None);
        go.notify_one();
        released(3).await;
        assert_eq!(server.stats().objects_lent, 1);
        client.ping().await.unwrap();
    });
}

#[test]
fn blocking_in_asynchronous_code_is_refused() {
    on_both_flavors(|| async {
        let conn = aio::connect(&tokio_server(|| Lab).await).await.unwrap();
        let root = netref::Remote::from(conn.root().await.unwrap());
        assert!(matches!(root.call_method("add", (1, 2)), Err(Error::WouldBlock)));
        assert!(matches!(Value::Remote(root.clone()).extract::<f64>(), Err(Error::WouldBlock)));
        let asynchronous = aio::Remote::from(root.clone());
        assert_eq!(asynchronous.call_method("add", (1, 2)).await.unwrap(), Value::Int(3));
        let add = root.clone();
        let sum = aio::spawn_blocking(move || add.call_method("add", (1, 2))).await;
        assert_eq!(sum.unwrap(), Value::Int(3));
        // A thread that knows nothing of the runtime, while the runtime goes on.
        let (done, result) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || done.send(root.call_method("add", (1, 2))));
        assert_eq!(result.await.unwrap().unwrap(), Value::Int(3));
    });
}

/// A peer that threads drive runs a callback on the thread that waits for the call it is part of: so it was told.
#[test]
fn calls_from_methods_say_what_they_are_part_of() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    run(&runtime, async {
        let url = tokio_server(|| Caller).await;
        let caller = std::thread::spawn(move || {
            let conn = netref::connect(&url).unwrap();
            let root = conn.root().unwrap();
            let here = std::thread::current().id();
            for method in ["call_from_thread", "call_from_task", "call_from_blocking_part_of_task"] {
                let is_here = Arc::new(AtomicBool::new(false));
                let seen = is_here.clone();
                let callback = netref::function(move || {
                    seen.store(std::thread::current().id() == here, Ordering::SeqCst);
                });
                // More than once: a callback that comes before its caller has begun to wait runs elsewhere.
                let told = (0..100).any(|_| {
                    root.call_method(method, (callback.clone(),)).unwrap();
                    is_here.load(Ordering::SeqCst)
                });
                assert!(told, "{method}");
            }
        });
        aio::spawn_blocking(move || caller.join()).await.unwrap();
    });
}

/// What a method that is itself asynchronous looks like.
struct Caller;

impl Object for Caller {
    fn class(&self) -> Arc<Class> {
        let methods = ["call_from_thread", "call_from_task", "call_from_blocking_part_of_task"];
        Class::new("Caller").methods(&methods).into()
    }

    fn call_method(&self, _name: &str, mut args: Args) -> Result<Value> {
        args.required::<netref::Remote>("function")?.call(())
    }

    fn start_method(self: Arc<Self>, name: &str, mut args: Args) -> Result<MethodFuture, Args> {
        match name {
            "call_from_task" => Ok(Box::pin(async move {
                tokio::task::yield_now().await;
                args.required::<aio::Remote>("function")?.call(()).await
            })),
            "call_from_blocking_part_of_task" => {
                Ok(Box::pin(aio::spawn_blocking(move || self.call_method("call_from_thread", args))))
            }
            _ => Err(args),
        }
    }
}

impl Service for Caller {}

#[test]
fn asynchronous_functions_work_on_connections_that_threads_drive() {
    on_both_flavors(|| async {
        let url = thread_server(|| Lab);
        let reply = aio::spawn_blocking(move || {
            let conn = netref::connect(&url)?;
            let slow = aio::function(|other: aio::Remote, n: i64| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                other.call_method("add", (n, 1)).await
            });
            let root = conn.root()?;
            root.call_method("call", (slow, &root, 41))
        });
        assert_eq!(reply.await.unwrap(), Value::Int(42));
    });
}

/// An object of a third process is asked there, whoever lent it.
#[test]
fn objects_of_third_processes_pass_through() {
    on_both_flavors(|| async {
        let far = aio::connect(&tokio_server(|| Lab).await).await.unwrap();
        let farthest = aio::connect(&thread_server(|| Lab)).await.unwrap();
        let near = aio::connect(&tokio_server(|| Lab).await).await.unwrap();
        let root = near.root().await.unwrap();
        for conn in [far, farthest] {
            let add = conn.root().await.unwrap().get_attr("add").await.unwrap();
            assert_eq!(root.call_method("call", (add, 20, 22)).await.unwrap(), Value::Int(42));
        }
    });
}

struct CountDrop(Arc<AtomicI64>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

async fn call_owned(root: aio::Remote, data: Vec<u8>) -> Result<Value> {
    root.call((Bytes::from(data),)).await
}

/// Runs futures at once, begun in the order given.
async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[expect(dead_code, reason = "says that these can cross threads")]
fn futures_can_cross_threads(root: &aio::Remote, conn: &aio::Connection, object: ObjectRef) {
    fn check(_: impl Send) {}
    check(root.call((object,)));
    check(root.with(async |_| Ok(())));
    check(conn.close());
    check(conn.wait_closed());
    check(aio::connect("tcp://nowhere"));
}

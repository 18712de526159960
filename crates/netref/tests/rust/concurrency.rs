//! Many threads on one connection, and calls that take too long.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use netref::{Error, Options, Value, function};

use crate::lab::{both_ends, both_ends_with, eventually, serve_lab};

#[test]
fn sixteen_threads_share_a_connection() {
    let running = serve_lab();
    let conn = running.connect();
    let lab = conn.root().unwrap();
    let start = Arc::new(Barrier::new(16));
    let threads: Vec<_> = (0..16i64)
        .map(|thread| {
            let (lab, start) = (lab.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                let twice = function(|n: i64| n * 2);
                for n in 0..50 {
                    let number = thread * 1000 + n;
                    assert_eq!(lab.call_method("echo", (number,)).unwrap(), Value::Int(number));
                    let result = lab.call_method("call", (twice.clone(), number)).unwrap();
                    assert_eq!(result, Value::Int(number * 2));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    eventually(&conn, "the functions are given back", || conn.stats().objects_lent == 0);
}

#[test]
fn calls_of_two_threads_overlap() {
    // Each call returns only once the other has begun.
    let (conn, _server) = both_ends();
    let both = Arc::new(Barrier::new(2));
    let meets = function(move || {
        both.wait();
    });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (lab, meets) = (conn.root().unwrap(), meets.clone());
            thread::spawn(move || lab.call_method("call", (meets,)).unwrap())
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
}

#[test]
fn a_timeout_leaves_the_connection_usable() {
    let (conn, server) = both_ends_with(Options::new().timeout(Some(Duration::from_secs(20))));
    let lab = conn.root().unwrap();
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let (result, list) = {
        // The call waits for a function of this side, which waits until the call has timed out.
        let waits = function(move || {
            gone.lock().unwrap().recv().unwrap();
            netref::List::from(vec![1])
        });
        conn.set_timeout(Some(Duration::from_millis(50)));
        let result = thread::spawn({
            let lab = lab.clone();
            move || lab.call_method("call", (waits,))
        });
        conn.set_timeout(Some(Duration::from_millis(50)));
        (result, ())
    };
    let () = list;
    conn.set_timeout(Some(Duration::from_secs(20)));
    conn.ping().unwrap();
    go.send(()).unwrap();
    // Whether the function came in time or not is up to the machine; the connection is good either way.
    drop(result.join().unwrap());
    assert_eq!(lab.call_method("add", (1, 2)).unwrap(), Value::Int(3));
    eventually(&conn, "all is given back", || server.stats().objects_lent == 1 && conn.stats().objects_lent == 0);
}

#[test]
fn a_late_reply_releases_the_references_in_it() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let slow = netref::function_with_args("slow", move |_| {
        gone.lock().unwrap().recv().unwrap();
        Ok(netref::List::from(vec![1]))
    });
    let server = Options::new().service(slow).over_socket(theirs.into(), false).unwrap();
    let serving = server.clone();
    thread::spawn(move || serving.serve_all());
    let conn = Options::new().timeout(Some(Duration::from_secs(20))).over_socket(ours.into(), true).unwrap();
    let slow = conn.root().unwrap();
    conn.set_timeout(Some(Duration::from_millis(20)));
    let outcome = slow.call(());
    assert!(matches!(outcome, Err(Error::TimedOut { limit, .. }) if limit == Duration::from_millis(20)));
    conn.set_timeout(Some(Duration::from_secs(20)));
    conn.ping().unwrap();
    assert_eq!(server.stats().objects_lent, 1);
    go.send(()).unwrap();
    eventually(&conn, "the reply came and its list was given back", || {
        conn.ping().is_ok() && server.stats().requests_served >= 3 && server.stats().objects_lent == 1
    });
    drop(slow);
}

#[test]
fn closing_ends_the_calls_that_wait() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let (began, begun) = mpsc::channel::<()>();
    let hangs = {
        let conn = conn.clone();
        function(move || {
            began.send(()).unwrap();
            // Until the connection ends.
            conn.root().unwrap().call_method("call", (function(thread::park),)).map(drop)
        })
    };
    let waiting = thread::spawn(move || lab.call_method("call", (hangs,)));
    begun.recv().unwrap();
    conn.close();
    // The innermost function parks; whoever waits for its result is told of the end.
    assert!(conn.closed().is_some());
    drop(waiting);
}

//! Many threads on one connection, and calls that take too long.

use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use netref::protocol::{Limits, Request};
use netref::threads::EndReason;
use netref::{
    Connection, Error, IntoValue, Options, Reconnecting, Value, function, function_with_args, with_timeout,
};

use crate::lab::{both_ends, eventually, serve_lab};

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

/// A connection to a function that signals when it has begun, and returns what `result` makes once it is told to go on.
fn slow_function<R: IntoValue>(
    result: impl Fn() -> R + Send + Sync + 'static,
) -> (Connection, Receiver<()>, Sender<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (began, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let slow = function_with_args("slow", move |_| {
        began.send(()).unwrap();
        may_go_on.lock().unwrap().recv().map_err(|_| Error::raise("TimeoutError", "the test is over"))?;
        Ok(result())
    });
    let server = Options::new().service(slow).over_socket(theirs.into(), false).unwrap();
    thread::spawn(move || server.serve_all());
    let conn = Options::new().over_socket(ours.into(), true).unwrap();
    conn.root().unwrap();
    (conn, has_begun, go_on)
}

/// The thread that waits runs no callbacks then, which could not be stopped in the middle.
#[test]
fn a_short_limit_is_kept_while_a_callback_runs() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let (leave, left) = mpsc::channel::<()>();
    let left = Mutex::new(left);
    let slow = function_with_args("slow", move |_| {
        // Ends when the test does.
        let _ = left.lock().unwrap().recv();
        Ok(Value::None)
    });
    let limit = Duration::from_millis(50);
    let outcome = with_timeout(Some(limit), || {
        with_timeout(None, || lab.call_method("echo", (1,)).unwrap());
        lab.call_method("call", (slow,))
    });
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::TimedOut { limit: said, .. } if *said == limit), "{error}");
    assert!(error.to_string().contains("netref::with_timeout"), "{error}");
    drop(leave);
    assert_eq!(lab.call_method("echo", (2,)).unwrap(), Value::Int(2));
}

#[test]
fn a_silent_peer_is_given_up_by_a_heartbeat() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let options = Options::new().heartbeat(Some(Duration::from_millis(50))).timeout(None);
    let conn = options.over_socket(ours.into(), true).unwrap();
    let error = conn.root().unwrap_err();
    assert!(error.to_string().contains("silent"), "{error}");
    assert!(matches!(conn.closed().unwrap().reason(), EndReason::Silent { .. }));
    drop(theirs);
}

#[test]
fn a_peer_that_answers_outlives_many_heartbeats() {
    let running = serve_lab();
    let conn = Options::new().heartbeat(Some(Duration::from_millis(150))).connect(&running.url()).unwrap();
    conn.ping().unwrap();
    thread::sleep(Duration::from_millis(900));
    conn.ping().unwrap();
}

/// No instant is so far away.
#[test]
fn the_longest_time_is_for_ever() {
    let running = serve_lab();
    let options = Options::new().timeout(Some(Duration::MAX)).heartbeat(Some(Duration::MAX));
    options.connect_timeout(Duration::MAX).connect(&running.url()).unwrap().ping().unwrap();
    let nobody = serve_lab().url();
    let patient = Reconnecting::new(move || netref::connect(&nobody)).pauses(Duration::MAX, Duration::MAX);
    patient.timeout(Some(Duration::from_millis(1))).root().unwrap_err();
}

#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut limits = Limits::default();
    limits.write_timeout = Some(Duration::from_millis(100));
    let conn = Options::new().limits(limits).timeout(None).over_socket(ours.into(), true).unwrap();
    let error = conn.request(Request::Ping { data: Value::Bytes(vec![0; 10_000_000].into()) }).unwrap_err();
    assert!(error.to_string().contains("write_timeout"), "{error}");
    drop(theirs);
}

#[test]
fn a_timeout_leaves_the_connection_usable_and_a_late_reply_releases_what_is_in_it() {
    struct Signal(Mutex<Sender<()>>);
    #[netref::object]
    impl Signal {}
    impl Drop for Signal {
        fn drop(&mut self) {
            self.0.lock().unwrap().send(()).unwrap();
        }
    }
    let (dropped, was_dropped) = mpsc::channel();
    let (conn, _has_begun, go_on) = slow_function(move || Arc::new(Signal(Mutex::new(dropped.clone()))));
    let slow = conn.root().unwrap();
    conn.set_timeout(Some(Duration::from_millis(20)));
    let outcome = slow.call(());
    assert!(matches!(outcome, Err(Error::TimedOut { limit, .. }) if limit == Duration::from_millis(20)));
    conn.set_timeout(Some(Duration::from_secs(20)));
    conn.ping().unwrap();
    go_on.send(()).unwrap();
    // Nobody waits for the reply any more; it is read in the background.
    was_dropped.recv_timeout(Duration::from_secs(10)).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(slow.call(()).unwrap().type_name(), "remote rust.concurrency.Signal");
}

#[test]
fn closing_ends_the_calls_that_wait() {
    let (conn, has_begun, go_on) = slow_function(|| 1);
    let slow = conn.root().unwrap();
    let waiting = thread::spawn(move || slow.call(()));
    has_begun.recv().unwrap();
    conn.close();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Closed(_))));
    drop(go_on);
}

/// Often all that a request does is to wake the thread that closes.
#[test]
fn closing_lets_requests_that_run_be_answered() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (closed, is_closed) = mpsc::channel::<()>();
    let is_closed = Mutex::new(is_closed);
    let service = function(move || {
        begun.send(()).unwrap();
        // Until close() has returned, or is taken to wait for this.
        let _ = is_closed.lock().unwrap().recv_timeout(Duration::from_millis(200));
        7
    });
    let server = Options::new().service(service).over_socket(theirs.into(), false).unwrap();
    let conn = Options::new().over_socket(ours.into(), true).unwrap();
    let caller = thread::spawn(move || conn.root().unwrap().call(()));
    has_begun.recv().unwrap();
    server.close();
    drop(closed);
    assert_eq!(caller.join().unwrap().unwrap(), Value::Int(7));
}

#[test]
fn a_request_may_close_its_connection() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = Arc::new(OnceLock::<Connection>::new());
    let closing = server.clone();
    let service = function(move || {
        closing.get().unwrap().close();
    });
    server.set(Options::new().service(service).over_socket(theirs.into(), false).unwrap()).unwrap();
    let conn = Options::new().over_socket(ours.into(), true).unwrap();
    let error = conn.root().unwrap().call(()).unwrap_err();
    assert!(matches!(error, Error::Closed(_)), "{error}");
    server.get().unwrap().serve_all();
    assert!(matches!(server.get().unwrap().closed().unwrap().reason(), EndReason::ClosedHere));
}

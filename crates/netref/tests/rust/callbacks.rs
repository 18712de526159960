//! Functions and objects of one side used by the other, while it is used itself.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use netref::{Args, Connection, Error, Options, Server, Service, Value, function, function_with_args};

use crate::lab::{Running, both_ends, both_ends_and_lab, eventually, raised, serve_lab};

#[test]
fn a_callback_runs_on_the_thread_that_waits() {
    let running = serve_lab();
    let conn = running.connect();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = {
        let heard = heard.clone();
        function(move |text: String| heard.lock().unwrap().push((text, thread::current().id())))
    };
    conn.root().unwrap().call_method("call", (hears, "hello")).unwrap();
    assert_eq!(*heard.lock().unwrap(), [("hello".to_owned(), thread::current().id())]);
}

#[test]
fn three_levels_deep_and_back() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let depth_of = Arc::new(Mutex::new(Vec::new()));
    // Each level calls the server, which calls back.
    let dive = {
        let (lab, depth_of) = (lab.clone(), depth_of.clone());
        function_with_args("dive", move |mut args: Args| -> netref::Result<Value> {
            let (level, dive): (i64, Value) = (args.required("level")?, args.required("dive")?);
            depth_of.lock().unwrap().push(level);
            if level == 0 {
                return Ok(Value::Str("bottom".to_owned()));
            }
            lab.call_method("call", (dive.clone(), level - 1, dive))
        })
    };
    let result: String = lab.call_method("call", (dive.clone(), 3, dive)).unwrap().extract().unwrap();
    assert_eq!(result, "bottom");
    assert_eq!(*depth_of.lock().unwrap(), [3, 2, 1, 0]);
}

#[test]
fn callbacks_inside_one_another_do_not_exhaust_the_stack_and_end_in_an_error() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let dive = {
        let lab = lab.clone();
        function(move |level: i64, dive: Value| match level {
            0 => Ok(Value::None),
            _ => lab.call_method("call", (dive.clone(), level - 1, dive)),
        })
    };
    assert_eq!(lab.call_method("call", (dive.clone(), 60, dive.clone())).unwrap(), Value::None);
    // Beyond the limit on their depth it is an error, and only of this call.
    assert_eq!(raised(lab.call_method("call", (dive.clone(), 5000, dive))), "RecursionError");
    conn.ping().unwrap();
}

#[test]
fn an_idle_client_answers() {
    let (conn, _server, lab) = both_ends_and_lab();
    conn.root().unwrap().call_method("keep", (function(|a: i64, b: i64| a * b),)).unwrap();
    // Now the server asks, while nobody waits on the client's side.
    let multiply = lab.kept.lock().unwrap()[0].clone();
    assert_eq!(multiply.call((6, 7)).unwrap(), Value::Int(42));
}

#[test]
fn named_arguments_reach_a_callback() {
    let (conn, _server) = both_ends();
    let takes = function_with_args("takes", |args| {
        Ok(args.named.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
    });
    let names: Vec<String> = conn
        .root()
        .unwrap()
        .call_method("call", Args::new((takes,)).named("x", 1).named("y", 2))
        .unwrap()
        .extract()
        .unwrap();
    assert_eq!(names, ["x", "y"]);
}

#[test]
fn a_callback_checks_its_arguments() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let twice = function(|n: i64| n * 2);
    assert_eq!(raised(lab.call_method("call", (twice.clone(), "x"))), "TypeError");
    assert_eq!(raised(lab.call_method("call", (twice.clone(), 1, 2))), "TypeError");
    assert_eq!(raised(lab.call_method("call", (twice.clone(),))), "TypeError");
    assert_eq!(lab.call_method("call", (twice, 4)).unwrap(), Value::Int(8));
}

/// It was, when it had asked for the client's root and then went on for a while.
#[test]
fn a_service_is_not_called_before_it_is_ready() {
    struct Prepares(Arc<AtomicBool>);
    #[netref::object]
    impl Prepares {
        fn is_ready(&self) -> bool {
            self.0.load(Ordering::Acquire)
        }
    }
    impl Service for Prepares {
        fn connected(&self, connection: &Connection) -> netref::Result<()> {
            connection.root()?;
            // The request for its root, and the call.
            eventually(connection, "the call is here", || connection.stats().requests_served >= 2);
            self.0.store(true, Ordering::Release);
            Ok(())
        }
    }
    let running = Running::start(Server::bind("tcp://127.0.0.1:0", || Prepares(Arc::default())).unwrap());
    let conn = running.connect();
    assert_eq!(conn.root().unwrap().call_method("is_ready", ()).unwrap(), Value::Bool(true));
}

/// Nothing was read before the first call of this side.
#[test]
fn a_side_that_never_calls_serves_its_peer() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let service = || function(|| 7);
    let _idle = Options::new().service(service()).over_socket(theirs.into(), false).unwrap();
    let conn = Options::new().over_socket(ours.into(), true).unwrap();
    assert_eq!(conn.root().unwrap().call(()).unwrap(), Value::Int(7));

    // A client, too.
    struct Asks(mpsc::Sender<Value>);
    #[netref::object]
    impl Asks {}
    impl Service for Asks {
        fn connected(&self, connection: &Connection) -> netref::Result<()> {
            self.0
                .send(connection.root()?.call(())?)
                .map_err(|_| Error::raise("RuntimeError", "the test is over"))
        }
    }
    let (answers, answer) = mpsc::channel();
    let running = Running::start(Server::bind("tcp://127.0.0.1:0", move || Asks(answers.clone())).unwrap());
    let _idle = Options::new().service(service()).connect(&running.url()).unwrap();
    assert_eq!(answer.recv_timeout(Duration::from_secs(10)).unwrap(), Value::Int(7));
}

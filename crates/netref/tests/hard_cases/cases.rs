//! The cases, by number.

use std::cell::Cell;
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use netref::protocol::Limits;
use netref::threads::EndReason;
use netref::{Error, IntoValue, List, Options, Remote, Value, function, with_timeout};

use crate::drivers::{DRIVERS, Running, connect};
use crate::service::{Gate, Hard, PanicsWhenDropped, noise};
use crate::stage::{Stage, each_pairing, each_pairing_unix, each_pairing_with};

/// A callback of another call needs the lock that the waiting thread holds.
#[test]
fn case_1_lock_held_while_waiting() {
    each_pairing(|Stage { root, .. }| {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        let (begun, has_begun) = mpsc::channel();
        let takes = {
            let lock = lock.clone();
            function(move || {
                begun.send(()).unwrap();
                drop(lock.lock().unwrap());
            })
        };
        let caller = root.clone();
        let caller = thread::spawn(move || caller.call_method("call", (takes,)));
        has_begun.recv().unwrap();
        assert_eq!(root.call_method("call", (function(|| 7),)).unwrap(), Value::Int(7));
        drop(held);
        caller.join().unwrap().unwrap();
    });
}

/// One callback waits for what the other one does, which waits until the first has begun.
#[test]
fn case_2_two_threads_of_the_server() {
    each_pairing(|Stage { root, .. }| {
        let (begun, event) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let (also_begun, also_event) = (begun.clone(), event.clone());
        let wait = function(move || {
            begun.open();
            event.pass();
        });
        let release = function(move || {
            also_begun.pass();
            also_event.open();
        });
        root.call_method("in_two_threads", (wait, release)).unwrap();
    });
}

/// Many requests of a megabyte each at once, each of which is answered with as much.
#[test]
fn case_3a_both_write_a_lot() {
    let write = |stage: &Stage| {
        thread::scope(|scope| {
            for number in 0..60 {
                scope.spawn(move || {
                    let block = netref::Bytes::from(noise(number, 1_000_000));
                    let echoed = stage.root.call_method("echo", (block.clone(),)).unwrap();
                    assert!(echoed == Value::Bytes(block));
                });
            }
        });
    };
    each_pairing(write);
    each_pairing_unix(write);
}

/// As many references are given back at once.
#[test]
fn case_3b_many_references_given_back() {
    each_pairing_unix(|stage| {
        let count = 90_000;
        let objects: Vec<Value> = stage.root.call_method("objects", (count,)).unwrap().extract().unwrap();
        assert_eq!(stage.lent(), (0, objects.len() + 1));
        drop(objects);
        assert_eq!(stage.root.call_method("ok", ()).unwrap(), Value::Int(1));
        stage.await_baseline();
    });
}

/// A call that takes too long delays no later one, and its late reply gives back what it refers to.
#[test]
fn case_4a_time_out_leaves_the_connection_usable() {
    each_pairing(|stage| {
        let limit = Duration::from_millis(50);
        let error = with_timeout(Some(limit), || stage.root.call_method("pass_gate", ())).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert!(error.to_string().contains("pass_gate") && error.to_string().contains("50ms"), "{error}");
        assert_eq!(stage.root.call_method("ok", ()).unwrap(), Value::Int(1));
        stage.client.ping().unwrap();
        let served = stage.server.stats().requests_served;
        stage.service.gate.open();
        // Its answer is on the way once another one has come that was asked for later.
        stage.root.call_method("pass_gate", ()).unwrap();
        assert!(stage.server.stats().requests_served > served);
        stage.await_baseline();
    });
}

/// The limit holds although a callback of the call takes longer.
#[test]
fn case_4b_time_out_while_a_callback_runs() {
    each_pairing(|Stage { root, .. }| {
        let leave = Arc::new(Gate::default());
        let left = leave.clone();
        let slow = function(move || left.pass());
        let limit = Duration::from_millis(300);
        let outcome = with_timeout(Some(limit), || root.call_method("call", (slow,)));
        assert!(matches!(outcome, Err(Error::TimedOut { .. })), "{outcome:?}");
        leave.open();
    });
}

/// While one call runs, others are answered.
#[test]
fn case_4c_slow_call_delays_nothing() {
    each_pairing(|Stage { root, client, service, .. }| {
        let caller = root.clone();
        let slow = thread::spawn(move || caller.call_method("pass_gate", ()));
        for _ in 0..10 {
            assert_eq!(root.call_method("ok", ()).unwrap(), Value::Int(1));
            client.ping().unwrap();
        }
        assert!(!slow.is_finished());
        service.gate.open();
        slow.join().unwrap().unwrap();
    });
}

/// Callbacks that call back themselves, far more of them than there is stack for.
#[test]
fn case_5_callback_storm() {
    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    each_pairing(|Stage { root, .. }| {
        let deepest = Arc::new(AtomicUsize::new(0));
        let callback = {
            let (root, deepest) = (root.clone(), deepest.clone());
            function(move |number: i64| {
                DEPTH.set(DEPTH.get() + 1);
                deepest.fetch_max(DEPTH.get(), Ordering::Relaxed);
                let echoed = root.call_method("echo", (number,));
                DEPTH.set(DEPTH.get() - 1);
                echoed
            })
        };
        let count = 10_000;
        let sum = root.call_method("storm", (callback, count)).unwrap();
        assert_eq!(sum, Value::Int(count * (count - 1) / 2));
        assert!(deepest.load(Ordering::Relaxed) < 50, "{deepest:?} inside one another");
    });
}

/// Callbacks inside one another without end are ended, and the connection lives.
#[test]
fn case_5_runaway_recursion() {
    each_pairing(|stage| {
        let dive = {
            let root = stage.root.clone();
            function(move |dive: Value| root.call_method("call", (dive.clone(), dive)))
        };
        match stage.root.call_method("call", (dive.clone(), dive)) {
            Err(Error::Raised(exception)) => assert!(exception.is("RecursionError"), "{exception}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(stage.root.call_method("ok", ()).unwrap(), Value::Int(1));
        stage.await_baseline();
    });
}

/// What cannot be sent is an error of its call.
#[test]
fn case_6_unencodable_results() {
    each_pairing(|stage| {
        for which in ["deep", "deep behind an object", "nameless"] {
            let error = stage.root.call_method("unencodable", (which,)).unwrap_err();
            assert!(matches!(error, Error::Raised(_)), "{which}: {error}");
            assert_eq!(stage.root.call_method("ok", ()).unwrap(), Value::Int(1));
        }
        stage.await_baseline();
    });
}

/// The peer is gone, and every call that waits hears of it.
#[test]
fn case_7a_loss_reaches_every_waiter() {
    for driver in DRIVERS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        let client = connect(driver, &Options::new(), &url).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let service = Arc::new(Hard::default());
        let options = Options::new().service(service.clone());
        let server = options.over_socket(socket.try_clone().unwrap().into(), false).unwrap();
        let root = client.root().unwrap();
        let waiting: Vec<_> = (0..64)
            .map(|_| {
                let root = root.clone();
                thread::spawn(move || root.call_method("pass_gate", ()))
            })
            .collect();
        while server.stats().requests_served <= waiting.len() as u64 {
            thread::yield_now();
        }
        socket.shutdown(Shutdown::Both).unwrap();
        for call in waiting {
            let error = call.join().unwrap().unwrap_err();
            let expected =
                matches!(&error, Error::Closed(closed) if matches!(closed.reason(), EndReason::EndOfStream));
            assert!(expected, "{error}");
            assert!(error.to_string().contains("the peer's end of the stream was closed"), "{error}");
        }
        assert!(matches!(root.call_method("ok", ()), Err(Error::Closed(_))));
        service.gate.open();
    }
}

/// Nothing waits for a peer that is stopped: neither closing, nor who waited for it when that is closed, nor dropping.
#[test]
fn case_7c_frozen_peer() {
    for driver in DRIVERS {
        let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tcp://{}", frozen.local_addr().unwrap());
        let options = Options::new().timeout(None);
        let client = connect(driver, &options, &url).unwrap();
        let caller = client.clone();
        let waiting = thread::spawn(move || caller.root());
        while client.stats().round_trips == 0 {
            thread::yield_now();
        }
        let other = connect(driver, &options, &url).unwrap();
        let started = Instant::now();
        client.close();
        drop(other);
        assert!(started.elapsed() < Duration::from_secs(10), "{driver:?}");
        assert!(matches!(waiting.join().unwrap(), Err(Error::Closed(_))));
    }
}

/// An object is dropped because its client is gone, and calls that client.
#[test]
fn case_8_destructor_that_calls_a_client_that_is_gone() {
    each_pairing(|stage| {
        let times = 300;
        for _ in 0..times {
            let client = stage.connect();
            let held = client.root().unwrap().call_method("hold", (function(|_: i64| ()),)).unwrap();
            client.close();
            drop(held);
        }
        let is_over = || {
            let clients = match &stage.running {
                Running::Threads(server) => server.stats().clients,
                Running::Tokio(server) => server.stats().clients,
            };
            clients == 1 && stage.service.dropped.load(Ordering::SeqCst) == times
        };
        stage.eventually("all are gone", is_over);
    });
}

/// The same, with a client that has only dropped its reference, and is called back.
#[test]
fn case_8_destructor_that_calls_its_client() {
    each_pairing(|stage| {
        let heard = Arc::new(AtomicUsize::new(0));
        let hears = {
            let (heard, root) = (heard.clone(), stage.root.clone());
            function(move |_: i64| {
                heard.fetch_add(1, Ordering::SeqCst);
                root.call_method("ok", ())
            })
        };
        let held = [(); 1000].map(|()| stage.root.call_method("hold", (hears.clone(),)).unwrap());
        let times = held.len();
        // Each destructor waits for a reply, and meanwhile its thread reads that the next object is given back, too.
        drop(held);
        let is_over = || stage.service.dropped.load(Ordering::SeqCst) == times;
        stage.eventually("all are dropped", is_over);
        assert_eq!(heard.load(Ordering::SeqCst), times);
        stage.await_baseline();
    });
}

/// A destructor that panics harms nobody: not who happens to read that its object is given back, nor other objects.
#[test]
fn case_8_destructor_that_panics() {
    each_pairing(|stage| {
        let dropped = &stage.service.dropped;
        for times in 1..=10 {
            drop(stage.root.call_method("panics_when_dropped", ()).unwrap());
            stage.root.call_method("keep", (Arc::new(PanicsWhenDropped(dropped.clone())),)).unwrap();
            stage.root.call_method("forget", ()).unwrap();
            // Nor who asked for what then cannot be sent.
            let which = "deep behind an object that panics";
            assert!(matches!(stage.root.call_method("unencodable", (which,)), Err(Error::Raised(_))));
            stage.eventually("all three are dropped", || dropped.load(Ordering::SeqCst) == 3 * times);
        }
        let client = stage.connect();
        let root = client.root().unwrap();
        let held = [(); 10].map(|()| root.call_method("panics_when_dropped", ()).unwrap());
        client.close();
        stage.eventually("all are dropped", || dropped.load(Ordering::SeqCst) == 30 + held.len());
        stage.await_baseline();
    });
}

/// An object is passed and given back before the call is worked on. (A request keeps what it names until it is answered, so
/// the caller must have given up waiting.)
#[test]
fn case_9_release_behind_a_call() {
    let mut limits = Limits::default();
    limits.max_inflight = 1;
    each_pairing_with(&Options::new().limits(limits), |stage| {
        let (begun, end) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let (has_begun, may_end) = (begun.clone(), end.clone());
        let (taken, took) = mpsc::channel();
        let first = function(move || {
            begun.open();
            may_end.pass();
        });
        let take = function(move |list: List| taken.send(list.len()).unwrap());
        for function in [first, function(|| List::from(vec![1, 2, 3])), take] {
            stage.root.call_method("keep", (function,)).unwrap();
        }
        let [first, make, take] =
            <[Value; 3]>::try_from(stage.service.kept.lock().unwrap().split_off(0)).unwrap();
        let made = make.call(()).unwrap();
        assert_eq!(stage.lent(), (4, 1));
        thread::scope(|scope| {
            let first = scope.spawn(move || first.call(()));
            has_begun.pass();
            // The call waits at the client, for only one may run at a time.
            let outcome = with_timeout(Some(Duration::from_millis(50)), || take.call((made,)));
            assert!(matches!(outcome, Err(Error::TimedOut { .. })), "{outcome:?}");
            stage.eventually("the list is given back", || stage.lent() == (3, 1));
            end.open();
            first.join().unwrap().unwrap();
        });
        assert_eq!(took.recv().unwrap(), 3);
        drop((make, take));
        stage.await_baseline();
    });
}

/// An object is sent again while its proxy is given back, both ways.
#[test]
fn case_9_dying_proxy_is_received_again() {
    each_pairing(|stage| {
        let times = 300;
        let kept = List::new().into_value();
        drop(stage.root.call_method("numbered", (7,)).unwrap());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..times {
                        let home = stage.root.call_method("echo", (kept.clone(),)).unwrap();
                        assert!(home == kept);
                        let numbered = stage.root.call_method("same_numbered", ()).unwrap();
                        assert_eq!(numbered.get_attr("number").unwrap(), Value::Int(7));
                    }
                });
            }
        });
        stage.await_baseline();
    });
}

/// A reference to an object that is gone never reaches another one, whatever memory that has.
#[test]
fn case_9_number_used_again() {
    each_pairing(|stage| {
        let make = |number: u32| -> Remote {
            stage.root.call_method("numbered", (number,)).unwrap().extract().unwrap()
        };
        let number_of = |remote: &Remote| remote.get_attr("number").unwrap();
        for number in 0..200 {
            let (old, new) = (make(number), make(number + 1));
            assert_eq!(number_of(&old), Value::Int(number.into()));
            assert_ne!(old, new);
            stage.root.call_method("drop_numbered", ()).unwrap();
            assert_eq!(number_of(&new), Value::Int((number + 1).into()));
        }
        stage.await_baseline();
    });
}

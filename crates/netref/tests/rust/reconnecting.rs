//! A root that outlives its connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use netref::{Error, Reconnecting, ReconnectingState, Server, Value};

use crate::lab::{Lab, Running, serve_lab};

const SOON: Duration = Duration::from_millis(5);

fn handle(url: &str) -> Reconnecting {
    let url = url.to_owned();
    Reconnecting::new(move || netref::connect(&url)).pauses(SOON, 4 * SOON)
}

#[test]
fn server_that_is_started_again() {
    let running = serve_lab();
    let url = running.url();
    let (tell, heard) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = handle(&url).on_state(move |state| tell.lock().unwrap().send(state).unwrap());
    assert_eq!(server.state(), ReconnectingState::Disconnected);
    let first = server.root().unwrap();
    assert_eq!(first.call_method("echo", (1,)).unwrap(), Value::Int(1));
    assert_eq!(server.state(), ReconnectingState::Connected);
    drop(running);
    let next = || heard.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(next(), ReconnectingState::Connecting);
    assert_eq!(next(), ReconnectingState::Connected);
    assert_eq!(next(), ReconnectingState::Disconnected);

    let _again = Running::start(Server::bind(&url, Lab::default).unwrap());
    assert_eq!(server.root().unwrap().call_method("echo", (2,)).unwrap(), Value::Int(2));
    let stale = first.call_method("echo", (3,)).unwrap_err();
    assert!(matches!(stale, Error::Stale(_)), "{stale:?}");
    server.close();
    assert_eq!(server.state(), ReconnectingState::Closed);
    assert!(server.root().unwrap_err().to_string().contains("handle is closed"));
}

#[test]
fn nobody_there() {
    let url = serve_lab().url();
    let server = handle(&url).timeout(Some(Duration::from_millis(100)));
    let error = server.root().unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(server.state(), ReconnectingState::Waiting);
}

/// An attempt was due after each that failed, so that its time was never looked at.
#[test]
fn attempts_without_a_pause_end_in_time() {
    let (tell, told) = mpsc::channel();
    let server = handle(&serve_lab().url()).pauses(Duration::ZERO, Duration::ZERO).timeout(Some(SOON));
    thread::spawn(move || tell.send(server.root().map(drop)));
    let outcome = told.recv_timeout(Duration::from_secs(20)).expect("it gives up");
    assert!(matches!(outcome, Err(Error::Connect { .. })), "{outcome:?}");
}

/// Once it had panicked, it was never told anything again.
#[test]
fn one_who_is_told_of_states_may_panic() {
    let running = serve_lab();
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = handle(&running.url()).on_state(move |state| {
        tell.lock().unwrap_or_else(PoisonError::into_inner).send(state).unwrap();
        panic!("it panics");
    });
    server.root().unwrap();
    server.close();
    let expected = [ReconnectingState::Connecting, ReconnectingState::Connected, ReconnectingState::Closed];
    assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn error_that_is_no_loss_goes_to_the_caller() {
    let server = handle("nonsense");
    assert!(matches!(server.root(), Err(Error::BadUrl { .. })));
}

#[test]
fn close_while_waiting_to_try_again() {
    let url = serve_lab().url();
    let (tell, waits) = mpsc::channel();
    let tell = Mutex::new(tell);
    let hour = Duration::from_secs(3600);
    let server = handle(&url).pauses(hour, hour).timeout(None).on_state(move |state| {
        if state == ReconnectingState::Waiting {
            tell.lock().unwrap().send(()).unwrap();
        }
    });
    let server = Arc::new(server);
    let users: Vec<_> = (0..3)
        .map(|_| {
            let server = server.clone();
            thread::spawn(move || server.root().unwrap_err().to_string())
        })
        .collect();
    waits.recv_timeout(Duration::from_secs(20)).unwrap();
    server.close();
    for user in users {
        assert!(user.join().unwrap().contains("handle is closed"));
    }
}

#[test]
fn threads_share_one_connection() {
    let running = serve_lab();
    let (url, dialled) = (running.url(), Arc::new(AtomicUsize::new(0)));
    let count = dialled.clone();
    let server = Arc::new(Reconnecting::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        netref::connect(&url)
    }));
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8i64)
        .map(|number| {
            let (server, start) = (server.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                for _ in 0..20 {
                    let echoed = server.root().unwrap().call_method("echo", (number,)).unwrap();
                    assert_eq!(echoed, Value::Int(number));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(dialled.load(Ordering::SeqCst), 1);
}

//! Sixty-four users of one connection, and a hundred thousand calls each way: each gets its own reply and waits for no other's
//! code, and in the end neither side lends anything of it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netref::{Bytes, Error, Options, Value, aio, function, with_timeout};

use crate::drivers::{Driver, RUNTIME};
use crate::service::{Gate, noise};
use crate::stage::{Stage, TCP};

const USERS: i64 = 64;
const STEPS: i64 = 1700;
const LARGE: usize = 300_000;

/// What a user does in a step. All but the last come once in a while.
enum Deed {
    /// A callback that raises, whose exception comes all the way back.
    Fail,
    /// An argument of 300 KB, passed on to a callback.
    PassLarge,
    /// An object of the server's, dropped at once, and a method of the server's called by itself.
    DropProxy,
    /// A sign of life, and a call given up at once whose reply is an object.
    GiveUp,
    /// A callback.
    CallBack,
}

impl Deed {
    fn of(step: i64) -> Self {
        match step % 100 {
            3 if step < 300 => Self::PassLarge,
            50 => Self::GiveUp,
            kind if kind % 20 == 7 => Self::Fail,
            kind if kind % 25 == 11 => Self::DropProxy,
            _ => Self::CallBack,
        }
    }
}

fn lookup_error(token: i64) -> netref::Result<()> {
    Err(Error::raise("LookupError", token.to_string()))
}

fn assert_lookup_error(outcome: netref::Result<Value>, token: i64) {
    match outcome {
        Err(Error::Raised(exception)) => {
            assert!(exception.is("LookupError"), "{exception}");
            assert_eq!(exception.args(), [Value::Str(token.to_string())]);
        }
        other => panic!("{other:?}"),
    }
}

fn assert_pair(outcome: netref::Result<Value>, expected: (i64, i64)) {
    assert_eq!(outcome.unwrap().extract::<(i64, i64)>().unwrap(), expected);
}

/// However busy the machine is, no call may time out.
fn stage(driver: Driver) -> Stage {
    Stage::new((driver, driver), TCP, &Options::new().timeout(None))
}

fn assert_all_done(stage: &Stage) {
    for stats in [stage.client.stats(), stage.server.stats()] {
        assert!(stats.round_trips >= 100_000, "{stats:?}");
    }
    stage.root.call_method("drop_numbered", ()).unwrap();
    stage.await_baseline();
}

#[test]
fn sixty_four_threads() {
    let stage = stage(Driver::Threads);
    let Stage { root, client, .. } = &stage;
    let large = Bytes::from(noise(1, LARGE));
    let work = |user: i64| {
        for step in 0..STEPS {
            let token = user * 10_000 + step;
            match Deed::of(step) {
                Deed::Fail => {
                    let fails = function(move || lookup_error(token));
                    assert_lookup_error(root.call_method("call", (fails,)), token);
                }
                Deed::PassLarge => {
                    let measures = function(move |data: Bytes| (data.len() as u64, token));
                    let measured = root.call_method("call", (measures, large.clone()));
                    assert_pair(measured, (LARGE as i64, token));
                }
                Deed::DropProxy => {
                    drop(root.call_method("numbered", (7,)).unwrap());
                    let echo = root.get_attr("echo").unwrap();
                    assert_eq!(root.call_method("call", (echo, token)).unwrap(), Value::Int(token));
                }
                Deed::GiveUp => {
                    client.ping().unwrap();
                    let _ = with_timeout(Some(Duration::ZERO), || root.call_method("numbered", (7,)));
                }
                Deed::CallBack => {
                    let pairs = function(move |step: i64| (step, token));
                    assert_pair(root.call_method("call", (pairs, step)), (step, token));
                }
            }
        }
    };
    let gate = Arc::new(Gate::default());
    let slow = function({
        let gate = gate.clone();
        move || gate.pass()
    });
    thread::scope(|scope| {
        let held_up = scope.spawn(|| root.call_method("call", (slow,)).unwrap());
        let users: Vec<_> = (0..USERS).map(|user| scope.spawn(move || work(user))).collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        assert!(!held_up.is_finished());
        gate.open();
    });
    assert_all_done(&stage);
}

#[test]
fn sixty_four_tasks() {
    let stage = stage(Driver::Tokio);
    let (root, client) = (aio::Remote::from(stage.root.clone()), aio::Connection::from(stage.client.clone()));
    let large = Bytes::from(noise(1, LARGE));
    let work = async move |user: i64| {
        for step in 0..STEPS {
            let token = user * 10_000 + step;
            match Deed::of(step) {
                Deed::Fail => {
                    let fails = aio::function(move || async move { lookup_error(token) });
                    assert_lookup_error(root.call_method("call", (fails,)).await, token);
                }
                Deed::PassLarge => {
                    let measures =
                        aio::function(move |data: Bytes| async move { (data.len() as u64, token) });
                    let measured = root.call_method("call", (measures, large.clone())).await;
                    assert_pair(measured, (LARGE as i64, token));
                }
                Deed::DropProxy => {
                    drop(root.call_method("numbered", (7,)).await.unwrap());
                    let echo = root.get_attr("echo").await.unwrap();
                    assert_eq!(root.call_method("call", (echo, token)).await.unwrap(), Value::Int(token));
                }
                Deed::GiveUp => {
                    client.ping().await.unwrap();
                    let given_up = root.call_method("numbered", (7,));
                    let _ = tokio::time::timeout(Duration::ZERO, given_up).await;
                }
                Deed::CallBack => {
                    let pairs = aio::function(move |step: i64| async move { (step, token) });
                    assert_pair(root.call_method("call", (pairs, step)).await, (step, token));
                }
            }
        }
    };
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let slow = aio::function({
        let gate = gate.clone();
        move || {
            let gate = gate.clone();
            async move { drop(gate.acquire().await) }
        }
    });
    let caller = aio::Remote::from(stage.root.clone());
    RUNTIME.block_on(async {
        let held_up = tokio::spawn(async move { caller.call_method("call", (slow,)).await });
        let users: Vec<_> = (0..USERS)
            .map(|user| {
                let work = work.clone();
                tokio::spawn(async move { work(user).await })
            })
            .collect();
        for user in users {
            user.await.unwrap();
        }
        assert!(!held_up.is_finished());
        gate.add_permits(1);
        held_up.await.unwrap().unwrap();
    });
    assert_all_done(&stage);
}

//! A server that is started again and again, under users of a [`Reconnecting`] handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use netref::{Error, Options, Reconnecting, Remote, Value};

use crate::drivers::{PAIRINGS, Running, connect};
use crate::service::Hard;
use crate::stage::{TCP, stop};

/// Each call has its own answer, or fails with one of the two errors of a lost connection, and no reference reaches an object of
/// another connection's.
#[test]
fn users_outlive_servers() {
    const USERS: u32 = 8;
    const RESTARTS: u64 = 10;
    for (client, server) in PAIRINGS {
        println!("{client:?} {server:?}");
        let start = |url: &str| Running::start(server, url, Options::new(), || Arc::new(Hard::default()));
        let mut running = start(TCP);
        let url = running.address().to_string();
        let dialled = url.clone();
        let root = Reconnecting::new(move || connect(client, &Options::new(), &dialled))
            .pauses(Duration::from_millis(1), Duration::from_millis(10));
        let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
        let work = |user: u32| -> Result<(), Error> {
            let numbered: Remote = root.root()?.call_method("numbered", (user,))?.extract()?;
            loop {
                assert_eq!(numbered.get_attr("number")?, Value::Int(user.into()));
                assert_eq!(root.root()?.call_method("echo", (user,))?, Value::Int(user.into()));
                answered.fetch_add(1, Ordering::Relaxed);
                if is_over.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
        };
        thread::scope(|scope| {
            for user in 0..USERS {
                scope.spawn(move || {
                    while let Err(error) = work(user) {
                        assert!(matches!(error, Error::Closed(_) | Error::Stale(_)), "{error}");
                    }
                });
            }
            for _ in 0..RESTARTS {
                let before = answered.load(Ordering::Relaxed);
                while answered.load(Ordering::Relaxed) < before + 100 {
                    thread::yield_now();
                }
                stop(&running);
                running = start(&url);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        stop(&running);
    }
}

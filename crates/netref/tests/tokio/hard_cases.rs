//! Those of the hard cases (`tests/hard_cases`) that tasks make other ones.

use std::sync::Arc;

use netref::{Args, Class, Error, MethodFuture, Object, Result, Service, Value, aio};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinSet;

use crate::lab::Lab;
use crate::{on_both_flavors, tokio_server};

/// Case 1: a callback of another call needs the lock that is held over a call.
#[test]
fn lock_held_while_waiting() {
    on_both_flavors(|| async {
        let root = aio::connect(&tokio_server(|| Lab).await).await.unwrap().root().await.unwrap();
        let (lock, begun) = (Arc::new(AsyncMutex::new(())), Arc::new(Notify::new()));
        let held = lock.clone().lock_owned().await;
        let takes = {
            let begun = begun.clone();
            aio::function(move || {
                begun.notify_one();
                let lock = lock.clone();
                async move { drop(lock.lock().await) }
            })
        };
        let caller = root.clone();
        let caller = tokio::spawn(async move { caller.call_method("call", (takes,)).await });
        begun.notified().await;
        let result = root.call_method("call", (aio::function(|| async { 7 }),)).await.unwrap();
        assert_eq!(result, Value::Int(7));
        drop(held);
        caller.await.unwrap().unwrap();
    });
}

/// Calls a function with each number from many tasks, and returns the sum of the results.
struct Storm;

impl Object for Storm {
    fn class(&self) -> Arc<Class> {
        Class::new("Storm").methods(&["storm", "echo"]).into()
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(Error::no_attribute("Storm", name))
    }

    fn start_method(self: Arc<Self>, name: &str, mut args: Args) -> Result<MethodFuture, Args> {
        match name {
            "echo" => Ok(Box::pin(async move { args.required("value") })),
            "storm" => Ok(Box::pin(async move {
                let (function, count): (aio::Remote, i64) =
                    (args.required("function")?, args.required("count")?);
                let mut calls = JoinSet::new();
                for number in 0..count {
                    let function = function.clone();
                    calls.spawn(async move { function.call((number,)).await?.extract::<i64>() });
                }
                let results: Result<Vec<i64>> = calls.join_all().await.into_iter().collect();
                Ok(Value::Int(results?.iter().sum()))
            })),
            _ => Err(args),
        }
    }
}

impl Service for Storm {}

/// Case 5: ten thousand callbacks at once, each of which calls back.
#[test]
fn callback_storm() {
    on_both_flavors(|| async {
        let root = aio::connect(&tokio_server(|| Storm).await).await.unwrap().root().await.unwrap();
        let count = 10_000;
        let calls_back = root.clone();
        let callback = aio::function(move |number: i64| {
            let root = calls_back.clone();
            async move { root.call_method("echo", (number,)).await }
        });
        let sum = root.call_method("storm", (callback, count)).await.unwrap();
        assert_eq!(sum, Value::Int(count * (count - 1) / 2));
    });
}

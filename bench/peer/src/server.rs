//! Serves what the clients of all pairings call.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use netref::{
    Address, Args, Class, IntoValue, List, Object, Remote, Result, Server, Service, Value, threads::Closed,
};
use serde_json::json;

use crate::objects::{Item, no_attribute};
use crate::operations::Failure;

/// Serves until stdin ends.
pub(crate) fn run() -> Result<(), Failure> {
    let server = Server::bind("tcp://127.0.0.1:0", BenchService::default)?;
    let &Address::Tcp { port, .. } = server.address() else { return Err("not a TCP port".into()) };
    thread::spawn(move || server.run());
    let mut greeting = crate::greeting(crate::Driver::Threads);
    greeting["port"] = json!(port);
    crate::say(&greeting)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

#[derive(Default)]
pub(crate) struct BenchService {
    /// The last function called back, so that its release is not part of the calls.
    kept: Mutex<Option<Remote>>,
}

impl BenchService {
    pub(crate) fn keep(&self, function: Option<Remote>) {
        let before =
            std::mem::replace(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner), function);
        drop(before);
    }

    fn call_back(&self, function: &Remote, count: i64) -> Result<()> {
        self.keep(Some(function.clone()));
        for i in 0..count {
            function.call((i,))?;
        }
        Ok(())
    }
}

fn line_counter(file: &Remote, function: &Remote) -> Result<i64> {
    let lines: Remote = file.call_method("readlines", ())?.extract()?;
    let mut count = 0;
    for line in lines.iter()?.prefetched() {
        function.call((line?,))?;
        count += 1;
    }
    Ok(count)
}

impl Object for BenchService {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> = LazyLock::new(|| {
            let methods = ["echo", "call_back", "numbers", "new_item", "line_counter"];
            Class::new("bench.Service").methods(&methods).into()
        });
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "echo" => {
                let value = args.required("value")?;
                args.finish()?;
                Ok(value)
            }
            "call_back" => {
                let (function, count) = (args.required("function")?, args.required("count")?);
                args.finish()?;
                self.call_back(&function, count).map(IntoValue::into_value)
            }
            "numbers" => {
                let count: i64 = args.required("count")?;
                args.finish()?;
                Ok((0..count).collect::<List>().into_value())
            }
            "new_item" => {
                let position = args.required("position")?;
                args.finish()?;
                Ok(Value::Object(Item::make(position)))
            }
            "line_counter" => {
                let (file, function) = (args.required("fileobj")?, args.required("function")?);
                args.finish()?;
                line_counter(&file, &function).map(IntoValue::into_value)
            }
            _ => Err(no_attribute(name)),
        }
    }
}

impl Service for BenchService {
    fn disconnected(&self, _closed: &Closed) {
        // It keeps the connection alive.
        self.keep(None);
    }
}

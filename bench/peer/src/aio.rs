//! The same over connections that tokio drives: what there is to measure of them.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use netref::aio::{self, Remote};
use netref::{
    Address, Args, Bytes, Class, IntoValue, MethodFuture, Object, Result, Service, Value, threads::Closed,
};
use serde_json::json;
use tokio::runtime::{self, Runtime};

use crate::data::{log_text, noise};
use crate::objects::File;
use crate::operations::{Body, Failure, Task, expect, tail};
use crate::server::BenchService;

/// The body of an operation, if there is one of that name.
pub(crate) fn prepare(task: Task, operation: &str) -> Result<Option<Body>, Failure> {
    let session = Session { runtime: Rc::new(runtime()?), task };
    Ok(Some(match operation {
        "echo" | "callattr" => session.echo()?,
        "bound" => session.bound()?,
        "method" => session.method_of_object()?,
        "callback" => session.callback()?,
        "async" => session.in_flight()?,
        "bytes-random" => session.echo_bytes(noise(session.task.size).into())?,
        "bytes-text" => session.echo_bytes(log_text(session.task.size).into())?,
        "lines" => session.lines()?,
        "connect" => session.connect(),
        "connections" => session.connections()?,
        _ => return Ok(None),
    }))
}

struct Session {
    runtime: Rc<Runtime>,
    task: Task,
}

impl Session {
    fn root(&self) -> Result<Remote> {
        self.runtime.block_on(async { aio::connect(&self.task.url).await?.root().await })
    }

    fn method(&self, name: &str) -> Result<Remote> {
        let root = self.root()?;
        self.runtime.block_on(root.get_attr(name))?.extract()
    }

    fn echo(&self) -> Result<Body> {
        let (runtime, root, n) = (self.runtime.clone(), self.root()?, self.task.n);
        Ok(Box::new(move || runtime.block_on(echo(&root, n))))
    }

    fn bound(&self) -> Result<Body> {
        let (runtime, echo, n) = (self.runtime.clone(), self.method("echo")?, self.task.n);
        Ok(Box::new(move || {
            runtime.block_on(async {
                let mut last = -1;
                for i in 0..n {
                    last = echo.call((i,)).await?.extract()?;
                }
                expect(&last, &(n - 1))
            })
        }))
    }

    fn method_of_object(&self) -> Result<Body> {
        let (runtime, root, n) = (self.runtime.clone(), self.root()?, self.task.n);
        let item: Remote = runtime.block_on(root.call_method("new_item", (1,)))?.extract()?;
        Ok(Box::new(move || {
            runtime.block_on(async {
                let mut last = 0;
                for i in 0..n {
                    last = item.call_method("plus", (i,)).await?.extract()?;
                }
                expect(&last, &n)
            })
        }))
    }

    fn callback(&self) -> Result<Body> {
        let (runtime, call_back, n) = (self.runtime.clone(), self.method("call_back")?, self.task.n);
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let called = runtime.block_on(async {
            aio::function(move |i: i64| {
                counter.fetch_add(1, Ordering::Relaxed);
                async move { i }
            })
        });
        Ok(Box::new(move || {
            calls.store(0, Ordering::Relaxed);
            runtime.block_on(call_back.call((called.clone(), n)))?;
            expect(&calls.load(Ordering::Relaxed), &usize::try_from(n)?)
        }))
    }

    fn in_flight(&self) -> Result<Body> {
        let (runtime, echo, n) = (self.runtime.clone(), self.method("echo")?, self.task.n);
        Ok(Box::new(move || {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..n)
                    .map(|i| {
                        let echo = echo.clone();
                        tokio::spawn(async move { echo.call((i,)).await })
                    })
                    .collect();
                let mut last = -1;
                for task in tasks {
                    last = task.await??.extract()?;
                }
                expect(&last, &(n - 1))
            })
        }))
    }

    fn echo_bytes(&self, data: Bytes) -> Result<Body, Failure> {
        let (runtime, echo, n) = (self.runtime.clone(), self.method("echo")?, self.task.n);
        let ask =
            move |data: &Bytes| -> Result<Bytes> { runtime.block_on(echo.call((data.clone(),)))?.extract() };
        if ask(&data)? != data {
            return Err("the echoed bytes differ".into());
        }
        Ok(Box::new(move || {
            let mut last = Bytes::default();
            for _ in 0..n {
                last = ask(&data)?;
            }
            expect(&tail(&last), &tail(&data))
        }))
    }

    fn lines(&self) -> Result<Body> {
        let (runtime, root, n) = (self.runtime.clone(), self.root()?, self.task.n);
        let file = Arc::new(File::new((0..n).map(|i| format!("line {i} of a small file\n")).collect()));
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = seen.clone();
        let noisy = runtime.block_on(async {
            aio::function(move |line: String| {
                counter.fetch_add(line.len(), Ordering::Relaxed);
                async {}
            })
        });
        Ok(Box::new(move || {
            seen.store(0, Ordering::Relaxed);
            let call = root.call_method("line_counter", (file.clone(), noisy.clone()));
            expect(&runtime.block_on(call)?.extract::<i64>()?, &n)?;
            expect(&seen.load(Ordering::Relaxed), &file.size())
        }))
    }

    fn connect(&self) -> Body {
        let (runtime, url, n) = (self.runtime.clone(), self.task.url.clone(), self.task.n);
        Box::new(move || {
            runtime.block_on(async {
                let mut last = -1;
                for i in 0..n {
                    let connection = aio::connect(&url).await?;
                    last = connection.root().await?.call_method("echo", (i,)).await?.extract()?;
                    connection.close().await;
                }
                expect(&last, &(n - 1))
            })
        })
    }

    /// `size` connections at a time, each with a task that calls; n calls in all.
    fn connections(&self) -> Result<Body> {
        let roots = (0..self.task.size).map(|_| self.root()).collect::<Result<Vec<_>>>()?;
        let each = self.task.n / i64::try_from(self.task.size).unwrap_or(i64::MAX);
        let runtime = self.runtime.clone();
        Ok(Box::new(move || {
            runtime.block_on(async {
                let start = |root: &Remote| {
                    let root = root.clone();
                    tokio::spawn(async move { echo(&root, each).await.map_err(|error| error.to_string()) })
                };
                let calling: Vec<_> = roots.iter().map(start).collect();
                for task in calling {
                    task.await??;
                }
                Ok(())
            })
        }))
    }
}

async fn echo(root: &Remote, n: i64) -> Result<(), Failure> {
    let mut last = -1;
    for i in 0..n {
        last = root.call_method("echo", (i,)).await?.extract()?;
    }
    expect(&last, &(n - 1))
}

/// Serves until stdin ends.
pub(crate) fn serve() -> Result<(), Failure> {
    let runtime = runtime()?;
    let server = runtime.block_on(aio::Server::bind("tcp://127.0.0.1:0", AsyncBenchService::default))?;
    let &Address::Tcp { port, .. } = server.address() else { return Err("not a TCP port".into()) };
    thread::spawn(move || runtime.block_on(server.run()));
    let mut greeting = crate::greeting(crate::Driver::Tokio);
    greeting["port"] = json!(port);
    crate::say(&greeting)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// The service of the other server, with methods that are asynchronous where they are measured.
#[derive(Default)]
struct AsyncBenchService(Arc<BenchService>);

impl Object for AsyncBenchService {
    fn class(&self) -> Arc<Class> {
        self.0.class()
    }

    fn call_method(&self, name: &str, args: Args) -> Result<Value> {
        self.0.call_method(name, args)
    }

    fn start_method(self: Arc<Self>, name: &str, mut args: Args) -> Result<MethodFuture, Args> {
        Ok(match name {
            "echo" => Box::pin(async move { args.required("value") }),
            "call_back" => {
                Box::pin(
                    async move { self.call_back(args.required("function")?, args.required("count")?).await },
                )
            }
            "line_counter" => {
                Box::pin(
                    async move { line_counter(args.required("fileobj")?, args.required("function")?).await },
                )
            }
            _ => return Err(args),
        })
    }
}

impl AsyncBenchService {
    async fn call_back(&self, function: Remote, count: i64) -> Result<Value> {
        self.0.keep(Some(function.clone().into()));
        for i in 0..count {
            function.call((i,)).await?;
        }
        Ok(Value::None)
    }
}

async fn line_counter(file: Remote, function: Remote) -> Result<Value> {
    let lines: Remote = file.call_method("readlines", ()).await?.extract()?;
    let (mut lines, mut count) = (lines.iter().await?.prefetched(), 0_i64);
    while let Some(line) = lines.next().await {
        function.call((line?,)).await?;
        count += 1;
    }
    Ok(count.into_value())
}

impl Service for AsyncBenchService {
    fn disconnected(&self, closed: &Closed) {
        self.0.disconnected(closed);
    }
}

//! The measured calls, written as a user of netref writes them.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use netref::{Bytes, Connection, ExtractAll, Remote, Result, connect, function};

use crate::data::{log_text, noise};
use crate::objects::File;

pub(crate) type Failure = Box<dyn std::error::Error>;

/// One prepared operation: a call performs it `n` times, over the connection that it holds.
pub(crate) type Body = Box<dyn FnMut() -> Result<(), Failure>>;

/// Items that one BUFFITER request asks for.
const CHUNK: usize = 100;
/// To compare all of the bytes would be part of what is timed.
const TAIL: usize = 64;

/// What to prepare, and where.
pub(crate) struct Task {
    pub(crate) url: String,
    pub(crate) n: i64,
    pub(crate) size: usize,
}

impl Task {
    /// The body of an operation, if there is one of that name.
    pub(crate) fn prepare(&self, operation: &str) -> Result<Option<Body>, Failure> {
        Ok(Some(match operation {
            // A method call is one CALLATTR trip to begin with.
            "echo" | "callattr" => self.echo()?,
            "bound" => self.bound()?,
            "method" => self.method_of_object()?,
            "callback" => self.callback()?,
            "iterate" => self.iterate()?,
            "buffiter" => self.buffiter()?,
            "bytes-random" => self.echo_bytes(noise(self.size).into())?,
            "bytes-text" => self.echo_bytes(log_text(self.size).into())?,
            "new-object" => self.new_object()?,
            "churn" => self.churn()?,
            "lines" => self.lines()?,
            "connect" => self.connect(),
            "connections" => self.connections()?,
            _ => return Ok(None),
        }))
    }

    fn root(&self) -> Result<Remote> {
        connect(&self.url)?.root()
    }

    fn method(&self, name: &str) -> Result<Remote> {
        self.root()?.get_attr(name)?.extract()
    }

    fn echo(&self) -> Result<Body> {
        let (root, n) = (self.root()?, self.n);
        Ok(Box::new(move || {
            let mut last = -1;
            for i in 0..n {
                last = root.call_method("echo", (i,))?.extract()?;
            }
            expect(&last, &(n - 1))
        }))
    }

    fn bound(&self) -> Result<Body> {
        let (echo, n) = (self.method("echo")?, self.n);
        Ok(Box::new(move || {
            let mut last = -1;
            for i in 0..n {
                last = echo.call((i,))?.extract()?;
            }
            expect(&last, &(n - 1))
        }))
    }

    /// A method of an object that the server made.
    fn method_of_object(&self) -> Result<Body> {
        let item: Remote = self.root()?.call_method("new_item", (1,))?.extract()?;
        let n = self.n;
        Ok(Box::new(move || {
            let mut last = 0;
            for i in 0..n {
                last = item.call_method("plus", (i,))?.extract()?;
            }
            expect(&last, &n)
        }))
    }

    /// The server calls a client function n times, all within one request of the client.
    fn callback(&self) -> Result<Body> {
        let (call_back, n) = (self.method("call_back")?, self.n);
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let called = function(move |i: i64| {
            counter.fetch_add(1, Ordering::Relaxed);
            i
        });
        Ok(Box::new(move || {
            calls.store(0, Ordering::Relaxed);
            call_back.call((called.clone(), n))?;
            expect(&calls.load(Ordering::Relaxed), &usize::try_from(n)?)
        }))
    }

    fn numbers(&self) -> Result<Remote> {
        self.root()?.call_method("numbers", (self.n,))?.extract()
    }

    fn iterate(&self) -> Result<Body> {
        let (numbers, wanted) = (self.numbers()?, (0..self.n).sum());
        Ok(Box::new(move || {
            let mut sum = 0;
            for number in numbers.iter()?.extract_all::<i64>() {
                sum += number?;
            }
            expect(&sum, &wanted)
        }))
    }

    fn buffiter(&self) -> Result<Body> {
        let (numbers, wanted) = (self.numbers()?, (0..self.n).sum());
        Ok(Box::new(move || {
            let iterator = numbers.iter()?;
            let mut sum = 0;
            loop {
                let items = iterator.as_remote().next_items(CHUNK)?;
                if items.is_empty() {
                    return expect(&sum, &wanted);
                }
                for item in items {
                    sum += item.extract::<i64>()?;
                }
            }
        }))
    }

    fn echo_bytes(&self, data: Bytes) -> Result<Body, Failure> {
        let (echo, n) = (self.method("echo")?, self.n);
        let ask = move |data: &Bytes| -> Result<Bytes> { echo.call((data.clone(),))?.extract() };
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

    /// Each call returns a new instance of the server's own class; the one before is dropped.
    fn new_object(&self) -> Result<Body> {
        let (new_item, n) = (self.method("new_item")?, self.n);
        Ok(Box::new(move || {
            let mut last = None;
            for i in 0..n {
                last = Some(new_item.call((i,))?.extract::<Remote>()?);
            }
            expect_position(last.as_ref(), n - 1)
        }))
    }

    fn churn(&self) -> Result<Body> {
        let (root, n) = (self.root()?, self.n);
        Ok(Box::new(move || {
            let mut last = None;
            for i in 0..n {
                last = Some(root.call_method("new_item", (i,))?.extract::<Remote>()?);
            }
            expect_position(last.as_ref(), n - 1)
        }))
    }

    /// The server walks over the client's file and calls the client for each line.
    fn lines(&self) -> Result<Body> {
        let (root, n) = (self.root()?, self.n);
        let file = Arc::new(File::new((0..n).map(|i| format!("line {i} of a small file\n")).collect()));
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = seen.clone();
        let noisy = function(move |line: String| {
            counter.fetch_add(line.len(), Ordering::Relaxed);
        });
        Ok(Box::new(move || {
            seen.store(0, Ordering::Relaxed);
            let count: i64 = root.call_method("line_counter", (file.clone(), noisy.clone()))?.extract()?;
            expect(&count, &n)?;
            expect(&seen.load(Ordering::Relaxed), &file.size())
        }))
    }

    fn connect(&self) -> Body {
        let (url, n) = (self.url.clone(), self.n);
        Box::new(move || {
            let mut last = -1;
            for i in 0..n {
                let connection: Connection = connect(&url)?;
                last = connection.root()?.call_method("echo", (i,))?.extract()?;
                connection.close();
            }
            expect(&last, &(n - 1))
        })
    }

    /// `size` connections at a time, each with a thread that calls; n calls in all.
    fn connections(&self) -> Result<Body> {
        let roots = (0..self.size).map(|_| self.root()).collect::<Result<Vec<_>>>()?;
        let each = self.n / i64::try_from(self.size).unwrap_or(i64::MAX);
        Ok(Box::new(move || {
            let call = |root: &Remote| -> Result<i64> {
                let mut last = -1;
                for i in 0..each {
                    last = root.call_method("echo", (i,))?.extract()?;
                }
                Ok(last)
            };
            thread::scope(|scope| {
                let calling: Vec<_> = roots.iter().map(|root| scope.spawn(move || call(root))).collect();
                for thread in calling {
                    expect(&thread.join().map_err(|_| "a thread panicked")??, &(each - 1))?;
                }
                Ok(())
            })
        }))
    }
}

fn expect_position(item: Option<&Remote>, wanted: i64) -> Result<(), Failure> {
    let position: i64 = item.ok_or("no item")?.call_method("position", ())?.extract()?;
    expect(&position, &wanted)
}

pub(crate) fn tail(data: &[u8]) -> &[u8] {
    &data[data.len().saturating_sub(TAIL)..]
}

pub(crate) fn expect<T: PartialEq + Debug>(found: &T, wanted: &T) -> Result<(), Failure> {
    if found == wanted { Ok(()) } else { Err(format!("got {found:?} instead of {wanted:?}").into()) }
}

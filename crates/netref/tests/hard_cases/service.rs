//! What the server does in the hard cases.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use netref::{Args, Class, Connection, Error, IntoValue, Object, Remote, Result, Service, Value};

/// Something to wait for that the test is to say.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    /// Waits until it is open. So long only a hang takes.
    pub(crate) fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        let limit = Duration::from_secs(300);
        let (is_open, _) = self.opened.wait_timeout_while(is_open, limit, |is_open| !*is_open).unwrap();
        assert!(*is_open, "nobody has opened the gate");
    }
}

#[derive(Default)]
pub(crate) struct Hard {
    /// The server's end of the latest client's connection.
    pub(crate) client: Mutex<Option<Connection>>,
    pub(crate) gate: Gate,
    /// How many objects of `hold` are no more.
    pub(crate) dropped: Arc<AtomicUsize>,
    boxed: Mutex<Option<Arc<Numbered>>>,
    pub(crate) kept: Mutex<Vec<Value>>,
}

#[netref::object]
impl Hard {
    fn ok(&self) -> i64 {
        1
    }

    fn echo(&self, value: Value) -> Value {
        value
    }

    fn call(&self, function: Value, args: Args) -> Result<Value> {
        function.call(args)
    }

    /// Returns an object once the gate is open.
    fn pass_gate(&self) -> Arc<Numbered> {
        self.gate.pass();
        Arc::new(Numbered(0))
    }

    /// Calls both at once, on threads that are part of no call.
    fn in_two_threads(&self, one: Remote, other: Remote) -> Result<()> {
        let one = thread::spawn(move || one.call(()));
        let other = thread::spawn(move || other.call(()));
        one.join().unwrap()?;
        other.join().unwrap().map(drop)
    }

    fn objects(&self, count: u32) -> Value {
        (0..count).map(|number| Arc::new(Numbered(number))).collect::<Vec<_>>().into_value()
    }

    /// Calls a function with each number, on many threads, and returns the sum of the results.
    fn storm(&self, function: Remote, count: i64) -> Result<i64> {
        const THREADS: i64 = 50;
        let call = |first| -> Result<i64> {
            let numbers = (first..count).step_by(THREADS as usize);
            numbers.map(|number| function.call((number,))?.extract::<i64>()).sum()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || call(first))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    }

    fn unencodable(&self, which: &str) -> Value {
        match which {
            "deep" => (0..1000).fold(Value::None, |inner, _| Value::Tuple(vec![inner])),
            // What comes before it is lent, and to be taken back.
            "deep behind an object" => (Arc::new(Numbered(1)), self.unencodable("deep")).into_value(),
            "deep behind an object that panics" => {
                (self.panics_when_dropped(), self.unencodable("deep")).into_value()
            }
            _ => (Arc::new(Numbered(2)), Arc::new(Nameless)).into_value(),
        }
    }

    fn panics_when_dropped(&self) -> Arc<PanicsWhenDropped> {
        Arc::new(PanicsWhenDropped(self.dropped.clone()))
    }

    fn hold(&self, callback: Remote) -> Arc<CallsWhenDropped> {
        Arc::new(CallsWhenDropped { callback, dropped: self.dropped.clone() })
    }

    /// An object that has a number, and no other one is alive here.
    fn numbered(&self, number: u32) -> Arc<Numbered> {
        self.drop_numbered();
        let numbered = Arc::new(Numbered(number));
        *self.boxed.lock().unwrap() = Some(numbered.clone());
        numbered
    }

    fn drop_numbered(&self) {
        self.boxed.lock().unwrap().take();
    }

    fn same_numbered(&self) -> Option<Arc<Numbered>> {
        self.boxed.lock().unwrap().clone()
    }

    fn keep(&self, value: Value) {
        self.kept.lock().unwrap().push(value);
    }

    fn forget(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap());
        drop(kept);
    }

    fn fail(&self, token: i64) -> Result<()> {
        Err(Error::raise("LookupError", token.to_string()))
    }
}

impl Service for Hard {
    fn connected(&self, connection: &Connection) -> Result<()> {
        *self.client.lock().unwrap() = Some(connection.clone());
        Ok(())
    }
}

pub(crate) struct Numbered(u32);

#[netref::object]
impl Numbered {
    #[netref(get)]
    fn number(&self) -> u32 {
        self.0
    }
}

/// Calls its client when it is dropped.
pub(crate) struct CallsWhenDropped {
    callback: Remote,
    dropped: Arc<AtomicUsize>,
}

#[netref::object]
impl CallsWhenDropped {}

impl Drop for CallsWhenDropped {
    fn drop(&mut self) {
        match self.callback.call((1,)) {
            // It may be dropped because the client is gone.
            Ok(_) | Err(Error::Closed(_)) => self.dropped.fetch_add(1, Ordering::SeqCst),
            Err(error) => panic!("{error}"),
        };
    }
}

/// Panics when it is dropped.
pub(crate) struct PanicsWhenDropped(pub(crate) Arc<AtomicUsize>);

#[netref::object]
impl PanicsWhenDropped {}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a destructor that panics");
    }
}

/// Cannot be described.
struct Nameless;

impl Object for Nameless {
    fn class(&self) -> Arc<Class> {
        panic!("it has no class")
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(Error::no_attribute("Nameless", name))
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

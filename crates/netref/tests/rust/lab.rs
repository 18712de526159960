//! What the tests talk to, and how they get there.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use netref::{Args, Connection, Dict, Error, IntoValue, List, Options, Server, Value};

/// A service with a bit of everything.
#[derive(Default)]
pub(crate) struct Lab {
    pub(crate) kept: Mutex<Vec<Value>>,
    gain: AtomicI64,
}

#[netref::service(name = "lab.Lab")]
impl Lab {
    /// Returns what it is given.
    fn echo(&self, value: Value) -> Value {
        value
    }

    fn add(&self, a: i64, b: Option<i64>) -> i64 {
        a + b.unwrap_or(1)
    }

    /// Calls a function with the rest of the arguments.
    fn call(&self, function: Value, args: Args) -> netref::Result<Value> {
        function.call(args)
    }

    fn keep(&self, value: Value) {
        self.kept.lock().unwrap().push(value);
    }

    fn kept(&self) -> List {
        self.kept.lock().unwrap().iter().cloned().collect()
    }

    fn is_kept(&self, value: Value) -> bool {
        self.kept.lock().unwrap().contains(&value)
    }

    fn forget(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap());
        drop(kept);
    }

    fn list(&self) -> List {
        List::from(vec![3, 1, 2])
    }

    fn dict(&self) -> Dict {
        [("one", 1), ("two", 2)].into_iter().collect()
    }

    fn version(&self, number: u32) -> Arc<Version> {
        Arc::new(Version(number))
    }

    fn raise(&self, class: &str, message: &str) -> netref::Result<()> {
        Err(Error::raise(class, message))
    }

    fn panic(&self, message: String) {
        panic!("{message}");
    }

    #[netref(get)]
    fn gain(&self) -> i64 {
        self.gain.load(Ordering::Relaxed)
    }

    #[netref(set)]
    fn set_gain(&self, gain: i64) -> netref::Result<()> {
        if gain < 0 {
            return Err(Error::raise("ValueError", "the gain must not be negative"));
        }
        self.gain.store(gain, Ordering::Relaxed);
        Ok(())
    }

    #[netref(skip)]
    #[expect(dead_code, reason = "what a peer must not reach")]
    fn secret(&self) {}

    #[netref(name = "__enter__")]
    fn enter(&self) -> &'static str {
        "entered"
    }

    #[netref(name = "__exit__")]
    fn exit(&self, _class: Value, error: Value, _traceback: Value) -> netref::Result<bool> {
        let Value::Remote(error) = error else { return Ok(false) };
        self.keep(error.repr()?.into_value());
        Ok(error.str()? == "ignore me")
    }
}

/// An object that compares and hashes.
pub(crate) struct Version(u32);

#[netref::object(name = "lab.Version")]
impl Version {
    #[netref(name = "__eq__")]
    fn equals(&self, other: Value) -> netref::Result<Value> {
        Ok(other
            .extract::<Arc<Self>>()
            .map_or(Value::NotImplemented, |other| (self.0 == other.0).into_value()))
    }

    #[netref(name = "__lt__")]
    fn is_less(&self, other: Value) -> netref::Result<Value> {
        Ok(other
            .extract::<Arc<Self>>()
            .map_or(Value::NotImplemented, |other| (self.0 < other.0).into_value()))
    }

    #[netref(name = "__hash__")]
    fn hash(&self) -> u32 {
        self.0
    }

    #[netref(name = "__str__")]
    fn text(&self) -> String {
        format!("version {}", self.0)
    }
}

/// A server that runs until the test is over.
pub(crate) struct Running(pub(crate) Arc<Server>);

impl Running {
    pub(crate) fn start(server: Arc<Server>) -> Self {
        let running = server.clone();
        thread::spawn(move || running.run());
        Self(server)
    }

    pub(crate) fn url(&self) -> String {
        self.0.address().to_string()
    }

    pub(crate) fn connect(&self) -> Connection {
        netref::connect(&self.url()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

pub(crate) fn serve_lab() -> Running {
    Running::start(Server::bind("tcp://127.0.0.1:0", Lab::default).unwrap())
}

/// A lab served over TCP and one over a unix socket.
pub(crate) fn each_transport(test: impl Fn(&Connection)) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("netref-test-{}-{number}.sock", std::process::id()));
    for url in ["tcp://127.0.0.1:0".to_owned(), format!("unix://{}", path.display())] {
        let running = Running::start(Server::bind(&url, Lab::default).unwrap());
        test(&running.connect());
    }
}

/// Both ends of one connection, for tests that look at both: the second serves a lab.
pub(crate) fn both_ends() -> (Connection, Connection) {
    let (conn, server, _) = both_ends_and_lab();
    (conn, server)
}

pub(crate) fn both_ends_and_lab() -> (Connection, Connection, Arc<Lab>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let lab = Arc::new(Lab::default());
    let theirs = Options::new().service(lab.clone()).over_socket(theirs.into(), false).unwrap();
    let serving = theirs.clone();
    thread::spawn(move || serving.serve_all());
    (Options::new().over_socket(ours.into(), true).unwrap(), theirs, lab)
}

/// Waits until something is so, with round trips in between.
pub(crate) fn eventually(conn: &Connection, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        conn.ping().unwrap();
        thread::yield_now();
    }
}

/// The class of the exception that an operation ended with.
pub(crate) fn raised<T: std::fmt::Debug>(outcome: netref::Result<T>) -> String {
    match outcome {
        Err(Error::Raised(exception)) => exception.class(),
        other => panic!("expected an exception, got {other:?}"),
    }
}

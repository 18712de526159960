//! The attribute macros: what they make, and what they say to wrong input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use netref::{Args, Connection, IntoValue, Object, Server, Service, Value};

use crate::lab::{Running, raised};

struct Counter {
    count: AtomicU32,
}

#[netref::object]
impl Counter {
    /// Counts one further.
    ///
    /// Twice, if told to.
    pub(crate) fn step(&self, _by: Option<u32>) -> u32 {
        self.count.fetch_add(_by.unwrap_or(1), Ordering::Relaxed)
    }

    fn borrowed(&self, text: &str, numbers: &[i64]) -> String {
        format!("{text}{numbers:?}")
    }

    fn rest(&self, first: Value, args: Args) -> (Value, usize, usize) {
        (first, args.positional.len(), args.named.len())
    }

    fn nothing(&self) {}

    #[deprecated = "old peers call it: no warning where that is made possible"]
    fn old(&self) {}

    fn fails(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    #[netref(name = "__len__")]
    fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    #[netref(name = "__repr__")]
    fn show(&self) -> String {
        format!("Counter({})", self.count())
    }

    #[netref(name = "type")]
    fn r#type(&self, r#in: i64) -> i64 {
        r#in
    }

    #[netref(get, name = "value")]
    fn read(&self) -> u32 {
        self.count()
    }

    #[netref(set)]
    fn set_value(&self, value: u32) {
        self.count.store(value, Ordering::Relaxed);
    }

    async fn later(&self, text: &str) -> netref::Result<String> {
        std::future::ready(()).await;
        Ok(format!("{text}, later"))
    }

    #[cfg(any())]
    fn absent(&self) {}

    #[netref(skip)]
    fn generic<T>(&self, value: T) -> T {
        value
    }

    fn new() -> Self {
        Self { count: AtomicU32::new(0) }
    }
}

#[test]
fn an_object_is_what_its_block_says() {
    let counter = Arc::new(Counter::new());
    assert_eq!(counter.generic(1), 1);
    let class = counter.class();
    assert_eq!(class.name(), "rust.macros.Counter");
    assert!(class.has("step") && class.has("__len__") && class.has("type"));
    assert!(!class.has("generic") && !class.has("new") && !class.has("value") && !class.has("absent"));
    assert!(Arc::ptr_eq(&class, &Counter::new().class()), "one description for all");
    let methods = counter.inspect().unwrap();
    assert_eq!(methods[0].doc.as_deref(), Some("Counts one further.\n\nTwice, if told to."));

    let value = counter.clone().into_value();
    assert_eq!(value.call_method("step", ()).unwrap(), Value::Int(0));
    assert_eq!(value.call_method("step", Args::default().named("by", 5)).unwrap(), Value::Int(1));
    assert_eq!(value.call_method("__len__", ()).unwrap(), Value::Int(6));
    assert_eq!(value.get_attr("value").unwrap(), Value::Int(6));
    value.set_attr("value", 9).unwrap();
    assert_eq!(value.repr(), "Counter(9)");
    assert_eq!(value.call_method("borrowed", ("x", vec![1, 2])).unwrap(), "x[1, 2]".into_value());
    let args = Args::new((1, 2, 3)).named("more", 4);
    assert_eq!(value.call_method("rest", args).unwrap(), (1, 2, 1).into_value());
    assert_eq!(value.call_method("nothing", ()).unwrap(), Value::None);
    assert_eq!(value.call_method("type", Args::default().named("in", 3)).unwrap(), Value::Int(3));
    assert!(matches!(value.call_method("fails", ()), Err(netref::Error::Io(_))));
    assert_eq!(raised(value.call_method("absent", ())), "AttributeError");
    assert_eq!(raised(value.set_attr("count", 1)), "AttributeError");
    assert_eq!(raised(value.set_attr("value", "x")), "TypeError");
}

#[test]
fn asynchronous_methods_are_started() {
    let counter = Arc::new(Counter::new());
    let poll = |args: Args| {
        let mut future = counter.clone().start_method("later", args).unwrap();
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("there is nothing to wait for"),
        }
    };
    assert_eq!(poll(Args::new(("now",))).unwrap(), "now, later".into_value());
    assert_eq!(raised(poll(Args::default())), "TypeError");
    assert!(counter.clone().start_method("step", Args::new((1,))).is_err_and(|args| args == Args::new((1,))));
    assert_eq!(raised(counter.call_method("later", Args::new(("now",)))), "RuntimeError");
}

#[cfg(feature = "tokio")]
#[test]
fn asynchronous_methods_run_over_asynchronous_connections() {
    use netref::aio;

    struct Relay;

    #[netref::service]
    impl Relay {
        async fn relay(&self, function: aio::Remote, text: &str) -> netref::Result<Value> {
            function.call((text,)).await
        }

        async fn total(&self, numbers: &[i64], more: Option<i64>) -> i64 {
            numbers.iter().sum::<i64>() + more.unwrap_or(0)
        }

        fn at_once(&self) -> i64 {
            1
        }
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = aio::Server::bind("tcp://127.0.0.1:0", || Relay).await.unwrap();
        let running = server.clone();
        tokio::spawn(async move { running.run().await });
        let conn = aio::connect(&server.address().to_string()).await.unwrap();
        let root = conn.root().await.unwrap();
        let shout = aio::function(|text: String| async move { text.to_uppercase() });
        assert_eq!(root.call_method("relay", (shout, "loud")).await.unwrap(), "LOUD".into_value());
        assert_eq!(root.call_method("at_once", ()).await.unwrap(), Value::Int(1));
        assert_eq!(raised(root.call_method("relay", ()).await), "TypeError");
        // A list of the client's, of which the items are fetched where that may block.
        let numbers = netref::List::from(vec![1, 2]);
        assert_eq!(root.call_method("total", (&numbers, 3)).await.unwrap(), Value::Int(6));
        assert_eq!(root.call_method("total", (&numbers,)).await.unwrap(), Value::Int(3));
        assert_eq!(raised(root.call_method("total", (&numbers, "three")).await), "TypeError");
        server.stop();
    });
}

#[derive(Default)]
struct Door {
    events: std::sync::Mutex<Vec<&'static str>>,
    left: std::sync::Condvar,
}

#[netref::service(lifecycle, name = "house.Door")]
impl Door {
    fn events(&self) -> Vec<&'static str> {
        self.events.lock().unwrap().clone()
    }
}

impl Service for Door {
    fn connected(&self, connection: &Connection) -> netref::Result<()> {
        assert!(connection.closed().is_none());
        self.events.lock().unwrap().push("came");
        Ok(())
    }

    fn disconnected(&self, _closed: &netref::Closed) {
        self.events.lock().unwrap().push("went");
        self.left.notify_all();
    }
}

#[test]
fn a_service_is_told_when_clients_come_and_go() {
    let door = Arc::new(Door::default());
    let running = Running::start(Server::bind_shared("tcp://127.0.0.1:0", door.clone()).unwrap());
    let conn = running.connect();
    let events: Vec<String> = conn.root().unwrap().call_method("events", ()).unwrap().extract().unwrap();
    assert_eq!(events, ["came"]);
    conn.close();
    let events = door.events.lock().unwrap();
    let events = door.left.wait_while(events, |events| events.len() < 2).unwrap();
    assert_eq!(*events, ["came", "went"]);
}

#[test]
fn wrong_input_is_told_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

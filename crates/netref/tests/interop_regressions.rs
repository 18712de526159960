//! Defects that the interoperability suite found, and others met on the way. Each says what went wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use netref::threads::Closed;
use netref::{
    Args, Class, Connection, Error, Exception, IntoValue, Object, Remote, Result, Server, Service, Value,
    connect,
};
use netref_core::message::Handler;
use netref_core::request::handlers;

/// Gives out plain objects.
struct Factory;

struct Plain;

impl Object for Factory {
    fn class(&self) -> Arc<Class> {
        Class::new("tests.Factory").method("make", "").into()
    }

    fn call_method(&self, _name: &str, _args: Args) -> Result<Value> {
        Ok(Arc::new(Plain).into_value())
    }
}

impl Service for Factory {}

impl Object for Plain {
    fn class(&self) -> Arc<Class> {
        Class::new("tests.Plain").into()
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(Error::raise("AttributeError", name))
    }
}

fn connected_to<S: Service>(service: impl Fn() -> S + Send + Sync + 'static) -> Connection {
    let server = Server::bind("tcp://127.0.0.1:0", service).unwrap();
    let url = server.address().to_string();
    thread::spawn(move || server.run());
    let connection = connect(&url).unwrap();
    connection.set_timeout(Some(Duration::from_secs(5)));
    connection
}

/// The name and arguments of the exception that a request to `handler` ends with.
fn refusal(connection: &Connection, handler: Handler<'_>, args: &[Value]) -> (String, Vec<Value>) {
    let error = connection.raw_request(handler, args).unwrap_err();
    let exception = error.exception().unwrap();
    (exception.class(), exception.args().to_vec())
}

/// Peers that had agreed not to answer DELs did not answer one that a program had sent either: it waited for ever.
#[test]
fn a_release_sent_by_hand_is_answered() {
    let connection = connected_to(|| Factory);
    let thing = connection.root().unwrap().call_method("make", ()).unwrap();
    let released = connection.raw_request(handlers::DEL.into(), &[thing.clone(), 1.into_value()]);
    assert_eq!(released.unwrap(), Value::None);
    // The proxy gives back what is gone already, and nobody minds.
    drop(thing);
    connection.ping().unwrap();
    assert_eq!(connection.stats().round_trips, 4);
}

/// A reference was looked up by its numbers alone: one to another object was taken for whatever had the same numbers.
#[test]
fn a_reference_of_another_name_names_nothing() {
    let connection = connected_to(|| Factory);
    let root = connection.root().unwrap();
    let pack = root.id_pack();
    let inspect = |name: &str| {
        let pack = (name, pack.class, pack.instance).into_value();
        connection.raw_request(handlers::INSPECT.into(), &[pack])
    };
    assert!(inspect("tests.Factory").is_ok());
    assert!(inspect("tests.Elsewhere").unwrap_err().exception().unwrap().is("KeyError"));
}

/// A request that does not exist was refused with a text in place of its number, and one addressed to a name as malformed:
/// sixteen of those ended the connection.
#[test]
fn unknown_requests_are_key_errors() {
    let connection = connected_to(|| Factory);
    let unknown = refusal(&connection, Handler::Number(99), &[]);
    assert_eq!(unknown, ("KeyError".to_owned(), vec![Value::Int(99)]));
    for _ in 0..50 {
        assert_eq!(refusal(&connection, Handler::Name("ping"), &[]).0, "KeyError");
    }
    connection.ping().unwrap();
}

/// A service whose client was gone before `connected` returned never heard of its end.
#[test]
fn a_connection_that_ends_at_once_is_reported() {
    struct Brief(Sender<()>);

    impl Object for Brief {
        fn class(&self) -> Arc<Class> {
            Class::new("tests.Brief").into()
        }

        fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
            Err(Error::raise("AttributeError", name))
        }
    }

    impl Service for Brief {
        fn connected(&self, connection: &Connection) -> Result<()> {
            connection.close();
            Ok(())
        }

        fn disconnected(&self, _closed: &Closed) {
            self.0.send(()).unwrap();
        }
    }

    let (sender, ends) = channel();
    let connection = connected_to(move || Brief(sender.clone()));
    assert!(connection.root().is_err());
    assert!(ends.recv_timeout(Duration::from_secs(5)).is_ok());
}

/// Every call of a bound method asked for the `repr` of its object, in case there was a traceback to write: the whole text
/// of a long list, each time.
#[test]
fn a_call_asks_for_no_repr() {
    let connection = connected_to(|| Reprless);
    let method: Remote = connection.root().unwrap().get_attr("work").unwrap().extract().unwrap();
    assert_eq!(method.call((1,)).unwrap(), Value::None);
    let error = method.call(()).unwrap_err();
    let exception = error.exception().unwrap();
    assert!(exception.is("TypeError"));
    assert!(exception.traceback().contains("tests.Reprless.work"), "{error:?}");
}

/// An exception with an argument whose `repr` panicked took the thread that answered with it, and the call never ended.
#[test]
fn an_exception_arrives_although_its_argument_has_no_repr() {
    let connection = connected_to(|| Reprless);
    let error = connection.root().unwrap().call_method("fail", ()).unwrap_err();
    assert!(error.exception().unwrap().is("ValueError"), "{error:?}");
    connection.ping().unwrap();
}

struct Reprless;

impl Object for Reprless {
    fn class(&self) -> Arc<Class> {
        Class::new("tests.Reprless").methods(&["work", "fail"]).into()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "fail" => Err(Exception::new("ValueError").with_arg(Arc::new(Self)).into()),
            _ => args.required::<Value>("input").map(|_| Value::None),
        }
    }

    fn repr(&self) -> String {
        panic!("nobody may ask")
    }
}

impl Service for Reprless {}

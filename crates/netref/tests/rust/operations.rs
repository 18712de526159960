//! Every operation on a remote object.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use netref::{Args, Comparison, Error, Exception, ExtractAll, IntoArgs, Value};

use crate::lab::{each_transport, raised};

#[test]
fn attributes() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        assert_eq!(lab.get_attr("gain").unwrap(), Value::Int(0));
        lab.set_attr("gain", 3).unwrap();
        assert_eq!(lab.get_attr("gain").unwrap(), Value::Int(3));
        assert_eq!(raised(lab.set_attr("gain", -1)), "ValueError");
        assert_eq!(raised(lab.set_attr("gain", "much")), "TypeError");
        assert_eq!(raised(lab.set_attr("other", 1)), "AttributeError");
        assert_eq!(raised(lab.del_attr("gain")), "AttributeError");
    });
}

#[test]
fn calls() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        let add = lab.get_attr("add").unwrap();
        assert_eq!(add.call((1, 2)).unwrap(), Value::Int(3));
        assert_eq!(lab.call_method("add", (1,)).unwrap(), Value::Int(2));
        assert_eq!(
            lab.call_method("add", Args::default().named("b", 2).named("a", 5)).unwrap(),
            Value::Int(7)
        );
        assert_eq!(lab.call_method("add", (1, None::<i64>)).unwrap(), Value::Int(2));
        assert_eq!(lab.call_method("add", vec![Value::Int(20), Value::Int(22)]).unwrap(), Value::Int(42));
        let before = conn.stats().round_trips;
        lab.call_method("add", (1, 2)).unwrap();
        assert_eq!(conn.stats().round_trips, before + 1);
    });
}

#[test]
fn containers() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        let list: netref::Remote = lab.call_method("list", ()).unwrap().extract().unwrap();
        assert_eq!(list.len().unwrap(), 3);
        assert!(!list.is_empty().unwrap());
        assert_eq!(list.get_item(0).unwrap(), Value::Int(3));
        assert_eq!(list.get_item(-1).unwrap(), Value::Int(2));
        assert!(list.contains(1).unwrap());
        assert!(!list.contains("1").unwrap());
        list.set_item(0, "three").unwrap();
        list.del_item(1).unwrap();
        assert_eq!(list.repr().unwrap(), "['three', 2]");
        assert_eq!(raised(list.get_item(2)), "IndexError");
        let dict: netref::Remote = lab.call_method("dict", ()).unwrap().extract().unwrap();
        let error = dict.get_item("three").unwrap_err();
        assert_eq!(error.exception().unwrap().args(), ["three".to_owned()].map(Value::Str));
        assert!(error.exception().unwrap().is("KeyError"));
    });
}

#[test]
fn iteration() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        let list = lab.call_method("list", ()).unwrap();
        let ahead = list.iter().unwrap().prefetched();
        assert_eq!(
            thread::spawn(move || ahead.count()).join().unwrap(),
            3,
            "an iterator goes to another thread"
        );
        let items: Vec<i64> = list.iter().unwrap().extract_all().collect::<netref::Result<_>>().unwrap();
        assert_eq!(items, [3, 1, 2]);
        let long = netref::iterator(0..5000);
        let echoed = lab.call_method("call", (netref::function(move || long.clone()),)).unwrap();
        // An iterator of this side that went there and back is used without a round trip.
        let before = conn.stats().round_trips;
        assert_eq!(echoed.iter().unwrap().count(), 5000);
        assert_eq!(conn.stats().round_trips, before);
        let before = conn.stats().round_trips;
        let remote: netref::Remote = list.extract().unwrap();
        let prefetched: Vec<i64> =
            remote.iter().unwrap().prefetched().extract_all().collect::<netref::Result<_>>().unwrap();
        assert_eq!(prefetched, items);
        assert_eq!(conn.stats().round_trips, before + 3, "iter, the items, and the end");
        let error = lab.iter().unwrap_err();
        assert!(
            error.exception().unwrap().is("AttributeError") || error.exception().unwrap().is("TypeError")
        );
    });
}

#[test]
fn what_every_object_has() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        let version = |number: u32| -> netref::Remote {
            lab.call_method("version", (number,)).unwrap().extract().unwrap()
        };
        let (three, four) = (version(3), version(4));
        assert_eq!(three.repr().unwrap(), "<lab.Version object>");
        assert_eq!(three.str().unwrap(), "version 3");
        assert_eq!(three.hash().unwrap(), 3);
        assert!(three.compare(Comparison::Lt, &four).unwrap());
        assert!(!three.compare(Comparison::Eq, &four).unwrap());
        assert!(three.compare(Comparison::Eq, version(3)).unwrap());
        assert_ne!(three, version(3), "equal, but not the same object");
        assert!(matches!(three.compare(Comparison::Eq, 3), Err(Error::Conversion { .. })));
        assert_eq!(three.dir().unwrap(), ["__eq__", "__hash__", "__lt__", "__str__"]);
        assert_eq!(three.class_name(), "lab.Version");
        let methods = lab.methods().unwrap();
        assert!(methods.contains(&("echo".to_owned(), Some("Returns what it is given.".to_owned()))));
        assert!(methods.contains(&("add".to_owned(), None)));
        assert_eq!(lab.hash().unwrap(), lab.hash().unwrap());
    });
}

#[test]
fn with_blocks() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        let value = lab.with(|entered| entered.extract::<String>()).unwrap();
        assert_eq!(value.as_deref(), Some("entered"));
        let suppressed = lab.with(|_| Err::<(), _>(Error::raise("ValueError", "ignore me"))).unwrap();
        assert_eq!(suppressed, None);
        let error =
            lab.with(|_| Err::<(), Error>(Exception::new("KeyError").with_arg(1).into())).unwrap_err();
        assert!(error.exception().unwrap().is("KeyError"));
        let converted = lab.with(|entered| entered.extract::<i64>());
        assert!(matches!(converted, Err(Error::Conversion { .. })), "{converted:?}");
        // What is locked while the block runs must not stay so.
        let panicking = AssertUnwindSafe(|| lab.with::<()>(|_| panic!("in the block")));
        let panic = catch_unwind(panicking).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"in the block"));
        let told: Vec<String> = lab.call_method("kept", ()).unwrap().extract().unwrap();
        let expected = [
            "ValueError('ignore me')",
            "KeyError(1)",
            "TypeError('expected an int, got str')",
            "RuntimeError('panicked: in the block')",
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn the_connection() {
    each_transport(|conn| {
        conn.ping().unwrap();
        assert!(conn.closed().is_none());
        conn.set_timeout(Some(Duration::from_secs(60)));
        let root = conn.root().unwrap();
        assert_eq!(root, conn.root().unwrap());
        let software = conn.peer_software().unwrap();
        assert!(software.contains("netref"), "{software}");
        conn.close();
        assert!(matches!(root.repr(), Err(Error::Closed(_))));
        assert!(conn.closed().is_some());
        conn.close();
    });
}

#[test]
fn large_arguments_and_results() {
    each_transport(|conn| {
        let lab = conn.root().unwrap();
        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| (n * 7) as u8).collect();
        let echoed = lab.call_method("echo", (netref::Bytes::from(bytes.clone()),)).unwrap();
        assert_eq!(echoed, Value::Bytes(bytes.into()));
        let nested = (0..50).fold(Value::None, |inner, _| Value::Tuple(vec![inner]));
        assert_eq!(lab.call_method("echo", (nested.clone(),).into_args()).unwrap(), nested);
    });
}

//! `List` and `Dict` from Rust, and what a hostile peer may try with them. What Python sees of them is in `stock`.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use netref::protocol::Limits;
use netref::{Args, Class, Dict, Error, IntoValue, List, Object, Options, Value, function};
use netref_core::request::handlers;

use crate::lab::{both_ends, raised};

fn ints(value: &Value) -> Vec<i64> {
    value.clone().extract().unwrap()
}

#[test]
fn a_list_in_rust() {
    let list = List::new();
    list.push(1);
    list.push("two");
    let same = list.clone();
    same.push(None::<i64>);
    assert_eq!(list.len(), 3);
    assert_eq!(list.get(1), Some(Value::Str("two".to_owned())));
    assert_eq!(list.get(9), None);
    let mut seen = 0;
    for item in list.iter() {
        list.push(item);
        seen += 1;
    }
    assert_eq!((seen, list.len()), (3, 6), "the iterator is a snapshot");
    assert!(list.to_vec::<i64>().is_err());
    list.clear();
    assert!(list.is_empty());
    assert_eq!(List::from(vec![1, 2]).to_vec::<u8>().unwrap(), [1, 2]);
}

#[test]
fn a_dict_in_rust() {
    let dict = Dict::new();
    assert_eq!(dict.insert("a", 1).unwrap(), None);
    assert_eq!(dict.insert("a", 2).unwrap(), Some(Value::Int(1)));
    dict.insert(1, "int").unwrap();
    assert_eq!(dict.get(1.0), Some(Value::Str("int".to_owned())), "equal in Python");
    assert_eq!(raised(dict.insert(List::new(), 1)), "TypeError");
    assert_eq!(raised(dict.insert((1, Dict::new()), 1)), "TypeError");
    assert_eq!(dict.remove("a"), Some(Value::Int(2)));
    assert_eq!(dict.remove("a"), None);
    dict.insert("a", 3).unwrap();
    let keys: Vec<_> = dict.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [Value::Int(1), Value::Str("a".to_owned())], "in the order of insertion");
    assert_eq!(dict.len(), 2);
}

#[test]
fn sorting_is_stable_and_survives_nonsense() {
    let list: List = ["bb", "a", "cc", "d"].into_iter().collect();
    let value = list.clone().into_value();
    let length = function(|text: String| text.len());
    value.call_method("sort", Args::default().named("key", length.clone())).unwrap();
    assert_eq!(list.to_vec::<String>().unwrap(), ["a", "d", "bb", "cc"]);
    value.call_method("sort", Args::default().named("key", length).named("reverse", true)).unwrap();
    assert_eq!(list.to_vec::<String>().unwrap(), ["bb", "cc", "a", "d"]);
    let numbers = List::from(vec![f64::NAN, 2.0, f64::NAN, 1.0]);
    numbers.into_value().call_method("sort", ()).unwrap();
    let mixed: List = [1.into_value(), "x".into_value()].into_iter().collect();
    assert_eq!(raised(mixed.into_value().call_method("sort", ())), "TypeError");
    let wide: List = [u64::MAX.into_value(), (-1).into_value(), 1.5.into_value(), i128::MIN.into_value()]
        .into_iter()
        .collect();
    wide.clone().into_value().call_method("sort", ()).unwrap();
    assert_eq!(
        format!("{wide:?}"),
        "[-170141183460469231731687303715884105728, -1, 1.5, 18446744073709551615]"
    );
}

#[test]
fn a_list_may_change_while_it_is_stepped_through() {
    let list = List::from(vec![1, 2]);
    let mut seen = Vec::new();
    for item in list.clone().into_value().iter().unwrap() {
        let item: i64 = item.unwrap().extract().unwrap();
        seen.push(item);
        if item < 4 {
            list.push(item + 2);
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

#[test]
fn items_that_are_objects_compare_themselves() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let version = |number: u32| lab.call_method("version", (number,)).unwrap();
    let list: List = [version(2), version(1)].into_iter().collect();
    let list = list.into_value();
    assert_eq!(list.call_method("index", (version(1),)).unwrap(), Value::Int(1));
    assert_eq!(list.call_method("__contains__", (version(3),)).unwrap(), Value::Bool(false));
    list.call_method("sort", ()).unwrap();
    assert_eq!(list.call_method("index", (version(1),)).unwrap(), Value::Int(0));
}

#[test]
fn containers_inside_themselves() {
    let list = List::new();
    list.push(&list);
    assert_eq!(format!("{list:?}"), "[[...]]");
    let (left, right) = (List::new(), List::new());
    left.push(&right);
    right.push(&left);
    assert_eq!(raised(left.clone().into_value().call_method("__eq__", (&right,))), "RecursionError");
    assert_eq!(format!("{left:?}"), "[[[...]]]");
    [list, left, right].iter().for_each(List::clear);
    let dict = Dict::new();
    dict.insert("self", &dict).unwrap();
    assert_eq!(format!("{dict:?}"), "{'self': {...}}");
    dict.clear();
}

#[test]
fn very_deep_containers_are_shown_and_dropped() {
    // A stack that a recursive drop of these would overflow many times.
    let thread = thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        let nested = (0..100_000).fold(List::new(), |inner, _| {
            let outer = List::new();
            outer.push(inner);
            outer
        });
        let shown = format!("{nested:?}");
        drop(nested);
        shown.len()
    });
    assert!(thread.unwrap().join().unwrap() < 1000);
}

#[test]
fn a_peer_cannot_fill_the_memory_with_one_call() {
    let list = List::from(vec![1, 2]).into_value();
    assert_eq!(raised(list.call_method("__mul__", (i64::MAX,))), "MemoryError");
    assert_eq!(raised(list.call_method("__imul__", (u64::MAX,))), "IndexError");
    assert!(ints(&list.call_method("__mul__", (-1,)).unwrap()).is_empty());
    assert_eq!(ints(&list.call_method("__mul__", (2,)).unwrap()), [1, 2, 1, 2]);
}

/// A list and a dict of which there is more than memory, and whose class has many methods.
struct Endless;

impl Object for Endless {
    fn class(&self) -> Arc<Class> {
        let names: Vec<_> = (0..200).map(|number| format!("method{number}")).collect();
        let names = names.iter().map(String::as_str).chain(["__iter__", "__getitem__", "few", "lists"]);
        Class::new("Endless").methods(&names.collect::<Vec<_>>()).into()
    }

    fn call_method(&self, name: &str, _args: Args) -> netref::Result<Value> {
        Ok(match name {
            "__iter__" => netref::iterator(0..200_000).into_value(),
            "__getitem__" => "x".repeat(10_000).into_value(),
            "few" => netref::iterator(0..10_000).into_value(),
            "lists" => netref::iterator((0..200).map(|_| netref::iterator(0..5000))).into_value(),
            _ => return Err(Error::no_attribute("Endless", name)),
        })
    }
}

#[test]
fn a_peer_cannot_fill_the_memory_with_items_without_end() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = Options::new().service(Arc::new(Endless)).over_socket(theirs.into(), false).unwrap();
    let mut limits = Limits::default();
    (limits.max_decoded, limits.max_methods) = (1 << 20, 100);
    let conn = Options::new().limits(limits).over_socket(ours.into(), true).unwrap();
    thread::spawn(move || theirs.serve_all());
    let root = conn.root().unwrap();
    let endless = Value::Remote(root.clone());
    let text = endless.clone().extract::<Vec<i64>>().map(|items| items.len()).unwrap_err().to_string();
    assert!(text.contains("limit max_decoded"), "{text}");
    let dict = endless.clone().extract::<HashMap<i64, String>>();
    assert_eq!(raised(dict.map(|items| items.len())), "MemoryError");
    assert_eq!(raised(List::new().into_value().call_method("extend", (endless.clone(),))), "MemoryError");
    // Lists in a list share what there is.
    let lists = root.call_method("lists", ()).unwrap();
    assert_eq!(raised(lists.extract::<Vec<Vec<i64>>>().map(|lists| lists.len())), "MemoryError");
    // The next conversion has all of it again.
    for _ in 0..5 {
        assert_eq!(ints(&root.call_method("few", ()).unwrap()).len(), 10_000);
    }
    let text = root.methods().unwrap_err().to_string();
    assert!(text.contains("limit max_methods"), "{text}");
}

#[test]
fn slices_are_assigned_and_deleted() {
    let slice = |start: Option<i64>, stop: Option<i64>, step: Option<i64>| {
        Value::Slice(Box::new([start, stop, step].map(IntoValue::into_value)))
    };
    let list: List = (0..6).collect();
    let value = list.clone().into_value();
    value.call_method("__setitem__", (slice(Some(1), Some(3), None), [7])).unwrap();
    assert_eq!(ints(&value), [0, 7, 3, 4, 5]);
    value.call_method("__setitem__", (slice(None, None, Some(-2)), [1, 2, 3])).unwrap();
    assert_eq!(ints(&value), [3, 7, 2, 4, 1]);
    assert_eq!(raised(value.call_method("__setitem__", (slice(None, None, Some(2)), [1]))), "ValueError");
    value.call_method("__setitem__", (slice(Some(9), None, None), (8, 9))).unwrap();
    value.call_method("__delitem__", (slice(None, None, Some(3)),)).unwrap();
    assert_eq!(ints(&value), [7, 2, 1, 8]);
    assert_eq!(raised(value.call_method("__getitem__", (slice(None, None, Some(0)),))), "ValueError");
}

/// What a Python peer asks for where a program goes through a list or a dict of ours.
#[test]
fn a_peer_may_read_ahead_of_an_iterator() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let ahead = |container: &Value, iterator: &Value, numbers: (i64, i64, i64)| {
        let args = [container.clone(), iterator.clone(), numbers.into_value()];
        conn.raw_request(handlers::AHEAD.into(), &args).unwrap()
    };
    let seen = |is_all: bool, is_sole: bool, items: Vec<Value>| (is_all, is_sole, items).into_value();
    let all = [3, 1, 2].map(Value::Int).to_vec();

    // Nobody but the peer has the list: only what the peer asks for can change it.
    let list = lab.call_method("list", ()).unwrap();
    let items = list.call_method("__iter__", ()).unwrap();
    assert_eq!(ahead(&list, &items, (0, 0, 2)), seen(false, true, all[..2].to_vec()));
    assert_eq!(ahead(&list, &items, (1, 0, 2)), seen(true, true, all[1..].to_vec()));
    assert_eq!(items.call_method("__next__", ()).unwrap(), all[0], "it was not moved");
    assert_eq!(ahead(&list, &items, (1, 0, 2)), Value::None, "one was taken");
    assert_eq!(ahead(&list, &items, (3, 1, 2)), seen(true, true, vec![]));
    assert_eq!(ahead(&list, &items, (4, 1, 2)), Value::None, "there are three");
    let other = lab.call_method("list", ()).unwrap();
    assert_eq!(ahead(&other, &items, (1, 1, 2)), Value::None, "an iterator of another list");
    let backwards = list.call_method("__reversed__", ()).unwrap();
    assert_eq!(ahead(&list, &backwards, (0, 0, 2)), Value::None);

    // From here on the service has it too.
    lab.call_method("keep", (list.clone(),)).unwrap();
    assert_eq!(ahead(&list, &items, (1, 1, 9)), seen(true, false, all[1..].to_vec()));

    let dict = lab.call_method("dict", ()).unwrap();
    let keys = dict.call_method("__iter__", ()).unwrap();
    assert_eq!(ahead(&dict, &keys, (1, 0, 9)), seen(true, true, vec!["two".into_value()]));
    dict.call_method("__setitem__", ("three", 3)).unwrap();
    assert_eq!(ahead(&dict, &keys, (1, 0, 9)), Value::None, "it has changed its size");
}

//! Identity of references, when they are given back, and references passed on to a third party.

use std::collections::HashSet;
use std::sync::Arc;

use netref::{Args, Class, Comparison, List, Object, Remote, Value, function};

use crate::lab::{both_ends, both_ends_and_lab, eventually, raised, serve_lab};

#[test]
fn a_reference_passed_back_is_the_object_itself() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let list = List::new();
    let home: List = lab.call_method("echo", (&list,)).unwrap().extract().unwrap();
    home.push(1);
    assert_eq!(list.len(), 1);
    let theirs = lab.call_method("list", ()).unwrap();
    assert_eq!(lab.call_method("echo", (theirs.clone(),)).unwrap(), theirs);
    assert_eq!(lab.call_method("echo", (&lab,)).unwrap(), Value::Remote(lab));
}

#[test]
fn the_server_sees_one_object_however_often_it_gets_it() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let list = List::new();
    lab.call_method("keep", (&list,)).unwrap();
    let same: bool = lab.call_method("is_kept", (&list,)).unwrap().extract().unwrap();
    assert!(same);
    let other: bool = lab.call_method("is_kept", (List::new(),)).unwrap().extract().unwrap();
    assert!(!other);
}

#[test]
fn dropping_the_last_clone_releases_the_object() {
    let (conn, server) = both_ends();
    let lab = conn.root().unwrap();
    let list: Remote = lab.call_method("list", ()).unwrap().extract().unwrap();
    let again: Remote = lab.call_method("echo", (&list,)).unwrap().extract().unwrap();
    assert_eq!(server.stats().objects_lent, 2, "the root and the list");
    assert!(HashSet::from([list.clone()]).contains(&again));
    drop(list);
    conn.ping().unwrap();
    assert_eq!(again.len().unwrap(), 3);
    drop(again);
    eventually(&conn, "the list is given back", || server.stats().objects_lent == 1);
    drop(lab);
    conn.ping().unwrap();
}

#[test]
fn a_callback_is_released_when_the_server_forgets_it() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let token = Arc::new(());
    let holds = token.clone();
    lab.call_method("keep", (function(move || Arc::strong_count(&holds) as i64),)).unwrap();
    assert_eq!(conn.stats().objects_lent, 1);
    assert_eq!(Arc::strong_count(&token), 2);
    lab.call_method("forget", ()).unwrap();
    eventually(&conn, "the function is dropped", || Arc::strong_count(&token) == 1);
    assert_eq!(conn.stats().objects_lent, 0);
}

#[test]
fn what_a_call_lends_is_given_back_when_it_is_over() {
    let (conn, server) = both_ends();
    let lab = conn.root().unwrap();
    for n in 0..100 {
        let result = lab.call_method("call", (function(move || n),)).unwrap();
        assert_eq!(result, Value::Int(n));
        let list = lab.call_method("list", ()).unwrap();
        assert_eq!(list.iter().unwrap().count(), 3);
    }
    eventually(&conn, "all is given back", || {
        conn.stats().objects_lent == 0 && server.stats().objects_lent == 1
    });
}

#[test]
fn a_reference_outlives_the_connection_handle() {
    let running = serve_lab();
    let lab = running.connect().root().unwrap();
    assert_eq!(lab.call_method("add", (1, 2)).unwrap(), Value::Int(3));
}

#[test]
fn a_reference_of_one_connection_works_over_another() {
    let (first, first_server) = both_ends();
    let (second, _second_server) = both_ends();
    let list: Remote = first.root().unwrap().call_method("list", ()).unwrap().extract().unwrap();
    let second_lab = second.root().unwrap();
    // There and back it is still the reference that it was.
    assert_eq!(second_lab.call_method("echo", (&list,)).unwrap(), Value::Remote(list.clone()));
    let add = first.root().unwrap().get_attr("add").unwrap();
    assert_eq!(second_lab.call_method("call", (add.clone(), 40, 2)).unwrap(), Value::Int(42));
    let fails = first.root().unwrap().get_attr("raise").unwrap();
    assert_eq!(raised(second_lab.call_method("call", (fails, "LookupError", "far away"))), "LookupError");
    second_lab.call_method("keep", (&list,)).unwrap();
    let kept: Vec<Value> = second_lab.call_method("kept", ()).unwrap().extract().unwrap();
    assert_eq!(kept, [Value::Remote(list.clone())]);
    drop((add, kept));
    second_lab.call_method("forget", ()).unwrap();
    eventually(&second, "the chained reference is given back", || second.stats().objects_lent == 0);
    drop(list);
    eventually(&first, "the list is given back", || first_server.stats().objects_lent <= 1);
}

#[test]
fn a_third_partys_object_is_used_through_this_process() {
    let (first, _first_server) = both_ends();
    let (second, _second_server, second_lab) = both_ends_and_lab();
    let list: Remote = first.root().unwrap().call_method("list", ()).unwrap().extract().unwrap();
    second.root().unwrap().call_method("keep", (&list,)).unwrap();
    // What the second server holds is a list of the first's.
    let far: Remote = second_lab.kept.lock().unwrap()[0].clone().extract().unwrap();
    assert_eq!(far.class_name(), "builtins.list");
    far.call_method("append", ("far",)).unwrap();
    assert_eq!(list.repr().unwrap(), "[3, 1, 2, 'far']");
    assert_eq!(far.repr().unwrap(), list.repr().unwrap());
    assert_eq!(far.iter().unwrap().count(), 4);
    assert_eq!(far.iter().unwrap().prefetched().count(), 4);
    assert_eq!(far.get_item(0).unwrap(), Value::Int(3));
    assert_eq!(raised(far.get_item(9)), "IndexError");
    assert_eq!(raised(far.hash()), "TypeError");
    assert!(far.compare(Comparison::Lt, List::from(vec![4])).unwrap());
    assert!(far.methods().unwrap().iter().any(|(name, _)| name == "append"));
}

/// Each made a class of its own, which the peer had to learn and both sides kept for as long as the connection.
#[test]
fn objects_that_describe_themselves_anew_each_time_are_of_one_class() {
    struct Dice;
    impl Object for Dice {
        fn class(&self) -> Arc<Class> {
            Class::new("games.Dice").method("roll", "Rolls the dice.").into()
        }

        fn call_method(&self, _name: &str, _args: Args) -> netref::Result<Value> {
            Ok(Value::Int(4))
        }
    }
    let (conn, _server, lab) = both_ends_and_lab();
    for _ in 0..2 {
        conn.root().unwrap().call_method("keep", (Arc::new(Dice),)).unwrap();
    }
    let kept = lab.kept.lock().unwrap().clone();
    let [one, other]: [Remote; 2] =
        kept.try_into().map(|kept: [Value; 2]| kept.map(|dice| dice.extract().unwrap())).unwrap();
    assert_ne!(one, other);
    assert_eq!(one.id_pack().class, other.id_pack().class);
}

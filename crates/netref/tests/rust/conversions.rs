//! Rust's types to values and back, over the wire.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use netref::{BigInt, Bytes, Error, FromValue, IntoValue, Options, Remote, Value};

use crate::lab::{Lab, both_ends, serve_lab};

#[test]
fn what_goes_there_comes_back() {
    let running = serve_lab();
    let conn = running.connect();
    let lab = conn.root().unwrap();
    fn check<T: IntoValue + FromValue + PartialEq + Clone + std::fmt::Debug>(lab: &Remote, values: &[T]) {
        for value in values {
            let echoed: T = lab.call_method("echo", (value.clone(),)).unwrap().extract().unwrap();
            assert_eq!(echoed, *value);
        }
    }
    check(&lab, &[true, false]);
    check(&lab, &[0, 1, -1, 255, 256, i64::from(i32::MIN), i64::MIN, i64::MAX]);
    check(&lab, &[0, u64::MAX, 1 << 63]);
    check(&lab, &[i128::MIN, i128::MAX, i128::from(i64::MAX) + 1]);
    check(&lab, &[u128::MAX]);
    check(
        &lab,
        &["0", "-9223372036854775809", &"9".repeat(1000), &format!("-1{}", "0".repeat(999))]
            .map(|text| text.parse::<BigInt>().unwrap()),
    );
    check(&lab, &[0.0, -1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY]);
    check(&lab, &[(1.0, -2.0), (0.0, 0.0)].map(|(real, imag)| Value::Complex(real, imag)));
    check(&lab, &["", "Simple\n", "h\u{e9}llo \u{1f600}\0"].map(str::to_owned));
    check(&lab, &['x', '\u{1f600}']);
    check(&lab, &[Bytes::new(), (0..=255).collect()]);
    check(&lab, &[()]);
    check(&lab, &[None, Some(5)]);
    check(&lab, &[vec![], vec![1, 2, 3]]);
    check(&lab, &[[1, 2, 3]]);
    check(&lab, &[(1, "two".to_owned(), Some(3.0))]);
    check(&lab, &[Value::Ellipsis, Value::NotImplemented, Value::FrozenSet(vec![Value::Int(1)])]);
    check(&lab, &[Value::Slice(Box::new([Value::Int(1), Value::None, Value::Int(-1)]))]);
}

#[test]
fn a_list_of_numbers_becomes_bytes_only_on_request() {
    assert_eq!(vec![1u8, 2].into_value(), Value::Tuple(vec![Value::Int(1), Value::Int(2)]));
    assert_eq!(Bytes::from(vec![1, 2]).into_value().extract::<Vec<u8>>().unwrap(), [1, 2]);
}

#[test]
fn numbers_convert_as_python_widens_them() {
    assert_eq!(Value::Int(2).extract::<f64>().unwrap(), 2.0);
    assert_eq!((1u128 << 100).into_value().extract::<f64>().unwrap(), (1u128 << 100) as f64);
    assert!(matches!(Value::Float(2.0).extract::<i64>(), Err(Error::Conversion { .. })));
    assert!(matches!(Value::Bool(true).extract::<i64>(), Err(Error::Conversion { .. })));
    assert_eq!(Value::Complex(1.0, 2.0).extract::<(f64, f64)>().unwrap(), (1.0, 2.0));
    assert!(matches!(Value::Complex(1.0, 2.0).extract::<(f64,)>(), Err(Error::Conversion { .. })));
}

/// Like one of numpy's, which cross by reference: programs pass them, and get them from `array.mean()`, without knowing.
struct Scalar;

#[netref::object(name = "numpy.int64")]
impl Scalar {
    #[netref(name = "__index__")]
    fn index(&self) -> i64 {
        5
    }

    #[netref(name = "__float__")]
    fn float(&self) -> f64 {
        5.0
    }
}

#[test]
fn a_number_of_the_peers_is_asked_what_it_is_worth() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let theirs = Options::new().service(Arc::new(Scalar)).over_socket(theirs.into(), false).unwrap();
    let conn = Options::new().over_socket(ours.into(), true).unwrap();
    let served = theirs.clone();
    std::thread::spawn(move || served.serve_all());
    let scalar = Value::Remote(conn.root().unwrap());
    assert_eq!(scalar.clone().extract::<f64>().unwrap(), 5.0);
    assert_eq!(scalar.clone().extract::<Option<u8>>().unwrap(), Some(5));
    assert_eq!(scalar.clone().extract::<BigInt>().unwrap().to_string(), "5");
    assert!(
        matches!(scalar.extract::<String>(), Err(Error::Conversion { found, .. }) if found == "remote numpy.int64")
    );
    let (conn, _server) = both_ends();
    let no_number = Value::Remote(conn.root().unwrap()).extract::<f64>();
    assert!(matches!(no_number, Err(Error::Conversion { expected, .. }) if expected == "a float"));
}

#[test]
fn errors_name_both_types() {
    fn names<T: FromValue>(value: Value) -> (String, String) {
        match value.extract::<T>().err() {
            Some(Error::Conversion { expected, found }) => (expected, found),
            other => panic!("{other:?}"),
        }
    }
    let named = |expected: &str, found: &str| (expected.to_owned(), found.to_owned());
    assert_eq!(names::<String>(Value::Int(1)), named("a str", "int"));
    assert_eq!(names::<u8>(Value::Int(256)), named("an int that fits u8", "256"));
    assert_eq!(names::<u64>(Value::Int(-1)), named("an int that fits u64", "-1"));
    assert_eq!(names::<i64>(u64::MAX.into_value()), named("an int that fits i64", "18446744073709551615"));
    assert_eq!(names::<(i64, i64)>(Value::Tuple(vec![Value::Int(1)])), named("a tuple of 2", "a tuple of 1"));
    assert_eq!(names::<[i64; 2]>(Value::Tuple(vec![Value::Int(1)])), named("2 items", "1"));
    assert_eq!(names::<Arc<Lab>>(Value::Int(1)), named(std::any::type_name::<Lab>(), "int"));
    assert_eq!(names::<char>("ab".into_value()), named("a str of one character", "\"ab\""));
    assert_eq!(names::<Remote>(Value::None), named("a remote object", "NoneType"));
    assert_eq!(names::<Vec<i64>>(Value::Int(1)).1, "int");
    let (conn, _server) = both_ends();
    let list = conn.root().unwrap().call_method("list", ()).unwrap();
    assert_eq!(names::<i64>(list), named("an int", "remote builtins.list"));
    let method_of_data = Value::Int(1).call_method("bit_length", ());
    assert!(matches!(method_of_data, Err(Error::Conversion { found, .. }) if found == "int"));
}

#[test]
fn remote_containers_are_fetched_on_request() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let list: Vec<i64> = lab.call_method("list", ()).unwrap().extract().unwrap();
    assert_eq!(list, [3, 1, 2]);
    let dict: HashMap<String, i64> = lab.call_method("dict", ()).unwrap().extract().unwrap();
    assert_eq!(dict, HashMap::from([("one".to_owned(), 1), ("two".to_owned(), 2)]));
    let wrong = lab.call_method("list", ()).unwrap().extract::<Vec<String>>();
    assert!(matches!(wrong, Err(Error::Conversion { .. })));
    // A list has items that could be asked for, but no keys.
    let no_map = lab.call_method("list", ()).unwrap().extract::<BTreeMap<i64, i64>>();
    assert_eq!(
        no_map.unwrap_err().to_string(),
        "expected a dict or a remote mapping, got remote builtins.list"
    );
}

#[test]
fn maps_cross_as_dicts() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let map = BTreeMap::from([(1, "one".to_owned()), (2, "two".to_owned())]);
    let home: BTreeMap<i64, String> = lab.call_method("echo", (map.clone(),)).unwrap().extract().unwrap();
    assert_eq!(home, map);
}

#[test]
fn objects_come_home_as_their_own_type() {
    let (conn, _server) = both_ends();
    let lab = Arc::new(Lab::default());
    let home = conn.root().unwrap().call_method("echo", (lab.clone(),)).unwrap();
    assert!(Arc::ptr_eq(&home.clone().extract::<Arc<Lab>>().unwrap(), &lab));
    assert!(matches!(home.extract::<netref::List>(), Err(Error::Conversion { .. })));
}

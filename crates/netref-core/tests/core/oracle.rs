//! Brine against stock RPyC: the same bytes for the same value, both ways.

use std::cell::RefCell;
use std::fmt::Write;

use netref_core::Limits;
use proptest::test_runner::TestRunner;

use crate::brine::{cases, dump, load, plain};
use crate::python::Oracle;
use crate::value::Value;

#[test]
fn stock_reads_and_writes_the_same_bytes() {
    let oracle = RefCell::new(Oracle::start());
    let outcome = TestRunner::new(cases(2000)).run(&plain(), |value| {
        let ours = dump(&value);
        let answer = oracle.borrow_mut().ask(&format!("brine {} {}", hex(&ours), python(&value)));
        let theirs = answer.strip_prefix("= ").map(unhex).unwrap_or_else(|| panic!("{value:?}: {answer}"));
        let back = load(&theirs, &Limits::compat()).unwrap();
        // The order of a set is Python's own affair.
        assert_eq!(in_order(back), in_order(value.clone()));
        assert!(has_set(&value) || theirs == ours, "{value:?}: stock writes {answer}");
        Ok(())
    });
    outcome.unwrap();
}

/// The value as a Python expression, in terms of the names that `oracle.py` defines.
fn python(value: &Value) -> String {
    let bits = |number: f64| format!("{:016x}", number.to_bits());
    let list = |items: &[Value]| items.iter().map(|item| python(item) + ",").collect::<String>();
    match value {
        Value::None => "None".to_owned(),
        Value::NotImplemented => "NotImplemented".to_owned(),
        Value::Ellipsis => "...".to_owned(),
        Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Big(text) => text.clone(),
        Value::Float(value) => format!("F('{}')", bits(*value)),
        Value::Complex(real, imag) => format!("C('{}{}')", bits(*real), bits(*imag)),
        Value::Bytes(value) => format!("B('{}')", hex(value)),
        Value::Str(value) => format!("S('{}')", hex(value.as_bytes())),
        Value::Tuple(items) => format!("({})", list(items)),
        Value::Frozenset(items) => format!("frozenset(({}))", list(items)),
        Value::Slice(parts) => format!("slice({})", list(&parts[..])),
        Value::Thing(_) | Value::Proxy(_) | Value::Unsendable => unreachable!("not plain data"),
    }
}

fn has_set(value: &Value) -> bool {
    match value {
        Value::Frozenset(items) => items.len() > 1 || items.iter().any(has_set),
        Value::Tuple(items) => items.iter().any(has_set),
        Value::Slice(parts) => parts.iter().any(has_set),
        _ => false,
    }
}

/// The value with the items of every set in one order.
fn in_order(value: Value) -> Value {
    match value {
        Value::Tuple(items) => Value::Tuple(items.into_iter().map(in_order).collect()),
        Value::Frozenset(items) => {
            let mut items: Vec<_> = items.into_iter().map(in_order).collect();
            items.sort_by_key(dump);
            Value::Frozenset(items)
        }
        Value::Slice(parts) => Value::Slice(Box::new(parts.map(in_order))),
        scalar => scalar,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii() && text.len().is_multiple_of(2), "not hex: {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

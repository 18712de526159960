//! The attribute policy against stock RPyC's: every rule with every name, on objects that have it or have it not.

use std::collections::BTreeSet;
use std::convert::Infallible;

use netref_core::policy::{Access, Rules, SAFE_ATTRIBUTES, is_safe_by_default};

use crate::python::Oracle;

/// The one name that stock calls safe and we do not.
const NOT_SAFE: &str = "__new__";

const NAMES: [&str; 13] = [
    "plain",
    "_private",
    "__eq__",
    "__class__",
    "__getattribute__",
    "__reduce_ex__",
    NOT_SAFE,
    "next",
    "exposed_plain",
    "exposed_",
    "exposed_exposed_plain",
    "_exposed_plain",
    "x",
];
const PREFIXES: [&str; 4] = ["exposed_", "", "x", "_"];

#[test]
fn the_safe_names_are_stocks_without_one() {
    let theirs = Oracle::start().ask("safe");
    let theirs: BTreeSet<&str> = theirs.split(' ').collect();
    let mut ours: BTreeSet<&str> = SAFE_ATTRIBUTES.iter().copied().collect();
    assert!(
        SAFE_ATTRIBUTES.is_sorted_by(|a, b| a < b),
        "they are looked up as a sorted list, with no name there twice"
    );
    assert!(ours.insert(NOT_SAFE), "{NOT_SAFE} is not safe");
    assert_eq!(ours, theirs);
}

#[test]
fn every_rule_decides_as_stocks_does() {
    let mut oracle = Oracle::start();
    for prefix in PREFIXES {
        for switches in 0..32 {
            for access in [Access::Get, Access::Set, Access::Delete] {
                for name in NAMES {
                    for attributes in 0..4 {
                        check(&mut oracle, &rules(switches, access, prefix), access, name, attributes);
                    }
                }
            }
        }
    }
}

/// The rules that the bits of `switches` stand for; the lowest permits `access` itself, and no other.
fn rules(switches: u8, access: Access, prefix: &str) -> Rules<'_> {
    let on = |bit: u8| switches & (1 << bit) != 0;
    Rules {
        get: on(0) && access == Access::Get,
        set: on(0) && access == Access::Set,
        delete: on(0) && access == Access::Delete,
        safe: on(1),
        exposed: on(2),
        public: on(3),
        dangerous_all: on(4),
        prefix: prefix.into(),
    }
}

fn check(oracle: &mut Oracle, rules: &Rules<'_>, access: Access, name: &str, attributes: u8) {
    let allowed = rules.get || rules.set || rules.delete;
    let question = format!(
        "resolve {} {} {}{}{}{} :{} :{name} {} {}",
        access as u8,
        u8::from(allowed),
        u8::from(rules.safe),
        u8::from(rules.exposed),
        u8::from(rules.public),
        u8::from(rules.dangerous_all),
        rules.prefix,
        attributes & 1,
        attributes >> 1,
    );
    let answer = oracle.ask(&question);
    let stock = answer.get(3..).filter(|_| answer.as_bytes()[2] == b'=');
    assert!(stock.is_some() || answer.ends_with('-'), "{question}: {answer}");
    // What the object has is known to Python alone: every object has `__eq__`.
    let (has_plain, has_exposed) = (answer.starts_with('1'), answer[1..].starts_with('1'));
    let exposed = format!("{}{name}", rules.prefix);
    let reached = |safe: &dyn Fn(&str) -> bool| {
        let found = rules.resolve(
            access,
            name,
            safe,
            name,
            || Ok::<_, Infallible>(has_exposed.then_some(exposed.as_str())),
            || Ok(has_plain),
        );
        found.unwrap()
    };
    let ours = is_safe_by_default;
    let stocks = |name: &str| ours(name) || name == NOT_SAFE;
    assert_eq!(reached(&stocks), stock, "{question}: {rules:?}");
    if name != NOT_SAFE {
        assert_eq!(reached(&ours), stock, "{question}: {rules:?}");
    } else if !(rules.dangerous_all || rules.exposed) {
        assert_eq!(reached(&ours), None, "nothing else allows {NOT_SAFE}");
    }
}

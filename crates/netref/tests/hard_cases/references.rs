//! Whatever happens to objects, references and calls, in the end neither side lends anything, and everything is dropped.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netref::{Error, IntoValue, List, Result, Value, function, with_timeout};

use crate::stage::{Stage, each_pairing};

/// For each pairing of drivers. `NETREF_SEED` runs one alone.
const SEEDS: u64 = 10;
const THREADS: u64 = 4;
const STEPS: u32 = 300;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn tables_are_empty_after_any_mix() {
    let replay = std::env::var("NETREF_SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in replay.map_or(0..SEEDS, |seed| seed..seed + 1) {
        each_pairing(|stage| {
            println!("NETREF_SEED={seed} runs this alone");
            let (kept, token) = (List::new().into_value(), Arc::new(()));
            thread::scope(|scope| {
                for number in 0..THREADS {
                    let user = User {
                        stage,
                        random: Random(seed * THREADS + number),
                        kept: kept.clone(),
                        token: token.clone(),
                        held: Vec::new(),
                    };
                    scope.spawn(|| user.run());
                }
            });
            for method in ["forget", "drop_numbered"] {
                stage.root.call_method(method, ()).unwrap();
            }
            stage.await_baseline();
            stage.eventually("all functions are dropped", || Arc::strong_count(&token) == 1);
        });
    }
}

struct User<'s> {
    stage: &'s Stage,
    random: Random,
    /// Sent by all users over and over, while the other side gives it back.
    kept: Value,
    /// Part of every function that is lent.
    token: Arc<()>,
    held: Vec<Value>,
}

impl User<'_> {
    fn run(mut self) {
        for _ in 0..STEPS {
            self.step();
        }
    }

    fn step(&mut self) {
        let root = &self.stage.root;
        let fresh = || List::from(vec![1]).into_value();
        match self.random.below(15) {
            0 | 1 if !self.held.is_empty() => {
                let index = self.random.below(self.held.len() as u64);
                self.held.swap_remove(index as usize);
            }
            2 => {
                let numbered = root.call_method("numbered", (7,)).unwrap();
                assert_eq!(numbered.get_attr("number").unwrap(), Value::Int(7));
                self.held.push(numbered);
            }
            3 => self.held.push(root.call_method("same_numbered", ()).unwrap()),
            4 => {
                let objects: Vec<Value> = root.call_method("objects", (8,)).unwrap().extract().unwrap();
                self.held.extend(objects.into_iter().step_by(3));
            }
            5 => assert!(root.call_method("echo", (self.kept.clone(),)).unwrap() == self.kept),
            6 => {
                let list = fresh();
                assert!(root.call_method("echo", (list.clone(),)).unwrap() == list);
            }
            7 => drop(root.call_method("keep", (fresh(),)).unwrap()),
            8 => drop(root.call_method("forget", ()).unwrap()),
            9 => {
                // The result is an object of this side, and what the function is given one of the other.
                let token = self.token.clone();
                let makes = function(move |_: Value| (Arc::strong_count(&token) as u64, List::new()));
                let argument = self.held.last().cloned().unwrap_or_else(fresh);
                root.call_method("call", (makes, argument)).unwrap();
            }
            10 => {
                let token = self.token.clone();
                let fails = function(move |_: Value| -> Result<()> {
                    Err(Error::raise("ValueError", Arc::strong_count(&token).to_string()))
                });
                root.call_method("call", (fails, fresh())).unwrap_err();
            }
            11 => drop(root.call_method("unencodable", ("deep behind an object",)).unwrap_err()),
            12 => {
                let deep = (0..1000).fold(Value::None, |inner, _| Value::Tuple(vec![inner]));
                root.call_method("echo", ((fresh(), self.kept.clone(), deep),)).unwrap_err();
            }
            13 => drop(root.call_method("missing", (fresh(), self.kept.clone())).unwrap_err()),
            _ => {
                // In time or not.
                let limit = Duration::from_micros(self.random.below(300));
                let method = ["numbered", "objects", "echo"][self.random.below(3) as usize];
                let argument =
                    if method == "echo" { (fresh(), self.kept.clone()).into_value() } else { 3.into_value() };
                match with_timeout(Some(limit), || root.call_method(method, (argument,))) {
                    Ok(value) => self.held.push(value),
                    Err(error) => assert!(matches!(error, Error::TimedOut { .. }), "{error}"),
                }
            }
        }
    }
}

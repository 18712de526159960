#![allow(unused)]

#[netref::object]
struct Counter;

#[netref::object]
impl Clone for Counter {
    fn clone(&self) -> Self {
        Counter
    }
}

#[netref::object]
impl [Counter; 2] {}

fn main() {}

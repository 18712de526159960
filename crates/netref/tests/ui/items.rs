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

struct Reader<'a>(&'a str);

#[netref::object]
impl Reader<'_> {
    fn read(&self) -> &str {
        self.0
    }
}

fn main() {}

#![allow(unused)]

struct Counter;

#[netref::object]
impl Counter {
    #[netref(hidden)]
    fn first(&self) {}

    #[netref(skip, name = "two")]
    fn second(&self) {}
}

struct Other;

#[netref::object(lifecycle)]
impl Other {}

struct Third;

#[netref::service(title = "x")]
impl Third {}

fn main() {}

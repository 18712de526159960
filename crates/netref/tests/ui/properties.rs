#![allow(unused)]

struct Counter;

#[netref::object]
impl Counter {
    #[netref(get)]
    fn value(&self, at: i64) -> i64 {
        at
    }

    #[netref(set)]
    fn set_limit(&self) {}

    #[netref(name = "__repr__")]
    fn show(&self, width: i64) -> String {
        String::new()
    }

    #[netref(name = "show")]
    fn first(&self) {}

    #[netref(name = "show")]
    fn second(&self) {}
}

fn main() {}

#![allow(unused)]

struct Counter;

#[netref::service]
impl Counter {
    #[netref(get)]
    async fn wait(&self) -> i64 {
        1
    }

    unsafe fn poke(&self) {}

    fn convert<T>(&self, value: T) {}

    fn sum<const N: usize>(&self, values: [i64; N]) {}

    fn add(&self, (a, b): (i64, i64)) {}

    fn fill(&self, numbers: &mut Vec<i64>) {}

    fn show(&self, value: impl ToString) {}

    fn early(&self, args: netref::Args, last: i64) {}

    fn same(&self, value: i64, _value: i64) {}
}

fn main() {}

use netref::Args;

struct Counter;

#[netref::service]
impl Counter {
    async fn wait(&self) {}

    unsafe fn poke(&self) {}

    fn convert<T>(&self, value: T) {}

    fn add(&self, (a, b): (i64, i64)) {}

    fn fill(&self, numbers: &mut Vec<i64>) {}

    fn show(&self, value: impl ToString) {}

    fn early(&self, args: Args, last: i64) {}
}

fn main() {}

#![allow(unused)]

struct Counter(u32);

#[netref::object]
impl Counter {
    fn step(&mut self) {
        self.0 += 1;
    }

    fn finish(self) -> u32 {
        self.0
    }

    fn shared(self: std::sync::Arc<Self>) {}

    #[netref(get)]
    fn limit() -> u32 {
        1
    }
}

fn main() {}

struct Volts(f64);

struct Meter;

#[netref::object]
impl Meter {
    fn read(&self) -> Volts {
        Volts(1.0)
    }

    fn calibrate(&self, at: Volts) {
        drop(at);
    }
}

fn main() {}

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/deframe.rs"]
mod deframe;

fuzz_target!(|input: &[u8]| deframe::run(input));

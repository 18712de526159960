#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/exception_load.rs"]
mod exception_load;

fuzz_target!(|input: &[u8]| exception_load::run(input));

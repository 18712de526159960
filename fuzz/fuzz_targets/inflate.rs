#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/inflate.rs"]
mod inflate;

fuzz_target!(|input: &[u8]| inflate::run(input));

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/brine_decode.rs"]
mod brine_decode;

fuzz_target!(|input: &[u8]| brine_decode::run(input));

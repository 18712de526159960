#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/brine_roundtrip.rs"]
mod brine_roundtrip;

fuzz_target!(|input: &[u8]| brine_roundtrip::run(input));

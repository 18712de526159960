#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/registry.rs"]
mod registry;

fuzz_target!(|input: &[u8]| registry::run(input));

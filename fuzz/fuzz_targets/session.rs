#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/session.rs"]
mod session;

fuzz_target!(|input: &[u8]| session::run(input));

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../targets/message.rs"]
mod message;

fuzz_target!(|input: &[u8]| message::run(input));

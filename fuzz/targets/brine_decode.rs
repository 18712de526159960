//! Any bytes are read or refused, skipping agrees with reading, and what was read is written and read again the same.

use netref_core::brine::{Reader, Writer, read, skip};
use netref_core::session::Options;
use netref_core::{Limits, World};

use value::{Side, Value};

#[allow(dead_code, reason = "shared with the tests of the core; each target needs a part of it")]
#[path = "../../crates/netref-core/tests/core/value.rs"]
mod value;

/// Runs the target on one input; a panic is a finding.
pub fn run(input: &[u8]) {
    let world = Side::new(Options::default());
    let limits = Limits::strict();
    let mut reader = Reader::new(input, &limits);
    let value = read(&world, &mut reader);
    let mut skipping = Reader::new(input, &limits);
    assert_eq!(skip(&mut skipping).err().map(value::WorldError::Decode), value.clone().err());
    let Ok(value) = value else { return };
    assert_eq!(reader.position(), skipping.position());
    let bytes = write(&world, &value);
    assert!(bytes.len() <= reader.position(), "the shortest form is the one written");
    let again = read(&world, &mut Reader::new(&bytes, &limits)).expect("what was written can be read");
    assert_eq!(again, value);
    assert_eq!(write(&world, &again), bytes);
}

fn write(world: &Side, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let plain = world.write(value, &mut Writer::new(&mut bytes, &Limits::strict()));
    assert_eq!(plain, Ok(true), "what was read is plain data within the limits");
    bytes
}

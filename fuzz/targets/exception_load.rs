//! Any bytes are an exception within the limits, or refused; what was read is written and read again equal.

use netref_core::Limits;
use netref_core::brine::{Reader, Writer};
use netref_core::exception::ExceptionData;
use netref_core::session::Options;

use value::{Side, Value};

#[allow(dead_code, reason = "shared with the tests of the core; each target needs a part of it")]
#[path = "../../crates/netref-core/tests/core/value.rs"]
mod value;

/// Runs the target on one input; a panic is a finding.
pub fn run(input: &[u8]) {
    let world = Side::new(Options::default());
    let mut limits = Limits::strict();
    (limits.max_traceback, limits.max_exception_attributes) = (50, 3);
    let read = |bytes: &[u8]| -> Option<ExceptionData<Value>> {
        ExceptionData::read(&world, &mut Reader::new(bytes, &limits), &limits).ok()
    };
    let Some(exception) = read(input) else { return };
    assert!(exception.traceback.len() <= 50 && exception.attributes.len() <= 3);
    let mut bytes = Vec::new();
    exception.write(&world, &mut Writer::new(&mut bytes, &limits)).expect("what was read can be written");
    if exception.is_stop_iteration() {
        assert_eq!(read(&bytes), Some(ExceptionData::stop_iteration()));
    } else {
        assert_eq!(read(&bytes), Some(exception));
    }
}

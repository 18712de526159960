//! A compressed payload is inflated in whole within its limit, or refused; never more than that is stored.

use netref_core::frame::{FrameError, inflate};

/// Runs the target on one input, the limit's exponent and a stream; a panic is a finding.
pub fn run(input: &[u8]) {
    let Some((exponent, stream)) = input.split_first() else { return };
    let max = 1_usize << (exponent % 22);
    let within = inflate(stream, max, "max_inflated");
    match &within {
        Ok(payload) => assert!(payload.len() <= max),
        Err(FrameError::InflatesTooLarge { max: named, .. }) => assert_eq!(*named, max),
        Err(error) => assert_eq!(*error, FrameError::BadCompression),
    }
    // With room enough, it is what it was; what is broken is so with any limit, unless that is reached first.
    let roomy = inflate(stream, 1 << 24, "max_inflated");
    if within.is_ok() || within == Err(FrameError::BadCompression) {
        assert_eq!(roomy, within);
    }
}

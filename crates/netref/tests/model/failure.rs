//! What calls end with.

/// Why a call has no result.
#[derive(Clone, Debug)]
pub enum CallError {
    Ended,
}

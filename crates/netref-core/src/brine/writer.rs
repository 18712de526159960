use bytes::Bytes;

use super::{SHARED_MIN, tags};
use crate::frame::Shared;
use crate::limits::Limits;
use crate::memory;

/// Room for what usually follows a value in its message.
const AFTERWARDS: usize = 64;

/// Why a value could not be written. The call that needed it fails; the connection is not touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value is nested deeper than the limit.
    #[error("the value is nested more than {max} levels deep (limit max_depth)")]
    TooDeep {
        /// The limit in force.
        max: usize,
    },
    /// An integer has more digits than the limit.
    #[error("the integer has {digits} digits, more than {max} (limit max_int_digits)")]
    IntTooLong {
        /// Digits of the integer.
        digits: usize,
        /// The limit in force.
        max: usize,
    },
    /// A string, a tuple or the whole message does not fit the wire's 32-bit lengths.
    #[error("{what} is too large for the protocol: {size} does not fit 32 bits")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size.
        size: usize,
    },
    /// There is no memory for the message.
    #[error("there is no memory for a message with a value of {size} bytes")]
    OutOfMemory {
        /// Size of the value.
        size: usize,
    },
}

/// Writes brine to the end of a buffer.
///
/// Scalars are one call each. A tuple is [`begin_tuple`](Self::begin_tuple), its items, [`end`](Self::end); the same
/// for frozensets and slices. The writer picks the shortest form, as stock's encoder does.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    /// What stays where it is, if the message can be sent in pieces.
    shared: Option<&'b mut Shared>,
    depth: usize,
    max_depth: usize,
    max_int_digits: usize,
}

impl<'b> Writer<'b> {
    /// A writer that appends to `out`.
    pub fn new(out: &'b mut Vec<u8>, limits: &Limits) -> Self {
        let Limits { max_int_digits, .. } = *limits;
        Self { out, shared: None, depth: 0, max_depth: limits.depth(), max_int_digits }
    }

    /// The same, for a message that is sent in pieces.
    pub(crate) fn sharing(out: &'b mut Vec<u8>, shared: &'b mut Shared, limits: &Limits) -> Self {
        Self { shared: Some(shared), ..Self::new(out, limits) }
    }

    /// Bytes in the buffer so far, including what was there before, not including what is shared.
    #[must_use]
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything written since the buffer was `position` long.
    pub fn rewind(&mut self, position: usize) {
        self.out.truncate(position);
        if let Some(shared) = &mut self.shared {
            // What stays at the position itself follows its own header, which is kept.
            shared.retain(|(at, _)| *at <= position);
        }
    }

    /// Writes `None`.
    pub fn none(&mut self) {
        self.out.push(tags::NONE);
    }

    /// Writes `NotImplemented`.
    pub fn not_implemented(&mut self) {
        self.out.push(tags::NOT_IMPLEMENTED);
    }

    /// Writes `Ellipsis`.
    pub fn ellipsis(&mut self) {
        self.out.push(tags::ELLIPSIS);
    }

    /// Writes a bool.
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { tags::TRUE } else { tags::FALSE });
    }

    /// Writes an integer.
    pub fn int(&mut self, value: i64) {
        if (tags::SMALL_MIN..=tags::SMALL_MAX).contains(&value) {
            self.out.push((value + tags::SMALL_BIAS) as u8);
            return;
        }
        // A tag, a length, and at most 20 characters: sign and 19 digits.
        let mut text = [0u8; 22];
        let mut at = text.len();
        let mut rest = value.unsigned_abs();
        while rest > 0 {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if value < 0 {
            at -= 1;
            text[at] = b'-';
        }
        let len = text.len() - at;
        at -= 2;
        (text[at], text[at + 1]) = (tags::INT_L1, len as u8);
        self.out.extend_from_slice(&text[at..]);
    }

    /// Writes an integer of any size from its decimal text, for values that do not fit an `i64`.
    ///
    /// # Errors
    /// [`EncodeError::IntTooLong`] past the limit on digits.
    pub fn big_int(&mut self, decimal: &str) -> Result<(), EncodeError> {
        let digits = decimal.len() - usize::from(decimal.starts_with('-'));
        if digits > self.max_int_digits {
            return Err(EncodeError::IntTooLong { digits, max: self.max_int_digits });
        }
        self.length("an integer", decimal.len(), tags::INT_L1, tags::INT_L4)?;
        self.out.extend_from_slice(decimal.as_bytes());
        Ok(())
    }

    /// Writes a float.
    pub fn float(&mut self, value: f64) {
        self.out.push(tags::FLOAT);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a complex number.
    pub fn complex(&mut self, real: f64, imag: f64) {
        self.out.push(tags::COMPLEX);
        self.out.extend_from_slice(&real.to_be_bytes());
        self.out.extend_from_slice(&imag.to_be_bytes());
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] at 4 GiB and more, [`EncodeError::OutOfMemory`] where there is none.
    pub fn bytes(&mut self, value: &[u8]) -> Result<(), EncodeError> {
        self.bytes_header(value.len())?;
        // With room for what usually follows, so that a large value is not moved for it.
        memory::reserve(self.out, value.len() + AFTERWARDS)
            .map_err(|_| EncodeError::OutOfMemory { size: value.len() })?;
        self.out.extend_from_slice(value);
        Ok(())
    }

    /// Writes bytes that can be kept until they are sent, so that they need not be copied if they are large. `share` is called
    /// only then.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] at 4 GiB and more.
    pub fn shared_bytes(&mut self, value: &[u8], share: impl FnOnce() -> Bytes) -> Result<(), EncodeError> {
        if self.shared.is_none() || value.len() < SHARED_MIN {
            return self.bytes(value);
        }
        self.bytes_header(value.len())?;
        if let Some(shared) = &mut self.shared {
            shared.push((self.out.len(), share()));
        }
        Ok(())
    }

    /// Writes a str.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] at 4 GiB of UTF-8 and more.
    pub fn str(&mut self, value: &str) -> Result<(), EncodeError> {
        self.out.push(tags::STR);
        self.bytes(value.as_bytes())
    }

    /// Opens a tuple of `len` items, which must follow; then call [`end`](Self::end).
    ///
    /// # Errors
    /// [`EncodeError::TooDeep`] past the limit on nesting, [`EncodeError::TooLarge`] at 2³² items and more.
    pub fn begin_tuple(&mut self, len: usize) -> Result<(), EncodeError> {
        self.descend()?;
        self.tuple_header(len)
    }

    /// Opens a frozenset of `len` items, which must follow; then call [`end`](Self::end).
    ///
    /// # Errors
    /// As [`begin_tuple`](Self::begin_tuple).
    pub fn begin_frozenset(&mut self, len: usize) -> Result<(), EncodeError> {
        self.descend()?;
        self.out.push(tags::FROZENSET);
        self.tuple_header(len)
    }

    /// Opens a slice: its start, stop and step must follow; then call [`end`](Self::end).
    ///
    /// # Errors
    /// [`EncodeError::TooDeep`] past the limit on nesting.
    pub fn begin_slice(&mut self) -> Result<(), EncodeError> {
        self.descend()?;
        self.out.push(tags::SLICE);
        self.tuple_header(3)
    }

    /// Closes the innermost open tuple, frozenset or slice.
    pub fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Writes bytes that are brine already.
    pub(crate) fn raw(&mut self, brine: &[u8]) {
        self.out.extend_from_slice(brine);
    }

    fn bytes_header(&mut self, len: usize) -> Result<(), EncodeError> {
        match len {
            0 => self.out.push(tags::BYTES_0),
            1..=4 => self.out.push(tags::BYTES_1 + (len - 1) as u8),
            _ => self.length("a bytes or str value", len, tags::BYTES_L1, tags::BYTES_L4)?,
        }
        Ok(())
    }

    fn tuple_header(&mut self, len: usize) -> Result<(), EncodeError> {
        match len {
            0 => self.out.push(tags::TUPLE_0),
            1..=4 => self.out.push(tags::TUPLE_1 + (len - 1) as u8),
            _ => self.length("a tuple", len, tags::TUPLE_L1, tags::TUPLE_L4)?,
        }
        Ok(())
    }

    fn length(&mut self, what: &'static str, len: usize, short: u8, long: u8) -> Result<(), EncodeError> {
        if let Ok(len) = u8::try_from(len) {
            self.out.extend_from_slice(&[short, len]);
        } else {
            let size = u32::try_from(len).map_err(|_| EncodeError::TooLarge { what, size: len })?;
            self.out.push(long);
            self.out.extend_from_slice(&size.to_be_bytes());
        }
        Ok(())
    }

    fn descend(&mut self) -> Result<(), EncodeError> {
        if self.depth >= self.max_depth {
            return Err(EncodeError::TooDeep { max: self.max_depth });
        }
        self.depth += 1;
        Ok(())
    }

    /// The depth reached, to be put back by [`set_depth`](Self::set_depth) after an attempt that was rewound.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
    }
}

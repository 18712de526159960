//! Payloads of frames that have arrived. Large bytes in one may be in memory of the driver's.

use std::any::Any;
use std::fmt;
use std::ops::Range;

use bytes::{Buf, Bytes};

/// Memory of a driver's into which large bytes are received: it is the object that they become, so that they are never copied.
///
/// There is room for all of them from the start, for an object stays where it is. A driver makes one only where memory that was asked
/// for is none that was taken, until it is written to: what a peer claims alone must cost nothing.
pub trait Place: AsRef<[u8]> + Any + Send + Sync {
    /// Where to put these of its bytes. Those before them have been put, or about as many at least; no others are written to.
    fn space(&mut self, range: Range<usize>) -> &mut [u8];
}

/// What a frame holds.
#[derive(Debug, Default)]
pub struct Payload {
    /// All of it but for what has landed.
    pub(crate) bytes: Bytes,
    pub(crate) landed: Option<Box<Landed>>,
}

/// Bytes of a payload that are elsewhere.
pub(crate) struct Landed {
    /// Before which byte of the others they belong.
    pub(crate) at: usize,
    pub(crate) place: Box<dyn Place>,
}

impl Payload {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.landed.as_ref().map_or(0, |landed| landed.content().len())
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, in this order.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 3] {
        let Some(landed) = &self.landed else { return [&self.bytes, &[], &[]] };
        let (before, after) = self.bytes.split_at(landed.at);
        [before, landed.content(), after]
    }

    /// What has landed, if it is so long and belongs there.
    pub(crate) fn landed_at(&self, at: usize, len: usize) -> Option<&[u8]> {
        let landed = self.landed.as_ref()?;
        Some(landed.content()).filter(|content| landed.at == at && content.len() == len)
    }

    /// Takes a number off the front.
    pub(crate) fn take_u64(&mut self) -> Option<u64> {
        let number = self.bytes.try_get_u64().ok()?;
        if let Some(landed) = &mut self.landed {
            landed.at = landed.at.checked_sub(size_of_val(&number))?;
        }
        Some(number)
    }
}

impl<T: Into<Bytes>> From<T> for Payload {
    fn from(bytes: T) -> Self {
        Self { bytes: bytes.into(), landed: None }
    }
}

impl Landed {
    pub(crate) fn content(&self) -> &[u8] {
        (*self.place).as_ref()
    }
}

impl fmt::Debug for Landed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Landed").field("at", &self.at).field("len", &self.content().len()).finish()
    }
}

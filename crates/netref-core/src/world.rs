//! What the protocol asks of the objects it carries.

use bytes::Bytes;

use crate::brine::{DecodeError, EncodeError, Reader, Writer};
use crate::payload::Place;
use crate::refs::{IdPack, PackRef};

/// A world of objects: Python's, or the values of the Rust API.
///
/// The codec is generic over this trait and monomorphised for each world, so that it goes straight between a world's
/// own objects and bytes, in one walk, with no tree in between. Nothing here asks an object to *do* anything (get an
/// attribute, be called): that is the driver's business and happens with no lock held.
///
/// The methods may be called with no lock of the connection held, so that they are free to run user code (a
/// metaclass, a garbage collection).
pub trait World {
    /// A value in hand: being written, or just built.
    type Object;
    /// What the tables keep of an object that the peer refers to.
    type Shared;
    /// Why a value could not be written or built.
    type Error: From<DecodeError> + From<EncodeError>;

    /// Writes `object` by value and returns true, if it is plain data through and through; else returns false, with
    /// any bytes written left for the caller to rewind.
    ///
    /// # Errors
    /// If it is plain data that the wire cannot carry.
    fn write(&self, object: &Self::Object, out: &mut Writer<'_>) -> Result<bool, Self::Error>;

    /// The items of `object` if it is exactly a tuple.
    fn tuple_items(&self, object: &Self::Object) -> Option<Vec<Self::Object>>;

    /// Whether `object` is to cross as a [copy](crate::copy), to a peer that takes copies.
    fn is_copied(&self, object: &Self::Object) -> bool {
        let _ = object;
        false
    }

    /// Writes the copy of an object that [is copied](Self::is_copied).
    ///
    /// # Errors
    /// If there is something in it that cannot be copied.
    fn write_copy(&self, object: &Self::Object, out: &mut Writer<'_>) -> Result<(), Self::Error> {
        let _ = object;
        out.none();
        Ok(())
    }

    /// Builds the copy of an object of the peer's.
    ///
    /// # Errors
    /// If this world takes no copies, which it is not offered to then, or if it cannot build what is in it.
    fn read_copy(&self, reader: &mut Reader<'_>) -> Result<Self::Object, Self::Error> {
        let _ = reader;
        Err(DecodeError::Expected { expected: "an object other than a copy, which this side does not take" }
            .into())
    }

    /// Names `object` to the peer. Lending one of our own objects counts one reference in the
    /// [`Exports`](crate::refs::Exports), which the caller takes back if the message is not sent.
    ///
    /// # Errors
    /// If the object cannot be lent, such as past the limit on live references.
    fn refer(&self, object: &Self::Object) -> Result<Reference, Self::Error>;

    /// The object of ours that the peer refers to.
    fn own(&self, shared: Self::Shared) -> Self::Object;

    /// The proxy of the peer's object named `pack`. Takes over one received reference.
    ///
    /// # Errors
    /// If no proxy can be made; the reference then goes back to the peer.
    fn proxy(&self, pack: PackRef<'_>) -> Result<Self::Object, Self::Error>;

    /// Builds `None`.
    fn none(&self) -> Self::Object;
    /// Builds `NotImplemented`.
    fn not_implemented(&self) -> Self::Object;
    /// Builds `Ellipsis`.
    fn ellipsis(&self) -> Self::Object;
    /// Builds a bool.
    fn bool(&self, value: bool) -> Self::Object;
    /// Builds an int.
    fn int(&self, value: i64) -> Self::Object;
    /// Builds an int from canonical decimal text.
    ///
    /// # Errors
    /// If the world has no such int.
    fn big_int(&self, decimal: &str) -> Result<Self::Object, Self::Error>;
    /// Builds a float.
    fn float(&self, value: f64) -> Self::Object;
    /// Builds a complex number.
    fn complex(&self, real: f64, imag: f64) -> Self::Object;
    /// Builds bytes.
    ///
    /// # Errors
    /// If memory is short.
    fn bytes(&self, value: &[u8]) -> Result<Self::Object, Self::Error>;
    /// Builds bytes from large ones that can be kept.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    fn shared_bytes(&self, value: Bytes) -> Result<Self::Object, Self::Error> {
        self.bytes(&value)
    }
    /// Builds bytes from what has landed in a place that the driver of this world has made.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    fn landed_bytes(&self, place: &dyn Place) -> Result<Self::Object, Self::Error> {
        self.bytes(place.as_ref())
    }
    /// Builds a str.
    ///
    /// # Errors
    /// If memory is short.
    fn str(&self, value: &str) -> Result<Self::Object, Self::Error>;
    /// Builds a tuple.
    ///
    /// # Errors
    /// If memory is short.
    fn tuple(&self, items: Vec<Self::Object>) -> Result<Self::Object, Self::Error>;
    /// Builds a frozenset.
    ///
    /// # Errors
    /// If an item is not hashable.
    fn frozenset(&self, items: Vec<Self::Object>) -> Result<Self::Object, Self::Error>;
    /// Builds a slice.
    ///
    /// # Errors
    /// If memory is short.
    fn slice(
        &self,
        start: Self::Object,
        stop: Self::Object,
        step: Self::Object,
    ) -> Result<Self::Object, Self::Error>;
}

/// How an object that is not plain data is named to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An object of ours, lent with one more reference.
    Lent(IdPack),
    /// The peer's own object coming home.
    Theirs(IdPack),
}

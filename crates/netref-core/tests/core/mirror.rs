//! One side's values as the other side writes them: what is ours here is theirs there.

use netref_core::brine::Writer;
use netref_core::refs::{IdPack, PackRef};
use netref_core::world::{Reference, World};

use crate::value::{Side, Thing, Value, WorldError};

/// Writes the values that a side has read as its peer must have written them. It builds nothing.
pub(crate) struct Mirror<'a>(pub(crate) &'a Side);

impl World for Mirror<'_> {
    type Object = Value;
    type Shared = std::rc::Rc<Thing>;
    type Error = WorldError;

    fn write(&self, object: &Value, out: &mut Writer<'_>) -> Result<bool, WorldError> {
        self.0.write(object, out)
    }

    fn tuple_items(&self, object: &Value) -> Option<Vec<Value>> {
        self.0.tuple_items(object)
    }

    fn refer(&self, object: &Value) -> Result<Reference, WorldError> {
        match object {
            Value::Thing(thing) => Ok(Reference::Theirs(self.pack(thing))),
            Value::Proxy(proxy) => Ok(Reference::Lent(proxy.pack.clone())),
            _ => Err(WorldError::Unsendable),
        }
    }

    fn own(&self, _: Self::Shared) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn proxy(&self, _: PackRef<'_>) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
    fn none(&self) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn not_implemented(&self) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn ellipsis(&self) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn bool(&self, _: bool) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn int(&self, _: i64) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn big_int(&self, _: &str) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
    fn float(&self, _: f64) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn complex(&self, _: f64, _: f64) -> Value {
        unreachable!("a mirror builds nothing")
    }
    fn bytes(&self, _: &[u8]) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
    fn str(&self, _: &str) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
    fn tuple(&self, _: Vec<Value>) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
    fn frozenset(&self, _: Vec<Value>) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
    fn slice(&self, _: Value, _: Value, _: Value) -> Result<Value, WorldError> {
        unreachable!("a mirror builds nothing")
    }
}

impl Mirror<'_> {
    /// The name under which the side lends one of its objects, or did.
    fn pack(&self, thing: &Thing) -> IdPack {
        self.0.name_of(thing).expect("what came home was lent before")
    }
}

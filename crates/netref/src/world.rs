//! Rust values as an object world of the protocol.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use netref_core::brine::{DecodeError, EncodeError, Writer};
use netref_core::refs::{PackRef, TooManyExports};
use netref_core::world::{Reference, World};

use crate::chained::Chained;
use crate::error::Error;
use crate::object::{Class, ObjectRef};
use crate::peer::Peer;
use crate::value::{BigInt, Value};

/// What the tables of a connection keep.
#[derive(Clone, Debug)]
pub(crate) enum Shared {
    /// An object that the peer refers to.
    Object(ObjectRef),
    /// A class that it has learnt, kept so that its identity cannot come to mean another.
    Class(#[expect(dead_code, reason = "only kept alive")] Arc<Class>),
}

/// The values of one connection.
pub(crate) struct Values<'p>(pub(crate) &'p Peer);

impl Values<'_> {
    fn write_items(&self, items: &[Value], out: &mut Writer<'_>) -> Result<bool, Error> {
        for item in items {
            if !self.write(item, out)? {
                return Ok(false);
            }
        }
        out.end();
        Ok(true)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::OutOfMemory { .. } => Self::raise("MemoryError", error.to_string()),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::OutOfMemory { .. } => Self::raise("MemoryError", error.to_string()),
            _ => Self::Unsendable(error.to_string()),
        }
    }
}

impl From<TooManyExports> for Error {
    fn from(error: TooManyExports) -> Self {
        Self::raise("MemoryError", error.to_string())
    }
}

impl World for Values<'_> {
    type Object = Value;
    type Shared = Shared;
    type Error = Error;

    fn write(&self, object: &Value, out: &mut Writer<'_>) -> Result<bool, Error> {
        match object {
            Value::None => out.none(),
            Value::NotImplemented => out.not_implemented(),
            Value::Ellipsis => out.ellipsis(),
            Value::Bool(value) => out.bool(*value),
            Value::Int(value) => out.int(*value),
            Value::BigInt(value) => out.big_int(value.as_str())?,
            Value::Float(value) => out.float(*value),
            Value::Complex(real, imag) => out.complex(*real, *imag),
            Value::Str(value) => out.str(value)?,
            Value::Bytes(value) => out.shared_bytes(value, || value.clone())?,
            Value::Tuple(items) => {
                out.begin_tuple(items.len())?;
                return self.write_items(items, out);
            }
            Value::FrozenSet(items) => {
                out.begin_frozenset(items.len())?;
                return self.write_items(items, out);
            }
            Value::Slice(parts) => {
                out.begin_slice()?;
                return self.write_items(&**parts, out);
            }
            Value::Object(_) | Value::Remote(_) => return Ok(false),
        }
        Ok(true)
    }

    fn tuple_items(&self, object: &Value) -> Option<Vec<Value>> {
        match object {
            Value::Tuple(items) => Some(items.clone()),
            _ => None,
        }
    }

    fn refer(&self, object: &Value) -> Result<Reference, Error> {
        match object {
            Value::Remote(remote) if remote.peer().is_same_connection(self.0) => {
                Ok(Reference::Theirs(remote.id_pack().clone()))
            }
            Value::Remote(remote) => {
                let identity = Arc::as_ptr(remote.inner()).addr() as u64;
                let (pack, _) = self.0.lend(identity, &(Arc::new(Chained(remote.clone())) as ObjectRef))?;
                Ok(Reference::Lent(pack))
            }
            Value::Object(object) => {
                let identity = Arc::as_ptr(object).cast::<()>().addr() as u64;
                let (pack, is_first) = self.0.lend(identity, object)?;
                if is_first {
                    self.0.describe(object, &pack);
                }
                Ok(Reference::Lent(pack))
            }
            other => Err(Error::Unsendable(format!("a {} that holds references", other.type_name()))),
        }
    }

    fn own(&self, shared: Shared) -> Value {
        match shared {
            Shared::Object(object) => match (&*object as &dyn Any).downcast_ref::<Chained>() {
                Some(Chained(remote)) => Value::Remote(remote.clone()),
                None => Value::Object(object),
            },
            Shared::Class(_) => Value::None,
        }
    }

    fn proxy(&self, pack: PackRef<'_>) -> Result<Value, Error> {
        Ok(Value::Remote(self.0.proxy(pack)))
    }

    fn none(&self) -> Value {
        Value::None
    }

    fn not_implemented(&self) -> Value {
        Value::NotImplemented
    }

    fn ellipsis(&self) -> Value {
        Value::Ellipsis
    }

    fn bool(&self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn int(&self, value: i64) -> Value {
        Value::Int(value)
    }

    fn big_int(&self, decimal: &str) -> Result<Value, Error> {
        Ok(Value::BigInt(BigInt::from_canonical(decimal)))
    }

    fn float(&self, value: f64) -> Value {
        Value::Float(value)
    }

    fn complex(&self, real: f64, imag: f64) -> Value {
        Value::Complex(real, imag)
    }

    fn bytes(&self, value: &[u8]) -> Result<Value, Error> {
        Ok(Value::Bytes(Bytes::copy_from_slice(value)))
    }

    fn shared_bytes(&self, value: Bytes) -> Result<Value, Error> {
        Ok(Value::Bytes(value))
    }

    fn str(&self, value: &str) -> Result<Value, Error> {
        Ok(Value::Str(value.to_owned()))
    }

    fn tuple(&self, items: Vec<Value>) -> Result<Value, Error> {
        Ok(Value::Tuple(items))
    }

    fn frozenset(&self, items: Vec<Value>) -> Result<Value, Error> {
        Ok(Value::FrozenSet(items))
    }

    fn slice(&self, start: Value, stop: Value, step: Value) -> Result<Value, Error> {
        Ok(Value::Slice(Box::new([start, stop, step])))
    }
}

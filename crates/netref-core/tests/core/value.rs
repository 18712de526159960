//! An object world for tests: plain Rust values, things with an identity, and proxies that count their references.
//!
//! The fuzz targets use this file too, so it depends on nothing but `netref_core`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use netref_core::brine::{DecodeError, EncodeError, Writer};
use netref_core::refs::{IdPack, PackRef, Releases, TooManyExports};
use netref_core::session::{Options, Session};
use netref_core::world::{Reference, World};

/// A value of the world. Floats compare by their bits, things and proxies by identity.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    NotImplemented,
    Ellipsis,
    Bool(bool),
    Int(i64),
    /// Decimal text of an int that no `i64` holds.
    Big(String),
    Float(f64),
    Complex(f64, f64),
    Bytes(Vec<u8>),
    Str(String),
    Tuple(Vec<Value>),
    Frozenset(Vec<Value>),
    Slice(Box<[Value; 3]>),
    /// An object of this side.
    Thing(Rc<Thing>),
    /// An object of the peer's.
    Proxy(Rc<Proxy>),
    /// Something that neither has a value nor can be lent.
    Unsendable,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        use Value::*;
        match (self, other) {
            (None, None) | (NotImplemented, NotImplemented) | (Ellipsis, Ellipsis) => true,
            (Bool(a), Bool(b)) => a == b,
            (Int(a), Int(b)) => a == b,
            (Big(a), Big(b)) | (Str(a), Str(b)) => a == b,
            (Float(a), Float(b)) => a.to_bits() == b.to_bits(),
            (Complex(a, b), Complex(c, d)) => (a.to_bits(), b.to_bits()) == (c.to_bits(), d.to_bits()),
            (Bytes(a), Bytes(b)) => a == b,
            (Tuple(a), Tuple(b)) | (Frozenset(a), Frozenset(b)) => a == b,
            (Slice(a), Slice(b)) => a == b,
            (Thing(a), Thing(b)) => Rc::ptr_eq(a, b),
            (Proxy(a), Proxy(b)) => a.pack == b.pack,
            _ => false,
        }
    }
}

/// An object of one side.
#[derive(Debug)]
pub(crate) struct Thing {
    pub(crate) identity: u64,
    /// Identity of its class; `None` for a class.
    pub(crate) class: Option<u64>,
    /// Name of the class.
    pub(crate) name: String,
    alive: Rc<Cell<usize>>,
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

/// The stand-in for one object of the peer's. It gives back as many references as it has received.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) pack: IdPack,
    received: Cell<u64>,
    releases: Arc<Releases>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.releases.push(self.pack.clone(), self.received.get());
    }
}

/// The driver's token for a call.
pub(crate) type Token = u64;
pub(crate) type TestSession = Session<Rc<Thing>, Token>;

/// One end of a connection: its session and its objects. The `RefCell` stands for the driver's lock.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) session: RefCell<TestSession>,
    proxies: RefCell<HashMap<IdPack, Weak<Proxy>>>,
    /// How each object was named when it was lent the last time.
    names: RefCell<HashMap<u64, IdPack>>,
    next_identity: Cell<u64>,
    alive: Rc<Cell<usize>>,
}

impl Side {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            session: RefCell::new(Session::new(options)),
            proxies: RefCell::default(),
            names: RefCell::default(),
            next_identity: Cell::new(0),
            alive: Rc::default(),
        }
    }

    /// A new object of class `name`.
    pub(crate) fn thing(&self, name: &str) -> Rc<Thing> {
        // One class per name; the identities of things are even, those of classes odd.
        let class =
            name.bytes().fold(1, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        self.make(Some(class | 1), name)
    }

    /// A new class.
    pub(crate) fn class(&self, name: &str) -> Rc<Thing> {
        self.make(None, name)
    }

    /// How many objects of this side exist, wherever they are held.
    pub(crate) fn alive(&self) -> usize {
        self.alive.get()
    }

    /// The name under which an object was lent the last time.
    pub(crate) fn name_of(&self, thing: &Thing) -> Option<IdPack> {
        self.names.borrow().get(&thing.identity).cloned()
    }

    fn make(&self, class: Option<u64>, name: &str) -> Rc<Thing> {
        self.alive.set(self.alive.get() + 1);
        self.next_identity.set(self.next_identity.get() + 2);
        let identity = self.next_identity.get();
        Rc::new(Thing { identity, class, name: name.to_owned(), alive: self.alive.clone() })
    }

    fn lend(&self, thing: &Rc<Thing>) -> Result<IdPack, TooManyExports> {
        let mut session = self.session.borrow_mut();
        let exports = session.exports();
        if let Some(pack) = exports.lend_again(thing.identity) {
            return Ok(pack);
        }
        let class = thing.class.unwrap_or(thing.identity);
        if !exports.knows_class(class) {
            let object = if thing.class.is_none() { thing.clone() } else { self.class(&thing.name) };
            exports.register_class(class, &thing.name, object);
        }
        let pack = match thing.class {
            Some(class) => exports.lend(thing.identity, class, None, thing.clone()),
            None => exports.lend_class(thing.identity, thing.clone()),
        }?;
        self.names.borrow_mut().insert(thing.identity, pack.clone());
        Ok(pack)
    }
}

/// Why this world refuses a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorldError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    TooManyExports(#[from] TooManyExports),
    #[error("the value cannot be sent")]
    Unsendable,
}

impl World for Side {
    type Object = Value;
    type Shared = Rc<Thing>;
    type Error = WorldError;

    fn write(&self, object: &Value, out: &mut Writer<'_>) -> Result<bool, WorldError> {
        match object {
            Value::None => out.none(),
            Value::NotImplemented => out.not_implemented(),
            Value::Ellipsis => out.ellipsis(),
            Value::Bool(value) => out.bool(*value),
            Value::Int(value) => out.int(*value),
            Value::Big(text) => out.big_int(text)?,
            Value::Float(value) => out.float(*value),
            Value::Complex(real, imag) => out.complex(*real, *imag),
            Value::Bytes(value) => out.bytes(value)?,
            Value::Str(value) => out.str(value)?,
            Value::Tuple(items) => {
                out.begin_tuple(items.len())?;
                return self.write_items(items, out);
            }
            Value::Frozenset(items) => {
                out.begin_frozenset(items.len())?;
                return self.write_items(items, out);
            }
            Value::Slice(parts) => {
                out.begin_slice()?;
                return self.write_items(&parts[..], out);
            }
            Value::Thing(_) | Value::Proxy(_) | Value::Unsendable => return Ok(false),
        }
        Ok(true)
    }

    fn tuple_items(&self, object: &Value) -> Option<Vec<Value>> {
        match object {
            Value::Tuple(items) => Some(items.clone()),
            _ => None,
        }
    }

    fn refer(&self, object: &Value) -> Result<Reference, WorldError> {
        match object {
            Value::Thing(thing) => Ok(Reference::Lent(self.lend(thing)?)),
            Value::Proxy(proxy) => Ok(Reference::Theirs(proxy.pack.clone())),
            _ => Err(WorldError::Unsendable),
        }
    }

    fn own(&self, shared: Rc<Thing>) -> Value {
        Value::Thing(shared)
    }

    fn proxy(&self, pack: PackRef<'_>) -> Result<Value, WorldError> {
        let pack = pack.to_owned();
        let mut proxies = self.proxies.borrow_mut();
        if let Some(proxy) = proxies.get(&pack).and_then(Weak::upgrade) {
            proxy.received.set(proxy.received.get() + 1);
            return Ok(Value::Proxy(proxy));
        }
        let releases = self.session.borrow().releases().clone();
        let proxy = Rc::new(Proxy { pack: pack.clone(), received: Cell::new(1), releases });
        proxies.insert(pack, Rc::downgrade(&proxy));
        Ok(Value::Proxy(proxy))
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
    fn big_int(&self, decimal: &str) -> Result<Value, WorldError> {
        Ok(Value::Big(decimal.to_owned()))
    }
    fn float(&self, value: f64) -> Value {
        Value::Float(value)
    }
    fn complex(&self, real: f64, imag: f64) -> Value {
        Value::Complex(real, imag)
    }
    fn bytes(&self, value: &[u8]) -> Result<Value, WorldError> {
        Ok(Value::Bytes(value.to_vec()))
    }
    fn str(&self, value: &str) -> Result<Value, WorldError> {
        Ok(Value::Str(value.to_owned()))
    }
    fn tuple(&self, items: Vec<Value>) -> Result<Value, WorldError> {
        Ok(Value::Tuple(items))
    }
    fn frozenset(&self, items: Vec<Value>) -> Result<Value, WorldError> {
        Ok(Value::Frozenset(items))
    }
    fn slice(&self, start: Value, stop: Value, step: Value) -> Result<Value, WorldError> {
        Ok(Value::Slice(Box::new([start, stop, step])))
    }
}

impl Side {
    fn write_items(&self, items: &[Value], out: &mut Writer<'_>) -> Result<bool, WorldError> {
        for item in items {
            if !self.write(item, out)? {
                return Ok(false);
            }
        }
        out.end();
        Ok(true)
    }
}

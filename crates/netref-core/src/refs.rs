//! References: what this side lends to the peer, and what it gives back.
//!
//! The side that owns an object counts every reference that it sends ([`Exports`]). The side that receives them counts
//! on its proxy, and when the proxy dies gives that many back ([`Releases`], sent as DEL). Only this arithmetic makes
//! orderings harmless: a DEL that crosses a new reference on the wire leaves the right number.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::brine::{DecodeError, EncodeError, Reader, Writer};

/// Names one object on one connection: `(class name, class number, instance number)`.
///
/// Instance number 0 means that the object is itself a class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdPack {
    /// `module.Class` of the object; a module's own name for a module.
    pub name: Arc<str>,
    /// Number of the class.
    pub class: i64,
    /// Number of the instance, 0 for a class.
    pub instance: i64,
}

/// An [`IdPack`] still lying in the message that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRef<'a> {
    /// `module.Class` of the object.
    pub name: &'a str,
    /// Number of the class.
    pub class: i64,
    /// Number of the instance, 0 for a class.
    pub instance: i64,
}

impl IdPack {
    /// Borrows the pack.
    #[must_use]
    pub fn as_ref(&self) -> PackRef<'_> {
        PackRef { name: &self.name, class: self.class, instance: self.instance }
    }

    /// True if the pack names a class rather than an instance.
    #[must_use]
    pub fn is_class(&self) -> bool {
        self.instance == 0
    }

    pub(crate) fn number(&self) -> i64 {
        self.as_ref().number()
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.begin_tuple(3)?;
        out.str(&self.name)?;
        out.int(self.class);
        out.int(self.instance);
        out.end();
        Ok(())
    }
}

impl<'a> PackRef<'a> {
    /// An owned copy.
    #[must_use]
    pub fn to_owned(self) -> IdPack {
        IdPack { name: self.name.into(), class: self.class, instance: self.instance }
    }

    /// What tells the object apart on its connection.
    #[must_use]
    pub fn number(self) -> i64 {
        if self.instance == 0 { self.class } else { self.instance }
    }

    /// Reads a pack.
    ///
    /// # Errors
    /// If the next value is not a triple of a str and two 64-bit ints.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        const WHAT: &str = "an id pack (name, class id, instance id)";
        if reader.tuple(WHAT)? != 3 {
            return Err(DecodeError::Expected { expected: WHAT });
        }
        Ok(Self {
            name: reader.str("the name in an id pack")?,
            class: reader.int("a class id")?,
            instance: reader.int("an instance id")?,
        })
    }
}

/// Tables for so few entries are left as they are.
const SMALL_TABLE: usize = 1024;

/// A map whose keys are numbers that this side gave out or that the operating system did, so that no peer can choose
/// them to collide.
type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Spreads numbers that are near each other; much cheaper than a keyed hash.
#[derive(Clone, Copy, Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The odd number nearest to 2⁶⁴ divided by the golden ratio: neighbours end up far apart, in the high bits too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// The objects of ours that the peer holds references to.
///
/// Numbers come from one counter per connection: they never repeat, tell nothing about addresses, and mean nothing on
/// another connection.
#[derive(Debug)]
pub struct Exports<O> {
    entries: NumberMap<i64, Export<O>>,
    numbers: NumberMap<u64, i64>,
    classes: NumberMap<u64, ClassEntry<O>>,
    next: i64,
    max: usize,
    closed: bool,
}

#[derive(Debug)]
struct Export<O> {
    object: O,
    identity: u64,
    count: u64,
    pack: IdPack,
}

/// Kept for the life of the connection: a peer caches what it learns about a class under its number, so a number
/// must go on meaning the same class.
#[derive(Debug)]
struct ClassEntry<O> {
    number: i64,
    name: Arc<str>,
    /// Taken when the table is closed.
    alive: Option<O>,
}

/// There are as many live references as the limit allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this side already lends {max} objects to the peer (limit max_exported)")]
pub struct TooManyExports {
    /// The limit in force.
    pub max: usize,
}

/// A DEL that does not match what was lent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The count is not a positive number.
    #[error("a reference count of {0} cannot be given back")]
    BadCount(i64),
    /// No such object is lent to this peer.
    #[error("{0} is not an object lent to this peer")]
    Unknown(i64),
}

impl<O> Exports<O> {
    /// An empty table that lends at most `max` objects at a time.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            entries: NumberMap::default(),
            numbers: NumberMap::default(),
            classes: NumberMap::default(),
            next: 1,
            max,
            closed: false,
        }
    }

    /// Counts one more reference to the object known as `identity`, if it is lent already.
    pub fn lend_again(&mut self, identity: u64) -> Option<IdPack> {
        let entry = self.entries.get_mut(self.numbers.get(&identity)?)?;
        entry.count += 1;
        Some(entry.pack.clone())
    }

    /// True if the class known as `identity` has a number and a name already.
    #[must_use]
    pub fn knows_class(&self, identity: u64) -> bool {
        self.classes.contains_key(&identity)
    }

    /// Gives the class known as `identity` its number. `class` is kept for the life of the connection, so that
    /// `identity` cannot come to mean another class.
    pub fn register_class(&mut self, identity: u64, name: &str, class: O) {
        if !self.classes.contains_key(&identity) {
            let number = self.number();
            let alive = (!self.closed).then_some(class);
            self.classes.insert(identity, ClassEntry { number, name: name.into(), alive });
        }
    }

    /// Lends an instance for the first time, or once more if that was done meanwhile. `name` is given where it differs
    /// from its class's name (a module).
    ///
    /// # Errors
    /// [`TooManyExports`] at the limit.
    ///
    /// # Panics
    /// If the class known as `class` was not registered.
    pub fn lend(
        &mut self,
        identity: u64,
        class: u64,
        name: Option<&str>,
        object: O,
    ) -> Result<IdPack, TooManyExports> {
        if let Some(pack) = self.lend_again(identity) {
            return Ok(pack);
        }
        self.check_room()?;
        let instance = self.number();
        let class = self.classes.get(&class).expect("a class is registered before its instances are lent");
        let name = name.map_or_else(|| class.name.clone(), Arc::from);
        let pack = IdPack { name, class: class.number, instance };
        Ok(self.insert(identity, pack, object))
    }

    /// Lends a class itself for the first time, or once more if that was done meanwhile.
    ///
    /// # Errors
    /// [`TooManyExports`] at the limit.
    ///
    /// # Panics
    /// If the class was not registered.
    pub fn lend_class(&mut self, identity: u64, object: O) -> Result<IdPack, TooManyExports> {
        if let Some(pack) = self.lend_again(identity) {
            return Ok(pack);
        }
        self.check_room()?;
        let class = self.classes.get(&identity).expect("a class is registered before it is lent");
        let pack = IdPack { name: class.name.clone(), class: class.number, instance: 0 };
        Ok(self.insert(identity, pack, object))
    }

    /// The names of what is lent, one for each object.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.values().map(|entry| &*entry.pack.name)
    }

    /// The object that the peer names by `pack`, if it is lent.
    #[must_use]
    pub fn get(&self, pack: PackRef<'_>) -> Option<&O> {
        let entry = self.entries.get(&pack.number())?;
        (entry.pack.as_ref() == pack).then_some(&entry.object)
    }

    /// Takes back `count` references. Returns the object when it was the last one (or more than there were): drop it
    /// only after unlocking, since that may run user code.
    ///
    /// # Errors
    /// [`ReleaseError`] if the count or the object is none.
    pub fn take_back(&mut self, pack: PackRef<'_>, count: i64) -> Result<Option<O>, ReleaseError> {
        let unknown = ReleaseError::Unknown(pack.number());
        let given = u64::try_from(count).ok().filter(|&n| n > 0).ok_or(ReleaseError::BadCount(count))?;
        let named = self.entries.get_mut(&pack.number()).filter(|entry| entry.pack.as_ref() == pack);
        let entry = named.ok_or(unknown)?;
        if entry.count > given {
            entry.count -= given;
            return Ok(None);
        }
        Ok(self.remove(pack.number()))
    }

    /// Takes back references that were counted for a message which was then not sent.
    pub fn roll_back(&mut self, lent: &[IdPack]) -> Vec<O> {
        lent.iter().filter_map(|pack| self.take_back(pack.as_ref(), 1).ok().flatten()).collect()
    }

    /// Objects lent now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nothing is lent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names and counts of everything lent, for reports.
    pub fn iter(&self) -> impl Iterator<Item = (&IdPack, u64)> {
        self.entries.values().map(|entry| (&entry.pack, entry.count))
    }

    /// Empties the table for good and returns everything in it, to be dropped after unlocking. What a message that is
    /// still being written lends from now on is named, but not kept: nobody can give it back.
    pub fn close(&mut self) -> Vec<O> {
        self.closed = true;
        self.numbers.clear();
        let classes = self.classes.values_mut().filter_map(|class| class.alive.take());
        self.entries.drain().map(|(_, entry)| entry.object).chain(classes).collect()
    }

    fn insert(&mut self, identity: u64, pack: IdPack, object: O) -> IdPack {
        if self.closed {
            return pack;
        }
        self.numbers.insert(identity, pack.number());
        self.entries.insert(pack.number(), Export { object, identity, count: 1, pack: pack.clone() });
        pack
    }

    fn remove(&mut self, number: i64) -> Option<O> {
        let entry = self.entries.remove(&number)?;
        self.numbers.remove(&entry.identity);
        give_room_back(&mut self.entries);
        give_room_back(&mut self.numbers);
        Some(entry.object)
    }

    fn check_room(&self) -> Result<(), TooManyExports> {
        if self.entries.len() < self.max { Ok(()) } else { Err(TooManyExports { max: self.max }) }
    }

    fn number(&mut self) -> i64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

/// Gives the memory of a table back that had many more entries than it has now. To be called after one is removed.
pub fn give_room_back<K: Eq + Hash, V, S: BuildHasher>(table: &mut HashMap<K, V, S>) {
    if table.capacity() > SMALL_TABLE && table.len() < table.capacity() / 8 {
        table.shrink_to(2 * table.len());
    }
}

/// References to give back to the peer: a queue that a dying proxy can push to from anywhere.
///
/// The lock inside is a leaf: it is held for a push or a swap, and nothing that could run user code or take another
/// lock happens under it. That makes a release safe in a destructor, in a garbage collection inside our own code, and
/// while another thread sends.
#[derive(Debug, Default)]
pub struct Releases {
    queue: Mutex<VecDeque<(IdPack, u64)>>,
    /// Length of the queue, for those that only want to know whether there is something in it.
    len: AtomicUsize,
}

impl Releases {
    /// Queues `count` references to the object named `pack` to be given back.
    pub fn push(&self, pack: IdPack, count: u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.back_mut() {
            // One object received many times over and given back at once takes one DEL, not many.
            Some((last, total)) if *last == pack => *total = total.saturating_add(count),
            _ => queue.push_back((pack, count)),
        }
        self.len.store(queue.len(), Ordering::Release);
    }

    /// Takes the first of what is queued, no more than so many.
    #[must_use]
    pub fn take(&self, most: usize) -> VecDeque<(IdPack, u64)> {
        if self.is_empty() {
            return VecDeque::new();
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let taken =
            if queue.len() > most { queue.drain(..most).collect() } else { std::mem::take(&mut *queue) };
        self.len.store(queue.len(), Ordering::Release);
        taken
    }

    /// How many releases wait to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// True if nothing waits to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

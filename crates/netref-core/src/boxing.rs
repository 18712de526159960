//! Boxing: objects as pairs `(label, value)`, by value or by reference.
//!
//! Writing and reading are each one walk between a [`World`]'s own objects and bytes. [`scan`] walks a received box
//! without building anything: it checks it, and settles every reference in it in wire order.

use crate::brine::{self, DecodeError, EncodeError, Reader, Writer};
use crate::refs::{IdPack, PackRef};
use crate::world::{Reference, World};

const BY_VALUE: i64 = 1;
const TUPLE: i64 = 2;
/// An object that belongs to the receiver.
const YOURS: i64 = 3;
/// An object that belongs to the sender.
const MINE: i64 = 4;
/// A [copy](crate::copy) of an object.
const COPY: i64 = 5;

/// Writes boxes and remembers which references it lent, so that they can be taken back if the message is not sent.
#[derive(Debug)]
pub struct Boxer<'b> {
    /// Where brine is written.
    pub out: Writer<'b>,
    pub(crate) lent: &'b mut Vec<IdPack>,
}

impl Boxer<'_> {
    /// References that were lent for this message already, by whoever made its boxes: taken back too if it is not sent.
    pub fn answer_for(&mut self, lent: impl IntoIterator<Item = IdPack>) {
        self.lent.extend(lent);
    }

    /// Writes `object` by value if it is plain data, item by item if it is a tuple of more, as a copy if the world says so,
    /// else by reference.
    ///
    /// # Errors
    /// What the world or the wire refuses. References lent so far stay noted in the draft, which takes them back.
    pub fn object<W: World>(&mut self, world: &W, object: &W::Object) -> Result<(), W::Error> {
        let (start, depth) = (self.out.position(), self.out.depth());
        self.label(BY_VALUE)?;
        if world.write(object, &mut self.out)? {
            self.out.end();
            return Ok(());
        }
        self.out.rewind(start);
        self.out.set_depth(depth);
        if let Some(items) = world.tuple_items(object) {
            self.label(TUPLE)?;
            self.out.begin_tuple(items.len())?;
            for item in &items {
                self.object(world, item)?;
            }
            self.out.end();
        } else if world.is_copied(object) {
            self.label(COPY)?;
            world.write_copy(object, &mut self.out)?;
        } else {
            match world.refer(object)? {
                Reference::Lent(pack) => {
                    self.lent.push(pack.clone());
                    self.label(MINE)?;
                    pack.write(&mut self.out)?;
                }
                Reference::Theirs(pack) => {
                    self.label(YOURS)?;
                    pack.write(&mut self.out)?;
                }
            }
        }
        self.out.end();
        Ok(())
    }

    /// Writes the argument tuple of a request: by value if all of `items` are, else item by item.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub fn arguments<W: World>(&mut self, world: &W, items: &[&W::Object]) -> Result<(), W::Error> {
        let (start, depth) = (self.out.position(), self.out.depth());
        if self.plain_tuple(world, items)? {
            return Ok(());
        }
        self.out.rewind(start);
        self.out.set_depth(depth);
        self.label(TUPLE)?;
        self.out.begin_tuple(items.len())?;
        for item in items {
            self.object(world, item)?;
        }
        self.out.end();
        self.out.end();
        Ok(())
    }

    /// Writes an empty argument tuple.
    ///
    /// # Errors
    /// None in practice: it is within every limit.
    pub fn no_arguments(&mut self) -> Result<(), EncodeError> {
        self.label(BY_VALUE)?;
        self.out.begin_tuple(0)?;
        self.out.end();
        self.out.end();
        Ok(())
    }

    /// Writes a box whose value is brine that exists already.
    pub(crate) fn raw_value(&mut self, brine: &[u8]) -> Result<(), EncodeError> {
        self.label(BY_VALUE)?;
        self.out.raw(brine);
        self.out.end();
        Ok(())
    }

    /// Writes the arguments `(object, count)` of a DEL.
    pub(crate) fn release(&mut self, pack: &IdPack, count: u64) -> Result<(), EncodeError> {
        self.label(TUPLE)?;
        self.out.begin_tuple(2)?;
        self.label(YOURS)?;
        pack.write(&mut self.out)?;
        self.out.end();
        self.label(BY_VALUE)?;
        self.out.int(i64::try_from(count).unwrap_or(i64::MAX));
        self.out.end();
        self.out.end();
        self.out.end();
        Ok(())
    }

    /// Writes the arguments `(id pack,)` of an INSPECT.
    pub(crate) fn inspect(&mut self, pack: &IdPack) -> Result<(), EncodeError> {
        self.label(BY_VALUE)?;
        self.out.begin_tuple(1)?;
        pack.write(&mut self.out)?;
        self.out.end();
        self.out.end();
        Ok(())
    }

    /// Writes the arguments `(id pack, methods)` of a DESCRIBE.
    ///
    /// # Errors
    /// What cannot be written. False if the methods are no plain data.
    pub fn description<W: World>(
        &mut self,
        world: &W,
        pack: &IdPack,
        methods: &W::Object,
    ) -> Result<bool, W::Error> {
        self.label(BY_VALUE)?;
        self.out.begin_tuple(2)?;
        pack.write(&mut self.out)?;
        if !world.write(methods, &mut self.out)? {
            return Ok(false);
        }
        self.out.end();
        self.out.end();
        Ok(true)
    }

    fn plain_tuple<W: World>(&mut self, world: &W, items: &[&W::Object]) -> Result<bool, W::Error> {
        self.label(BY_VALUE)?;
        self.out.begin_tuple(items.len())?;
        for item in items {
            if !world.write(item, &mut self.out)? {
                return Ok(false);
            }
        }
        self.out.end();
        self.out.end();
        Ok(true)
    }

    /// Opens the pair.
    fn label(&mut self, label: i64) -> Result<(), EncodeError> {
        self.out.begin_tuple(2)?;
        self.out.int(label);
        Ok(())
    }
}

/// One reference in a received message, settled when the message arrived.
#[derive(Debug)]
pub struct Claim<O> {
    /// What it refers to.
    pub claimed: Claimed<O>,
    /// Where the message goes on after it.
    pub end: usize,
}

/// What a received reference refers to.
#[derive(Debug)]
pub enum Claimed<O> {
    /// An object of ours, kept alive until the message is read.
    Own(O),
    /// One received reference to an object of the peer's, which goes back if nobody takes it.
    Peer(IdPack),
}

/// Why a received box cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Malformed or beyond a limit.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It names an object that this side does not lend to the peer (any more).
    #[error("{name} number {number} is not an object lent to this peer")]
    UnknownReference {
        /// Class name in the reference.
        name: String,
        /// Number in the reference.
        number: i64,
    },
    /// A request addressed to a name.
    #[error("{0:?} is not a request: requests have numbers")]
    UnknownHandler(String),
}

/// Checks one received box and collects its references in order. `lookup` finds an object of ours.
///
/// # Errors
/// [`ScanError`]; the claims collected until then are still good and must be dropped by the caller.
pub fn scan<O>(
    reader: &mut Reader<'_>,
    lookup: &impl Fn(PackRef<'_>) -> Option<O>,
    claims: &mut Vec<Claim<O>>,
) -> Result<(), ScanError> {
    reader.enter()?;
    match read_label(reader)? {
        BY_VALUE | COPY => brine::skip(reader)?,
        TUPLE => {
            let items = reader.tuple("the items of a boxed tuple")?;
            reader.enter()?;
            for _ in 0..items {
                scan(reader, lookup, claims)?;
            }
            reader.leave();
        }
        YOURS => {
            let pack = PackRef::read(reader)?;
            let object = lookup(pack).ok_or_else(|| ScanError::UnknownReference {
                name: pack.name.to_owned(),
                number: pack.number(),
            })?;
            claims.push(Claim { claimed: Claimed::Own(object), end: reader.position() });
        }
        MINE => {
            let pack = PackRef::read(reader)?.to_owned();
            claims.push(Claim { claimed: Claimed::Peer(pack), end: reader.position() });
        }
        other => return Err(DecodeError::BadLabel(other).into()),
    }
    reader.leave();
    Ok(())
}

/// What reading a box takes out of the message that holds it: references, each with where the message goes on after it.
pub trait Claims<O> {
    /// The next object of ours that the message refers to.
    ///
    /// # Errors
    /// If the message was not scanned, or was read before.
    fn own(&mut self) -> Result<(O, usize), DecodeError>;
    /// The object of the peer's that it refers to next.
    ///
    /// # Errors
    /// If the message was not scanned, or was read before.
    fn theirs(&self) -> Result<(&IdPack, usize), DecodeError>;
    /// Takes over the next received reference to an object of the peer's.
    fn taken(&mut self);
}

/// Builds the object in one box, which was [`scan`]ned when it arrived.
///
/// # Errors
/// What the world refuses to build. References not taken over by then go back to the peer.
pub fn read<W: World>(
    world: &W,
    reader: &mut Reader<'_>,
    claims: &mut impl Claims<W::Shared>,
) -> Result<W::Object, W::Error> {
    reader.enter()?;
    let object = match read_label(reader)? {
        BY_VALUE => brine::read(world, reader)?,
        COPY => world.read_copy(reader)?,
        TUPLE => {
            let len = reader.tuple("the items of a boxed tuple")?;
            reader.enter()?;
            let mut items = Vec::with_capacity(len);
            for _ in 0..len {
                items.push(read(world, reader, claims)?);
            }
            reader.leave();
            world.tuple(items)?
        }
        YOURS => {
            let (object, end) = claims.own()?;
            reader.seek(end);
            world.own(object)
        }
        MINE => {
            let (pack, end) = claims.theirs()?;
            let proxy = world.proxy(pack.as_ref())?;
            reader.seek(end);
            claims.taken();
            proxy
        }
        other => return Err(DecodeError::BadLabel(other).into()),
    };
    reader.leave();
    Ok(object)
}

/// Reads the items of a boxed argument tuple, whichever of the two ways it was boxed.
///
/// # Errors
/// As [`read`].
pub fn read_arguments<W: World>(
    world: &W,
    reader: &mut Reader<'_>,
    claims: &mut impl Claims<W::Shared>,
) -> Result<Vec<W::Object>, W::Error> {
    const WHAT: &str = "a tuple of arguments";
    let label = read_label(reader)?;
    let len = match label {
        BY_VALUE | TUPLE => reader.tuple(WHAT)?,
        _ => return Err(DecodeError::Expected { expected: WHAT }.into()),
    };
    let mut items = Vec::with_capacity(len);
    for _ in 0..len {
        items.push(if label == BY_VALUE {
            brine::read(world, reader)?
        } else {
            read(world, reader, claims)?
        });
    }
    Ok(items)
}

/// If the box holds one argument by value, positions the reader before it.
pub(crate) fn enter_single_value(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(read_label(reader)? == BY_VALUE && reader.tuple("a tuple of arguments")? == 1)
}

/// Reads the arguments `(object, count)` of a DEL.
pub(crate) fn read_release<'a>(reader: &mut Reader<'a>) -> Result<(PackRef<'a>, i64), DecodeError> {
    const WHAT: &str = "an object of this side and a count";
    let expected = || DecodeError::Expected { expected: WHAT };
    if read_label(reader)? != TUPLE {
        return Err(expected());
    }
    let items = reader.tuple(WHAT)?;
    if !(1..=2).contains(&items) || read_label(reader)? != YOURS {
        return Err(expected());
    }
    let pack = PackRef::read(reader)?;
    let count = if items == 1 {
        1
    } else if read_label(reader)? == BY_VALUE {
        reader.int("a reference count")?
    } else {
        return Err(expected());
    };
    Ok((pack, count))
}

fn read_label(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    if let Some(label) = reader.begin_labelled() {
        return Ok(label);
    }
    if reader.tuple("a pair (label, value)")? != 2 {
        return Err(DecodeError::Expected { expected: "a pair (label, value)" });
    }
    reader.int("a boxing label")
}

/// Positions the reader before the value of a box that is by value.
pub(crate) fn enter_value(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match read_label(reader)? {
        BY_VALUE => Ok(()),
        _ => Err(DecodeError::Expected { expected: "a value" }),
    }
}

use std::ops::Range;

use super::{SHARED_MIN, tags};
use crate::limits::Limits;
use crate::memory;
use crate::payload::Payload;
use crate::world::World;

/// What was wrong with bytes from the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the message ends inside a value")]
    UnexpectedEnd,
    /// Bytes are left over after the last value.
    #[error("{0} bytes follow the end of the message")]
    TrailingBytes(usize),
    /// A byte that starts no value.
    #[error("0x{0:02x} is not the tag of a value")]
    UnknownTag(u8),
    /// A value of another kind was due here.
    #[error("{expected} was expected")]
    Expected {
        /// What was due.
        expected: &'static str,
    },
    /// Nested deeper than the limit.
    #[error("the value is nested more than {max} levels deep (limit max_depth)")]
    TooDeep {
        /// The limit in force.
        max: usize,
    },
    /// Text that is not a canonical decimal integer.
    #[error("an integer is not canonical decimal text")]
    BadInt,
    /// More digits than the limit.
    #[error("an integer has {digits} digits, more than {max} (limit max_int_digits)")]
    IntTooLong {
        /// Digits of the integer.
        digits: usize,
        /// The limit in force.
        max: usize,
    },
    /// A str whose bytes are not UTF-8.
    #[error("a str is not valid UTF-8")]
    BadUtf8,
    /// A number that must fit 64 bits does not.
    #[error("{0} does not fit 64 bits")]
    OutOfRange(&'static str),
    /// Decoding would cost more memory than the limit.
    #[error("decoding the message would take more than {max} bytes beyond its own (limit max_decoded)")]
    OverBudget {
        /// The limit in force.
        max: usize,
    },
    /// There is no memory for what the message holds.
    #[error("there is no memory for what a message of {size} bytes holds")]
    OutOfMemory {
        /// Length of the message.
        size: usize,
    },
    /// A boxing label other than 1 to 4.
    #[error("{0} is not a boxing label")]
    BadLabel(i64),
}

/// A checked cursor over brine.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Whose bytes they are, if large ones may be kept as they are.
    source: Option<&'a Payload>,
    at: usize,
    /// How many bytes that have landed were not read yet.
    landed: usize,
    depth: usize,
    max_depth: usize,
    max_int_digits: usize,
    budget: usize,
    max_decoded: usize,
}

/// One value or the head of a sequence, as [`Reader::token`] meets it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is the value of that name")]
pub enum Token<'a> {
    None,
    NotImplemented,
    Ellipsis,
    Bool(bool),
    Int(i64),
    /// Decimal text of an integer that does not fit an `i64`.
    BigInt(&'a str),
    Float(f64),
    Complex(f64, f64),
    Bytes(&'a [u8]),
    Str(&'a str),
    /// As many values follow.
    Tuple(usize),
    /// As many values follow.
    Frozenset(usize),
    /// Three values follow.
    Slice,
}

/// Integers of so many digits fit an `i64`.
const SHORT_INT: usize = 18;

/// What a value costs in memory at least, whatever object world it becomes part of.
const VALUE_COST: usize = 32;
/// What a container costs beyond that, and what each place in it costs beside the value there: CPython's sizes.
const TUPLE_COST: (usize, usize) = (24, 8);
const FROZENSET_COST: (usize, usize) = (200, 128);
const SLICE_COST: (usize, usize) = (16, 8);
/// What a str costs beyond a value.
const STR_COST: usize = 24;

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        Self {
            bytes,
            source: None,
            at: 0,
            landed: 0,
            depth: 0,
            max_depth: limits.depth(),
            max_int_digits: limits.max_int_digits,
            budget: limits.max_decoded.saturating_add(bytes.len()),
            max_decoded: limits.max_decoded,
        }
    }

    /// The same, for a payload whose bytes are kept if they are large.
    pub(crate) fn of(source: &'a Payload, limits: &Limits) -> Self {
        let mut reader = Self { source: Some(source), ..Self::new(&source.bytes, limits) };
        if let Some(landed) = &source.landed {
            reader.landed = landed.content().len();
            reader.budget = reader.budget.saturating_add(reader.landed);
        }
        reader
    }

    /// How many bytes there are in all.
    fn size(&self) -> usize {
        self.source.map_or(self.bytes.len(), Payload::len)
    }

    /// Bytes consumed so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Checks that there is memory for what has been read over: for the objects, and as much again for making them and for an
    /// answer that holds the same.
    ///
    /// # Errors
    /// [`DecodeError::OutOfMemory`] if there is not.
    pub(crate) fn check_memory(&self) -> Result<(), DecodeError> {
        if memory::is_there(self.cost().saturating_mul(2)) {
            Ok(())
        } else {
            Err(DecodeError::OutOfMemory { size: self.size() })
        }
    }

    /// What the objects take that have been read over.
    pub(crate) fn cost(&self) -> usize {
        let size = self.size();
        // The budget began with the message's own bytes on top of the limit.
        self.max_decoded.saturating_add(size).saturating_sub(self.budget).max(size)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] if something is.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at + self.landed {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    /// Reads an int that must fit an `i64`. `what` names it in the error.
    ///
    /// # Errors
    /// If the next value is something else.
    #[inline]
    pub fn int(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        match self.next()? {
            Token::Int(value) => Ok(value),
            Token::BigInt(_) => Err(DecodeError::OutOfRange(what)),
            _ => Err(DecodeError::Expected { expected: what }),
        }
    }

    /// Reads a str. `what` names it in the error.
    ///
    /// # Errors
    /// If the next value is something else or not UTF-8.
    pub fn str(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        match self.next()? {
            Token::Str(value) => Ok(value),
            _ => Err(DecodeError::Expected { expected: what }),
        }
    }

    /// Reads the head of a tuple and returns its length; its items follow. `what` names it in the error.
    ///
    /// # Errors
    /// If the next value is not a tuple.
    #[inline]
    pub fn tuple(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        match self.next()? {
            Token::Tuple(len) => Ok(len),
            _ => Err(DecodeError::Expected { expected: what }),
        }
    }

    /// Reads the head of a pair that begins with a small int, and the int. Nothing, if something else is next, or would be past
    /// the limit: one step instead of two, for what every box begins with.
    #[inline]
    pub(crate) fn begin_labelled(&mut self) -> Option<i64> {
        const COST: usize = 2 * VALUE_COST + TUPLE_COST.0 + 2 * TUPLE_COST.1;
        let (tags::TUPLE_2, label @ tags::SMALL_FIRST..=tags::SMALL_LAST) =
            (*self.bytes.get(self.at)?, *self.bytes.get(self.at + 1)?)
        else {
            return None;
        };
        self.budget = self.budget.checked_sub(COST)?;
        self.at += 2;
        Some(i64::from(label) - tags::SMALL_BIAS)
    }

    /// Enters a sequence whose head was read, so that nesting is bounded; [`leave`](Self::leave) when its items are read.
    ///
    /// # Errors
    /// [`DecodeError::TooDeep`] past the limit on nesting.
    #[inline]
    pub fn enter(&mut self) -> Result<(), DecodeError> {
        if self.depth >= self.max_depth {
            return Err(DecodeError::TooDeep { max: self.max_depth });
        }
        self.depth += 1;
        Ok(())
    }

    /// Leaves the sequence [entered](Self::enter) last.
    #[inline]
    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The bytes from `start` to the cursor.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(crate) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// Reads on to bytes that are at least so long, and says where they are: if not all of them are there, where they will be.
    pub(crate) fn find_bytes(&mut self, min: usize) -> Option<Range<usize>> {
        loop {
            if self.bytes.get(self.at) == Some(&tags::BYTES_L4) {
                let mut ahead = Self { at: self.at + 1, ..self.clone() };
                let len = ahead.u32().ok()?;
                if len >= min {
                    return Some(ahead.at..ahead.at.checked_add(len)?);
                }
            }
            self.next().ok()?;
        }
    }

    /// Reads one scalar, or the head of a sequence whose items follow.
    ///
    /// # Errors
    /// [`DecodeError`] for malformed bytes.
    pub fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        self.next()
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Token<'a>, DecodeError> {
        let tag = self.byte()?;
        self.charge(VALUE_COST)?;
        // Most of a message are small ints and short tuples.
        match tag {
            tags::SMALL_FIRST..=tags::SMALL_LAST => Ok(Token::Int(i64::from(tag) - tags::SMALL_BIAS)),
            tags::TUPLE_1..=tags::TUPLE_4 => Ok(Token::Tuple(self.count(tag, TUPLE_COST)?)),
            tag => self.of_any_kind(tag),
        }
    }

    fn of_any_kind(&mut self, tag: u8) -> Result<Token<'a>, DecodeError> {
        Ok(match tag {
            tags::NONE => Token::None,
            tags::NOT_IMPLEMENTED => Token::NotImplemented,
            tags::ELLIPSIS => Token::Ellipsis,
            tags::TRUE => Token::Bool(true),
            tags::FALSE => Token::Bool(false),
            tags::BYTES_0 | tags::BYTES_1..=tags::BYTES_4 | tags::BYTES_L1 | tags::BYTES_L4 => {
                Token::Bytes(self.byte_string(tag)?)
            }
            tags::STR => {
                let tag = self.byte()?;
                let bytes = self.byte_string(tag)?;
                let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::BadUtf8)?;
                self.charge(STR_COST + widening(text))?;
                Token::Str(text)
            }
            tags::TUPLE_0 | tags::TUPLE_L1 | tags::TUPLE_L4 => Token::Tuple(self.count(tag, TUPLE_COST)?),
            tags::FROZENSET => {
                let tag = self.byte()?;
                Token::Frozenset(self.count(tag, FROZENSET_COST)?)
            }
            tags::SLICE => {
                let tag = self.byte()?;
                if self.count(tag, SLICE_COST)? != 3 {
                    return Err(DecodeError::Expected { expected: "a slice of three values" });
                }
                Token::Slice
            }
            tags::INT_L1 => {
                let len = usize::from(self.byte()?);
                self.integer(len)?
            }
            tags::INT_L4 => {
                let len = self.u32()?;
                self.integer(len)?
            }
            tags::FLOAT => Token::Float(self.f64()?),
            tags::COMPLEX => Token::Complex(self.f64()?, self.f64()?),
            other => return Err(DecodeError::UnknownTag(other)),
        })
    }

    fn byte_string(&mut self, tag: u8) -> Result<&'a [u8], DecodeError> {
        let len = match tag {
            tags::BYTES_0 => 0,
            tags::BYTES_1..=tags::BYTES_4 => usize::from(tag - tags::BYTES_1) + 1,
            tags::BYTES_L1 => usize::from(self.byte()?),
            tags::BYTES_L4 => return self.long_byte_string(),
            _ => return Err(DecodeError::Expected { expected: "a byte string" }),
        };
        self.take(len)
    }

    #[inline(never)]
    fn long_byte_string(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u32()?;
        if self.landed > 0
            && let Some(landed) = self.source.and_then(|source| source.landed_at(self.at, len))
        {
            self.landed = 0;
            return Ok(landed);
        }
        self.take(len)
    }

    #[inline]
    fn count(&mut self, tag: u8, (cost, slot_cost): (usize, usize)) -> Result<usize, DecodeError> {
        let count = match tag {
            tags::TUPLE_0 => 0,
            tags::TUPLE_1..=tags::TUPLE_4 => usize::from(tag - tags::TUPLE_1) + 1,
            tags::TUPLE_L1 => usize::from(self.byte()?),
            tags::TUPLE_L4 => self.u32()?,
            _ => return Err(DecodeError::Expected { expected: "a tuple" }),
        };
        // Every item takes at least a byte: a claim that cannot be true is refused before anything is reserved for it.
        if count > self.bytes.len() - self.at {
            return Err(DecodeError::UnexpectedEnd);
        }
        self.charge(count.saturating_mul(slot_cost).saturating_add(cost))?;
        Ok(count)
    }

    fn integer(&mut self, len: usize) -> Result<Token<'a>, DecodeError> {
        let text = self.take(len)?;
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        if digits.len() > self.max_int_digits {
            return Err(DecodeError::IntTooLong { digits: digits.len(), max: self.max_int_digits });
        }
        let canonical = match digits {
            [] => false,
            [b'0'] => text.len() == 1,
            [b'0', ..] => false,
            _ => digits.iter().all(u8::is_ascii_digit),
        };
        if !canonical {
            return Err(DecodeError::BadInt);
        }
        if digits.len() <= SHORT_INT {
            let value = digits.iter().fold(0, |value, digit| 10 * value + i64::from(digit - b'0'));
            return Ok(Token::Int(if digits.len() < text.len() { -value } else { value }));
        }
        let text = std::str::from_utf8(text).map_err(|_| DecodeError::BadInt)?;
        Ok(text.parse().map_or(Token::BigInt(text), Token::Int))
    }

    fn f64(&mut self) -> Result<f64, DecodeError> {
        let bytes = self.take(8)?;
        Ok(f64::from_be_bytes(bytes.try_into().map_err(|_| DecodeError::UnexpectedEnd)?))
    }

    fn u32(&mut self) -> Result<usize, DecodeError> {
        let bytes = self.take(4)?;
        let value = u32::from_be_bytes(bytes.try_into().map_err(|_| DecodeError::UnexpectedEnd)?);
        usize::try_from(value).map_err(|_| DecodeError::OutOfRange("a length"))
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(DecodeError::UnexpectedEnd)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.bytes[self.at..].get(..len).ok_or(DecodeError::UnexpectedEnd)?;
        self.at += len;
        Ok(bytes)
    }

    /// Counts memory that decoding takes beyond that of the values themselves.
    ///
    /// # Errors
    /// [`DecodeError::OverBudget`] past the limit.
    #[inline]
    pub fn charge(&mut self, cost: usize) -> Result<(), DecodeError> {
        self.budget =
            self.budget.checked_sub(cost).ok_or(DecodeError::OverBudget { max: self.max_decoded })?;
        Ok(())
    }
}

/// What the characters of a text take in memory beyond its UTF-8: CPython gives each the width of the widest.
fn widening(text: &str) -> usize {
    if text.is_ascii() {
        return 0;
    }
    let has = |first: u8| text.bytes().any(|byte| byte >= first);
    let width = if has(0xf0) {
        4
    } else if has(0xc4) {
        2
    } else {
        1
    };
    (text.chars().count() * width).saturating_sub(text.len())
}

/// Reads one value and builds it in `world`.
///
/// # Errors
/// [`DecodeError`] (through the world's error type) for malformed bytes, and whatever the world finds wrong with a
/// value: Python refuses lone surrogates, for example.
pub fn read<W: World>(world: &W, reader: &mut Reader<'_>) -> Result<W::Object, W::Error> {
    // What recurses stays small: every local here costs stack once per level of nesting.
    match reader.next()? {
        Token::Tuple(len) => world.tuple(read_items(world, reader, len)?),
        Token::Frozenset(len) => world.frozenset(read_items(world, reader, len)?),
        Token::Slice => read_slice(world, reader),
        Token::Bytes(value) => read_bytes(world, reader, value),
        token => scalar(world, token),
    }
}

#[inline(never)]
fn read_slice<W: World>(world: &W, reader: &mut Reader<'_>) -> Result<W::Object, W::Error> {
    reader.enter()?;
    let (start, stop, step) = (read(world, reader)?, read(world, reader)?, read(world, reader)?);
    reader.leave();
    world.slice(start, stop, step)
}

/// Builds bytes that were read, without copying them if they are most of the message, or in memory of the driver's.
///
/// # Errors
/// What the world finds wrong with them.
pub fn read_bytes<W: World>(world: &W, reader: &Reader<'_>, value: &[u8]) -> Result<W::Object, W::Error> {
    let Some(source) = reader.source else { return world.bytes(value) };
    match &source.landed {
        Some(landed) if std::ptr::eq(landed.content(), value) => world.landed_bytes(&*landed.place),
        _ if value.len() > source.bytes.len() / 2 && value.len() >= SHARED_MIN => {
            world.shared_bytes(source.bytes.slice_ref(value))
        }
        _ => world.bytes(value),
    }
}

/// Builds a value that is one token.
///
/// # Errors
/// If it is the head of a sequence, or the world has no such value.
pub fn scalar<W: World>(world: &W, token: Token<'_>) -> Result<W::Object, W::Error> {
    Ok(match token {
        Token::None => world.none(),
        Token::NotImplemented => world.not_implemented(),
        Token::Ellipsis => world.ellipsis(),
        Token::Bool(value) => world.bool(value),
        Token::Int(value) => world.int(value),
        Token::BigInt(text) => world.big_int(text)?,
        Token::Float(value) => world.float(value),
        Token::Complex(real, imag) => world.complex(real, imag),
        Token::Bytes(value) => world.bytes(value)?,
        Token::Str(value) => world.str(value)?,
        Token::Tuple(_) | Token::Frozenset(_) | Token::Slice => {
            return Err(DecodeError::Expected { expected: "a scalar" }.into());
        }
    })
}

fn read_items<W: World>(world: &W, reader: &mut Reader<'_>, len: usize) -> Result<Vec<W::Object>, W::Error> {
    reader.enter()?;
    let mut items = Vec::with_capacity(len);
    for _ in 0..len {
        items.push(read(world, reader)?);
    }
    reader.leave();
    Ok(items)
}

/// Walks over one value without building it, checking it as [`read`] would.
///
/// # Errors
/// [`DecodeError`] for malformed bytes.
pub fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let items = match reader.next()? {
        Token::Tuple(len) | Token::Frozenset(len) => len,
        Token::Slice => 3,
        _ => return Ok(()),
    };
    reader.enter()?;
    for _ in 0..items {
        skip(reader)?;
    }
    reader.leave();
    Ok(())
}

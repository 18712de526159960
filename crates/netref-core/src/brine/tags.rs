//! The tag bytes. Ints from [`SMALL_MIN`] to [`SMALL_MAX`] are their own tag: the byte is the int plus [`SMALL_BIAS`].

pub(super) const NONE: u8 = 0x00;
pub(super) const BYTES_0: u8 = 0x01;
pub(super) const TUPLE_0: u8 = 0x02;
pub(super) const TRUE: u8 = 0x03;
pub(super) const FALSE: u8 = 0x04;
pub(super) const NOT_IMPLEMENTED: u8 = 0x05;
pub(super) const ELLIPSIS: u8 = 0x06;
pub(super) const STR: u8 = 0x08;
pub(super) const BYTES_1: u8 = 0x0a;
pub(super) const BYTES_4: u8 = 0x0d;
pub(super) const BYTES_L1: u8 = 0x0e;
pub(super) const BYTES_L4: u8 = 0x0f;
pub(super) const TUPLE_1: u8 = 0x10;
pub(super) const TUPLE_2: u8 = 0x11;
pub(super) const TUPLE_4: u8 = 0x13;
pub(super) const TUPLE_L1: u8 = 0x14;
pub(super) const TUPLE_L4: u8 = 0x15;
pub(super) const INT_L1: u8 = 0x16;
pub(super) const INT_L4: u8 = 0x17;
pub(super) const FLOAT: u8 = 0x18;
pub(super) const SLICE: u8 = 0x19;
pub(super) const FROZENSET: u8 = 0x1a;
pub(super) const COMPLEX: u8 = 0x1b;

pub(super) const SMALL_MIN: i64 = -0x30;
pub(super) const SMALL_MAX: i64 = 0x9f;
pub(super) const SMALL_BIAS: i64 = 0x50;
pub(super) const SMALL_FIRST: u8 = (SMALL_MIN + SMALL_BIAS) as u8;
pub(super) const SMALL_LAST: u8 = (SMALL_MAX + SMALL_BIAS) as u8;

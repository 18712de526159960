//! Brine against itself: what is written is read back, and nothing malformed gets through.

use netref_core::brine::{DecodeError, EncodeError, Reader, Writer, read, skip};
use netref_core::session::Options;
use netref_core::{Limits, World};
use proptest::prelude::*;

use crate::memory;
use crate::value::{Side, Value, WorldError};

/// Plain data of every kind, nested a few levels deep.
pub(crate) fn plain() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Tuple),
            1 => prop::collection::vec(hashable(), 0..6).prop_map(without_repetition),
            1 => [inner.clone(), inner.clone(), inner].prop_map(|parts| Value::Slice(Box::new(parts))),
        ]
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        Just(Value::NotImplemented),
        Just(Value::Ellipsis),
        any::<bool>().prop_map(Value::Bool),
        int(),
        any::<f64>().prop_map(Value::Float),
        any::<(f64, f64)>().prop_map(|(real, imag)| Value::Complex(real, imag)),
        prop::collection::vec(any::<u8>(), 0..7).prop_map(Value::Bytes),
        prop::collection::vec(any::<u8>(), 250..260).prop_map(Value::Bytes),
        any::<String>().prop_map(Value::Str),
        "[a-zäß€😀]{0,7}".prop_map(Value::Str),
    ]
}

fn int() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (-60i64..200).prop_map(Value::Int),
        2 => any::<i64>().prop_map(Value::Int),
        1 => "-?[1-9][0-9]{19,300}".prop_map(Value::Big),
    ]
}

/// Values of which no two of different kinds are equal in Python, where `1 == True == 1.0`.
fn hashable() -> impl Strategy<Value = Value> {
    let item = prop_oneof![int(), "[a-z]{0,7}".prop_map(Value::Str), Just(Value::None)];
    prop_oneof![3 => item.clone(), 1 => prop::collection::vec(item, 0..4).prop_map(Value::Tuple)]
}

fn without_repetition(items: Vec<Value>) -> Value {
    let mut unique = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    Value::Frozenset(unique)
}

/// A proptest configuration that leaves no files behind.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    // Miri takes a thousand times as long.
    let cases = if cfg!(miri) { 3 } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

pub(crate) fn world() -> Side {
    Side::new(Options::default())
}

pub(crate) fn dump(value: &Value) -> Vec<u8> {
    try_dump(value, &Limits::compat()).unwrap()
}

fn try_dump(value: &Value, limits: &Limits) -> Result<Vec<u8>, WorldError> {
    let mut bytes = Vec::new();
    assert!(world().write(value, &mut Writer::new(&mut bytes, limits))?, "plain data");
    Ok(bytes)
}

pub(crate) fn load(bytes: &[u8], limits: &Limits) -> Result<Value, WorldError> {
    let mut reader = Reader::new(bytes, limits);
    let value = read(&world(), &mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn check(bytes: &[u8], limits: &Limits) -> Result<(), WorldError> {
    let mut reader = Reader::new(bytes, limits);
    skip(&mut reader)?;
    Ok(reader.finish()?)
}

fn refusal(bytes: &[u8]) -> DecodeError {
    let refused = load(bytes, &Limits::default());
    assert_eq!(check(bytes, &Limits::default()).err(), refused.clone().err(), "skip disagrees with read");
    match refused {
        Err(WorldError::Decode(error)) => error,
        other => panic!("{bytes:02x?} gives {other:?}"),
    }
}

/// `depth` tuples in each other.
pub(crate) fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::None, |inner, _| Value::Tuple(vec![inner]))
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn what_is_written_is_read_back(value in plain()) {
        let bytes = dump(&value);
        let back = load(&bytes, &Limits::compat()).unwrap();
        prop_assert_eq!(&back, &value);
        prop_assert_eq!(dump(&back), bytes);
    }

    #[test]
    fn skip_accepts_what_read_accepts(bytes in hostile()) {
        for limits in [Limits::compat(), Limits::strict()] {
            prop_assert_eq!(load(&bytes, &limits).err(), check(&bytes, &limits).err());
        }
    }

    #[test]
    fn a_cut_value_is_refused(value in plain(), cut in any::<prop::sample::Index>()) {
        let bytes = dump(&value);
        let cut = cut.index(bytes.len());
        prop_assert!(load(&bytes[..cut], &Limits::compat()).is_err());
        prop_assert!(check(&bytes[..cut], &Limits::compat()).is_err());
    }

    #[test]
    fn an_int_is_canonical_decimal_text_or_refused(text in "[-+0-9 _x]{0,6}") {
        let mut bytes = vec![0x16, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        let canonical = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
        prop_assert_eq!(load(&bytes, &Limits::default()).is_ok(), canonical, "{:?}", text);
    }
}

/// Random bytes, bytes that are mostly tags, and well-formed brine with one byte changed.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop_oneof![3 => 0u8..0x20, 1 => any::<u8>()];
    let changed = (plain(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
        let mut bytes = dump(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..60), prop::collection::vec(tags, 0..60), changed]
}

#[test]
fn ints_that_only_python_would_read_are_refused() {
    for text in ["+5", "007", "-0", " 12 ", "1_000", "", "-", "--1", "00", "0x1", "1.0", "1\n", "\u{663}"] {
        let mut bytes = vec![0x16, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        assert_eq!(refusal(&bytes), DecodeError::BadInt, "{text:?}");
    }
}

#[test]
fn malformed_values_are_refused_by_name() {
    use DecodeError::{BadUtf8, Expected, TrailingBytes, UnexpectedEnd, UnknownTag};
    let slice = Expected { expected: "a slice of three values" };
    let cases: [(&str, &[u8], DecodeError); 13] = [
        ("nothing", b"", UnexpectedEnd),
        ("bytes shorter than they say", b"\x0e\x05abc", UnexpectedEnd),
        ("str shorter than it says", b"\x08\x0e\x05abc", UnexpectedEnd),
        ("int shorter than it says", b"\x16\x05123", UnexpectedEnd),
        ("float cut short", b"\x18\0\0", UnexpectedEnd),
        ("bytes of 4 GiB", b"\x0f\xff\xff\xff\xff", UnexpectedEnd),
        ("tuple of 4 Gi items", b"\x15\xff\xff\xff\xff\0", UnexpectedEnd),
        ("str that is not UTF-8", b"\x08\x0a\xff", BadUtf8),
        ("str that is a lone surrogate", b"\x08\x0c\xed\xa0\x80", BadUtf8),
        ("str of None", b"\x08\x00", Expected { expected: "a byte string" }),
        ("slice of two", b"\x19\x11\0\0", slice),
        ("unused tag", b"\x07", UnknownTag(7)),
        ("bytes after the value", b"\0\0\0", TrailingBytes(2)),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(refusal(bytes), expected, "{what}");
    }
}

#[test]
fn nesting_is_bounded_both_ways() {
    let limits = Limits::strict();
    let max = limits.max_depth;
    let deepest = try_dump(&nested(max), &limits).unwrap();
    assert!(load(&deepest, &limits).is_ok());
    let too_deep = dump(&nested(max + 1));
    assert_eq!(try_dump(&nested(max + 1), &limits), Err(EncodeError::TooDeep { max }.into()));
    assert_eq!(load(&too_deep, &limits), Err(DecodeError::TooDeep { max }.into()));
    assert_eq!(check(&too_deep, &limits), Err(DecodeError::TooDeep { max }.into()));
}

#[test]
fn no_setting_lifts_the_ceiling_on_nesting() {
    let mut limits = Limits::compat();
    limits.max_depth = usize::MAX;
    let max = netref_core::limits::DEPTH_CEILING;
    let deepest = try_dump(&nested(max), &limits).unwrap();
    assert!(load(&deepest, &limits).is_ok(), "the deepest value fits the stack of a test thread");
    let bottomless = vec![0x10; 5_000_000];
    assert_eq!(load(&bottomless, &limits), Err(DecodeError::TooDeep { max }.into()));
    assert_eq!(check(&bottomless, &limits), Err(DecodeError::TooDeep { max }.into()));
}

#[test]
fn digits_are_bounded_both_ways() {
    let limits = Limits::strict();
    let max = limits.max_int_digits;
    let number = |digits: usize| Value::Big(format!("-{}", "9".repeat(digits)));
    assert_eq!(load(&try_dump(&number(max), &limits).unwrap(), &limits), Ok(number(max)));
    let (digits, too_long) = (max + 1, dump(&number(max + 1)));
    assert_eq!(try_dump(&number(digits), &limits), Err(EncodeError::IntTooLong { digits, max }.into()));
    assert_eq!(load(&too_long, &limits), Err(DecodeError::IntTooLong { digits, max }.into()));
}

#[test]
fn what_the_budget_allows_takes_no_more_memory_than_it_says() {
    let mut limits = Limits::default();
    limits.max_decoded = 1 << 20;
    let items: [&[u8]; 9] =
        [b"\x50", b"\x20", b"\0", b"\x02", b"\x10\x50", b"\x01", b"\x08\x01", b"\x1a\x02", b"\x19\x12\0\0\0"];
    for item in items {
        // As many of them as are let through.
        let many = |count: u32| [b"\x15", &count.to_be_bytes()[..], &item.repeat(count as usize)].concat();
        let count = (0..60_000).rev().step_by(100).find(|&count| check(&many(count), &limits).is_ok());
        let bytes = many(count.unwrap());
        let allowed = limits.max_decoded + bytes.len();
        let (value, peak) = memory::peak(|| load(&bytes, &limits));
        assert!(value.is_ok() && peak <= allowed, "{item:02x?}: {peak} bytes where {allowed} are allowed");
        // An empty frozenset is the one that takes much more room in Python than here.
        let share = if item == b"\x1a\x02" { 9 } else { 3 };
        assert!(peak > allowed / share, "{item:02x?}: {peak} bytes are far from the {allowed} allowed");
    }
}

#[test]
fn the_budget_stops_small_bytes_from_becoming_large_objects() {
    let mut limits = Limits::default();
    limits.max_decoded = 10_000;
    let affordable = dump(&Value::Tuple(vec![Value::None; 200]));
    assert!(load(&affordable, &limits).is_ok());
    for (what, item) in [("0", 0x50), ("-48", 0x20), ("None", 0x00), ("empty tuple", 0x02)] {
        let mut bytes = vec![0x15, 0, 0, 4, 0];
        bytes.extend_from_slice(&[item; 1024]);
        assert_eq!(load(&bytes, &limits), Err(DecodeError::OverBudget { max: 10_000 }.into()), "{what}");
        assert_eq!(check(&bytes, &limits), Err(DecodeError::OverBudget { max: 10_000 }.into()), "{what}");
    }
}

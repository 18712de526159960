//! Plain data as Python writes it.

use crate::value::Value;

/// Python's `repr` of a value; objects by their own `repr`.
#[must_use]
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::NotImplemented => "NotImplemented".to_owned(),
        Value::Ellipsis => "Ellipsis".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::Complex(real, imag) => complex(*real, *imag),
        Value::Str(text) => quoted(text),
        Value::Bytes(value) => bytes(value),
        Value::Tuple(items) => match items.as_slice() {
            [only] => format!("({},)", repr(only)),
            items => format!("({})", joined(items)),
        },
        Value::FrozenSet(items) if items.is_empty() => "frozenset()".to_owned(),
        Value::FrozenSet(items) => format!("frozenset({{{}}})", joined(items)),
        Value::Slice(parts) => format!("slice({})", joined(&**parts)),
        Value::Object(object) => object.repr(),
        Value::Remote(remote) => format!("<remote {}>", remote.class_name()),
    }
}

/// `items` separated by commas.
pub(crate) fn joined(items: &[Value]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Rust's Debug shows the same digits, keeps the ".0", and changes to exponents at the same sizes; only these look
    // different.
    let text = format!("{value:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
    }
}

fn complex(real: f64, imag: f64) -> String {
    let part = |value| {
        let text = float(value);
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    if real == 0.0 && real.is_sign_positive() {
        return format!("{}j", part(imag));
    }
    let sign = if imag.is_sign_negative() && !imag.is_nan() { "" } else { "+" };
    format!("({}{sign}{}j)", part(real), part(imag))
}

fn bytes(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace("\\\"", "\"");
    if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        format!("b\"{}\"", text.replace("\\'", "'"))
    } else {
        format!("b'{text}'")
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&match u32::from(c) {
                code @ ..0x100 => format!("\\x{code:02x}"),
                code @ 0x100..0x1_0000 => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    out.push(quote);
    out
}

/// True if Python shows the character as it is.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Rust's Debug goes by the same categories. A combining character it escapes too, unless it has something to
    // combine with.
    let mut buffer = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..length]).is_ok_and(|text| text.escape_debug().count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::IntoValue;

    #[test]
    fn texts_are_what_python_writes() {
        // From CPython 3.11.
        let cases: [(&str, &str); 9] = [
            ("Simple\n", r"'Simple\n'"),
            ("it's", "\"it's\""),
            ("'\"", r#"'\'"'"#),
            ("a\\b\t\r", r"'a\\b\t\r'"),
            ("\0\x1b\x7f\u{85}\u{a0}", r"'\x00\x1b\x7f\x85\xa0'"),
            ("\u{feff}\u{200b}\u{2028}\u{3000}", r"'\ufeff\u200b\u2028\u3000'"),
            ("\u{e0001}\u{10ffff}", r"'\U000e0001\U0010ffff'"),
            ("h\u{e9}llo e\u{301} \u{6f22}\u{1f600}", "'h\u{e9}llo e\u{301} \u{6f22}\u{1f600}'"),
            ("\u{301}", "'\u{301}'"),
        ];
        for (text, shown) in cases {
            assert_eq!(repr(&text.into_value()), shown);
        }
    }

    #[test]
    fn numbers_and_bytes_are_what_python_writes() {
        let floats = [0.0, -0.0, 1e15, 1e16, 1.5e-7, 1e-4, 9.9e-5, 1e300, 0.1];
        let shown =
            ["0.0", "-0.0", "1000000000000000.0", "1e+16", "1.5e-07", "0.0001", "9.9e-05", "1e+300", "0.1"];
        assert_eq!(floats.map(|float| repr(&Value::Float(float))), shown);
        let numbers = [(0.0, 2.0), (1.0, -2.5), (-0.0, 1.0), (1e16, f64::NAN)];
        let shown = ["2j", "(1-2.5j)", "(-0+1j)", "(1e+16+nanj)"];
        assert_eq!(numbers.map(|(real, imag)| repr(&Value::Complex(real, imag))), shown);
        let texts: [&[u8]; 4] = [b"a\"b", b"it's", b"'\"", b"\\\"\xff\n"];
        let shown = ["b'a\"b'", "b\"it's\"", "b'\\'\"'", "b'\\\\\"\\xff\\n'"];
        assert_eq!(texts.map(|text| repr(&Value::Bytes(text.to_vec().into()))), shown);
    }
}

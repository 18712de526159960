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
        Value::Complex(real, imag) => format!("({}{:+}j)", real, imag),
        Value::Str(text) => quoted(text),
        Value::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii().to_string().replace("\\\"", "\"")),
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
        "nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else {
        // Rust's Debug keeps the ".0" that Python shows.
        format!("{value:?}")
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
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

//! Values as tagged JSON; AGENT.md lists the tags.

use netref::{BigInt, IntoValue, Value};
use serde_json::{Value as Json, json};

use crate::handles::Handles;

/// Tags a value. Whatever does not cross a connection by value gets a handle.
pub(crate) fn encode(value: &Value, handles: &mut Handles) -> Json {
    let mut encode_all = |items: &[Value]| items.iter().map(|item| encode(item, handles)).collect::<Vec<_>>();
    match value {
        Value::None => json!({"t": "none"}),
        Value::Ellipsis => json!({"t": "ellipsis"}),
        Value::NotImplemented => json!({"t": "notimplemented"}),
        Value::Bool(value) => json!({"t": "bool", "v": value}),
        Value::Str(text) => json!({"t": "str", "v": text}),
        Value::Int(number) => json!({"t": "int", "v": number.to_string()}),
        Value::BigInt(number) => json!({"t": "int", "v": number.to_string()}),
        Value::Float(number) => json!({"t": "float", "v": float_text(*number)}),
        Value::Complex(real, imag) => json!({"t": "complex", "v": [float_text(*real), float_text(*imag)]}),
        Value::Bytes(bytes) => json!({"t": "bytes", "v": hex(bytes)}),
        Value::Tuple(items) => json!({"t": "tuple", "v": encode_all(items)}),
        Value::FrozenSet(items) => json!({"t": "frozenset", "v": encode_all(items)}),
        Value::Slice(parts) => json!({"t": "slice", "v": encode_all(&**parts)}),
        Value::Remote(_) => json!({"t": "ref", "id": handles.number(value)}),
        _ => json!({"t": "local", "id": handles.number(value)}),
    }
}

/// The value behind tagged JSON.
///
/// # Errors
/// What makes no sense in it, in words.
pub(crate) fn decode(json: &Json, handles: &Handles) -> Result<Value, String> {
    let nonsense = || format!("not a tagged value: {json}");
    let body = &json["v"];
    let text = || body.as_str().ok_or_else(nonsense);
    let items = || {
        let items = body.as_array().ok_or_else(nonsense)?;
        items.iter().map(|item| decode(item, handles)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match json["t"].as_str().ok_or_else(nonsense)? {
        "none" => Value::None,
        "ellipsis" => Value::Ellipsis,
        "notimplemented" => Value::NotImplemented,
        "bool" => Value::Bool(body.as_bool().ok_or_else(nonsense)?),
        "str" => Value::Str(text()?.to_owned()),
        "int" => text()?.parse::<BigInt>().map_err(|error| error.to_string())?.into_value(),
        "float" => Value::Float(parse_float(text()?)?),
        "complex" => {
            let part = |index: usize| parse_float(body[index].as_str().ok_or_else(nonsense)?);
            Value::Complex(part(0)?, part(1)?)
        }
        "bytes" => Value::Bytes(unhex(text()?).ok_or_else(nonsense)?.into()),
        "tuple" => Value::Tuple(items()?),
        "frozenset" => Value::FrozenSet(items()?),
        "slice" => Value::Slice(Box::new(items()?.try_into().map_err(|_| nonsense())?)),
        "ref" | "local" => {
            let number = json["id"].as_u64().ok_or_else(nonsense)?;
            handles.get(number).cloned().ok_or_else(|| format!("no such handle: {number}"))?
        }
        _ => return Err(nonsense()),
    })
}

/// The shortest text that reads back the same.
fn float_text(number: f64) -> String {
    format!("{number:?}").to_lowercase()
}

fn parse_float(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("not a float: {text:?}"))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

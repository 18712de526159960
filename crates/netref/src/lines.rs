//! Reading as Python's files do: characters and lines out of bytes.
//!
//! Nothing is read ahead of what is returned, apart from a look at the byte after a `\r`; so the position of the stream is
//! the position of the file.

use std::io::{BufRead, ErrorKind, Read};

use crate::convert::IntoValue;
use crate::error::{Error, Exception, Result};
use crate::value::Value;

/// Bytes around a bad one that the error for it carries at most.
const ERROR_CONTEXT: usize = 64;

/// All bytes up to the end, or `size` of them.
pub(crate) fn read_bytes(reader: &mut dyn BufRead, size: Option<usize>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match size {
        // Grows with what is there: `size` is the peer's word.
        Some(size) => reader.take(size as u64).read_to_end(&mut bytes)?,
        None => reader.read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

/// The bytes up to and with the next `\n`, or `size` of them.
pub(crate) fn read_bytes_line(reader: &mut dyn BufRead, size: Option<usize>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match size {
        Some(size) => reader.take(size as u64).read_until(b'\n', &mut bytes)?,
        None => reader.read_until(b'\n', &mut bytes)?,
    };
    Ok(bytes)
}

/// All text up to the end, or `size` characters of it.
pub(crate) fn read_text(reader: &mut dyn BufRead, size: Option<usize>) -> Result<String> {
    let Some(size) = size else {
        let text = decode(read_bytes(reader, None)?)?;
        return Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text });
    };
    let mut bytes = Vec::new();
    for _ in 0..size {
        if !read_character(reader, &mut bytes)? {
            break;
        }
    }
    decode(bytes)
}

/// The text up to and with the end of the line, or `size` characters of it.
pub(crate) fn read_text_line(reader: &mut dyn BufRead, size: Option<usize>) -> Result<String> {
    let mut bytes = Vec::new();
    if let Some(size) = size {
        for _ in 0..size {
            if !read_character(reader, &mut bytes)? || bytes.last() == Some(&b'\n') {
                break;
            }
        }
        return decode(bytes);
    }
    loop {
        let buffer = fill(reader)?;
        if buffer.is_empty() {
            return decode(bytes);
        }
        match buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            None => {
                let length = buffer.len();
                bytes.extend_from_slice(buffer);
                reader.consume(length);
            }
            Some(length) => {
                bytes.extend_from_slice(&buffer[..length]);
                reader.consume(length);
                read_character(reader, &mut bytes)?;
                return decode(bytes);
            }
        }
    }
}

/// Appends the bytes of one character; `\r` and `\r\n` as `\n`. False at the end.
fn read_character(reader: &mut dyn BufRead, bytes: &mut Vec<u8>) -> Result<bool> {
    let Some(first) = next_byte(reader)? else { return Ok(false) };
    if first == b'\r' {
        if fill(reader)?.first() == Some(&b'\n') {
            reader.consume(1);
        }
        bytes.push(b'\n');
        return Ok(true);
    }
    bytes.push(first);
    // What follows a first byte that promises more, as far as it does follow; decoding finds what is wrong.
    let following = match first {
        0xC0..=0xDF => 1,
        0xE0..=0xEF => 2,
        0xF0..=0xF7 => 3,
        _ => 0,
    };
    for _ in 0..following {
        match fill(reader)?.first() {
            Some(&byte @ 0x80..=0xBF) => {
                bytes.push(byte);
                reader.consume(1);
            }
            _ => break,
        }
    }
    Ok(true)
}

fn next_byte(reader: &mut dyn BufRead) -> Result<Option<u8>> {
    let byte = fill(reader)?.first().copied();
    if byte.is_some() {
        reader.consume(1);
    }
    Ok(byte)
}

fn fill(reader: &mut dyn BufRead) -> Result<&[u8]> {
    // Asked twice, since a borrow that is returned from a loop would last beyond it.
    while let Err(error) = reader.fill_buf() {
        if error.kind() != ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    Ok(reader.fill_buf()?)
}

fn decode(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let (at, length) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len());
        let bytes = error.as_bytes();
        let reason = match length {
            None => "unexpected end of data",
            Some(_) if matches!(bytes[at], 0xC2..=0xF4) => "invalid continuation byte",
            Some(_) => "invalid start byte",
        };
        let end = length.map_or(bytes.len(), |length| at + length);
        let from = at.saturating_sub(ERROR_CONTEXT);
        let context = bytes[from..bytes.len().min(end + ERROR_CONTEXT)].to_vec();
        decode_error(context, at - from, end - from, reason)
    })
}

/// `UnicodeDecodeError`, which Python makes from all of its parts.
fn decode_error(bytes: Vec<u8>, start: usize, end: usize, reason: &str) -> Error {
    let parts = [
        ("encoding", "utf-8".into_value()),
        ("object", Value::Bytes(bytes.into())),
        ("start", start.into_value()),
        ("end", end.into_value()),
        ("reason", reason.into_value()),
    ];
    let exception = Exception::new("UnicodeDecodeError");
    parts
        .into_iter()
        .fold(exception, |exception, (name, part)| {
            exception.with_arg(part.clone()).with_attribute(name, part)
        })
        .into()
}

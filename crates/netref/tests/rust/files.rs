//! `File` through a connection, without Python.

use std::io::{BufReader, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use netref::{Bytes, Error, File, IntoValue, List, Value};

use crate::lab::{both_ends_and_lab, raised};

/// A file as the peer has it.
fn lent(file: &File) -> (netref::Connection, Value) {
    let (conn, _server, lab) = both_ends_and_lab();
    conn.root().unwrap().call_method("keep", (file,)).unwrap();
    let far = lab.kept.lock().unwrap().remove(0);
    (conn, far)
}

fn text(value: netref::Result<Value>) -> String {
    value.unwrap().extract().unwrap()
}

/// A reader that gives one byte at a time, so that everything is split everywhere.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

fn trickle(bytes: &[u8]) -> File {
    File::reader(BufReader::with_capacity(1, Trickle(Cursor::new(bytes.to_vec()))))
}

/// Where a writer's bytes are seen.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn reading_text() {
    let (_conn, file) = lent(&trickle("h\u{e9}llo\r\nw\u{1f600}rld\rend".as_bytes()));
    assert_eq!(text(file.call_method("read", (2,))), "h\u{e9}");
    assert_eq!(text(file.call_method("readline", ())), "llo\n");
    assert_eq!(text(file.call_method("readline", (2,))), "w\u{1f600}");
    assert_eq!(text(file.call_method("readline", (100,))), "rld\n");
    assert_eq!(text(file.call_method("read", (-1,))), "end");
    assert_eq!(text(file.call_method("read", (10,))), "");
    assert_eq!(raised(file.call_method("seek", (0,))), "io.UnsupportedOperation");
    assert_eq!(raised(file.call_method("write", ("x",))), "io.UnsupportedOperation");
}

#[test]
fn reading_bytes() {
    let (_conn, file) = lent(&trickle(b"a\r\nb\xff\n").binary());
    assert_eq!(file.call_method("readline", ()).unwrap(), Value::Bytes(Bytes::from_static(b"a\r\n")));
    assert_eq!(file.call_method("read", (1,)).unwrap(), Value::Bytes(Bytes::from_static(b"b")));
    assert_eq!(file.call_method("read", ()).unwrap(), Value::Bytes(Bytes::from_static(b"\xff\n")));
    assert_eq!(text(file.get_attr("mode")), "rb");
}

#[test]
fn lines_are_a_list_that_stays() {
    let (_conn, file) = lent(&trickle(b"1\n2\n3\n4\n"));
    let some: Vec<String> = file.call_method("readlines", (3,)).unwrap().extract().unwrap();
    assert_eq!(some, ["1\n", "2\n"]);
    let rest = file.call_method("readlines", ()).unwrap();
    assert_eq!(rest.type_name(), "remote builtins.list");
    assert_eq!(rest.extract::<Vec<String>>().unwrap(), ["3\n", "4\n"]);
}

#[test]
fn iterating_reads_a_line_at_a_time() {
    let (_conn, file) = lent(&trickle(b"1\n2"));
    let lines: Vec<String> = file.iter().unwrap().map(|line| line.unwrap().extract().unwrap()).collect();
    assert_eq!(lines, ["1\n", "2"]);
}

#[test]
fn bytes_that_are_no_text() {
    for (bytes, start, end, reason) in [
        (&b"ab\xff\n"[..], 2, 3, "invalid start byte"),
        (b"\xe2\x82x\n", 0, 2, "invalid continuation byte"),
        (b"abc\xe2\x82", 3, 5, "unexpected end of data"),
    ] {
        let (_conn, file) = lent(&trickle(bytes));
        let error = file.call_method("readline", ()).unwrap_err();
        let exception = error.exception().unwrap();
        assert!(exception.is("UnicodeDecodeError"));
        let [start, end] = [start, end].map(IntoValue::into_value);
        let expected = [
            "utf-8".into_value(),
            Value::Bytes(Bytes::copy_from_slice(bytes)),
            start,
            end,
            reason.into_value(),
        ];
        assert_eq!(exception.args(), expected);
    }
}

#[test]
fn writing() {
    let sink = Sink::default();
    let (_conn, file) = lent(&File::writer(std::io::BufWriter::new(sink.clone())));
    assert_eq!(file.call_method("write", ("h\u{e9}\n",)).unwrap(), Value::Int(3));
    file.call_method("writelines", (List::from(vec!["a\n", "b\n"]),)).unwrap();
    assert!(sink.0.lock().unwrap().is_empty(), "buffered");
    file.call_method("flush", ()).unwrap();
    assert_eq!(*sink.0.lock().unwrap(), "h\u{e9}\na\nb\n".as_bytes());
    assert_eq!(raised(file.call_method("write", (Bytes::from(vec![1]),))), "TypeError");
    assert_eq!(raised(file.call_method("read", ())), "io.UnsupportedOperation");
    file.call_method("write", ("end",)).unwrap();
    file.call_method("close", ()).unwrap();
    assert!(sink.0.lock().unwrap().ends_with(b"end"));
    assert_eq!(file.get_attr("closed").unwrap(), Value::Bool(true));
    assert_eq!(raised(file.call_method("write", ("x",))), "ValueError");
}

#[test]
fn files_on_disk() {
    let path = std::env::temp_dir().join(format!("netref-test-{}.txt", std::process::id()));
    let (_conn, file) = lent(&File::create(&path).unwrap());
    file.call_method("write", ("0123456789",)).unwrap();
    assert_eq!(file.call_method("seek", (4,)).unwrap(), Value::Int(4));
    file.call_method("write", ("x",)).unwrap();
    assert_eq!(file.call_method("tell", ()).unwrap(), Value::Int(5));
    file.call_method("close", ()).unwrap();
    let file = File::open(&path).unwrap();
    assert_eq!(format!("{file:?}"), format!("<netref.File name='{}' mode='r'>", path.display()));
    let (_conn, far) = lent(&file);
    assert_eq!(text(far.call_method("read", ())), "0123x56789");
    assert_eq!(raised(far.call_method("seek", (-1,))), "ValueError");
    assert_eq!(raised(far.call_method("seek", (-1, 2))), "io.UnsupportedOperation");
    assert_eq!(far.call_method("seek", (0, 2)).unwrap(), Value::Int(10));
    file.close().unwrap();
    assert_eq!(raised(far.call_method("read", ())), "ValueError");
    std::fs::remove_file(&path).unwrap();
    assert!(
        matches!(File::open(&path), Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound)
    );
}

#[test]
fn a_file_that_comes_home_is_the_file() {
    let (conn, _server, _lab) = both_ends_and_lab();
    let file = trickle(b"x");
    let home: File = conn.root().unwrap().call_method("echo", (&file,)).unwrap().extract().unwrap();
    home.close().unwrap();
    assert!(file.is_closed());
}
